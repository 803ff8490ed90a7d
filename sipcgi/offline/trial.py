"""One run of one script (`sipcgi try`): for a request, or for what comes later in its transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sipcgi.errors import ParseError
from sipcgi.offline import request as make
from sipcgi.offline.advice import advise
from sipcgi.offline.journal import Finding, Played
from sipcgi.offline.stage import CALLER, Setting, Stage
from sipcgi.offline.wire import Sent
from sipcgi.service import Originate
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

if TYPE_CHECKING:
    from sipcgi.flow import Flow

NEXT_HOP = "192.0.2.10"
"""Where the request of an earlier run went; of a block for documentation (RFC 5737)."""
SOON = 0.1
"""Seconds until an earlier run's CGI-Timeout, less than the 200 ms after which a 100 leaves (RFC 3261 17.2.1)."""


@dataclass(frozen=True, slots=True)
class Later:
    """A later invocation: for a response to the request that an earlier run proxied, its CANCEL, or its ACK.

    A 408 is the local one of a CGI-Timeout, unless `message` holds one that was received.
    """

    status: int = 0
    """0 for CANCEL and ACK."""
    reason: str = ""
    method: str = ""
    cookie: str = ""
    request_token: str = ""
    message: Response | None = None

    @property
    def local(self) -> bool:
        return self.status == 408 and self.message is None

    def earlier(self, request: Request, transport: str) -> bytes:
        """What the earlier run printed. Raises ParseError for what it could not have."""
        for what, value in (("cookie", self.cookie), ("request token", self.request_token)):
            if any(not "!" <= character <= "~" for character in value):
                raise ParseError(f"a {what} is visible ASCII without blanks: {value[:40]!r}")
        lines = [f"CGI-PROXY-REQUEST {request.uri} SIP/2.0", f"Route: <sip:{NEXT_HOP};transport={transport};lr>"]
        if self.method == "ACK":
            lines = ["SIP/2.0 200 OK"]
        if self.request_token:
            lines.append(f"CGI-Request-Token: {self.request_token}")
        if self.local:
            lines.append(f"CGI-Timeout: {SOON}")
        if self.cookie:
            lines += ["", f"CGI-SET-COOKIE {self.cookie} SIP/2.0"]
        return "\n".join([*lines, "", "CGI-AGAIN yes SIP/2.0", "", ""]).encode()


@dataclass(slots=True)
class Trial:
    """What came of it."""

    played: Played | None
    """None when the script did not run."""
    sent: list[tuple[str, Sent]]
    """Where to, for people, and what would leave at once."""
    errors: list[Finding]
    warnings: list[Finding]
    notes: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return not self.errors


def play(setting: Setting, request: Request, later: Later | None = None, *, configured: bool = False) -> Trial:
    """Runs the script once. Raises ParseError for messages or words that make no such run.

    `configured` says that the domains of the setting are those of a configuration.
    """
    with Stage(setting) as stage:
        journal = stage.journal
        stage.host.most = 1
        if later is not None:
            stage.host.earlier.append(later.earlier(request, _outward(setting)))
        arrival = stage.caller(request)
        stage.receive(bytes(request), arrival)
        before = 0
        if later is not None:
            before = len(stage.wire.sent)
            _go_on(stage, request, arrival, later)
        stage.until_heard()
        runs = [played for played in journal.runs if not played.earlier]
        played = runs[0] if runs else None
        sent = [(stage.peer(sent.flow), sent) for sent in stage.wire.sent[before:]]
        trial = Trial(played, sent, journal.errors, journal.warnings, journal.notes)
        if played is None and not trial.errors:
            trial.errors.append(Finding(_not_run(trial, later)))
        if played is not None and not played.failed:
            advise(trial.warnings, trial.notes, played, request, stage.reaches_nobody, configured)
        generates = played is not None and any(isinstance(action, Originate) for action in played.actions)
        if generates and not setting.further_routes:
            trial.notes.append("it generates requests: on a route without `originate: true` the server answers 500")
        if generates and later is not None:
            text = "no dialog of a generated request is there, for the earlier run has proxied"
            trial.notes.append(f"{text}: `sipcgi test` plays such calls")
        trial.notes += _what_follows(stage, setting)
        return trial


def _outward(setting: Setting) -> str:
    """A transport by which the request of an earlier run could leave. Raises ParseError."""
    for transport in ("UDP", "TCP", "TLS"):
        if transport in setting.sockets:
            return transport.lower()
    raise ParseError("there was no earlier run that proxied: no listener has a transport for that")


def _go_on(stage: Stage, request: Request, arrival: Flow, later: Later) -> None:
    """Brings about what the script is to be run for."""
    sent = stage.wire.sent[-1]
    message = make.message(sent.data)
    if isinstance(message, Response) and (message.status // 100 != 2 or later.method != "ACK"):
        raise ParseError(f"the request is answered {message.status} {message.reason} before any script runs")
    if later.local:
        stage.go_on(SOON)
    elif later.method == "CANCEL":
        stage.receive(bytes(build.cancel(request)), arrival)
    elif isinstance(message, Response):
        stage.receive(bytes(acknowledgement(request, message)), arrival)
    else:
        assert isinstance(message, Request)
        told = later.message
        answer = make.response(message, later.status, later.reason) if told is None else make.answer(message, told)
        stage.answer(sent, bytes(answer))


def acknowledgement(request: Request, success: Response) -> Request:
    """Of a 2xx (RFC 3261 13.2.2.4): a request of its own."""
    ack = build.ack(request, success)
    ack.headers.set("Via", f"SIP/2.0/UDP {CALLER};branch=z9hG4bK-ack;rport")
    return ack.with_(uri=str(success.contacts[0].uri))


def _not_run(trial: Trial, later: Later | None) -> str:
    answers = [message for _, sent in trial.sent if isinstance(message := parse(sent.data), Response)]
    answered = f": the server answers {answers[0].status} {answers[0].reason} itself" if answers else ""
    why = f" ({'; '.join(trial.notes)})" if trial.notes else ""
    return f"no script is run for this {'request' if later is None else 'message'}{answered}{why}"


def _what_follows(stage: Stage, setting: Setting) -> list[str]:
    notes = []
    for invocation in stage.host.wanted:
        variables = invocation.environment
        played = next((played for played in stage.journal.runs if played.following == invocation.name), None)
        if played is not None and not played.failed:
            notes.append(f"{invocation.name} would run now, for the script takes no action")
            continue
        if invocation.name != setting.script or variables.get("SIPCGI_RUN", "1") == "1":
            uri = variables.get("REQUEST_URI") or variables["SIP_RURI"]  # by the style of its route
            why = "on_error: " if stage.journal.errors else f"for {uri}, "
            notes.append(f"{why}{invocation.name} would run now")
            continue
        status, reason = variables.get("RESPONSE_STATUS", ""), variables.get("RESPONSE_REASON", "")
        what = f"a local {status} {reason}" if status else variables["SIPCGI_EVENT"]
        notes.append(f"the script would be run again at once, for {what} of {variables.get('SIPCGI_TARGET', '')}")
    return notes
