"""What a launcher leaves behind that was killed: by a user, or by the kernel when memory was short."""

import ctypes
import os
import signal
from contextlib import suppress

from sipcgi.hosts import marks
from sipcgi.timerqueue import Timer, TimerQueue

PR_SET_CHILD_SUBREAPER = 36
FIRST_LOOK, LAST_LOOK = 0.02, 5.0  # seconds between two looks for corpses


def become_subreaper() -> None:
    """Children of a launcher that dies become ours, not those of process 1 (Linux 3.4)."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Orphans:
    """Ends the scripts among them and reaps them all. Children in the server's own session are not among them."""

    def __init__(self, timers: TimerQueue) -> None:
        self.timers = timers
        self.timer: Timer | None = None
        self.launchers: set[int] = set()
        """Process ids of the present ones, which are no orphans."""

    def end(self, runs: set[int]) -> None:
        """Kills all that bears one of these marks. What earlier scripts left running stays."""
        if marks.signal_bearers(runs, signal.SIGSTOP):
            marks.signal_bearers(runs, signal.SIGKILL)
        self.close()
        self._look(FIRST_LOOK)

    def _look(self, pause: float) -> None:
        """Daemons may end much later, hence this goes on for ever, in the end with one system call in 5 s."""
        with suppress(OSError):
            while corpse := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if corpse.si_pid in self.launchers or os.getsid(corpse.si_pid) == os.getsid(0):
                    break  # somebody else started it and will reap it
                os.waitpid(corpse.si_pid, 0)
        self.timer = self.timers.start(pause, self._look, min(pause * 2, LAST_LOOK))

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
