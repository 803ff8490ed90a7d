"""What a script printed, as actions (RFC 3050 5.6), and whether they fit what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sipcgi.cgi.action import Claim, Findings, read_action, read_again, read_cookie
from sipcgi.cgi.glance import action_in
from sipcgi.cgi.message import AGAIN, PROXY_REQUEST, SET_COOKIE, VERSION, messages
from sipcgi.compiled.quick import quick
from sipcgi.errors import ParseError, ScriptError
from sipcgi.profile import PLAIN, Limits
from sipcgi.service import (
    AckReceived,
    Action,
    Cancelled,
    Event,
    ForwardResponse,
    Originate,
    Relay,
    Reply,
    ResponseReceived,
    WakeAfter,
)
from sipcgi.sip.grammar import split_list
from sipcgi.sip.message import CSeq, Request, Response

_ADVISORY = (Cancelled, AckReceived)
"""What no action has an effect on (RFC 3050 5.10, 5.11.1)."""


@quick
@dataclass(slots=True)
class Output:
    """What a run asks for. `cookie` is None when none was set; `warnings` are line and text."""

    actions: list[Action] = field(default_factory=list)
    cookie: str | None = None
    again: bool = False
    warnings: list[tuple[int, str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    """For `check_output`; the fields among them are in no Edits."""


def read_output(
    output: bytes, event: Event, initial: Request, answers: Mapping[str, Response], max_messages: int, originate: bool
) -> Output:
    """What was printed in a run for `event`, in the transaction of `initial`: see the two functions below."""
    action = action_in(output)
    if action is None:
        found = parse_output(output, method=initial.method, max_messages=max_messages, originate=originate)
    else:
        found = Output([action])
        if type(action) is Relay and not isinstance(event, _ADVISORY):
            return found  # as nearly always
    return check_output(found, event, initial, answers)


def parse_output(output: bytes, *, method: str, max_messages: int = 64, originate: bool = False) -> Output:
    """The actions in `output`, printed for a transaction of `method`.

    An empty output is the default action (RFC 3050 5.6.1.6). `originate`: whether it may generate requests, which a
    final response does not end. Raises ScriptError with line and column.
    """
    findings = Findings()
    result = Output(warnings=findings.warnings, claims=findings.claims)
    wake: WakeAfter | None = None
    final = 0
    for message in messages(output, max_messages):
        if message.action == SET_COOKIE:
            result.cookie = read_cookie(message, findings)
        elif message.action == AGAIN:
            result.again, wake = read_again(message, findings)
        else:
            claims = len(findings.claims)
            action: Action = read_action(message, method, findings, originate=originate)
            if final and type(action) is not Originate:  # RFC 3050 5.6: nothing after a definitive response
                findings.warn(message, _after(final))
                del findings.claims[claims:]
                continue
            result.actions.append(action)
            if isinstance(action, Reply) and action.status >= 200:
                final = message.line
    if not result.again:
        result.warnings += [
            (action.line, "without CGI-AGAIN yes nobody acknowledges its 2xx: it is cancelled at once")
            for action in result.actions
            if isinstance(action, Originate) and action.method == "INVITE"
        ]
    if wake is not None and final and not _generates(result.actions):
        findings.warnings.append((wake.line, _after(final)))
    elif wake is not None:
        result.actions.append(wake)
    return result


def check_output(output: Output, event: Event, initial: Request, answers: Mapping[str, Response]) -> Output:
    """The output as far as it fits what happened: `event` in the transaction of `initial`.

    `answers` are the responses that it may forward, by token (RFC 3050 5.5.1.16). Raises ScriptError for what the
    message at hand makes wrong.
    """
    warnings = output.warnings.copy()
    if isinstance(event, _ADVISORY):
        name = "CANCEL" if isinstance(event, Cancelled) else "ACK"
        requests: list[Action] = [action for action in output.actions if type(action) is Originate]
        others = [action for action in output.actions if type(action) is not Originate]
        warnings += [(action.line, f"no action has an effect in the run for {name}") for action in others[:1]]
        return Output(requests, output.cookie, output.again, warnings)
    response = event.response if isinstance(event, ResponseReceived) else None
    for claim in output.claims:
        if claim.name != "this":
            _check_field(claim, initial)
        elif response is None:  # RFC 3050 5.6.1.3
            raise claim.error('"this" where no response came', "name a response by its RESPONSE_TOKEN")
        elif isinstance(event, ResponseReceived) and event.generated:
            text = '"this" is the response to a request of the script: it is not for the caller'
            raise claim.error(text, f"print {VERSION} and a status code to answer the caller")
    this = event.token if isinstance(event, ResponseReceived) else ""

    def status(action: Action) -> int:
        if isinstance(action, Reply):
            return action.status
        if not isinstance(action, ForwardResponse):
            return 0
        named = answers.get(this if action.token == "this" else action.token)
        return named.status if named is not None else 0

    actions = output.actions
    for index, action in enumerate(actions, 1):
        if status(action) >= 200:
            going_on = (Originate, WakeAfter) if _generates(actions) else ()
            warnings += [(each.line, _after(action.line)) for each in actions[index:] if not isinstance(each, going_on)]
            actions = actions[:index] + [each for each in actions[index:] if isinstance(each, going_on)]
            break
    if actions and not event.situation.pending and all(100 <= status(action) < 200 for action in actions):
        raise ScriptError(
            "only provisional responses, and nothing is pending",
            line=actions[0].line,
            column=1,
            hint=f"print a final response or {PROXY_REQUEST} too, or CGI-After below {AGAIN} yes",
        )
    if initial.method == "INVITE" and "100rel" in _option_tags(initial):
        actions = _without_unreliable(actions, warnings)
    return Output(actions, output.cookie, output.again, warnings)


def exit_error(status: int, output: bytes, spoke: bool) -> ScriptError:
    """The error of a script that ended with an exit status other than 0; `spoke`: on standard error, too."""
    hint = {126: "a command in it is not executable", 127: "a command in it was not found"}.get(status, "")
    why = "why it failed may be in its stderr lines above" if spoke else "it said nothing on standard error"
    if status == 1 and not output:
        hint = f"{why}; end a shell script with exit 0" if spoke else "end a shell script with exit 0"
    elif not hint:
        hint = f"what it printed counts only with exit status 0; {why}"
    return ScriptError(f"exit status {status}", hint=hint)


def signal_error(number: int, limits: Limits = PLAIN.limits, reached: str = "") -> ScriptError:
    """The error of a script that a signal killed; `reached` names the limit for which it was, where that is known."""
    most = getattr(limits, reached) if reached else 0
    if most:
        what = {
            "cpu": f"used more than {most} s of processor time",
            "memory": f"used more than {most} octets of memory",
            "file_size": f"wrote more than {most} octets into a file",
        }[reached]
        return ScriptError(what, hint=f"raise `limits.{reached}`, or have it do with less")
    hint = {
        9: "the kernel kills so when memory runs out (dmesg tells), and so do people",
        13: "it wrote to a program that had ended",
        24: "processor time is limited where the server was started (ulimit -t)",
        25: "the size of files is limited where the server was started (ulimit -f)",
    }.get(number, "what it printed counts only when it ends by itself")
    if number in (4, 6, 7, 8, 11):  # ILL, ABRT, BUS, FPE, SEGV
        hint = "the program crashed, or the interpreter that runs it"
        if limits.memory:
            hint = f"it may have got no more memory than `limits.memory`, {limits.memory} octets; or {hint}"
    return ScriptError("killed by a signal", hint=hint)


def _generates(actions: list[Action]) -> bool:
    """Whether there are requests of its own, with which a transaction outlives its final response."""
    return any(isinstance(action, Originate) for action in actions)


def _after(line: int) -> str:
    return f"dropped: the final response of line {line} ends the transaction"


def _without_unreliable(actions: list[Action], warnings: list[tuple[int, str]]) -> list[Action]:
    """RFC 3262 3: a request that requires 100rel gets no provisional response but 100 unreliably."""
    kept: list[Action] = []
    for action in actions:
        if isinstance(action, Reply) and 100 < action.status < 200:
            warnings.append((action.line, f"{action.status} not sent: the request requires 100rel"))
        else:
            kept.append(action)
    if len(kept) < len(actions) and all(isinstance(action, WakeAfter) for action in kept):
        kept.insert(0, Reply(100, "Trying", line=actions[0].line))  # nothing at all would be the default action
    return kept


def _option_tags(request: Request) -> list[str]:
    return [tag.strip(" \t").lower() for tag in ",".join(request.headers.all("require")).split(",")]


def _check_field(claim: Claim, initial: Request) -> None:
    """A field that a script cannot change must be as in the request."""
    try:
        if claim.name == "call-id":
            same = claim.value == initial.call_id
        elif claim.name == "cseq":
            same = CSeq.parse(claim.value) == initial.cseq
        else:
            same = split_list(claim.value) == initial.headers.elements("via")
    except ParseError:
        same = False
    if not same:
        raise claim.error("a script cannot change Via, Call-ID and CSeq", "leave the field out: the server copies it")
