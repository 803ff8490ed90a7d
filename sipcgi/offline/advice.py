"""What is legal in an output, but surely wrong; and what one should know of an action."""

from __future__ import annotations

from collections.abc import Callable

from sipcgi.cgi.message import ACTIONS, AGAIN, PROXY_REQUEST, VERSION, Field, ScriptMessage, messages
from sipcgi.cgi.routes import CGI
from sipcgi.net.address import numeric
from sipcgi.offline.journal import Finding, Played
from sipcgi.service import Relay, Reply
from sipcgi.sip.build import MAKES_DIALOG
from sipcgi.sip.headers import canonical
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri, parse_uri

_CONTACT_COUNTS = MAKES_DIALOG | {"UPDATE"}
_NEEDED = {
    401: ("WWW-Authenticate", "a caller without a challenge gives up"),
    405: ("Allow", "it names the methods that would do"),
    407: ("Proxy-Authenticate", "a caller without a challenge gives up"),
    420: ("Unsupported", "it names the extensions that are not there"),
    421: ("Require", "it names the extensions that the caller must have"),
    423: ("Min-Expires", "it names the seconds that would do"),
} | dict.fromkeys((300, 301, 302, 305), ("Contact", "it names the place to call instead"))
"""Header fields without which an answer makes no sense (RFC 3261 21.3, 21.4)."""

Nobody = Callable[[SipUri], bool]


def advise(
    warnings: list[Finding], notes: list[str], played: Played, request: Request, nobody: Nobody, configured: bool
) -> None:
    """Adds to `warnings` and `notes` what is to be said of a run whose output is right.

    `nobody` tells which URIs are ours, by a domain or an address, and nobody has registered for; `configured`: our
    domains are known.
    """
    assert played.outcome is not None
    if played.style == CGI:
        for message in messages(played.outcome.stdout, most=len(played.outcome.stdout) + 1):
            warnings += _of_message(message, request)
    final = next((action for action in played.actions if isinstance(action, Reply) and action.status >= 200), None)
    if final is not None and played.again and not (final.status < 300 and request.method == "INVITE"):
        text = f"{AGAIN} yes has no effect: after the final response of line {final.line} no script is run any more"
        warnings.append(Finding(text, _again_line(played), 1))
    for action in played.actions:
        if isinstance(action, Relay):
            if played.invocation.name.endswith(".pl") and getattr(parse_uri(action.uri), "user", "") is None:
                hint = "in a Perl string in double quotes @example is an array, and gone: write \\@, or single quotes"
                warnings.append(Finding(f"{action.uri} names no user", action.line, 1, hint))
            _of_target(warnings, notes, action, nobody, configured)
    warnings.sort(key=lambda found: found.line)


def _of_message(message: ScriptMessage, request: Request) -> list[Finding]:
    printed = {each.canonical: each for each in message.fields}
    found = []
    kind = printed.get("content-type")
    if kind is not None and message.body == b"" and "content-length" not in printed:
        hint = "print the body after one blank line; `Content-Length: 0` says that there is to be none"
        found.append(_at(kind, "Content-Type, but no body follows: the body that was there is deleted", hint))
    if kind is not None and message.body and "content-length" not in printed:
        found += _swallowed(message.body, message.fields[-1].line + 2, kind)
    for each in message.fields:
        if each.canonical == "cgi-remove":
            names = [name.strip() for name in each.value.split(",")]
            found += [
                _at(each, f"{name} is both removed and set: it is set", "one of them replaces what was there already")
                for name in names
                if canonical(name) in printed
            ]
    if message.action == PROXY_REQUEST and request.method in _CONTACT_COUNTS and "contact" in printed:
        text = f"a proxied {request.method} with another Contact: what follows goes there, not to the caller"
        found.append(_at(printed["contact"], text, "leave it out; a redirection is `SIP/2.0 302` with Contact"))
    if message.action == VERSION:
        found += _of_answer(message, printed, request)
    return found


def _swallowed(body: bytes, first: int, kind: Field) -> list[Finding]:
    """An action in a body that ends with the output (RFC 3050 5.6 item 4); a message/sipfrag has a status line."""
    is_message = kind.value.lower().startswith("message/")
    for number, line in enumerate(body.decode("utf-8", "replace").split("\n"), first):
        word = line.upper().partition(" ")[0]
        if word in ACTIONS and not (word == VERSION and is_message):
            hint = f"print the action before it, or Content-Length beside the {kind.name} of line {kind.line}"
            return [Finding(f"{word} is a part of the body, which ends with the output", number, 1, hint)]
    return []


def _of_answer(message: ScriptMessage, printed: dict[str, Field], request: Request) -> list[Finding]:
    status = int(message.words[1].text)
    name, why = _NEEDED.get(status, ("", ""))
    if name and canonical(name) not in printed:
        return [Finding(f"{status} without {name}", message.line, 1, why)]
    if status // 100 == 2 and request.method == "INVITE" and not message.body:
        text = f"{status} answers the call, but has no session description: the caller hears nothing and hangs up"
        return [Finding(text, message.line, 1, "print Content-Type: application/sdp, a blank line, and the SDP")]
    return []


def _of_target(warnings: list[Finding], notes: list[str], action: Relay, nobody: Nobody, configured: bool) -> None:
    """A URI of our own domain goes to the registered contacts (contract: a proxied URI of our own domain)."""
    uri = parse_uri(action.uri)
    if not isinstance(uri, SipUri) or action.edits.sets("route"):
        return
    is_name = numeric(uri.host) is None
    if is_name and not configured:
        text = f"line {action.line}: if {uri.host} is a domain of the server, this goes to the phones of {uri.aor}"
        notes.append(f"{text}; with none registered, it is a local 480")
    elif nobody(uri):
        what = "a domain" if is_name else "an address"
        text = f"{uri.host} is {what} of ours, and {uri.aor} has registered nothing here: a local 480"
        warnings.append(Finding(text, action.line, 1, "on the server it goes to those that are registered then"))


def _again_line(played: Played) -> int:
    assert played.outcome is not None
    every = messages(played.outcome.stdout, most=len(played.outcome.stdout) + 1)
    return next((message.line for message in every if message.action == AGAIN), 0)


def _at(each: Field, text: str, hint: str) -> Finding:
    return Finding(text, each.line, each.column, hint)
