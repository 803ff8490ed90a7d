"""PID namespaces: whatever happens in one, all of it ends with its first process.

That one is ours and has nothing to do but to be there: a script in its place would get no signal that it does not
handle. A namespace costs more than a script, so one in which nothing is left serves the next run. The standard library
alone, for the launcher uses it.
"""

import ctypes
import errno
import os
import signal
import sys
from contextlib import suppress
from struct import pack
from typing import NoReturn

from sipcgi.hosts import marks, wire

SYS_CLONE3 = 435
CLONE_NEWPID, CLONE_NEWNS, CLONE_INTO_CGROUP = 0x20000000, 0x00020000, 0x200000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_PRIVATE = 2, 4, 8, 0x40000
PR_SET_PDEATHSIG = 1
MOST_IDLE = 8
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter locked: the child of clone3 goes on with it


class Space:
    """One namespace. Raises OSError when it cannot be made."""

    __slots__ = ("first",)

    def __init__(self) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            self.first = clone3(CLONE_NEWPID)
            """Process id of the first one in it; 0 when it is reaped."""
            if self.first == 0:
                stay(writing)
        finally:
            os.close(writing)
            with open(reading, "rb") as pipe:
                ready = pipe.read()
        if not ready:
            raise OSError(errno.ECHILD, "a PID namespace ended at once")

    def fork(self) -> int:
        """As os.fork, but the child is in there. Raises OSError."""
        setns(f"/proc/{self.first}/ns/pid", CLONE_NEWPID)
        process = -1
        try:
            process = os.fork()
        finally:
            if process:
                setns("/proc/self/ns/pid", CLONE_NEWPID)
        return process

    def enter(self) -> None:
        """In the child: has a /proc with the numbers of the namespace, if the first process could make one."""
        with suppress(OSError):
            setns(f"/proc/{self.first}/ns/mnt", CLONE_NEWNS)

    def kill(self) -> None:
        if self.first:
            os.kill(self.first, signal.SIGKILL)

    def leave(self) -> None:
        """It ends as soon as nothing but its first process is in it."""
        if self.first:
            os.kill(self.first, wire.LEAVE)

    def is_empty(self) -> bool:
        """Of all but its first process, to which the children of who ends are left. False where the kernel does not say
        (CONFIG_PROC_CHILDREN)."""
        try:
            with open(f"/proc/{self.first}/task/{self.first}/children", "rb") as children:
                return children.read() == b""
        except OSError:
            return False


class Spaces:
    """Those that there are."""

    def __init__(self) -> None:
        self._by_first: dict[int, Space] = {}
        self._idle: list[Space] = []

    def take(self) -> Space:
        """Raises OSError."""
        while self._idle:
            space = self._idle.pop()
            if space.first:
                return space
        space = Space()
        self._by_first[space.first] = space
        return space

    def give_back(self, space: Space) -> bool:
        """The script has ended; what it left behind is let alone. Whether there was nothing."""
        empty = space.is_empty()
        if empty and len(self._idle) < MOST_IDLE:
            self._idle.append(space)
        else:
            space.leave()
        return empty

    def close(self) -> None:
        """Ends those that serve nobody, and reaps them."""
        for space in self._idle:
            if space.first:
                space.kill()
                os.waitpid(space.first, 0)
        self._idle.clear()

    def reaped(self, process: int) -> None:
        """That process was none of a script."""
        space = self._by_first.pop(process, None)
        if space is not None:
            space.first = 0


def stay(ready: int) -> NoReturn:
    """The first process of a namespace: reaps what is left to it, and ends when it is told to and nothing is."""
    try:
        awaited = {signal.SIGCHLD, wire.LEAVE}
        signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
        check(_libc.prctl(PR_SET_PDEATHSIG, wire.LEAVE, 0, 0, 0), "prctl")  # should the launcher die
        marks.put_on(marks.NONE)  # it will serve other runs, too
        with suppress(OSError):
            own_proc()
        os.write(ready, b".")
        os.closerange(0, 1 << 20)  # above all the socket to the server, who is to see when the launcher dies
        told = False
        while True:
            told |= signal.sigwait(awaited) == wire.LEAVE
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                if told:
                    os._exit(0)
    finally:
        os._exit(1)


def own_proc() -> None:
    """Makes a /proc with the numbers of this namespace, for those in it; other mounts stay common. Raises OSError."""
    check(_libc.unshare(CLONE_NEWNS), "unshare")
    check(_libc.mount(None, b"/proc", None, ctypes.c_ulong(MS_PRIVATE), None), "mount")
    flags = ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC)
    check(_libc.mount(b"proc", b"/proc", b"proc", flags, None), "mount")


def clone3(flags: int, group: int = 0) -> int:
    """As os.fork, with flags of clone3(2) and the descriptor of a control group. Raises OSError."""
    arguments = pack("=11Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, group)
    return check(_libc.syscall(SYS_CLONE3, arguments, ctypes.c_size_t(len(arguments))), "clone3")


def setns(path: str, kind: int) -> None:
    """Raises OSError."""
    space = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(_libc.setns(space, kind), "setns")
    finally:
        os.close(space)


def obstacle() -> str:
    """Why no PID namespace can be made; empty when one can: it is tried.

    The child of clone3 may wait for ever for a lock that another thread held, such as that of malloc (fork(2) sees to
    them, clone3(2) does not): where there are threads, a process of its own tries it.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        import subprocess

        ask = f"import sys; sys.path.append({ROOT!r}); from sipcgi.hosts import spaces; print(spaces.obstacle())"
        asked = subprocess.run([sys.executable, "-I", "-S", "-c", ask], capture_output=True, text=True, check=False)
        return asked.stdout.strip() if asked.returncode == 0 else "it could not be tried"
    try:
        process = clone3(CLONE_NEWPID)
        if process == 0:
            os._exit(0)
        os.waitpid(process, 0)
    except OSError as error:
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            return "it takes root"
        return os.strerror(error.errno or 0)
    return ""


def check(result: int, what: str) -> int:
    """Raises OSError for a system call that failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
