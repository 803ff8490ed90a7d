"""Messages that a caller or a callee might send, made of a few words about them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sipcgi.engine.upstream import LARGEST_DATAGRAM
from sipcgi.errors import ParseError
from sipcgi.offline.stage import CALLER
from sipcgi.sip import build
from sipcgi.sip.address import Address
from sipcgi.sip.framing import StreamFramer
from sipcgi.sip.grammar import is_token
from sipcgi.sip.headers import Headers, canonical
from sipcgi.sip.message import Message, Request, Response
from sipcgi.sip.parser import parse
from sipcgi.sip.uri import SipUri, parse_uri

BOB = "sip:bob@example.com"
ALICE = "sip:alice@example.com"
_LENGTH = re.compile(rb"(?im)^((?:Content-Length|l)[ \t]*:)[^\r\n]*")
_WITH_CONTACT = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY", "UPDATE", "REGISTER"})


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a request; the rest is filled in."""

    method: str = "INVITE"
    uri: str = ""
    from_: str = ALICE
    to: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def request(self) -> Request:
        """A request that a phone might send. Raises ParseError for what makes no message."""
        to = self.to or self.uri or (self.from_ if self.method == "REGISTER" else BOB)
        callee = Address.parse(to).uri
        uri = self.uri or (_registrar(callee) if self.method == "REGISTER" else str(callee))
        parse_uri(uri)
        if not is_token(self.method):
            raise ParseError(f"no method: {self.method[:40]!r}")
        headers = Headers(
            [
                ("Via", f"SIP/2.0/UDP {CALLER};branch=z9hG4bK-caller;rport"),
                ("Max-Forwards", "70"),
                ("From", _tagged(self.from_)),
                ("To", _shown(to)),
                ("Call-ID", "call@caller"),
                ("CSeq", f"1 {self.method}"),
            ]
        )
        if self.method in _WITH_CONTACT:
            headers.add("Contact", f"<sip:{_user(self.from_)}{CALLER}>")
        describe(headers, self.body, self.headers)
        headers.remove("content-length")
        headers.add("Content-Length", str(len(self.body)))
        request = Request(self.method, uri, headers, self.body)
        if len(bytes(request)) > LARGEST_DATAGRAM:
            headers.set("Via", f"SIP/2.0/TCP {CALLER};branch=z9hG4bK-caller;rport")
        return request


def registration(aor: str, contacts: tuple[str, ...]) -> Request:
    """The REGISTER of a user@host with these contacts: URIs, or `<URI>;q=0.5`. Raises ParseError."""
    for contact in contacts:
        Address.parse(contact)
    fields = tuple(("Contact", _shown(contact)) for contact in contacts)
    return Words("REGISTER", from_=f"sip:{aor}", headers=fields).request()


def add(headers: Headers, fields: Iterable[tuple[str, str]]) -> None:
    """Adds fields; the first of a name that is there already takes the place of what was there. Raises ParseError."""
    seen: set[str] = set()
    for name, value in fields:
        found = canonical(name)
        if found in seen:
            headers.add(name, value)
        else:
            headers.set(name, value)
        seen.add(found)


def describe(headers: Headers, body: bytes, fields: Iterable[tuple[str, str]]) -> None:
    """Adds fields as `add` does, and what the body is where they do not tell. Raises ParseError."""
    add(headers, fields)
    if body and "content-type" not in headers:
        headers.add("Content-Type", "application/sdp" if body.startswith(b"v=0") else "text/plain")


def field(text: str) -> tuple[str, str]:
    """`Name: value`. Raises ParseError."""
    name, colon, value = text.partition(":")
    if not colon or not is_token(name.strip()):
        raise ParseError(f"not of the form 'Name: value': {text[:60]!r}")
    return name.strip(), value.strip()


def message(octets: bytes) -> Message:
    """A raw message as people write it into a file: LF may end its lines, and its body be of another length than told.

    Raises ParseError.
    """
    octets = octets.lstrip(b"\r\n")
    head, blank, body = octets.partition(b"\r\n\r\n")
    if not blank:
        head, blank, body = octets.partition(b"\n\n")
        head = head.replace(b"\r\n", b"\n").rstrip(b"\n").replace(b"\n", b"\r\n")
        body = body if b"\r\n" in body else body.replace(b"\n", b"\r\n")
    head, found = _LENGTH.subn(rb"\g<1> %d" % len(body), head)
    if len(head) + len(body) <= LARGEST_DATAGRAM:
        return parse(head + b"\r\n\r\n" + body)
    if not found:  # on a stream it must be there
        head += b"\r\nContent-Length: %d" % len(body)
    for large in StreamFramer().feed(head + b"\r\n\r\n" + body):
        if isinstance(large, Response) or (isinstance(large, Request) and large.via.transport != "UDP"):
            return large
    raise ParseError("fits into no datagram: let its Via say TCP")


def response(
    request: Request, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    """A response of the phone that a request went to. Raises ParseError."""
    made = build.response(request, status, reason or None, to_tag="callee", body=body)
    if status < 300 and status > 100 and request.method in _WITH_CONTACT:
        made.headers.add("Contact", f"<{request.uri}>")
    describe(made.headers, body, headers)
    return made


def answer(request: Request, told: Response) -> Response:
    """A response that somebody wrote down, as one to `request`."""
    made = build.response(request, told.status, told.reason, to_tag=told.to.tag or "callee", body=told.body)
    kept = {"via", "from", "to", "call-id", "cseq", "content-length", "record-route"}
    for name, value in told.headers:
        if canonical(name) not in kept:
            made.headers.add(name, value)
    return made


def _tagged(address: str) -> str:
    return _shown(address) if Address.parse(address).tag else f"{_shown(address)};tag=caller"


def _shown(address: str) -> str:
    """A bare URI in < and >."""
    return address if "<" in address else f"<{address}>"


def _user(address: str) -> str:
    uri = Address.parse(address).uri
    return f"{uri.user}@" if isinstance(uri, SipUri) and uri.user else ""


def _registrar(uri: object) -> str:
    """RFC 3261 10.2: the Request-URI of a REGISTER has no user."""
    return f"{uri.scheme}:{uri.host}" if isinstance(uri, SipUri) else str(uri)
