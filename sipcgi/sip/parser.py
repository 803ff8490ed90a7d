"""Octets to messages (RFC 3261 sections 7 and 18.3). Octets are split at CRLF and nowhere else."""

from __future__ import annotations

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.address import parse_address
from sipcgi.sip.grammar import MAX_DATAGRAM, MAX_HEAD, MAX_LINES, is_token, number
from sipcgi.sip.headers import KNOWN, SINGLE, Headers
from sipcgi.sip.message import CSeq, Message, Request, Response, named
from sipcgi.sip.via import KINDS as VIA_KINDS

# RFC 3261 8.1.1; Max-Forwards is not asked for, since RFC 2543 did not have it
_MANDATORY = frozenset({"via", "from", "to", "call-id", "cseq"})
_METHODS = frozenset(
    {"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "INFO", "MESSAGE"}
    | {"NOTIFY", "PRACK", "PUBLISH", "REFER", "SUBSCRIBE", "UPDATE"}
)


class MessageError(ParseError):
    """What `parse` and framing raise: a ParseError with the message as far as it was understood.

    `message` is the request, if it has a good Via and some From, To, Call-ID and CSeq, so that it can be answered.
    `content_length` is how long its body is, if that is certain: a stream can go on after it.
    """

    def __init__(self, error: ParseError, message: Request | None = None, content_length: int | None = None) -> None:
        super().__init__(str(error), status=error.status, header=error.header)
        self.message = message
        self.content_length = content_length

    @property
    def fatal(self) -> bool:
        """Whether a stream cannot go on: nobody knows where the message ends."""
        return self.content_length is None


KINDS = (KNOWN, Request, Response, Headers, CSeq, VIA_KINDS, parse_address)
"""What the compiled `plain_message` and `plain_head` make and look into."""


@compiled
def plain_message(_datagram: bytes, _kinds: object) -> Request | Response | None:
    """The message in a datagram if the compiled part takes it: one in which all that every message needs is plain."""
    return None


@compiled
def plain_head(_head: bytes, _kinds: object) -> tuple[Request | Response, int | None] | None:
    """What `parse_head` returns, in the same way."""
    return None


def parse(datagram: bytes) -> Request | Response:
    """The message in a datagram. Raises MessageError, a ParseError."""
    return plain_message(datagram, KINDS) or _parse(datagram)


def _parse(datagram: bytes) -> Request | Response:
    start = 0
    while datagram.startswith(b"\r\n", start):  # RFC 3261 7.5
        start += 2
    if len(datagram) > MAX_DATAGRAM:
        raise MessageError(ParseError("datagram too long", status=513))
    end = datagram.find(b"\r\n\r\n", start)
    if end < 0:
        raise _explained(ParseError("no empty line after the header fields"), _lines(datagram[start:]))
    message, length = _parse_head(datagram[start:end])
    body = datagram[end + 4 :]
    if length is not None and length != len(body):
        if length > len(body):  # RFC 3261 18.3
            error = ParseError("datagram shorter than its Content-Length", header="content-length")
            raise MessageError(error, answerable(message))
        body = body[:length]  # RFC 3261 18.3: what follows is discarded
    message.body = body
    return message


def parse_head(head: bytes) -> tuple[Request | Response, int | None]:
    """Start line and header fields, without the CRLFs that end them: a message without body, its Content-Length.

    Raises MessageError.
    """
    return plain_head(head, KINDS) or _parse_head(head)


def _parse_head(head: bytes) -> tuple[Request | Response, int | None]:
    if len(head) > 2 * MAX_LINES and (len(head) > MAX_HEAD or head.count(b"\r\n") > MAX_LINES):
        raise too_long(head)
    start_line, *lines = text = _lines(head)
    try:
        message = _start(start_line)
        message.headers = headers = Headers.parse(lines)
        names = set(headers.names)
        if not names >= _MANDATORY:
            missing = sorted(_MANDATORY - names)
            raise ParseError(f"no {', '.join(missing)}", header=missing[0])
        if len(headers.names) - len(names) >= headers.names.count("via"):  # there is more than Vias that occurs again
            _refuse_twice(headers)
        length = _content_length(headers)
        cseq = message.cseq
        if isinstance(message, Request) and cseq.method != message.method:
            raise ParseError("CSeq has another method", header="cseq")  # RFC 3261 8.1.1.5
    except ParseError as error:
        raise _explained(error, text) from None
    return message, length


def _lines(head: bytes) -> list[str]:
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        # a NUL could be quoted in a display name (RFC 3261 25.1), but in no environment variable
        raise MessageError(ParseError("CR, LF or NUL within a line"))
    return lines


def _content_length(headers: Headers) -> int | None:
    value = headers.get("content-length")
    try:
        return value if value is None else number(value)
    except ParseError as error:
        raise named(error, "content-length") from None


def _start(line: str) -> Request | Response:
    """Request-Line or Status-Line (RFC 3261 7.1, 7.2)."""
    if line[:8].upper() == "SIP/2.0 ":
        status, space, reason = line[8:].partition(" ")
        if not space or len(status) != 3 or not 100 <= (code := number(status)) <= 699:
            raise ParseError(f"bad status line {line[:80]!r}")
        return Response(code, reason, _EMPTY)
    words = line.split(" ")
    if len(words) != 3:
        raise ParseError(f"bad start line {line[:80]!r}")
    method, uri, version = words
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        if version[:4].upper() == "SIP/":
            raise ParseError(f"unknown version {version[:20]!r}", status=505)  # RFC 3261 21.5.6
        raise ParseError(f"bad start line {line[:80]!r}")
    if not uri or "\t" in uri or (method not in _METHODS and not is_token(method)):
        raise ParseError(f"bad request line {line[:80]!r}")
    return Request(method, uri, _EMPTY)


_EMPTY = Headers()


def _refuse_twice(headers: Headers) -> None:
    if max(map(headers.names.count, SINGLE)) > 1:
        name = next(name for name in headers.names if name in SINGLE and headers.count(name) > 1)
        raise ParseError(f"{name} more than once", header=name)


def too_long(head: bytes) -> MessageError:
    """What to raise for a head beyond the limit, of which only the beginning is looked into."""
    beginning = head[: max(head.rfind(b"\r\n", 0, MAX_DATAGRAM), 0)]
    error = _explained(ParseError("header fields too long", status=513), _lines(beginning))
    error.content_length = None
    return error


def _explained(error: ParseError, text: list[str]) -> MessageError:
    """The error with what can be made of the message: start line and lines of header fields."""
    start_line, *lines = text
    length = None
    try:
        headers = Headers.parse(lines)
        if headers.count("content-length") == 1:  # else nobody knows where the body ends
            length = _content_length(headers)
    except ParseError:
        pass
    method, _, rest = start_line.partition(" ")
    if start_line[:4].upper() == "SIP/":
        return MessageError(error, None, length)
    if not is_token(method) or "SIP/" not in rest.upper():
        return MessageError(error)  # not a peer that speaks SIP
    request = Request(method, rest.partition(" ")[0], Headers.salvage(lines))
    return MessageError(error, answerable(request), length)


def answerable(message: Message) -> Request | None:
    """The message, if it is a request that has all that its response must repeat (RFC 3261 8.2.6.2)."""
    if not isinstance(message, Request) or message.method == "ACK" or not set(message.headers.names) >= _MANDATORY:
        return None
    try:
        _ = message.via
    except ParseError:
        return None
    return message
