"""The mark by which every process that a run has left anywhere can be found, and the sweep that ends them all.

A process hands its resource limits on to all that it starts. One of them, the number of file locks, has had no effect
since Linux 2.4.25: its soft limit bears the number of the run. Neither setsid nor a double fork nor an empty
environment takes that off, only a program that sets this very limit, which none does but to hide.
"""

import os
import resource
import signal
import time
from collections.abc import Collection

RLIMIT_LOCKS = 10
RUN_BITS = 32
NONE = resource.RLIM_INFINITY
POSSIBLE = resource.getrlimit(RLIMIT_LOCKS)[1] == resource.RLIM_INFINITY
"""False where somebody limits what has no effect: then a run ends with its process group."""
PAUSE = 0.02  # seconds between two sweeps; longer where a sweep takes longer, so that others have their turn
SHARE = 4  # a sweep takes no more than a fifth of the time
STUBBORN = 5.0  # seconds: what is still there then hangs inside the kernel
ROUND = 0.05  # seconds that those who multiply may take to be stopped


def new_base() -> int:
    """For a launcher, or a warm parent: no other one has it, not even one of another server; never 0."""
    return int.from_bytes(os.urandom(4)) >> 2 or 1


def marking(base: int, run: int) -> int:
    """The mark of a run. `base` is that of who starts it, of 30 random bits."""
    return base << RUN_BITS | run & (1 << RUN_BITS) - 1


def put_on(mark: int) -> None:
    """So that what this process starts next bears it."""
    if POSSIBLE:
        resource.setrlimit(RLIMIT_LOCKS, (mark, resource.RLIM_INFINITY))


def of(process: int) -> int:
    """The mark of a process; NONE when it has none, is gone, or is not ours."""
    try:
        return resource.prlimit(process, RLIMIT_LOCKS)[0]
    except PermissionError:  # of another user, without CAP_SYS_RESOURCE; with CAP_KILL it matters all the same
        return _shown(process)
    except OSError:
        return NONE


def _shown(process: int) -> int:
    """What /proc says, of one that we may signal."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/limits", encoding="ascii") as limits:
            soft = next(line.split()[3] for line in limits if line.startswith("Max file locks"))
    except (OSError, StopIteration):
        return NONE
    return int(soft) if soft.isdecimal() else NONE


def signal_bearers(marks: Collection[int], number: int) -> set[int]:
    """Sends a signal to all that bear one of `marks`, but not to this process: which they were."""
    own, found = os.getpid(), set()
    there = sorted((int(name) for name in os.listdir("/proc") if name.isdecimal()), reverse=True)
    for process in there:  # the youngest first, who may be about to hand on to another one and end
        if of(process) not in marks or process == own:
            continue
        try:
            watch = os.pidfd_open(process)
        except OSError:
            continue
        try:
            if of(process) in marks:  # the one that `watch` names, or that one is gone and gets no signal
                signal.pidfd_send_signal(watch, number)
                found.add(process)
        except OSError:  # gone, or of another user
            pass
        finally:
            os.close(watch)
    return found


class Sweep:
    """Ends runs of which processes may be anywhere. `work` is called when `due` has come."""

    def __init__(self) -> None:
        self._until: dict[int, float] = {}
        """By mark, when to give up."""
        self.due: float | None = None

    def add(self, mark: int, now: float) -> None:
        self._until[mark] = now + STUBBORN
        self.due = min(now, self.due or now)

    def work(self, now: float) -> None:
        """Kills what is there. It is called again until there was nothing."""
        started = time.monotonic()
        stopped: set[int] = set()
        while new := signal_bearers(self._until, signal.SIGSTOP) - stopped:  # who is stopped does not multiply
            stopped |= new
            if time.monotonic() - started > ROUND:
                break
        if stopped:
            signal_bearers(self._until, signal.SIGKILL)
            self._until = {mark: until for mark, until in self._until.items() if until > now}
        else:
            self._until.clear()
        taken = time.monotonic() - started
        self.due = now + taken + max(PAUSE, SHARE * taken) if self._until else None
