"""Runs scripts as the server does, through its launcher, while the time of the stage stands still."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.exec import FAREWELL, ExecHost
from sipcgi.offline.journal import Journal, Played
from sipcgi.timerqueue import TimerQueue


@dataclass(slots=True)
class Ended:
    """A run whose process has ended, but of whose end nobody may have heard yet."""

    outcome: Outcome

    def end(self) -> None:
        self.outcome.ended = True


@dataclass(slots=True)
class PatientHost:
    """A ScriptHost that waits for each script. A run takes no time on the stage, unless it reached its timeout.

    `earlier` are outputs of runs that are over when the story begins: they are used up before any process is started.
    `most` is how many processes there may be; of runs beyond is only noted, in `wanted`, that they were asked for.
    """

    timers: TimerQueue
    """Of the stage."""
    journal: Journal
    earlier: deque[bytes] = field(default_factory=deque)
    most: int | None = None
    wanted: list[Invocation] = field(default_factory=list)
    _host: ExecHost | None = None

    def full(self, name: str) -> bool:
        return False

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> Ended:
        """Raises OSError when the launcher cannot be started."""
        ran = sum(not played.earlier for played in self.journal.runs)
        played = Played(invocation, earlier=bool(self.earlier))
        if not self.earlier and ran == self.most:
            self.wanted.append(invocation)
            return Ended(Outcome())
        self.journal.runs.append(played)
        played.outcome = outcome = self._earlier() or self._run(invocation, stderr)
        self.timers.start(invocation.timeout if outcome.timed_out else 0.0, done, outcome)
        return Ended(outcome)

    def _earlier(self) -> Outcome | None:
        return Outcome(stdout=self.earlier.popleft(), status=0) if self.earlier else None

    def _run(self, invocation: Invocation, stderr: Callable[[str], None]) -> Outcome:
        if self._host is None:
            host = ExecHost(TimerQueue(monotonic), say=self.journal.error)
            host.open()
            self._host = host
        host, outcomes = self._host, list[Outcome]()
        host.start(invocation, outcomes.append, stderr)
        while not outcomes:
            host.timers.fire()
            if not outcomes:
                due = host.timers.next_deadline()  # the timeout of the run at the latest
                host.turn(0.0 if due is None else max(0.0, due - monotonic()))
        return outcomes[0]

    def close(self) -> None:
        """Ends what still runs, and the launcher."""
        host, self._host = self._host, None
        link = None if host is None else host.close()
        if link is not None:
            watch = os.pidfd_open(link.process)
            select.select([watch], [], [], FAREWELL)
            os.close(watch)
            link.bury()
