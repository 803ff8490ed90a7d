"""The small process that starts the scripts, so that the server, which is large, never forks (hosts/exec starts it).

    python -I -S launcher.py DESCRIPTOR

It is single threaded, uses the standard library alone, and lives as long as the socket that DESCRIPTOR names: when the
server is gone, it ends what runs and goes too. Orders and reports: hosts/wire.
"""

import errno
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipcgi.hosts import wire
else:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import wire

PR_SET_CHILD_SUBREAPER = 36
ALL_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
TEXT_BUSY_PAUSE = 0.005  # seconds; whoever writes a program's file has it open about so long


class Launcher:
    """Keeps, of each run, the process that leads its session and process group."""

    def __init__(self, server: socket.socket) -> None:
        self.server = server
        self.process_of: dict[int, int] = {}  # run -> process id, until reaped
        self.run_of: dict[int, int] = {}
        self.ending: deque[tuple[float, int]] = deque()  # when to KILL, process id; the earliest first
        self.told: set[int] = set()  # process ids in `ending` whose group is still there
        self.wakeup, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Returns when the server is gone."""
        poll = select.poll()
        poll.register(self.server, select.POLLIN)
        poll.register(self.wakeup, select.POLLIN)
        while True:
            ready = poll.poll(self.patience())
            for descriptor, _ in ready:
                if descriptor == self.wakeup:
                    os.read(self.wakeup, 4096)
                    for reports in self.reap():
                        self.server.send(reports)
                elif not self.obey():
                    return
            if self.ending:
                self.kill_overdue(time.monotonic())

    def patience(self) -> float | None:
        """Milliseconds until the next KILL is due; None: as long as it takes."""
        return max(0.0, self.ending[0][0] - time.monotonic()) * 1000 + 1 if self.ending else None

    def obey(self) -> bool:
        """Takes one order; False when there will be no more."""
        record, control, _, _ = self.server.recvmsg(
            wire.ORDER.size + wire.MAX_RECORD, socket.CMSG_SPACE(wire.DESCRIPTORS.size), socket.MSG_CMSG_CLOEXEC
        )
        if not record:
            return False
        kind, flags, arguments, run = wire.ORDER.unpack_from(record)
        if kind == wire.START:
            descriptors = list(memoryview(control[0][2]).cast("i")) if control else []
            code = self.start(run, flags, arguments, record[wire.ORDER.size :], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            if code:
                self.server.send(wire.REPORT.pack(wire.FAILED, code, run, 0, 0))
        elif run in self.process_of:  # else it has been reaped, and the number may be another's
            if kind == wire.KILL:
                signal_group(self.process_of[run], signal.SIGKILL)
            else:
                self.end(self.process_of[run])
        return True

    def start(self, run: int, flags: int, arguments: int, packed: bytes, descriptors: list[int]) -> int:
        """Starts a script; 0 or an errno."""
        has_input, apart = bool(flags & wire.STDIN), bool(flags & wire.APART)
        if len(descriptors) != 2 + has_input + apart:
            return errno.EMFILE  # the kernel drops those that do not fit any more
        actions = [(os.POSIX_SPAWN_DUP2, descriptors[0], 1), (os.POSIX_SPAWN_DUP2, descriptors[1], 2)]
        if has_input:  # else it inherits 0, which is /dev/null
            actions.append((os.POSIX_SPAWN_DUP2, descriptors[2], 0))
        try:
            if apart:
                packed = read_whole(descriptors[-1])
            directory, argv, environment = wire.unpack_texts(packed, arguments)
            os.chdir(directory)  # RFC 3050 6.1
            try:
                process = spawn(argv, environment, actions)
            except OSError as error:
                if error.errno != errno.ETXTBSY:
                    raise
                time.sleep(TEXT_BUSY_PAUSE)
                process = spawn(argv, environment, actions)
        except OSError as error:
            return error.errno or errno.EIO
        except ValueError:
            return errno.EINVAL
        self.process_of[run] = process
        self.run_of[process] = run
        return 0

    def reap(self) -> list[bytes]:
        """Reaps all that ended, also what daemons left behind, and returns the records to send."""
        reports: list[bytes] = []
        while True:
            try:
                process, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not process:
                break
            run = self.run_of.pop(process, None)
            if run is None:
                continue
            del self.process_of[run]
            if process in self.told and not signal_group(process, 0):
                self.told.discard(process)  # the group is empty: the number may be given to another one now
            cpu = round((usage.ru_utime + usage.ru_stime) * 1e6)
            code = os.waitstatus_to_exitcode(status)
            reports.append(wire.REPORT.pack(wire.EXITED, code, run, cpu, usage.ru_maxrss))
        size = wire.MAX_REPORTS
        return [b"".join(reports[at : at + size]) for at in range(0, len(reports), size)]

    def end(self, process: int) -> None:
        """TERM now, KILL after the grace to what is left of the group, its leader or not."""
        signal_group(process, signal.SIGTERM)
        self.told.add(process)
        self.ending.append((time.monotonic() + wire.GRACE, process))

    def kill_overdue(self, now: float) -> None:
        while self.ending and self.ending[0][0] <= now:
            process = self.ending.popleft()[1]
            if process in self.told:
                self.told.discard(process)
                signal_group(process, signal.SIGKILL)

    def farewell(self) -> None:
        """Nobody listens any more: ends all runs, waits no longer than the grace."""
        for process in self.run_of:
            if process not in self.told:
                self.end(process)
        while self.told:
            if select.select([self.wakeup], [], [], min(0.05, (self.patience() or 0) / 1000))[0]:
                os.read(self.wakeup, 4096)
            self.reap()
            self.told -= {process for process in self.told if not signal_group(process, 0)}
            self.kill_overdue(time.monotonic())


def spawn(argv: list[bytes], environment: dict[bytes, bytes], actions: list[tuple[int, int, int]]) -> int:
    """Starts a program as the leader of its own session, with no signal ignored or blocked; its process id."""
    return os.posix_spawn(
        argv[0], argv, environment, file_actions=actions, setsid=True, setsigmask=(), setsigdef=ALL_SIGNALS
    )


def signal_group(process: int, number: int) -> bool:
    """False when the group is empty."""
    try:
        os.killpg(process, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # all that is left of it runs under another user
    return True


def read_whole(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    packed = os.pread(descriptor, size, 0)
    if len(packed) != size:
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return packed


def prepare(descriptor: int) -> None:
    """Makes this process one that scripts may inherit from: three descriptors, few rights to leave traces."""
    for standard in (0, 1, 2):  # were one of them free, a descriptor that comes in would take its place
        try:
            os.fstat(standard)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(descriptor, False)
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (0, 1, 2, descriptor):
            with suppress(OSError):  # the one that listed them is closed already
                os.close(int(name))
    for number in wire.SIGNALS_IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft > 1024 or soft == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # the server needs more, programs with select break
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that what a script left behind is reaped here


def main() -> None:
    descriptor = int(sys.argv[1])
    prepare(descriptor)
    launcher = Launcher(socket.socket(fileno=descriptor))
    with suppress(BrokenPipeError, ConnectionResetError):
        launcher.serve()
    launcher.farewell()
    os._exit(0)


if __name__ == "__main__":
    main()
