"""How many scripts run at once. What comes on top waits, and what would wait too long is refused in time.

A server that starts whatever it is asked for answers nobody in time once more is asked than its processors can do.
So runs wait in a line, and a line that moves too slowly takes no new ones: those who got in are served as fast as ever.
One script never has all places: another's runs go on while it hangs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost
from sipcgi.hosts.statistics import ScriptStatistics, Statistics
from sipcgi.timerqueue import Timer, TimerQueue

TARGET = 0.1  # seconds that the first in line may have waited for new ones to be let in
PATIENCE = 0.5  # seconds, then a run is refused: T1, at which the client asks again (RFC 3261 17.1.1.2)
WAITING = 4  # in line for each place


class WaitingRun:
    """A run that has to wait for its turn; the host below knows it from its start on."""

    since = 0.0
    timer: Timer | None = None
    run: Run | None = None
    over = False

    def __init__(
        self,
        host: LimitedHost,
        line: Line,
        invocation: Invocation,
        done: Callable[[Outcome], None],
        stderr: Callable[[str], None],
    ) -> None:
        self.host = host
        self.line = line
        self.invocation = invocation
        self.done = done
        self.stderr = stderr

    def end(self) -> None:
        if self.run is not None:
            self.run.end()
        elif not self.over:
            self.host.leave(self, Outcome(ended=True))

    def ended(self, outcome: Outcome) -> None:
        self.run, self.over = None, True  # the two would hold each other
        self.done(outcome)


class Line:
    """The runs of one script. Those of transactions that are under way come before those for new requests."""

    __slots__ = ("follow_ups", "most", "new", "running", "statistics")

    def __init__(self) -> None:
        self.statistics = ScriptStatistics()
        self.most: int | None = None
        self.running = 0
        self.follow_ups: OrderedDict[WaitingRun, None] = OrderedDict()
        self.new: OrderedDict[WaitingRun, None] = OrderedDict()

    def first(self) -> tuple[bool, float]:
        """What it has to say for being served next: the least goes first."""
        waiting = self.follow_ups or self.new
        return (not self.follow_ups, next(iter(waiting)).since)


class LimitedHost:
    """A ScriptHost over another one, with `most` places, of which one script has a share: what its route says."""

    def __init__(self, host: ScriptHost, timers: TimerQueue, most: int) -> None:
        self.host = host
        self.timers = timers
        self.most = most
        self.most_per_script: int | None = None
        """Of the scripts that do not say themselves; None: three quarters of all."""
        self.running = 0
        self.waiting = 0
        """In all lines."""
        self._lines: dict[str, Line] = {}

    def full(self, name: str) -> bool:
        """Whether a run of that script for a new request would come too late."""
        line = self._lines.get(name)
        if line is None or not line.new:
            return False
        first = next(iter(line.new))
        return len(line.new) >= WAITING * self._share(line) or self.timers.now() - first.since > TARGET

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> Run:
        """Starts a run, or has it wait for its turn. The time limit of the run counts from its turn on."""
        line = self._lines.get(invocation.name)
        if line is None:
            line = self._lines[invocation.name] = Line()
        line.most = invocation.max_running
        if self._has_place(line) and not (self.waiting and invocation.refusable and (line.new or line.follow_ups)):
            self.running += 1
            line.running += 1
            return self.host.start(invocation, partial(self._ended, line, done), stderr)
        run = WaitingRun(self, line, invocation, done, stderr)
        run.since = self.timers.now()
        self.waiting += 1
        if invocation.refusable:
            line.new[run] = None
            run.timer = self.timers.start(PATIENCE, self.leave, run, Outcome(refused=True))
        else:
            line.follow_ups[run] = None
        return run

    def statistics(self) -> Statistics:
        """What all runs came to so far, and how many there are now."""
        return Statistics(self.running, self.waiting, {name: line.statistics for name, line in self._lines.items()})

    def _ended(self, line: Line, done: Callable[[Outcome], None], outcome: Outcome) -> None:
        self.running -= 1
        line.running -= 1
        line.statistics.add(outcome)
        done(outcome)  # which may begin the next run of its transaction
        if self.waiting:
            self._serve()

    def leave(self, run: WaitingRun, outcome: Outcome) -> None:
        """It goes without having had its turn."""
        run.over = True
        self._out_of_line(run)
        outcome.wall = self.timers.now() - run.since
        if outcome.refused:
            run.line.statistics.add(outcome)
        self.timers.start(0.0, run.done, outcome)

    def _has_place(self, line: Line) -> bool:
        return self.running < self.most and (line.running == 0 or line.running < self._share(line))

    def _share(self, line: Line) -> int:
        return line.most or self.most_per_script or max(1, 3 * self.most // 4)

    def _serve(self) -> None:
        """Those who waited longest, as far as there is place."""
        while self.running < self.most:
            lines = [line for line in self._lines.values() if (line.follow_ups or line.new) and self._has_place(line)]
            if not lines:
                return
            line = min(lines, key=Line.first)
            run = next(iter(line.follow_ups or line.new))
            self._out_of_line(run)
            self.running += 1
            line.running += 1
            run.run = self.host.start(run.invocation, partial(self._ended, line, run.ended), run.stderr)

    def _out_of_line(self, run: WaitingRun) -> None:
        self.waiting -= 1
        del (run.line.new if run.invocation.refusable else run.line.follow_ups)[run]
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
