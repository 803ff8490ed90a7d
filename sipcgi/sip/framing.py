"""Messages out of a stream, however it is cut into pieces (RFC 3261 18.3, RFC 5626 4.4.1)."""

from __future__ import annotations

from enum import Enum

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_HEAD, MAX_STREAM_MESSAGE
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import MessageError, answerable, parse_head, too_long


class KeepAlive(Enum):
    """What a peer sends between messages to keep the connection open (RFC 5626 4.4.1)."""

    PING = b"\r\n\r\n"
    """To be answered by a PONG."""
    PONG = b"\r\n"


PING = KeepAlive.PING
PONG = KeepAlive.PONG

Item = Request | Response | KeepAlive


class StreamFramer:
    """One for each connection.

    `feed` gives what is complete, up to the first error; the next `feed`, also one of b"", raises that. A fatal error
    means that nobody knows where the message ends: answer it and close. After another a further `feed` goes on.
    A lone CRLF is known to be a PONG only when something else than a CRLF has come after it.
    """

    __slots__ = ("_buffer", "_error", "_length", "_message", "_scanned", "_skip")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        """Before here no empty line begins in the buffer."""
        self._message: Request | Response | None = None
        """Waits for its body of `_length` octets."""
        self._length = 0
        self._skip = 0
        """Octets to come of the body of a message that was an error."""
        self._error: MessageError | None = None

    @property
    def pending(self) -> bool:
        """Whether part of a message, or an error, waits; not for a CRLF alone."""
        begun = bool(self._buffer) and not self._buffer.startswith(b"\r")
        return begun or self._message is not None or self._error is not None or self._skip > 0

    def feed(self, data: bytes) -> list[Item]:
        """Takes what was received. Raises MessageError, a ParseError; a fatal one at every further call."""
        items: list[Item] = []
        self._buffer += data
        if self._error is None:
            try:
                while (item := self._next()) is not None:
                    items.append(item)
            except MessageError as error:
                self._error = error
        found = self._error
        if found is not None:
            if found.fatal:
                self._buffer.clear()
            if not items:
                if not found.fatal:
                    self._error = None
                raise found
        return items

    def _next(self) -> Item | None:
        buffer = self._buffer
        if self._skip:
            skipped = min(self._skip, len(buffer))
            del buffer[:skipped]
            self._skip -= skipped
        if self._message is None:
            if buffer.startswith(b"\r\n"):  # never while octets are to be skipped: then the buffer is empty
                return self._keep_alive()
            self._message = self._head()
        message, length = self._message, self._length
        if message is None or len(buffer) < length:
            return None
        self._message = None
        message.body = bytes(buffer[:length])
        del buffer[:length]
        return message

    def _keep_alive(self) -> KeepAlive | None:
        """RFC 3261 7.5: CRLFs before a start line belong to no message."""
        buffer = self._buffer
        if len(buffer) == 2 or (len(buffer) == 3 and buffer.endswith(b"\r")):
            return None
        kind = PING if buffer.startswith(PING.value) else PONG
        del buffer[: len(kind.value)]
        return kind

    def _head(self) -> Request | Response | None:
        """The message whose start line and header fields are complete, without its body."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._scanned)
        if end > MAX_HEAD or (end < 0 and len(buffer) > MAX_HEAD + 3):
            raise too_long(bytes(buffer[:MAX_HEAD]))
        if end < 0:
            self._scanned = max(len(buffer) - 3, 0)
            return None
        head = bytes(buffer[:end])
        del buffer[: end + 4]
        self._scanned = 0
        try:
            message, length = parse_head(head)
        except MessageError as error:
            if error.content_length is not None and end + error.content_length > MAX_STREAM_MESSAGE:
                error.content_length = None
            self._skip = error.content_length or 0
            raise
        if length is None:
            # RFC 3261 18.3, 20.14: on a stream nothing else says where the body ends
            missing = ParseError("no Content-Length", header="content-length")
            raise MessageError(missing, answerable(message))
        if end + length > MAX_STREAM_MESSAGE:
            raise MessageError(ParseError("message too long", status=513), answerable(message))
        self._length = length
        return message
