"""Requests and responses: the fields as text, their typed values made on first use (RFC 3261 section 7)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, Self

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.address import Address, parse_address
from sipcgi.sip.grammar import is_token, number, split_list
from sipcgi.sip.headers import Headers
from sipcgi.sip.lazy import lazy
from sipcgi.sip.uri import Uri, parse_uri
from sipcgi.sip.via import Via, parse_via


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


@compiled
class Octets:
    """A message with its start line and its header fields, as it goes onto the wire."""

    __slots__ = ()

    def __bytes__(self: Any) -> bytes:
        head: str = "\r\n".join([self.start_line, *self.headers.lines, "", ""])
        body: bytes = self.body
        return head.encode("utf-8", "surrogateescape") + body


class Message(Octets):
    """What requests and responses share.

    A message is never changed after it is made, with one exception: `replace_top_via`. The typed values raise
    ParseError, with the name of the field in its `header`, on each use while the field is missing or wrong.
    """

    headers: Headers
    body: bytes
    _parse_via: Callable[[str], Via] = staticmethod(Via.parse)

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    @lazy
    def via(self) -> Via:
        """The top Via."""
        value = self.headers.get("via") or self._missing("via")
        try:
            if "," in value:
                value = (split_list(value) or [""])[0]
            return self._parse_via(value)
        except ParseError as error:
            raise named(error, "via") from None

    @lazy
    def relayed(self) -> bool:
        """Whether it came through somebody else: more than one Via. Raises ParseError."""
        return not self.headers.one_via and len(self.vias) > 1

    @property
    def vias(self) -> list[Via]:
        """All Vias, the top one first."""
        try:
            return [Via.parse(element) for element in self.headers.elements("via")]
        except ParseError as error:
            raise named(error, "via") from None

    @lazy
    def from_(self) -> Address:
        return self._address("from")

    @lazy
    def to(self) -> Address:
        return self._address("to")

    @lazy
    def call_id(self) -> str:
        return self.headers.get("call-id") or self._missing("call-id")

    @lazy
    def cseq(self) -> CSeq:
        try:
            return CSeq.parse(self.headers.get("cseq") or self._missing("cseq"))
        except ParseError as error:
            raise named(error, "cseq") from None

    @lazy
    def max_forwards(self) -> int | None:
        """RFC 3261 20.22: 0 to 255; None without the field."""
        value = self.headers.get("max-forwards")
        try:
            return value if value is None else number(value, 255)
        except ParseError as error:
            raise named(error, "max-forwards") from None

    @lazy
    def contacts(self) -> list[Address]:
        """All Contacts; a "*" (RFC 3261 10.2.2) is not an address: ask headers for it before."""
        return self._addresses("contact")

    @lazy
    def routes(self) -> list[Address]:
        return self._addresses("route")

    @property
    def record_routes(self) -> list[Address]:
        return self._addresses("record-route")

    def _missing(self, name: str) -> NoReturn:
        raise ParseError(f"{'no' if name not in self.headers else 'empty'} {name}", header=name)

    def _address(self, name: str) -> Address:
        try:
            return parse_address(self.headers.get(name) or self._missing(name))
        except ParseError as error:
            raise named(error, name) from None

    def _addresses(self, name: str) -> list[Address]:
        value = self.headers.sole(name)
        try:
            if value:
                return [parse_address(value)]
            if name not in self.headers.names:
                return []
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
            text = ", ".join([text, *split_list(self.headers.get("via") or "")[1:]])
        lines[at] = f"{spelling}: {text}"
        self.via = via

    def copy(self) -> Self:
        """A message of its own, to be changed before anybody else sees it."""
        raise NotImplementedError

    def with_body(self, body: bytes) -> Self:
        """A copy with another body and the Content-Length that it needs."""
        message = self.copy()
        message.body = body
        message.headers.set("Content-Length", str(len(body)))
        return message

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.start_line}>"


class Request(Message):
    """A request (RFC 3261 7.1); `uri` is the Request-URI as text, `target` its typed value."""

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        self.method = method
        self.uri = uri
        self.headers = headers
        self.body = body

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    @lazy
    def target(self) -> Uri:
        """The Request-URI. Raises ParseError."""
        return parse_uri(self.uri)

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
        request = Request.__new__(Request)
        known = request.__dict__
        known.update(self.__dict__)
        known.pop("routes", None)
        request.headers = headers
        if uri is not None:
            request.uri = uri
            known.pop("target", None)
        return request

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Request)
            and (self.method, self.uri, self.body) == (other.method, other.uri, other.body)
            and self.headers == other.headers
        )


class Response(Message):
    """A response (RFC 3261 7.2)."""

    _parse_via = staticmethod(parse_via)  # a request has a Via of its own, but those that answer it the same

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

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
