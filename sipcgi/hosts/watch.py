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
        self._young: list[ScriptRun] = []
        self._old: list[ScriptRun] = []
        self._look_timer: Timer | None = None

    def add_later(self, run: ScriptRun) -> None:
        """Watches the pipes of a run if it lasts: what a short script wrote is read when its exit is reported."""
        self._young.append(run)
        if self._look_timer is None:
            self._look_timer = self.timers.start(LASTS, self._look)

    def _look(self) -> None:
        """From now on watches what was there at the last look already."""
        for run in self._old:
            if not run.finished:
                run.watch_pipes()
        self._old, self._young = self._young, []
        self._look_timer = self.timers.start(LASTS, self._look) if self._old else None

    def forget(self) -> None:
        """There are no runs any more."""
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        self._young, self._old = [], []
