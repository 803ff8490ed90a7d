"""The small process that starts the scripts, so that the server, which is large, never forks (hosts/exec starts it).

    python -I -S launcher.py DESCRIPTOR MARK ENDING

It is single threaded, uses the standard library alone, and lives as long as the socket that DESCRIPTOR names: when the
server is gone, it ends what runs and goes too. Orders and reports: hosts/wire; MARK: hosts/marks; ENDING: hosts/ending.
"""

import ctypes
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
from functools import partial
from typing import TYPE_CHECKING

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from sipcgi.compiled import compiled
from sipcgi.hosts import marks, wire

if TYPE_CHECKING:
    from sipcgi.hosts.child import Terms
    from sipcgi.hosts.ending import Hold, Tier

    Death = tuple[int, int, int, int]
    """Process id, exit code (negative: signal), CPU microseconds, peak KiB."""

PR_SET_CHILD_SUBREAPER = 36
LAST_LOOK = 0.3  # seconds for what is left when the server is gone
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CONTROL_SPACE = socket.CMSG_SPACE(wire.MAX_DESCRIPTORS * wire.DESCRIPTOR_SIZE)
SIGNAL_SET = 128  # octets of a sigset_t
DEATH = 128  # octets of what a signalfd tells of a signal
ALL_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


class Life:
    """A run that is not PLAIN, or is told to end, until it is reaped and nothing of it is to be ended any more."""

    __slots__ = ("hold", "process", "run", "told")

    def __init__(self, run: int, process: int, hold: "Hold | None") -> None:
        self.run = run
        self.process = process
        """Leads its session and process group."""
        self.hold = hold
        """None for a PLAIN one."""
        self.told = False
        """To end, and its group was there still when it was reaped."""


class Launcher:
    """Keeps the lives of runs."""

    def __init__(self, server: socket.socket, base: int, best: str) -> None:
        self.server = server
        self.base = base
        """Of the marks (hosts/marks)."""
        self.best = best
        """Of the tiers of hosts/ending."""
        self.tier: Tier | None = None  # until a run needs one
        self.terms: dict[int, Terms] = {}  # by number of the profile
        self.plain: dict[int, int] = {}  # runs by process id, until reaped, or told to end
        self.lives: dict[int, Life] = {}  # all other runs, until reaped
        self.life_of: dict[int, Life] = {}  # the same by process id
        self.ending: deque[tuple[float, Life]] = deque()  # when to KILL; the earliest first
        self.sweep = marks.Sweep()
        self.deaths = open_deaths()

    def serve(self) -> None:
        """Returns when the server is gone."""
        base = self.base if marks.POSSIBLE else 0
        while True:
            patience = None
            if self.ending or self.sweep.due is not None:
                self.kill_overdue(time.monotonic())
                patience = self.patience()
            order, death = attend(self.server, self.deaths, base, self.plain, patience)
            if death is not None:
                reports = self.reap(death)
                while reports:
                    self.server.send(b"".join(reports[: wire.MAX_REPORTS]))
                    del reports[: wire.MAX_REPORTS]
            if order is not None and not self.obey(*order):
                return

    def patience(self) -> float | None:
        """Seconds until the next KILL or sweep is due; None: as long as it takes."""
        due = self.sweep.due
        if self.ending:
            due = self.ending[0][0] if due is None else min(due, self.ending[0][0])
        return None if due is None else max(0.0, due - time.monotonic())

    def obey(self, record: bytes, descriptors: list[int]) -> bool:
        """Does what one order says; False when there will be no more."""
        if not record:
            return False
        kind, flags, arguments, profile, run = wire.ORDER.unpack_from(record)
        if kind == wire.START:
            try:
                texts, pairs = read_order(flags, record[wire.ORDER.size :], descriptors)
                self.start(run, profile, texts, arguments, pairs)
            except OSError as error:
                self.fail(run, error)
            except ValueError:
                self.fail(run, OSError(errno.EINVAL, ""))
            for descriptor in descriptors:
                os.close(descriptor)
        elif kind == wire.PROFILE:
            self.agree(profile, record[wire.ORDER.size :])
        elif kind == wire.SWEEP:
            self.sweep.add(run, time.monotonic())
        elif (life := self.life(run)) is None:  # it has just ended by itself; what it left behind was to end, too
            self.sweep.add(marks.marking(self.base, run), time.monotonic())
        elif kind == wire.KILL:
            self.kill(life)
        else:
            self.end(life)
        return True

    def life(self, run: int) -> Life | None:
        """None when it has ended. One that is PLAIN has a life from now on: there is something to be known about it."""
        process = next((process for process, plain in self.plain.items() if plain == run), None)
        if process is not None:
            del self.plain[process]
            self.lives[run] = self.life_of[process] = Life(run, process, None)
        return self.lives.get(run)

    def agree(self, number: int, packed: bytes) -> None:
        """Hears what a profile demands. What only such runs need is loaded when there is one."""
        from sipcgi.hosts.child import Terms
        from sipcgi.hosts.ending import settled
        from sipcgi.profile import Profile

        self.tier = settled(self.best)
        self.terms[number] = Terms(Profile.unpack(packed), self.tier)

    def start(self, run: int, profile: int, texts: bytes, arguments: int, pairs: list[tuple[int, int]]) -> None:
        """Raises OSError, or ValueError for what is no order."""
        mark = marks.marking(self.base, run)
        if profile == wire.PLAIN:
            self.plain[patient_spawn(texts, arguments, pairs, mark if marks.POSSIBLE else 0)] = run
            return
        marks.put_on(mark)
        program = wire.Program(*wire.unpack_texts(texts, arguments), pairs)
        process, hold = self.terms[profile].give_birth(run, program, self.server.fileno(), partial(self.fail, run))
        self.lives[run] = self.life_of[process] = Life(run, process, hold)

    def fail(self, run: int, error: OSError, step: str = "") -> None:
        """Reports that a run could not be started, and in which step; also from within its child."""
        code = error.errno or errno.EIO
        own = error.strerror if error.strerror != os.strerror(code) else ""
        if code == errno.EAGAIN and not own:  # of fork(2) and posix_spawn(3)
            own = "there are as many processes as there may be (ulimit -u; TasksMax= of systemd)"
        text = ": ".join(filter(None, (step, own)))
        self.server.send(wire.REPORT.pack(wire.FAILED, code, run, 0, 0) + text.encode("utf-8", "surrogateescape"))

    def reap(self, death: "Death | None" = None) -> list[bytes]:
        """Reaps all that ended, also what daemons left behind, and returns what is to be reported. One after the other:
        what goes with one of them (`hold`) may be about to be reaped, but its number is not another one's yet."""
        reports: list[bytes] = []
        while death := death or reaped():
            process, code, cpu, peak = death
            death = None
            kind, run = wire.EXITED, self.plain.pop(process, None)
            if run is None:
                life = self.life_of.pop(process, None)
                if life is None:
                    if self.tier is not None and self.tier.spaces is not None:
                        self.tier.spaces.reaped(process)
                    continue
                run = life.run
                del self.lives[run]
                if life.told and not signal_group(process, 0):
                    life.told = False  # the group is empty: the number may be given to another one now
                if life.hold is not None:
                    kind, cpu, peak = life.hold.account(cpu, peak)
            reports.append(wire.REPORT.pack(kind, code, run, cpu, peak))
        return reports

    def end(self, life: Life) -> None:
        """TERM to its group now, KILL after the grace to all that is left, its leader or not."""
        if not signal_group(life.process, signal.SIGTERM) and life.run in self.lives:
            with suppress(ProcessLookupError):  # reaped, but that was lost with the server
                os.kill(life.process, signal.SIGTERM)  # it has no group of its own yet
        life.told = True
        self.ending.append((time.monotonic() + wire.GRACE, life))

    def kill(self, life: Life) -> None:
        if life.hold is not None and life.hold.kill():
            return
        if life.told or life.run in self.lives:
            signal_group(life.process, signal.SIGKILL)
        self.sweep.add(marks.marking(self.base, life.run), time.monotonic())

    def kill_overdue(self, now: float) -> None:
        while self.ending and self.ending[0][0] <= now:
            self.kill(self.ending.popleft()[1])
        if self.sweep.due is not None and self.sweep.due <= now:
            self.sweep.work(now)

    def farewell(self) -> None:
        """Nobody listens any more: ends all runs, waits no longer than the grace and one look at what is left."""
        for run in [*self.plain.values()]:
            self.life(run)
        for life in self.lives.values():
            if not life.told:
                self.end(life)
        while any(life.told for _, life in self.ending):
            if select.select([self.deaths], [], [], min(0.05, self.patience() or 0))[0]:
                os.read(self.deaths, DEATH)
            self.reap()
            for _, life in self.ending:
                life.told = life.told and signal_group(life.process, 0)
            self.kill_overdue(time.monotonic())
        for _, life in self.ending:
            self.kill(life)
        until = time.monotonic() + LAST_LOOK
        while self.sweep.due is not None and time.monotonic() < until:
            self.reap()
            self.sweep.work(time.monotonic())
        if self.tier is not None and self.tier.spaces is not None:
            self.tier.spaces.close()


@compiled
def attend(
    server: socket.socket, deaths: int, base: int, plain: dict[int, int], patience: float | None
) -> "tuple[tuple[bytes, list[int]] | None, Death | None]":
    """An order with the descriptors that came with it, if there is one, and the first of the children that ended, if
    one did, after `patience` seconds at most (None: as long as it takes).

    Compiled, it does by itself what is PLAIN: it starts that, with marks of `base` (0: without), has it in `plain`, the
    runs by process id, and reports its end; so it returns all else, and what could not be started.
    """
    ready = select.select([server.fileno(), deaths], [], [], patience)[0]
    order = death = None
    if server.fileno() in ready:
        record, control, _, _ = server.recvmsg(
            wire.ORDER.size + wire.MAX_RECORD, CONTROL_SPACE, socket.MSG_CMSG_CLOEXEC
        )
        order = record, list(memoryview(control[0][2]).cast("i")) if control else []
    if deaths in ready:  # after what raises when the server is gone: whoever is reaped is heard of
        os.read(deaths, DEATH)
        death = reaped()
    return order, death


def reaped() -> "Death | None":
    """The next one of those that ended."""
    with suppress(ChildProcessError):
        process, status, usage = os.wait4(-1, os.WNOHANG)
        if process:
            cpu = round((usage.ru_utime + usage.ru_stime) * 1e6)
            return process, os.waitstatus_to_exitcode(status), cpu, usage.ru_maxrss
    return None


def read_order(flags: int, packed: bytes, descriptors: list[int]) -> tuple[bytes, list[tuple[int, int]]]:
    """The texts of an order START, and the descriptors that came with the numbers that they get. Raises OSError."""
    numbers = wire.NUMBERS[flags & wire.ALL_GIVEN]
    apart = bool(flags & wire.APART)
    if len(descriptors) != len(numbers) + apart:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # the kernel drops those that do not fit any more
    if apart:
        packed = read_whole(descriptors[-1])
    # All that come in are above the five that a script may get. Without a standard input it inherits ours: /dev/null.
    return packed, list(zip(descriptors, numbers, strict=False))


def patient_spawn(texts: bytes, arguments: int, pairs: list[tuple[int, int]], mark: int) -> int:
    """Starts one that is PLAIN, also while its file is just being written. Raises as `spawn` does."""
    try:
        return spawn(texts, arguments, pairs, mark)
    except OSError as error:
        if error.errno != errno.ETXTBSY:
            raise
        time.sleep(wire.TEXT_BUSY_PAUSE)
        return spawn(texts, arguments, pairs, mark)


@compiled
def spawn(texts: bytes, arguments: int, pairs: list[tuple[int, int]], mark: int) -> int:
    """Starts a program as the leader of its own session, with no signal ignored or blocked; its process id.

    All signals must be blocked and none ignored (`prepare`), else the compiled one would need 64 system calls more.
    `mark` is put on where it is not 0. Raises OSError, or ValueError for texts that no program can be started with.
    """
    directory, argv, environment = wire.unpack_texts(texts, arguments)
    if not argv:
        raise ValueError("no order to start a program")
    os.chdir(directory)  # RFC 3050 6.1
    if mark:
        marks.put_on(mark)
    return os.posix_spawn(
        argv[0],
        argv,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, ours, number) for ours, number in pairs],
        setsid=True,
        setsigmask=(),
        setsigdef=ALL_SIGNALS,
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


def open_deaths() -> int:
    """A descriptor (signalfd) that is readable when a child has ended. A handler would cost three system calls more.

    SIGCHLD is blocked (`prepare`). Raises OSError."""
    mask = (1 << signal.SIGCHLD - 1).to_bytes(SIGNAL_SET, sys.byteorder)
    descriptor = ctypes.CDLL(None, use_errno=True).signalfd(-1, mask, os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "signalfd")
    return int(descriptor)


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
    signal.pthread_sigmask(signal.SIG_SETMASK, ALL_SIGNALS)  # so they are already, if a server has started this
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and that would be handed on
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft > 1024 or soft == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # the server needs more, programs with select break
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that what a script left behind is reaped here
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)  # capabilities of a service are not for its scripts


def main() -> None:
    descriptor = int(sys.argv[1])
    prepare(descriptor)
    launcher = Launcher(socket.socket(fileno=descriptor), int(sys.argv[2]), sys.argv[3])
    with suppress(BrokenPipeError, ConnectionResetError):
        launcher.serve()
    launcher.farewell()
    os._exit(0)


if __name__ == "__main__":
    main()
