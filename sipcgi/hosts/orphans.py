"""What a launcher leaves behind that was killed: by a user, or by the kernel when memory was short."""

import ctypes
import os
import signal
from contextlib import suppress

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
        self.launcher = 0
        """Process id of the present launcher, which is no orphan."""

    def end(self, pipes: set[str]) -> None:
        """Kills the groups of those that hold one of `pipes`. What earlier scripts left running stays."""
        import psutil  # it takes 10 ms, and hardly ever is it needed

        groups = set()
        for process in psutil.Process().children(recursive=True):
            for number in (1, 2):
                with suppress(OSError):
                    if os.readlink(f"/proc/{process.pid}/fd/{number}") in pipes:
                        groups.add(os.getpgid(process.pid))
        for group in groups - {os.getpgrp()}:
            with suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        self.close()
        self._look(FIRST_LOOK)

    def _look(self, pause: float) -> None:
        """Daemons may end much later, hence this goes on for ever, in the end with one system call in 5 s."""
        with suppress(OSError):
            while corpse := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if corpse.si_pid == self.launcher or os.getsid(corpse.si_pid) == os.getsid(0):
                    break  # somebody else started it and will reap it
                os.waitpid(corpse.si_pid, 0)
        self.timer = self.timers.start(pause, self._look, min(pause * 2, LAST_LOOK))

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
