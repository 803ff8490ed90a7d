"""What a script may change in a message, and how it is spliced in (RFC 3050 5.6.1.2, 5.6.2.2)."""

from __future__ import annotations

from sipcgi.errors import ParseError, ScriptError
from sipcgi.service import Edits
from sipcgi.sip.address import Address
from sipcgi.sip.grammar import is_token, number, split_list
from sipcgi.sip.headers import SINGLE, Headers, canonical
from sipcgi.sip.message import CSeq, Message, Request
from sipcgi.sip.uri import SipUri

FIXED = frozenset({"via", "call-id", "cseq"})
"""Fields of which a script may print no other value."""

SPARED = FIXED | {"from", "to", "max-forwards", "content-length"}
"""Fields that CGI-Remove spares: without them there is no message (RFC 3261 8.1.1)."""


def is_empty(edits: Edits | None) -> bool:
    """Whether there is nothing to change."""
    return edits is None or not (edits.headers or edits.remove or edits.body is not None)


def edited(message: Message, edits: Edits) -> tuple[Headers, bytes, set[str]]:
    """Header fields and body of `message` after the edits, and the canonical names that the script printed.

    Fields that the script does not touch stay octet by octet. Those it prints replace all of their name, where the
    first stood; new ones come after the Vias. Raises ScriptError for what it may not do.
    """
    printed = _printed(message, edits)
    removed = edits.remove - SPARED
    body = message.body
    if edits.body is not None:
        body = edits.body
        if not body:  # a deleted body takes its Content-Type with it
            printed.pop("content-type", None)
            removed |= {"content-type"}
    headers = _splice(message.headers, printed, removed)
    if edits.body is not None:
        headers.set("Content-Length", str(len(body)))
    return headers, body, set(printed)


def after_vias(names: list[str]) -> int:
    """Where new fields go: after the last Via, before all others (RFC 3050 5.6.1.2)."""
    return len(names) - names[::-1].index("via") if "via" in names else 0


def _splice(headers: Headers, printed: dict[str, list[str]], removed: frozenset[str]) -> Headers:
    touched = removed or not printed.keys().isdisjoint(headers.names)
    names: list[str] = [] if touched else headers.names.copy()
    lines: list[str] = [] if touched else headers.lines.copy()
    done = set()
    for name, line in zip(headers.names, headers.lines, strict=True) if touched else ():
        if name in printed:
            if name not in done:
                done.add(name)
                fields = printed[name]
                names += [name] * len(fields)
                lines += fields
        elif name not in removed:
            names.append(name)
            lines.append(line)
    at = after_vias(names)
    new = [(name, line) for name, fields in printed.items() if name not in done for line in fields]
    names[at:at] = [name for name, _ in new]
    lines[at:at] = [line for _, line in new]
    return Headers.of(names, lines)


def _printed(message: Message, edits: Edits) -> dict[str, list[str]]:
    """The fields to put in, by canonical name. Raises ScriptError."""
    printed: dict[str, list[str]] = {}
    fixed: dict[str, list[str]] = {}
    for name, value in edits.headers:
        if not is_token(name) or "\r" in value or "\n" in value or "\0" in value:
            raise ScriptError(f"not a header field: {name[:40]!r}")
        found = canonical(name)
        if found == "content-length":
            continue  # it is computed
        if found in FIXED:
            fixed.setdefault(found, []).append(value)
            continue
        if found in printed and found in SINGLE:
            raise ScriptError(f"{name} more than once")
        if found in ("from", "to"):
            if not isinstance(message, Request):
                continue  # RFC 3261 8.2.6.2: in a response they are those of the request
            value = _keeping_tag(message, name, found, value)
        elif found == "route" or found == "max-forwards":
            _check(name, found, value)
        printed.setdefault(found, []).append(f"{name}: {value}")
    for found, values in fixed.items():
        if not _same(message, found, values):
            raise ScriptError(
                f"{found} may not be changed", hint="Via, Call-ID and CSeq are the server's: leave them out"
            )
    return printed


def _same(message: Message, name: str, values: list[str]) -> bool:
    """Whether what a script printed of a fixed field is what the message has."""
    try:
        if name == "via":
            return [one for value in values for one in split_list(value)] == message.headers.elements("via")
        if name == "cseq":
            return all(CSeq.parse(value) == message.cseq for value in values)
    except ParseError:
        return False
    return all(value.strip(" \t") == message.call_id for value in values)


def _keeping_tag(request: Request, name: str, found: str, value: str) -> str:
    """The From or To of the script with the tag of the request, or with none where that has none."""
    tag = (request.from_ if found == "from" else request.to).tag
    try:
        address = Address.parse(value)
    except ParseError as error:
        raise ScriptError(f"bad {name}: {error}") from None
    if address.tag == tag:
        return value
    params = address.params.without("tag")
    return str(address.with_params(params if tag is None else params.with_("tag", tag)))


def _check(name: str, found: str, value: str) -> None:
    """The fields that forwarding looks into must parse."""
    try:
        if found == "max-forwards":
            number(value.strip(" \t"), 255)
            return
        routes = Address.parse_list(value)
    except ParseError as error:
        raise ScriptError(f"bad {name}: {error}") from None
    if not routes or any(type(route.uri) is not SipUri for route in routes):
        raise ScriptError(f"bad {name}: a list of SIP URIs is expected")
