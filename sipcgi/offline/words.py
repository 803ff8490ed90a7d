"""What a script asked for, in the words of RFC 3050 5.6 again, and as values for programs."""

from __future__ import annotations

from collections.abc import Sequence

from sipcgi.cgi.message import AGAIN, FORWARD_RESPONSE, PROXY_REQUEST, SET_COOKIE, VERSION
from sipcgi.offline.journal import Played
from sipcgi.service import Action, ForwardResponse, Originate, Relay, Reply, WakeAfter


def canonical_output(actions: Sequence[Action], cookie: str | None, again: bool) -> list[str]:
    """The lines of an output that asks for the same; two outputs mean the same when these are equal."""
    lines: list[str] = []
    wakes = [action for action in actions if isinstance(action, WakeAfter)]
    for action in actions:
        if not isinstance(action, WakeAfter):
            lines += [*_lines(action), ""]
    if cookie is not None:
        lines += [f"{SET_COOKIE} {cookie} {VERSION}", ""]
    if again:
        lines += [f"{AGAIN} yes {VERSION}", *[f"CGI-After: {wake.seconds:g}" for wake in wakes], ""]
    return lines[:-1]


def _lines(action: Reply | Relay | ForwardResponse | Originate) -> list[str]:
    match action:
        case Reply():
            lines = [f"{VERSION} {action.status} {action.reason}"]
        case ForwardResponse():
            lines = [f"{FORWARD_RESPONSE} {action.token} {VERSION}"]
        case Relay() | Originate():
            what = action.method if isinstance(action, Originate) else PROXY_REQUEST
            lines = [f"{what} {action.uri} {VERSION}"]
            if action.request_token is not None:
                lines.append(f"CGI-Request-Token: {action.request_token}")
            if action.timeout is not None:
                lines.append(f"CGI-Timeout: {action.timeout:g}")
    edits = action.edits
    if edits.remove:
        lines.append(f"CGI-Remove: {', '.join(sorted(edits.remove))}")
    lines += [f"{name}: {value}" for name, value in edits.headers]
    if edits.body == b"":
        lines.append("Content-Length: 0")
    elif edits.body is not None:
        lines += ["", *edits.body.decode("utf-8", "surrogateescape").splitlines()]
    return lines


def described(action: Action) -> str:
    """For people, with what the server makes of it."""
    match action:
        case WakeAfter():
            return f"runs again in {action.seconds:g} s, unless a message comes first"
        case Reply():
            text = f"answers {action.status} {action.reason}"
        case ForwardResponse():
            text = f"sends the response {'at hand' if action.token == 'this' else action.token} to the caller"
        case Relay() | Originate():
            what = f"sends {action.method}" if isinstance(action, Originate) else "proxies the request"
            text = f"{what} to {action.uri}"
            if action.timeout is not None:
                text += f" for {action.timeout:g} s"
            if action.request_token is not None:
                text += f", as {action.request_token}"
    edits = action.edits
    changes = [f"{name}: {value}" for name, value in edits.headers]
    changes += [f"without {name}" for name in sorted(edits.remove)]
    if edits.body is not None:
        changes.append(f"a body of {len(edits.body)} octets" if edits.body else "without body")
    return f"{text}; {'; '.join(changes)}" if changes else text


def values(played: Played) -> list[dict[str, object]]:
    """The actions for programs, cookie and CGI-AGAIN among them."""
    found = [_values(action) for action in played.actions]
    if played.cookie is not None:
        found.append({"action": SET_COOKIE, "cookie": played.cookie})
    if played.again:
        found.append({"action": AGAIN, "again": True})
    return found


def _values(action: Action) -> dict[str, object]:
    match action:
        case WakeAfter():
            return {"action": "CGI-After", "line": action.line, "seconds": action.seconds}
        case Reply():
            found: dict[str, object] = {"action": VERSION, "status": action.status, "reason": action.reason}
        case ForwardResponse():
            found = {"action": FORWARD_RESPONSE, "token": action.token}
        case Relay() | Originate():
            what = action.method if isinstance(action, Originate) else PROXY_REQUEST
            found = {"action": what, "uri": action.uri}
            found |= {"request_token": action.request_token, "timeout": action.timeout}
    edits = action.edits
    body = None if edits.body is None else edits.body.decode("utf-8", "replace")
    headers = [list(each) for each in edits.headers]
    return found | {"line": action.line, "headers": headers, "remove": sorted(edits.remove), "body": body}
