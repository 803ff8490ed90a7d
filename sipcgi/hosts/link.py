"""The sockets to those who start scripts; a launcher (hosts/launcher) as the server holds it.

trio is imported where a loop runs: `sipcgi try` starts scripts without one.
"""

import os
import signal
import socket
import sys
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from sipcgi.compiled import compiled
from sipcgi.hosts import marks

if TYPE_CHECKING:
    from sipcgi.hosts.run import ScriptRun

LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launcher.py")
FULL = 65536  # octets that one read of the socket takes; a record of reports is far smaller
SEND_BUFFER = 256 * 1024  # octets; the system's default may be smaller than one record
LAUNCHER_DESCRIPTOR = 3
ALL_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


Ended: TypeAlias = "tuple[ScriptRun, bytes, int, float, int]"
"""A run that ended by itself, its output, exit status, CPU seconds, peak KiB."""


@compiled
def hear(descriptor: int, running: "dict[int, ScriptRun]") -> "bytes | Ended | None":
    """What came over a link: a record of reports; None when there is none; empty when the other end is gone.

    Compiled, it ends one of `running`, takes it out of there, reads its pipes and closes them, when the record says no
    more than that this one has ended by itself, nothing is on its standard error, and it has not lasted.
    """
    while True:
        try:
            return os.read(descriptor, FULL)
        except BlockingIOError:
            return None
        except ConnectionResetError:  # it died with unread orders; what it reported before still comes
            continue


class Link:
    """Our end of a SOCK_SEQPACKET socket; at the other one is who starts scripts and reports how they ended."""

    __slots__ = ("descriptor", "socket")

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.socket = ours
        self.descriptor = ours.fileno()
        """Of the socket; -1 when it is closed."""

    def send(self, record: bytes, descriptors: list[int]) -> bool:
        """False when the socket is full, or its other end gone: `receive` tells which."""
        try:
            if descriptors:
                rights = array("i", descriptors)
                self.socket.sendmsg([record], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            else:
                self.socket.send(record)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self) -> bytes | None:
        """A record of reports; None when there is none; empty when the other end is gone."""
        record = hear(self.descriptor, {})
        return self.judged(record) if isinstance(record, bytes) else None

    def judged(self, record: bytes) -> bytes | None:
        """A record that came, as `receive` returns it."""
        return record

    def close(self) -> None:
        """Who is at the other end then ends its scripts and itself, which takes up to the grace."""
        self.descriptor = -1
        self.socket.close()


class LauncherLink(Link):
    """Starts a launcher (hosts/launcher); `ending` is the best tier it may use (hosts/ending).

    Raises OSError when that is not possible.
    """

    __slots__ = ("base", "process")

    def __init__(self, python: str = sys.executable, ending: str = "group") -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__(ours)
        self.base = marks.new_base()
        """Of the marks of its runs (hosts/marks)."""
        with theirs:
            # vfork and exec, and the launcher itself closes what it should not have inherited. It gets none of our
            # environment but what the interpreter may need to start: scripts can read /proc/PARENT/environ.
            try:
                self.process = os.posix_spawn(
                    python,
                    [python, "-I", "-S", LAUNCHER, str(LAUNCHER_DESCRIPTOR), str(self.base), ending],
                    {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SIPCGI_PURE") if name in os.environ},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), LAUNCHER_DESCRIPTOR),
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    ],
                    setsid=True,  # a Ctrl-C at the terminal is for the server alone
                    setsigmask=ALL_SIGNALS,  # which stays so: the end of the server ends it, nothing else
                    setsigdef=ALL_SIGNALS,
                )
            except OSError:
                ours.close()
                raise

    def bury(self) -> None:
        """Ends the launcher at once, if it is still there, and reaps it: its children are ours then."""
        self.close()
        with suppress(ProcessLookupError, ChildProcessError):  # somebody else reaped it
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)

    async def depart(self, patience: float) -> None:
        """After `close`: waits `patience` seconds for the launcher to end its scripts and itself."""
        import trio

        watch = os.pidfd_open(self.process)
        try:
            with trio.move_on_after(patience):
                await trio.lowlevel.wait_readable(watch)
        finally:
            os.close(watch)
            self.bury()
