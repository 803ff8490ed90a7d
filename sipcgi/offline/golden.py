"""Plays golden cases: what happens, step by step, and whether the script did what was expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import ndiff

from sipcgi.cgi.routes import Route
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.offline import request as make
from sipcgi.offline.cases import Answered, Asked, Caller, Case, Passed, Step
from sipcgi.offline.journal import Finding, Played
from sipcgi.offline.phone import Phone
from sipcgi.offline.stage import Setting, Stage
from sipcgi.offline.trial import acknowledgement
from sipcgi.offline.wire import Sent
from sipcgi.offline.words import canonical_output
from sipcgi.profile import Hosting
from sipcgi.sip import build
from sipcgi.sip.build import MAKES_DIALOG
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse


@dataclass(slots=True)
class Failure:
    """The first step that came out otherwise; `lines` are those of a diff, or say why."""

    step: Step
    lines: list[str]
    errors: list[Finding] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)


def play(case: Case) -> Failure | None:
    """None when all came as expected."""
    around = case.around
    setting = Setting(
        directory=case.script.parent,
        script=case.script.name,
        route=Route(
            script="",
            originate=True,
            style=around.style,
            then=around.then,
            timeout=around.timeout,
            environment=around.environment,
            hosting=Hosting.of_file(around.host, case.script.name, around.environment),
        ),
        domains=around.domains,
        registrations=around.registered,
    )
    with Stage(setting) as stage:
        return _Play(stage).all(case.steps)


class _Play:
    """One case on its stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.request: Request | None = None
        self.arrival: Flow | None = None
        self.seen: dict[bytes, Sent] = {}
        self.asked: dict[str, tuple[Sent, Request]] = {}
        """The requests that were sent and may be answered, by branch."""
        self.phones: dict[str, Phone] = {}
        """Those that have answered, by the URI where they were called."""
        self.asking = 0
        """How many requests of theirs there were."""
        self.successes: dict[str, Response] = {}
        """The 2xx that left, by branch."""

    def all(self, steps: tuple[Step, ...]) -> Failure | None:
        for step in steps:
            runs, errors = len(self.stage.journal.runs), len(self.stage.journal.errors)
            try:
                self.happen(step)
                self.stage.until_heard()
            except ParseError as error:
                return Failure(step, [str(error)])
            failure = self.judged(step, self.stage.journal.runs[runs:], self.stage.journal.errors[errors:])
            if failure is not None:
                return failure
        return None

    def happen(self, step: Step) -> None:
        """Raises ParseError for what cannot happen."""
        happened, stage = step.happened, self.stage
        if isinstance(happened, Request):
            self.request, self.arrival = happened, stage.caller(happened)
            stage.receive(bytes(happened), self.arrival)
            return
        assert self.request is not None
        assert self.arrival is not None
        match happened:
            case Passed():
                stage.go_on(happened.seconds)
            case Answered():
                self.answer(happened)
            case Caller(method="CANCEL"):
                stage.receive(bytes(build.cancel(self.request)), self.arrival)
            case Caller():
                stage.receive(bytes(acknowledgement(self.request, self.success(self.request))), self.arrival)
            case Asked():
                self.ask(happened)

    def answer(self, answered: Answered) -> None:
        fitting = [branch for branch, (_, asked) in self.asked.items() if answered.uri in ("", asked.uri)]
        if not fitting:
            waiting = ", ".join(asked.uri for _, asked in self.asked.values()) or "none"
            raise ParseError(f"no request to {answered.uri or 'anybody'} waits for an answer (waiting: {waiting})")
        sent, asked = self.asked[fitting[-1]]
        if answered.status >= 200:
            del self.asked[fitting[-1]]
        if answered.told is not None:
            response = make.answer(asked, answered.told)
        else:
            response = make.response(asked, answered.status, answered.reason, answered.headers, answered.body)
        if asked.method in MAKES_DIALOG and asked.to.tag is None and response.status < 300:
            phone = self.phones.get(asked.uri)
            if phone is None or not phone.is_in(response):
                self.phones[asked.uri] = Phone(asked, response, sent.flow)
        self.stage.answer(sent, bytes(response))

    def ask(self, asked: Asked) -> None:
        phone = self.phones.get(asked.uri)
        if phone is None:
            raise ParseError(f"no phone at {asked.uri} has answered (answered: {', '.join(self.phones) or 'none'})")
        self.asking += 1
        request = phone.request(asked.method, self.asking, asked.headers, asked.body)
        if asked.method == "ACK" and phone.invite is not None:
            self.success(phone.invite)
        self.stage.receive(bytes(request), phone.flow)

    def success(self, request: Request) -> Response:
        """The 2xx that the server has sent to a request. Raises ParseError."""
        found = self.successes.get(_branch(request))
        if found is None:
            raise ParseError("there is no 2xx of the script to acknowledge")
        return found

    def judged(self, step: Step, runs: list[Played], errors: list[Finding]) -> Failure | None:
        """Whether the runs printed what they should, and what should left."""
        left = self.left()
        stderr = [line for run in runs for line in run.stderr]
        if errors:
            return Failure(step, ["the script failed"], errors, stderr)
        got = [canonical_output(run.actions, run.cookie, run.again) for run in runs]
        if step.runs is False and runs:
            return Failure(step, ["the script ran" + (f" {len(runs)} times" if len(runs) > 1 else "")], [], stderr)
        if step.runs and not runs:
            return Failure(step, ["the script did not run"])
        wanted = [list(lines) for lines in step.outputs] or [[] for _ in runs]
        if got != wanted:
            return Failure(step, _diff(_joined(wanted), _joined(got)), [], stderr)
        if step.sends is not None and [_short(text) for text in step.sends] != left:
            return Failure(step, ["what leaves:", *_diff([_short(text) for text in step.sends], left)], [], stderr)
        return None

    def left(self) -> list[str]:
        """What was sent since the last step, without repetitions, 100 and ACK."""
        lines = []
        for sent in self.stage.wire.sent:
            if sent.data in self.seen:
                continue
            self.seen[sent.data] = sent
            message = parse(sent.data)
            if isinstance(message, Response):
                if message.status > 100:
                    lines.append(str(message.status))
                    if message.status // 100 == 2:
                        self.successes[_branch(message)] = message
            elif isinstance(message, Request) and message.method != "ACK":
                lines.append(f"{message.method} {message.uri}")
                if message.method != "CANCEL":
                    self.asked[_branch(message)] = (sent, message)
        return lines


def _branch(message: Request | Response) -> str:
    return str(message.via.params.get("branch"))


def _joined(outputs: list[list[str]]) -> list[str]:
    """Several runs, one below the other."""
    if len(outputs) == 1:
        return outputs[0]
    return [line for number, lines in enumerate(outputs, 1) for line in (f"(run {number})", *lines)]


def _short(text: str) -> str:
    return text.split()[0] if text[:1].isdigit() else " ".join(text.split())


def _diff(wanted: list[str], got: list[str]) -> list[str]:
    """- what was expected, + what came instead."""
    return [line.rstrip() for line in ndiff(wanted, got) if not line.startswith("?")]
