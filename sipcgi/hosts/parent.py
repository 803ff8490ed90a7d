"""One warm parent (hosts/zygotes) as the server holds it: a process that forks for each run of its script."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Hashable
from math import inf
from typing import Protocol

from sipcgi.hosts import marks, wire
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.directory import SETTLED
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.languages import Identity, identity
from sipcgi.hosts.link import Link
from sipcgi.hosts.run import ScriptRun
from sipcgi.hosts.runs import Runs
from sipcgi.hosts.watch import RunWatch
from sipcgi.profile import Profile

CONTROL = 3  # the descriptor under which a parent finds its socket
PREPARATION = 30.0  # seconds that a parent may take for compiling its script and loading modules
LEFT = 0.1  # seconds for reading what one reported that has ended
PATIENCE = 3.0  # seconds for one that should end by itself
MOST_RUNS = 5000  # then another parent takes over
RUNS_A_SECOND = 1000  # of processor time that the parent itself has, where that is limited; a fork takes far less
PRELOAD = "preload: "  # so begins what a parent says of a module that it could not load


class Parents(Protocol):
    """Who has parents, and hears what becomes of them."""

    exec: ExecHost

    def is_ready(self, parent: Parent) -> None: ...

    def has_failed(self, parent: Parent, why: str) -> None:
        """It never was ready."""

    def is_gone(self, parent: Parent) -> None:
        """It takes no runs any more, or never did."""

    def say(self, text: str) -> None: ...


class ParentLink(Link):
    """What comes over it may come from the script, which is compiled in the parent: nothing of it is taken on trust."""

    __slots__ = ("grown",)

    def __init__(self, ours: socket.socket) -> None:
        super().__init__(ours)
        self.grown = False
        """Whether the parent has said that its memory has."""

    def judged(self, record: bytes) -> bytes | None:
        if not record:
            return record
        if len(record) < wire.REPORT.size:
            return b""
        if record[0] == wire.GROWN:
            self.grown = True
            return None
        return record if record[0] in (wire.FAILED, wire.READY) or len(record) % wire.REPORT.size == 0 else b""


class ParentRuns(Runs):
    """The runs of a parent. Each bears a mark, by which a launcher finds all that it left anywhere (hosts/marks)."""

    def __init__(self, watch: RunWatch, died: Callable[[list[ScriptRun]], None], sweep: Callable[[int], None]) -> None:
        super().__init__(watch, died)
        self.base = marks.new_base()
        self._sweep = sweep

    def connect(self, link: Link) -> None:
        super().connect(link)
        self._told.add(self.base)

    def lose(self) -> None:
        """Nobody is at the other end any more, though the link does not say so."""
        if self.link is not None:
            self._lose(self.link)

    def sweep_run(self, number: int) -> None:
        """Kills all that is left of a run."""
        self._sweep(marks.marking(self.base, number))

    def _number(self, profile: Profile) -> int:
        """The parent has its profile from birth; in its place each order says where the marks begin."""
        return self.base

    def _tell(self, run: ScriptRun, kind: int, grace: float) -> None:
        super()._tell(run, kind, grace)
        if kind == wire.END:
            self.timers.start(grace, self._kill, run.number)
        else:
            self.sweep_run(run.number)

    def _give_up(self, run: ScriptRun) -> None:
        """A parent that ends nobody is stuck: its other runs are not to wait for the same."""
        super()._give_up(run)
        self.lose()

    def _kill(self, number: int) -> None:
        if self.link is not None and number in self.running:
            self.link.send(wire.ORDER.pack(wire.KILL, 0, 0, wire.PLAIN, number), [])
        self.sweep_run(number)


class Parent:
    """A process that was started by the exec host, under the profile of its runs. `host` hears what becomes of it.

    It comes, is ready (`files` are those of which it was made), and in the end `close` or its death ends it.
    """

    def __init__(
        self,
        host: Parents,
        key: Hashable,
        script: Identity,
        invocation: Invocation,
        command: list[str],
        variables: dict[str, str],
    ) -> None:
        self.host = host
        self.key = key
        self.script = script
        self.path = invocation.script
        self.name = invocation.name
        self.runs = ParentRuns(host.exec.watch, self._died, host.exec.sweep)
        self.environment = {name: value for name, value in invocation.common.items() if not name.startswith("SIP_")}
        """What its runs have in common; no message can give another value to one of these."""
        self.files: dict[str, Identity] = {}
        self.said: list[str] = []
        """What the interpreter had to say of the script when it compiled it; each run would have said it itself."""
        self.ready = False
        self.retired = False
        self.taken = 0
        self.most = min(MOST_RUNS, RUNS_A_SECOND * invocation.profile.limits.cpu or MOST_RUNS)
        self.last_used = 0.0
        self._why: str | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link = ParentLink(ours)
        self._born = time.time_ns()
        self._timer = host.exec.timers.start(PREPARATION, self._give_up, f"it was not ready after {PREPARATION:.0f} s")
        host.exec.watch.add(ours.fileno(), self._first)
        invocation = Invocation(
            name=invocation.name,
            argv=command,
            directory=invocation.directory,
            environment={**self.environment, **{name: variables[name] for name in variables.keys() - self.environment}},
            given={CONTROL: theirs.detach()},
            timeout=inf,
            script=invocation.script,
            profile=invocation.profile,
        )
        self.process = host.exec.start(invocation, self._ended, self._heard)

    def is_worn(self) -> bool:
        """Whether another one should take over."""
        return self.taken >= self.most or self.link.grown

    def is_current(self) -> bool:
        """Whether nothing has changed of what it was made of."""
        return all(identity(path) == known for path, known in self.files.items())

    def start(
        self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]
    ) -> ScriptRun:
        self.taken += 1
        for line in self.said:
            stderr(line)
        return self.runs.start(invocation, done, stderr)

    def left(self) -> None:
        """One of its runs has ended, which is told from within what reads the link."""
        if self.retired and not self.runs.busy():
            self.host.exec.timers.start(0.0, self.close)

    def retire(self) -> None:
        """It gets no more runs, and ends with the last it has."""
        self.retired = True
        self.left()

    def close(self) -> None:
        """Ends it, and what still runs; no `done` is called any more."""
        self.retired = True
        if self.runs.link is None:
            self.host.exec.watch.remove(self.link.descriptor)
            self.link.close()
        self.runs.close()
        self._end_later()

    # Before it is ready

    def _first(self, events: int, until: float) -> None:
        record = self.link.receive()
        if record is None:
            return
        self.host.exec.watch.remove(self.link.descriptor)
        if not record or record[0] != wire.READY:
            self._end_later()  # it is about to end by itself, and to say why
            return
        self._timer.cancel()
        self.process.take()
        if self.process.output:
            self._give_up("it prints something while it is compiled")
            return
        others = record[wire.REPORT.size :].decode("utf-8", "surrogateescape").split("\0")
        for path in (self.path, *filter(None, others)):
            known = identity(path)
            if known is None or known[-1] > self._born - SETTLED:
                self.close()  # changed meanwhile: the next run brings another parent
                return
            self.files[path] = known
        self.ready = True
        self.runs.connect(self.link)
        self.host.is_ready(self)

    def _heard(self, line: str) -> None:
        if self.ready or line.startswith(PRELOAD):
            self.host.say(f"the warm parent of {self.name}: {line}")
        else:
            self.said.append(line)

    def _give_up(self, why: str) -> None:
        self._why = why
        self.close()
        self.process.end()

    # How it ends

    def _died(self, lost: list[ScriptRun]) -> None:
        """What ran may have got lost anywhere."""
        self.retired = True
        self.link.close()
        self.host.is_gone(self)
        for run in lost:
            self.runs.sweep_run(run.number)
        self.runs.fail(lost, "its warm parent died")
        self.runs.refuse("its warm parent died")
        self._end_later()

    def _end_later(self) -> None:
        self._timer.cancel()
        self._timer = self.host.exec.timers.start(PATIENCE, self.process.end)

    def _ended(self, outcome: Outcome) -> None:
        self._timer.cancel()
        if not (self.ready or self.retired) or self._why is not None:
            status = f"signal {outcome.signal}" if outcome.signal else f"exit status {outcome.status}"
            self.host.has_failed(self, self._why or outcome.failure or (self.said or [status])[-1])
            if not self.retired:
                self.close()
        self._timer.cancel()
        self.host.is_gone(self)
        if self.runs.link is not None:  # what it reported last is in there; the end is not, if somebody else holds it
            self._timer = self.host.exec.timers.start(LEFT, self.runs.lose)
