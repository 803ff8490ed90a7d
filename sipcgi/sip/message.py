"""Requests and responses: the fields as text, their typed values made on first use (RFC 3261 section 7)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Self

from sipcgi.errors import ParseError
from sipcgi.sip.address import Address, parse_address
from sipcgi.sip.grammar import is_token, number, split_list
from sipcgi.sip.headers import Headers
from sipcgi.sip.uri import Uri, parse_uri
from sipcgi.sip.via import Via


class CSeq(NamedTuple):
    """RFC 3261 20.16."""

    number: int
    method: str

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> CSeq:
        """Raises ParseError."""
        digits, _, method = text.partition(" ")
        if not is_token(method):
            digits, _, method = text.replace("\t", " ").partition(" ")
            method = method.lstrip(" ")
        if not is_token(method):
            raise ParseError(f"bad CSeq {text[:40]!r}", header="cseq")
        return cls(number(digits), method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class Message:
    """What requests and responses share.

    A message is never changed after it is made, with one exception: `replace_top_via`. The typed values raise
    ParseError, with the name of the field in its `header`, on each use while the field is missing or wrong.
    """

    __slots__ = (
        "_call_id",
        "_contacts",
        "_cseq",
        "_from",
        "_max_forwards",
        "_routes",
        "_to",
        "_via",
        "body",
        "headers",
    )

    def __init__(self, headers: Headers, body: bytes = b"") -> None:
        self.headers = headers
        self.body = body
        self._via: Via | None = None
        self._from: Address | None = None
        self._to: Address | None = None
        self._call_id: str | None = None
        self._cseq: CSeq | None = None
        self._max_forwards: int | None = None
        self._contacts: list[Address] | None = None
        self._routes: list[Address] | None = None

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    @property
    def via(self) -> Via:
        """The top Via."""
        via = self._via
        if via is None:
            value = self._value("via")
            try:
                if "," in value:
                    value = (split_list(value) or [""])[0]
                self._via = via = Via.parse(value)
            except ParseError as error:
                raise named(error, "via") from None
        return via

    @property
    def vias(self) -> list[Via]:
        """All Vias, the top one first."""
        try:
            return [Via.parse(element) for element in self.headers.elements("via")]
        except ParseError as error:
            raise named(error, "via") from None

    @property
    def from_(self) -> Address:
        address = self._from
        if address is None:
            self._from = address = self._address("from")
        return address

    @property
    def to(self) -> Address:
        address = self._to
        if address is None:
            self._to = address = self._address("to")
        return address

    @property
    def call_id(self) -> str:
        call_id = self._call_id
        if call_id is None:
            self._call_id = call_id = self._value("call-id")
        return call_id

    @property
    def cseq(self) -> CSeq:
        cseq = self._cseq
        if cseq is None:
            try:
                self._cseq = cseq = CSeq.parse(self._value("cseq"))
            except ParseError as error:
                raise named(error, "cseq") from None
        return cseq

    @property
    def max_forwards(self) -> int | None:
        """RFC 3261 20.22: 0 to 255; None without the field."""
        hops = self._max_forwards
        if hops is None and (value := self.headers.get("max-forwards")) is not None:
            try:
                self._max_forwards = hops = number(value, 255)
            except ParseError as error:
                raise named(error, "max-forwards") from None
        return hops

    @property
    def contacts(self) -> list[Address]:
        """All Contacts; a "*" (RFC 3261 10.2.2) is not an address: ask headers for it before."""
        if self._contacts is None:
            self._contacts = self._addresses("contact")
        return self._contacts

    @property
    def routes(self) -> list[Address]:
        if self._routes is None:
            self._routes = self._addresses("route")
        return self._routes

    @property
    def record_routes(self) -> list[Address]:
        return self._addresses("record-route")

    def _value(self, name: str) -> str:
        value = self.headers.get(name)
        if not value:
            raise ParseError(f"no {name}" if value is None else f"empty {name}", header=name)
        return value

    def _address(self, name: str) -> Address:
        try:
            return parse_address(self._value(name))
        except ParseError as error:
            raise named(error, name) from None

    def _addresses(self, name: str) -> list[Address]:
        try:
            return [parse_address(element) for element in self.headers.elements(name)]
        except ParseError as error:
            raise named(error, name) from None

    def replace_top_via(self, via: Via) -> None:
        """Puts `via` in place of the top one: received and rport of what just arrived (RFC 3261 18.2.1).

        The one change ever made to a message, by net/transport alone.
        """
        lines, at = self.headers.lines, self.headers.names.index("via")
        spelling, _, value = lines[at].partition(":")
        text = str(via)
        if "," in value:
            text = ", ".join([text, *split_list(self._value("via"))[1:]])
        lines[at] = f"{spelling}: {text}"
        self._via = via

    def copy(self) -> Self:
        """A message of its own, to be changed before anybody else sees it."""
        raise NotImplementedError

    def with_body(self, body: bytes) -> Self:
        """A copy with another body and the Content-Length that it needs."""
        message = self.copy()
        message.body = body
        message.headers.set("Content-Length", str(len(body)))
        return message

    def __bytes__(self) -> bytes:
        head = "\r\n".join([self.start_line, *self.headers.lines, "", ""])
        return head.encode("utf-8", "surrogateescape") + self.body

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.start_line}>"


class Request(Message):
    """A request (RFC 3261 7.1); `uri` is the Request-URI as text, `target` its typed value."""

    __slots__ = ("_target", "method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri
        self._target: Uri | None = None

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    @property
    def target(self) -> Uri:
        """The Request-URI. Raises ParseError."""
        if self._target is None:
            self._target = parse_uri(self.uri)
        return self._target

    def copy(self) -> Request:
        return Request(self.method, self.uri, self.headers.copy(), self.body)

    def with_(self, *, uri: str | None = None, headers: Headers | None = None, body: bytes | None = None) -> Request:
        """A copy with some parts changed; another body brings its Content-Length."""
        request = Request(
            self.method,
            self.uri if uri is None else uri,
            self.headers.copy() if headers is None else headers,
            self.body,
        )
        return request if body is None else request.with_body(body)

    def rerouted(self, headers: Headers, uri: str | None = None) -> Request:
        """The same with other Routes and perhaps another Request-URI: what else was parsed stays parsed."""
        request = Request(self.method, self.uri if uri is None else uri, headers, self.body)
        request._via, request._from, request._to = self._via, self._from, self._to
        request._call_id, request._cseq, request._max_forwards = self._call_id, self._cseq, self._max_forwards
        return request

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Request)
            and (self.method, self.uri, self.body) == (other.method, other.uri, other.body)
            and self.headers == other.headers
        )


class Response(Message):
    """A response (RFC 3261 7.2)."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def copy(self) -> Response:
        return Response(self.status, self.reason, self.headers.copy(), self.body)

    def with_(
        self,
        *,
        status: int | None = None,
        reason: str | None = None,
        headers: Headers | None = None,
        body: bytes | None = None,
    ) -> Response:
        """A copy with some parts changed; another body brings its Content-Length."""
        response = Response(
            self.status if status is None else status,
            self.reason if reason is None else reason,
            self.headers.copy() if headers is None else headers,
            self.body,
        )
        return response if body is None else response.with_body(body)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Response)
            and (self.status, self.reason, self.body) == (other.status, other.reason, other.body)
            and self.headers == other.headers
        )


def named(error: ParseError, header: str) -> ParseError:
    """The same error, saying in which field it was found."""
    if error.header is not None:
        return error
    return ParseError(f"{header}: {error}", status=error.status, header=header)
