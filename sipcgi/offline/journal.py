"""What the server would log of its scripts, and each of their runs, kept for who looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from signal import Signals

from sipcgi.cgi.output import Output
from sipcgi.cgi.routes import CGI
from sipcgi.engine.cgi_service import CgiService, Turn
from sipcgi.errors import ScriptError
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.logs import Log
from sipcgi.service import Action, Event, Pending

_SIGNALS = frozenset(Signals)


@dataclass(slots=True)
class Finding:
    """An error or a warning: a place in the output (0: none can be named), what is wrong, and what usually helps."""

    text: str
    line: int = 0
    column: int = 0
    hint: str = ""


@dataclass(slots=True)
class Played:
    """One run of a script, from its environment to what it asked for."""

    invocation: Invocation
    outcome: Outcome | None = None
    stderr: list[str] = field(default_factory=list)
    event: Event | None = None
    """What it ran for; None until its end was dealt with."""
    earlier: bool = False
    """No process ran: its output was made up to bring about what the script is to be run for."""
    style: str = CGI
    failed: bool = False
    actions: list[Action] = field(default_factory=list)
    cookie: str | None = None
    again: bool = False
    following: str = ""
    """The script whose turn it is when this one takes no action."""


class Journal(Log):
    """A Log that keeps apart what it is told."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.runs: list[Played] = []
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self.notes: list[str] = []
        """What the server says beside that."""

    def script_error(
        self,
        script: str,
        call_id: str,
        problem: ScriptError | str,
        *,
        status: int | None = None,
        signal: int | None = None,
    ) -> None:
        error = ScriptError(problem) if isinstance(problem, str) else problem
        by = f" ({Signals(signal).name})" if signal in _SIGNALS and error.text == "killed by a signal" else ""
        self.errors.append(Finding(error.text + by, error.line, error.column, error.hint))

    def script_warning(self, script: str, call_id: str, line: int, text: str) -> None:
        self.warnings.append(Finding(text, line, 1))

    def script_stderr(self, script: str, call_id: str, line: str) -> None:
        self.runs[-1].stderr.append(line)  # one runs at a time, to its end

    def info(self, text: str) -> None:
        self.notes.append(text)

    def warning(self, text: str) -> None:
        self.notes.append(text)

    def error(self, text: str) -> None:
        self.notes.append(text)


class WatchedService(CgiService):
    """The service of a script, which notes in the journal what came of each run."""

    def finished(self, turn: Turn, outcome: Outcome) -> Sequence[Action] | Pending:
        played = self._played(outcome)
        played.event, played.style = turn.event, turn.session.route.style
        return super().finished(turn, outcome)

    def printed(self, turn: Turn, outcome: Outcome) -> Output:
        output = super().printed(turn, outcome)
        played = self._played(outcome)
        played.actions, played.cookie, played.again = output.actions, output.cookie, output.again
        played.following = turn.later[0].route.script if turn.later else ""
        return output

    def failed(self, turn: Turn, error: ScriptError, outcome: Outcome) -> Sequence[Action] | Pending:
        for played in self._journal().runs:
            played.failed |= played.outcome is outcome
        return super().failed(turn, error, outcome)

    def _journal(self) -> Journal:
        assert isinstance(self.core.log, Journal)
        return self.core.log

    def _played(self, outcome: Outcome) -> Played:
        return next(played for played in self._journal().runs if played.outcome is outcome)
