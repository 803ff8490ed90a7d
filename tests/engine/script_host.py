"""Scripts that are Python callables or texts, with a duration: a host and a directory without processes and files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from network import Network

from sipcgi.errors import ScriptError
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.directory import Startup

Script = Callable[[dict[str, str]], str | Outcome]
Output = str | Outcome | Script


@dataclass(slots=True)
class FakeRun:
    """One run, from its start to its end."""

    host: FakeHost
    invocation: Invocation
    began: float
    done: Callable[[Outcome], None]
    ended: bool = False
    over: bool = False

    @property
    def environment(self) -> dict[str, str]:
        return self.invocation.environment

    def end(self) -> None:
        if not self.ended and not self.over:
            self.ended = True
            self.host.network.timers.start(0.0, self.finish, Outcome(ended=True, signal=15))

    def finish(self, outcome: Outcome) -> None:
        if not self.over:
            self.over = True
            self.done(outcome)


@dataclass(slots=True)
class Program:
    """The outputs of a script, one for each run, and the seconds that each takes."""

    outputs: list[Output]
    takes: float
    unlimited: bool
    runs: int = 0

    def output(self) -> Output:
        if self.unlimited:
            return self.outputs[0]
        assert self.runs < len(self.outputs), "one run more than the test has outputs for"
        self.runs += 1
        return self.outputs[self.runs - 1]


@dataclass(slots=True)
class FakeHost:
    """A ScriptHost, and the ScriptDirectory for the same scripts."""

    network: Network
    programs: dict[str, Program] = field(default_factory=dict)
    runs: list[FakeRun] = field(default_factory=list)

    # hosts/base.ScriptHost

    def full(self, name: str) -> bool:
        return False

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> FakeRun:
        run = FakeRun(self, invocation, self.network.now, done)
        self.runs.append(run)
        program = self.programs[os.path.basename(invocation.argv[0])]
        output = program.output()
        if callable(output):
            output = output(invocation.environment)
        if isinstance(output, str):
            output = Outcome(stdout=output.encode(), status=0, wall=program.takes)
        if program.takes > invocation.timeout:
            output = Outcome(timed_out=True, signal=15, wall=invocation.timeout)
        self.network.timers.start(min(program.takes, invocation.timeout), run.finish, output)
        return run

    # hosts/directory.ScriptDirectory

    def find(self, *stems: str) -> str | None:
        found = [name for stem in stems for name in sorted(self.programs) if os.path.splitext(name)[0] == stem]
        return f"/cgi-bin/{found[0]}" if found else None

    def locate(self, name: str) -> str:
        return f"/cgi-bin/{name}"

    def problems(self, path: str) -> list[str]:
        return []

    def startup(self, name: str) -> Startup:
        path = self.locate(name)
        if os.path.basename(path) not in self.programs:
            raise ScriptError(f"{path} is not there")
        return Startup(path, os.path.dirname(path), [path])
