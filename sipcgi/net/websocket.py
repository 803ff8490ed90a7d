"""WebSocket as a transport for SIP, the server's side (RFC 7118; RFC 6455 for the protocol itself, by wsproto).

Any path and any Origin is welcome: a page of whatever site may connect, as any other program may.
"""

from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, RejectConnection, Request
from wsproto.events import Message as Fragment
from wsproto.events import TextMessage as TextFragment
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from sipcgi.errors import ParseError
from sipcgi.net.coding import Ended
from sipcgi.sip.framing import PING, PONG, Item
from sipcgi.sip.grammar import MAX_DATAGRAM, MAX_STREAM_MESSAGE
from sipcgi.sip.message import Request as SipRequest
from sipcgi.sip.message import Response as SipResponse
from sipcgi.sip.parser import MessageError, answerable, parse, parse_head

SUBPROTOCOL = "sip"
MAX_HANDSHAKE = 16 * 1024  # octets of the HTTP request
_GET = b"GET "
_END = b"\r\n\r\n"
_REASONS = {400: "Bad Request", 426: "Upgrade Required", 431: "Request Header Fields Too Large"}


class WebSocket:
    """A coding: the HTTP handshake, then one SIP message in each WebSocket message (RFC 7118 section 5)."""

    __slots__ = ("_fragments", "_http", "_outgoing", "_within", "_ws")

    more = False

    def __init__(self) -> None:
        self._ws = WSConnection(ConnectionType.SERVER)
        self._http = bytearray()
        self._outgoing = b""
        self._fragments = bytearray()
        self._within = False
        """Whether more fragments of the same message are to come."""

    @property
    def ready(self) -> bool:
        return self._ws.state is ConnectionState.OPEN

    @property
    def pending(self) -> bool:
        return self._within or not self.ready

    def feed(self, octets: bytes) -> list[Item]:
        if self._ws.connection is None:
            octets = self._shake(octets)
            if not self.ready:
                return []
        self._ws.receive_data(octets)
        for event in self._ws.events():  # one message at a time: what its reader sends comes before our goodbye
            item = self._happened(event)
            if item is not None:
                return [item]
        return []

    # The handshake

    def _shake(self, octets: bytes) -> bytes:
        """Answers the HTTP request when it is complete; gives what came after it. RFC 6455 4.2, RFC 7118 4.1."""
        http = self._http
        http += octets
        if not http.startswith(_GET[: len(http)]):
            raise self._refused(400, "a WebSocket begins with GET")
        end = http.find(_END)
        if end < 0:
            if len(http) > MAX_HANDSHAKE:
                raise self._refused(431, "the HTTP request is too long")
            return b""
        end += len(_END)
        try:
            self._ws.receive_data(bytes(http[:end]))
            request = next(self._ws.events())
        except RemoteProtocolError as error:
            hint = error.event_hint
            wanted = b"\r\nupgrade:" in http[:end].lower()
            status = hint.status_code if wanted and isinstance(hint, RejectConnection) else 426
            raise self._refused(status, str(error)) from error
        except UnicodeError as error:  # of a Host, or of a list that is not ASCII
            raise self._refused(400, "the HTTP request does not parse") from error
        assert isinstance(request, Request)
        if SUBPROTOCOL not in request.subprotocols:  # RFC 7118 4.1: the client MUST ask for it
            raise self._refused(400, "there is no 'sip' in Sec-WebSocket-Protocol")
        self._outgoing += self._ws.send(AcceptConnection(subprotocol=SUBPROTOCOL))
        rest = bytes(http[end:])
        http.clear()
        return rest

    def _refused(self, status: int, reason: str) -> Ended:
        """RFC 6455 4.2.2 and 4.4: the answer to what is no handshake that we understand."""
        text = f"This is a WebSocket server for SIP (RFC 7118): {reason}\r\n"
        self._outgoing += (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Refused')}\r\n"
            "Connection: Upgrade, close\r\n"
            "Upgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Content-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\n\r\n{text}"
        ).encode()
        return Ended(f"no WebSocket handshake: {reason}")

    # Messages

    def _happened(self, event: Event) -> Item | None:
        """Raises MessageError and Ended."""
        if isinstance(event, Fragment):
            return self._fragment(event)
        if isinstance(event, Ping):  # RFC 6455 5.5.2
            self._outgoing += self._ws.send(event.response())
        elif isinstance(event, CloseConnection):
            broken = self._ws.state is ConnectionState.OPEN  # then it is wsproto that asks for it
            self._outgoing += self._ws.send(event if broken else event.response())  # RFC 6455 5.5.1
            raise Ended(event.reason or "broken" if broken else "closed", orderly=not broken)
        return None

    def _fragment(self, event: Fragment[Any]) -> Item | None:
        data = event.data
        self._fragments += data.encode() if isinstance(data, str) else data  # RFC 7118 4.2: both MUST be accepted
        if len(self._fragments) > MAX_STREAM_MESSAGE:
            self._outgoing += self._ws.send(CloseConnection(CloseReason.MESSAGE_TOO_BIG, "message too long"))
            raise Ended("message too long")
        self._within = not event.message_finished
        if self._within:
            return None
        octets = bytes(self._fragments)
        self._fragments.clear()
        if not octets.strip(b"\r\n"):
            return PING if octets == PING.value else PONG  # RFC 7118 section 6, RFC 5626 4.4.1
        return _message(octets)

    def message(self, message: bytes) -> bytes:
        try:
            return self._ws.send(_fragment(message))
        except LocalProtocolError as error:
            raise Ended("closed") from error

    def answer(self) -> bytes:
        octets, self._outgoing = self._outgoing, b""
        return octets

    def probe(self) -> None:
        if self.ready:  # RFC 7118 section 6
            self._outgoing += self._ws.send(Ping())

    def close(self) -> None:
        if self.ready:
            self._outgoing += self._ws.send(CloseConnection(CloseReason.GOING_AWAY))


def _fragment(message: bytes) -> Event:
    """Text where it can be, for that is what browsers like; else binary (RFC 7118 4.2)."""
    try:
        return TextFragment(message.decode())
    except UnicodeDecodeError:
        return BytesMessage(message)


def _message(octets: bytes) -> SipRequest | SipResponse:
    """The message in a WebSocket message. Raises MessageError, which is never fatal: the next one is not touched."""
    try:
        head, end, body = octets.lstrip(b"\r\n").partition(_END)
        if not end:
            return parse(octets[:MAX_DATAGRAM])  # which says what is missing
        message, length = parse_head(head)
        if length is None:  # RFC 7118 section 5: not necessary, but where it goes next it may be (RFC 3261 20.14)
            message.headers.add("Content-Length", str(len(body)))
        elif length > len(body):
            error = ParseError("message shorter than its Content-Length", header="content-length")
            raise MessageError(error, answerable(message))
        message.body = body[:length]
        return message
    except MessageError as error:
        error.content_length = 0
        raise
