"""What the hosts of runs wait for: the sockets of their links, and the pipes of runs that last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.timerqueue import Timer, TimerQueue
from sipcgi.watch import Watch

if TYPE_CHECKING:
    from sipcgi.hosts.run import ScriptRun

LASTS = 0.1  # seconds: a run that is older than one to two of these is watched


class RunWatch(Watch):
    """A Watch that also has the pipes of runs, as soon as they last."""

    def __init__(self, timers: TimerQueue) -> None:
        super().__init__()
        self.timers = timers
        self.young: list[ScriptRun] = []
        """Runs whose pipes are watched if they last: what a short script wrote is read when its exit is reported. Who
        puts one in here says `look_later`, if there is no `look_timer`."""
        self.look_timer: Timer | None = None
        self._old: list[ScriptRun] = []

    def look_later(self) -> None:
        self.look_timer = self.timers.start(LASTS, self._look)

    def _look(self) -> None:
        """From now on watches what was there at the last look already."""
        for run in self._old:
            if not run.finished:
                run.watch_pipes()
        self._old, self.young, self.look_timer = self.young, [], None
        if self._old:
            self.look_later()

    def forget(self) -> None:
        """There are no runs any more."""
        if self.look_timer is not None:
            self.look_timer.cancel()
            self.look_timer = None
        self.young, self._old = [], []
