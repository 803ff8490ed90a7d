"""Starts scripts the way RFC 3050 means it: one process a run, through small launchers, without a task for each.

trio is imported where a loop runs: `sipcgi try` and `sipcgi test` start scripts without one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcgi.hosts import marks, wire
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.ending import GROUP
from sipcgi.hosts.link import LauncherLink
from sipcgi.hosts.orphans import Orphans, become_subreaper
from sipcgi.hosts.run import ScriptRun
from sipcgi.hosts.runs import Runs
from sipcgi.hosts.watch import RunWatch
from sipcgi.timerqueue import Timer, TimerQueue

if TYPE_CHECKING:
    import trio

RETRY_FIRST, RETRY_LAST = 0.05, 1.0  # seconds until the next launcher, when they keep dying
STEADY = 5.0  # seconds a launcher has to live for the next one to be started at once
FAREWELL = wire.GRACE + 0.5


def launchers_wanted() -> int:
    """One for each two processors that this process may use: a launcher is busy for half the time of a start."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


class ExecHost:
    """A ScriptHost. `await nursery.start(host.run)`; runs asked for before that wait for it.

    When `run` is cancelled, what still runs is ended (TERM, 1 s later KILL), and no `done` is called any more.
    """

    def __init__(
        self,
        timers: TimerQueue,
        python: str = sys.executable,
        say: Callable[[str], None] = lambda text: None,
        launchers: int | None = None,
        ending: str = GROUP,
        watch: RunWatch | None = None,
    ) -> None:
        self.timers = timers
        self.python = python
        self.say = say
        """Is told when a launcher dies, or cannot be started."""
        self.ending = ending
        """The best tier for runs with limits or isolation (hosts/ending)."""
        self.watch = RunWatch(timers) if watch is None else watch
        """Whoever brings one attends to it, and closes it."""
        self._own = watch is None
        self.orphans = Orphans(timers)
        self.launchers = [Launcher(self) for _ in range(launchers or launchers_wanted())]
        self._only = self.launchers[0].runs if len(self.launchers) == 1 else None

    def full(self, name: str) -> bool:
        """Never: it starts all that it is asked for (hosts/limit)."""
        return False

    def start(
        self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]
    ) -> ScriptRun:
        """Starts a run, at the launcher that has the fewest. Never waits and never raises."""
        runs = self._only
        if runs is None:
            runs = min(self.launchers, key=Launcher.load).runs
        return runs.start(invocation, done, stderr)

    def busy(self) -> int:
        """How many runs have not ended."""
        return sum(launcher.runs.busy() for launcher in self.launchers)

    def sweep(self, mark: int) -> None:
        """Kills all that bear a mark (hosts/marks): for who starts runs below one that was started here."""
        self.launchers[0].runs.sweep(mark)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Keeps the launchers going and handles what comes. Raises OSError when one of the first cannot be started."""
        import trio

        try:
            self.open()
            task_status.started()
            if self._own:
                await self.watch.serve()
            else:
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    for link in self.close():
                        nursery.start_soon(link.depart, FAREWELL)

    # What `run` does, for who has no loop

    def open(self) -> None:
        """Starts the first launchers. Raises OSError."""
        become_subreaper()
        for launcher in self.launchers:
            launcher.connect()

    def turn(self, patience: float = 0.0) -> None:
        """Handles what has come, for a moment; when there is nothing, waits `patience` seconds for it."""
        self.watch.turn(patience)

    def close(self) -> list[LauncherLink]:
        """No `done` is called any more; the launchers end what runs, and their links are returned to be waited for."""
        self.orphans.close()
        links = [link for launcher in self.launchers if (link := launcher.close()) is not None]
        if self._own:
            self.watch.close()
        return links


class Launcher:
    """A launcher with its runs. When it dies, so have they, and the next one is started."""

    def __init__(self, host: ExecHost) -> None:
        self.host = host
        self.runs = Runs(host.watch, self._died)
        self.link: LauncherLink | None = None
        self._timer: Timer | None = None
        self._linked_at = 0.0
        self._retry = 0.0

    def load(self) -> tuple[bool, int]:
        """The least takes the next run."""
        return self.link is None, self.runs.busy()

    def connect(self) -> None:
        """Raises OSError."""
        self._timer = None
        self.link = LauncherLink(self.host.python, self.host.ending)
        self._linked_at = self.host.timers.now()
        self.host.orphans.launchers.add(self.link.process)
        self.runs.connect(self.link)

    def close(self) -> LauncherLink | None:
        if self._timer is not None:
            self._timer.cancel()
        self.runs.close()
        link, self.link = self.link, None
        return link

    def _connect_again(self) -> None:
        try:
            self.connect()
        except OSError as error:
            self.host.say(f"the launcher of the scripts cannot be started: {error.strerror}")
            self._timer = self.host.timers.start(RETRY_LAST, self._connect_again)

    def _died(self, lost: list[ScriptRun]) -> None:
        """The next one is started at once, unless they keep dying."""
        link, self.link = self.link, None
        assert link is not None
        link.bury()
        host = self.host
        host.orphans.launchers.discard(link.process)
        host.say(f"the launcher of the scripts died, with {len(lost)} of them running; another one is started")
        host.orphans.end({marks.marking(link.base, run.number) for run in lost})
        if host.timers.now() - self._linked_at > STEADY:
            self._retry = 0.0
        self._timer = host.timers.start(self._retry, self._connect_again)
        self._retry = min(max(self._retry * 2, RETRY_FIRST), RETRY_LAST)
        self.runs.fail(lost, "the launcher died")
