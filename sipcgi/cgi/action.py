"""Action lines and the header fields below them (RFC 3050 5.6.1, 5.6.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from sipcgi.cgi.message import (
    AGAIN,
    FORWARD_RESPONSE,
    NO_BLANK_LINE,
    OWN_NEWLINE,
    PROXY_REQUEST,
    REQUEST,
    VERSION,
    Field,
    ScriptMessage,
)
from sipcgi.compiled.quick import quick
from sipcgi.errors import ParseError, ScriptError
from sipcgi.service import Edits, ForwardResponse, Originate, Relay, Reply, WakeAfter
from sipcgi.sip.address import Address
from sipcgi.sip.grammar import is_token, number
from sipcgi.sip.headers import canonical
from sipcgi.sip.message import CSeq
from sipcgi.sip.status import reason
from sipcgi.sip.uri import SipUri, parse_uri

MAX_COOKIE = 4096
"""Octets of a script cookie."""

_CLAIMED = frozenset({"via", "call-id", "cseq"})
_KEPT = _CLAIMED | {"from", "to", "max-forwards", "content-length"}
"""Fields that CGI-Remove spares: no message is one without them (RFC 3261 8.1.1, 16.6)."""

_BELOW = {
    "cgi-request-token": (PROXY_REQUEST, REQUEST),
    "cgi-timeout": (PROXY_REQUEST, REQUEST),
    "cgi-remove": (PROXY_REQUEST, FORWARD_RESPONSE, VERSION),
    "cgi-after": (AGAIN,),
}
"""The CGI header fields, and the actions below which they mean something."""

IN_DIALOG = frozenset({"ACK", "BYE", "CANCEL", "INFO", "PRACK", "UPDATE"})
"""Methods of requests that mean nothing but in the dialog of an earlier one, or together with it."""
_NOT_PRINTED = frozenset({"via", "record-route"})
_ONCE = frozenset({"from", "to", "call-id", "cseq", "max-forwards", "contact"})

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_STATUS = re.compile(r"[1-6][0-9]{2}")
_COOKIE = re.compile(r"[!-~]+")


@quick
@dataclass(slots=True)
class Claim:
    """Something printed that only the message at hand can prove right: Via, Call-ID, CSeq, or the word `this`."""

    name: str
    values: list[str]
    """Of all the fields of that name in one message."""
    line: int
    column: int

    @property
    def value(self) -> str:
        return ", ".join(self.values)

    def error(self, text: str, hint: str) -> ScriptError:
        return ScriptError(text, line=self.line, column=self.column, hint=hint)


@quick
@dataclass(slots=True)
class Findings:
    """What else was found in an output: warnings, as line and text, and claims."""

    warnings: list[tuple[int, str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    def warn(self, each: Field | ScriptMessage, text: str) -> None:
        self.warnings.append((each.line, text))


def read_action(
    message: ScriptMessage, method: str, findings: Findings, *, originate: bool = False
) -> Reply | Relay | ForwardResponse | Originate:
    """The action of a message that is neither CGI-SET-COOKIE nor CGI-AGAIN. Raises ScriptError.

    `originate` says that the route lets its scripts generate requests.
    """
    if message.action == REQUEST and not originate:
        hint = f"`originate: true` on the route allows it; {PROXY_REQUEST} sends on the request that was received"
        raise message.error(f"a request of its own, which this route does not allow: {message.text[:60]!r}", 0, hint)
    cgi = _cgi_fields(message, findings)
    if message.action == VERSION:
        return _reply(message, cgi, findings)
    if message.action == PROXY_REQUEST:
        return _relay(message, cgi, method, findings)
    if message.action == REQUEST:
        return _originate(message, cgi, findings)
    return _forward_response(message, cgi, findings)


def _argument(message: ScriptMessage, what: str) -> str:
    """The one argument of a CGI action line, behind which the version stands."""
    words = message.words
    hint = OWN_NEWLINE if "\\n" in message.text else f"write {message.action}, {what} and {VERSION} in one line"
    if len(words) < 3:
        missing = what if len(words) == 1 or words[1].capitals == VERSION else VERSION
        raise message.error(f"{missing} is missing", 1 if missing is what else 2, hint)
    if len(words) > 3:
        raise message.error(f"{VERSION} expected after {what}, not {words[2].text[:40]!r}", 2, hint)
    if words[2].capitals != VERSION:
        raise message.error(f"{VERSION} expected, not {words[2].text[:40]!r}", 2, hint)
    return words[1].text


def _reply(message: ScriptMessage, cgi: dict[str, Field], findings: Findings) -> Reply:
    """RFC 3050 5.6.1.1."""
    words = message.words
    if len(words) < 2 or _STATUS.fullmatch(words[1].text) is None:
        raise message.error("status code from 100 to 699 expected", 1, f"for example: {VERSION} 486 Busy Here")
    status = int(words[1].text)
    # the grammar has a reason phrase; a missing one gets the standard one
    phrase = message.text.rstrip(" \t").partition(words[1].text)[2].lstrip(" \t")
    if "\\n" in phrase:
        findings.warn(message, f"the reason phrase holds a backslash and an n: {OWN_NEWLINE}")
    return Reply(status, phrase or reason(status), _edits(message, cgi, findings), message.line)


def _relay(message: ScriptMessage, cgi: dict[str, Field], method: str, findings: Findings) -> Relay:
    """RFC 3050 5.6.1.2."""
    uri = _argument(message, "a URI")
    _check_uri(message)
    token, timeout = _token(cgi), _timeout(message, cgi, method, findings)
    return Relay(uri, _edits(message, cgi, findings), token, timeout, message.line)


def _check_uri(message: ScriptMessage) -> None:
    """Of the second word."""
    uri = message.words[1].text
    try:
        parse_uri(uri)
    except ParseError as error:
        hint = "write the URI without < and >" if uri[0] == "<" else "for example: sip:bob@example.com"
        raise message.error(str(error), 1, hint) from None


def _token(cgi: dict[str, Field]) -> str | None:
    """RFC 3050 5.6.2.1."""
    token = cgi.get("cgi-request-token")
    if token is None:
        return None
    if not is_token(token.value):
        raise token.error(f"not a token: {token.value[:40]!r}", "a token is letters, digits and any of -.!%*_+`'~")
    return token.value


def _timeout(message: ScriptMessage, cgi: dict[str, Field], method: str, findings: Findings) -> float | None:
    """Seconds: CGI-Timeout, or the Expires of an INVITE (RFC 3050 5.7)."""
    timeout = _seconds(cgi["cgi-timeout"]) if "cgi-timeout" in cgi else None
    expires = _expires(message, findings) if method == "INVITE" else None
    return min((limit for limit in (timeout, expires) if limit is not None), default=None)


def _originate(message: ScriptMessage, cgi: dict[str, Field], findings: Findings) -> Originate:
    """A request line (RFC 3050 3.1, 5.11.2): what the script leaves out the server makes."""
    method, uri = message.action_method, message.words[1].text
    _check_uri(message)
    token = _token(cgi)
    if token is None and (method in IN_DIALOG or method == "INVITE"):
        hint = "it names the dialog for the ACK of its 2xx, and for BYE" if method == "INVITE" else "that of its INVITE"
        raise message.error(f"{method} without CGI-Request-Token", 0, hint)
    headers: list[tuple[str, str]] = []
    printed: set[str] = set()
    for each in message.fields:
        name = each.canonical
        if name.startswith("cgi-") or name == "content-length" or (name == "content-type" and not message.body):
            continue
        if name in _NOT_PRINTED:
            raise each.error(f"a script cannot set {each.name}", "leave the field out: the server makes it")
        if name in _ONCE and name in printed:
            raise each.error(f"{each.name} a second time in one message")
        printed.add(name)
        _check_own_field(each, method)
        headers.append((each.name, each.value))
    timeout = _timeout(message, cgi, method, findings)
    return Originate(method, uri, Edits(headers, body=message.body or None), token, timeout, message.line)


def _check_own_field(each: Field, method: str) -> None:
    """Fields of a generated request that would make it wrong."""
    _check_value(each, again=False)
    if each.canonical == "cseq":
        try:
            right = CSeq.parse(each.value).method == method
        except ParseError:
            right = False
        if not right:
            raise each.error(f"{each.name}: a number and {method} expected", "leave the field out: the server makes it")
    if each.canonical == "to" and Address.parse(each.value).tag is not None:
        hint = "a request in a dialog is told by its CGI-Request-Token alone"
        raise each.error("a script cannot set the tag of To", hint)
    if each.canonical == "call-id" and not (each.value and each.value.isascii() and " " not in each.value):
        raise each.error(f"{each.name}: one word expected")


def _forward_response(message: ScriptMessage, cgi: dict[str, Field], findings: Findings) -> ForwardResponse:
    """RFC 3050 5.6.1.3."""
    token = _argument(message, "a response token")
    if token.lower() == "this":
        token = "this"
        findings.claims.append(Claim(token, [], message.line, message.words[1].column))
    return ForwardResponse(token, _edits(message, cgi, findings), message.line)


def read_cookie(message: ScriptMessage, findings: Findings) -> str:
    """RFC 3050 5.6.1.4, with more than a token in it. Raises ScriptError."""
    _cgi_fields(message, findings)
    _nothing_below(message, findings)
    cookie = _argument(message, "a cookie")
    if _COOKIE.fullmatch(cookie) is None:
        raise message.error("a cookie is visible ASCII", 1, "encode anything else, in base64 for one")
    if len(cookie) > MAX_COOKIE:
        raise message.error(f"a cookie has {MAX_COOKIE} octets at most", 1, "keep the data elsewhere, and its key here")
    return cookie


def read_again(message: ScriptMessage, findings: Findings) -> tuple[bool, WakeAfter | None]:
    """RFC 3050 5.6.1.5, and the timer of 3.6 below it. Raises ScriptError."""
    cgi = _cgi_fields(message, findings)
    _nothing_below(message, findings)
    word = _argument(message, "yes or no").lower()
    if word not in ("yes", "no"):
        raise message.error(f"yes or no expected, not {message.words[1].text[:40]!r}", 1, f"{AGAIN} yes {VERSION}")
    after = cgi.get("cgi-after")
    if after is None:
        return word == "yes", None
    seconds = _seconds(after)
    if word == "no":
        findings.warn(after, f"{after.name} ignored below {AGAIN} no")
        return False, None
    return True, WakeAfter(seconds, after.line)


# Header fields


def _cgi_fields(message: ScriptMessage, findings: Findings) -> dict[str, Field]:
    """The CGI header fields that mean something here, by canonical name (RFC 3050 5.6.2); all others are stripped."""
    found: dict[str, Field] = {}
    for each in message.fields:
        name = each.canonical
        if not name.startswith("cgi-"):
            continue
        if name not in _BELOW:
            near = get_close_matches(name, _BELOW, 1)
            meant = f"; did you mean {near[0].title().replace('Cgi', 'CGI')}?" if near else ""
            findings.warn(each, f"unknown CGI header field {each.name} ignored{meant}")
        elif message.action not in _BELOW[name]:
            findings.warn(each, f"{each.name} ignored below {message.action}")
        else:
            if name in found and name != "cgi-remove":
                findings.warn(each, f"{each.name} a second time: this one counts")
            found[name] = each
    return found


def _nothing_below(message: ScriptMessage, findings: Findings) -> None:
    """SIP header fields and bodies mean nothing below an action that sends no message."""
    if any(not each.canonical.startswith("cgi-") for each in message.fields):
        findings.warn(message, f"header fields below {message.action} ignored")


def _seconds(each: Field) -> float:
    if _SECONDS.fullmatch(each.value) is None or not (seconds := float(each.value)):
        raise each.error(f"{each.name}: not a time: {each.value[:40]!r}", "write seconds above 0 as a number, like 2.5")
    return seconds


def _expires(message: ScriptMessage, findings: Findings) -> float | None:
    """Seconds of the Expires field (RFC 3261 20.19)."""
    for each in message.fields:
        if each.canonical == "expires":
            try:
                return float(number(each.value))
            except ParseError:
                findings.warn(each, f"Expires sets no timeout: {each.value[:40]!r} is no number")
    return None


def _edits(message: ScriptMessage, cgi: dict[str, Field], findings: Findings) -> Edits:
    """The SIP header fields and the body below an action line."""
    headers: list[tuple[str, str]] = []
    claims: dict[str, Claim] = {}
    printed: set[str] = set()
    for each in message.fields:
        name = each.canonical
        if name.startswith("cgi-") or name == "content-length":
            continue  # the length is computed
        if name == "content-type" and message.body == b"":
            continue  # a body that is deleted takes it along
        if name in _CLAIMED:
            if name in claims:
                claims[name].values.append(each.value)
            else:
                claims[name] = Claim(name, [each.value], each.line, each.column)
            continue
        _check_value(each, again=name in printed)
        printed.add(name)
        headers.append((each.name, each.value))
    findings.claims += claims.values()
    remove = _removed(message, findings) - printed if "cgi-remove" in cgi else frozenset()
    return Edits(headers, frozenset(remove), message.body)


def _check_value(each: Field, *, again: bool) -> None:
    """Fields that the server itself reads must be right."""
    if again and each.canonical in ("from", "to", "max-forwards"):
        raise each.error(f"{each.name} a second time in one message", NO_BLANK_LINE)
    try:
        match each.canonical:
            case "from" | "to":
                Address.parse(each.value)
            case "record-route":
                Address.parse_list(each.value)
            case "route":
                routes = Address.parse_list(each.value)
                if not routes or any(type(route.uri) is not SipUri for route in routes):
                    raise ParseError("a list of SIP URIs expected")
            case "max-forwards":
                number(each.value, 255)
    except ParseError as error:
        hint = "the server reads this field itself; left out, it stays as it came"
        raise each.error(f"{each.name}: {error}", hint) from None


def _removed(message: ScriptMessage, findings: Findings) -> frozenset[str]:
    """Canonical names in CGI-Remove (RFC 3050 5.6.2.2)."""
    removed = set()
    for each in message.fields:
        if each.canonical != "cgi-remove":
            continue
        for element in each.value.split(","):
            name = element.strip(" \t")
            if not name:
                continue
            if not is_token(name):
                raise each.error(f"not a header field name: {name[:40]!r}", "names, with a comma between them")
            if canonical(name) in _KEPT:
                findings.warn(each, f"{name} cannot be removed")
            else:
                removed.add(canonical(name))
    return frozenset(removed)
