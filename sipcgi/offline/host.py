"""Runs scripts as the server does, through its launcher, while the time of the stage stands still."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from sipcgi.cgi.routes import Route
from sipcgi.hosts.base import Invocation, Outcome, ScriptHost
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.exec import FAREWELL, ExecHost
from sipcgi.hosts.fastcgi import FastCgiHost
from sipcgi.hosts.warm import WarmHost
from sipcgi.offline.journal import Journal, Played
from sipcgi.profile import FASTCGI, WARM, Hosting, Profile
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
    directory: ScriptDirectory
    environment: dict[str, str]
    """What scripts get of our own."""
    earlier: deque[bytes] = field(default_factory=deque)
    most: int | None = None
    wanted: list[Invocation] = field(default_factory=list)
    _host: ExecHost | None = None
    _fastcgi: FastCgiHost | None = None
    _warm: WarmHost | None = None
    _programs: dict[tuple[Hosting, Profile], Route] = field(default_factory=dict)
    """Those that were asked for, and so are started."""

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
            host = ExecHost(TimerQueue(monotonic), say=self.journal.error, launchers=1)
            host.open()
            self._host = host
        host, outcomes = self._host, list[Outcome]()
        self._chosen(invocation, host).start(invocation, outcomes.append, stderr)
        while not outcomes:
            self._wait(host)
        return outcomes[0]

    def _wait(self, host: ExecHost) -> None:
        """For what comes next: the timeout of a run at the latest."""
        due = host.timers.next_deadline()
        host.turn(0.0 if due is None else max(0.0, due - monotonic()))
        host.timers.fire()

    def _chosen(self, invocation: Invocation, host: ExecHost) -> ScriptHost:
        if invocation.hosting.host == WARM:
            if self._warm is None:
                self._warm = WarmHost(host, self.journal.info)
            while self._warm.is_coming(invocation):
                self._wait(host)
            return self._warm
        if invocation.hosting.host != FASTCGI:
            return host
        if self._fastcgi is None:
            self._fastcgi = FastCgiHost(
                host, self.journal.info, lambda name, line: self.journal.info(f"{name}: {line}")
            )
            self._fastcgi.open()
        key = invocation.hosting, invocation.profile
        if key not in self._programs:
            self._programs[key] = Route(invocation.name, hosting=invocation.hosting, profile=invocation.profile)
            self._fastcgi.configure(self._programs.values(), self.directory, self.environment)
        return self._fastcgi

    def close(self) -> None:
        """Ends what still runs, and the launcher."""
        if self._warm is not None:
            self._warm.close()
        if self._fastcgi is not None:
            self._fastcgi.close()
        host, self._host = self._host, None
        for link in [] if host is None else host.close():
            watch = os.pidfd_open(link.process)
            select.select([watch], [], [], FAREWELL)
            os.close(watch)
            link.bury()
