"""A dialog that the server itself is in, and the requests it sends (RFC 3261 8.1.1, 12.1.2, 12.2)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sipcgi.errors import ParseError
from sipcgi.sip.address import Address, parse_address
from sipcgi.sip.headers import Headers, canonical
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri, parse_uri

REFRESHES_TARGET = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY"})  # RFC 3261 12.2, RFC 3311, RFC 6665
ALLOWED = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY"
_NOT_IN_TO = ("lr", "maddr", "method", "transport", "ttl")  # RFC 3261 19.1.1, table 1

Fields = Sequence[tuple[str, str]]


class Dialog:
    """Our side of it. `local` and `remote` are the values of From and To in our requests, with their tags."""

    __slots__ = ("call_id", "credentials", "local", "remote", "remote_sequence", "routes", "sequence", "target")

    def __init__(self, call_id: str, local: str, remote: str, routes: list[str], target: str) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.routes = routes
        self.target = target
        self.sequence = 0
        """Of the last request of ours."""
        self.remote_sequence: int | None = None
        self.credentials: Fields = ()
        """Of the INVITE: the ACK of its 2xx has the same (13.2.2.4)."""

    @classmethod
    def calling(cls, request: Request, answer: Response) -> Dialog:
        """What a response of 101 to 299 to `request` of ours, as it was sent, makes (12.1.2)."""
        ends = request.headers.get("from") or "", answer.headers.get("to") or ""
        routes = answer.headers.elements("record-route")[::-1]
        dialog = cls(request.call_id, *ends, routes, str(request.target))
        dialog.sequence = request.cseq.number
        with suppress(ParseError):  # a Contact that nobody can send to
            dialog.refresh(answer)
        return dialog

    @classmethod
    def called(cls, request: Request, answer: Response) -> Dialog:
        """What our own answer to `request` makes (12.1.1)."""
        ends = answer.headers.get("to") or "", request.headers.get("from") or ""
        # without a usable Contact perhaps the caller's address of record leads to it
        dialog = cls(request.call_id, *ends, request.headers.elements("record-route"), str(request.from_.uri))
        with suppress(ParseError):
            dialog.refresh(request)
        return dialog

    @property
    def remote_tag(self) -> str:
        return parse_address(self.remote).tag or ""

    def refresh(self, message: Request | Response) -> None:
        """Takes the Contact of a target refresh, either way (12.2.1.2, 12.2.2). Raises ParseError."""
        if contacts := message.contacts:
            self.target = str(contacts[0].uri)

    def accepts(self, request: Request) -> bool:
        """Whether a request of the peer is in order; a target refresh counts then (12.2.2). Raises ParseError."""
        number = request.cseq.number
        if self.remote_sequence is not None and number < self.remote_sequence:
            return False
        self.remote_sequence = number
        if request.method in REFRESHES_TARGET:
            self.refresh(request)
        return True

    def request(self, method: str, fields: Fields = (), body: bytes = b"") -> Request:
        """The next request of ours (12.2.1.1), `fields` in addition to those that the dialog itself has."""
        return self._made(method, self.next_number(), fields, body)

    def next_number(self) -> int:
        """The CSeq of the next request of ours."""
        self.sequence += 1
        return self.sequence

    def ack(self, number: int, fields: Fields = (), body: bytes = b"") -> Request:
        """Of a 2xx to the INVITE with that CSeq (13.2.2.4)."""
        return self._made("ACK", number, [*self.credentials, *fields], body)

    def _made(self, method: str, number: int, fields: Fields, body: bytes) -> Request:
        uri, routes = self.target, self.routes
        if routes and not _is_loose(routes[0]):  # a strict router: it gets itself as Request-URI
            uri, routes = str(parse_address(routes[0]).uri), [*routes[1:], f"<{uri}>"]
        headers = Headers([("Route", route) for route in routes])
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{number} {method}")
        return _with(headers, method, uri, fields, body)


def new_request(
    method: str, uri: str, fields: Fields = (), body: bytes = b"", *, host: str, tag: str, call_id: str
) -> Request:
    """A request outside of a dialog (8.1.1); of From, To, Call-ID and CSeq what `fields` leave out is made.

    `host` is who sends it, where nobody says otherwise. Raises ParseError.
    """
    printed = {canonical(name): value for name, value in fields}
    headers = Headers()
    from_ = Address.parse(printed.get("from") or f"<{'sips' if uri[:5].lower() == 'sips:' else 'sip'}:{host}>")
    headers.add("From", str(from_ if from_.tag else from_.with_params(from_.params.with_("tag", tag))))
    headers.add("To", printed.get("to") or f"<{_logical(uri)}>")
    headers.add("Call-ID", printed.get("call-id") or call_id)
    headers.add("CSeq", printed.get("cseq") or f"1 {method}")
    made = {"from", "to", "call-id", "cseq"}
    return _with(headers, method, uri, [each for each in fields if canonical(each[0]) not in made], body)


def _with(headers: Headers, method: str, uri: str, fields: Fields, body: bytes) -> Request:
    for name, value in fields:
        headers.add(name, value)
    if method == "INVITE" and "allow" not in headers:
        headers.add("Allow", ALLOWED)  # 13.2.1, 14.1
    headers.add("Content-Length", str(len(body)))
    return Request(method, uri, headers, body)


def _logical(text: str) -> str:
    """A Request-URI as the To of one who knows no better (8.1.1.2)."""
    uri = parse_uri(text)
    if type(uri) is not SipUri:
        return text
    return str(uri.with_(port=None, headers="", params=uri.params.without(*_NOT_IN_TO)))


def _is_loose(route: str) -> bool:
    try:
        uri = parse_address(route).uri
    except ParseError:
        return True  # whoever sends there finds out
    return type(uri) is not SipUri or "lr" in uri.params
