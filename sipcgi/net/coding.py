"""What stands between the octets of a connection and the messages in it, without any input or output of its own."""

from typing import Protocol

from sipcgi.sip.framing import Item, StreamFramer


class Ended(Exception):
    """The peer has ended the connection in its protocol, or has broken it. Caught in net/stream.

    `orderly`: it said goodbye as it should. What is to be said to it yet is in `Coding.answer`.
    """

    def __init__(self, reason: str, *, orderly: bool = False) -> None:
        super().__init__(reason)
        self.orderly = orderly


class Coding(Protocol):
    """One for each connection. After an Ended it is of no use any more."""

    @property
    def ready(self) -> bool:
        """Whether the handshake is over: before that no message can be sent."""

    @property
    def pending(self) -> bool:
        """Whether a handshake, or part of a message, waits for more octets."""

    @property
    def more(self) -> bool:
        """Whether octets wait at which `feed` has not looked yet, also when it gave nothing."""

    def feed(self, octets: bytes) -> list[Item]:
        """Takes what was received; gives what is complete, to be called again with b"" until there is nothing more.

        Also called once before anything was received. Raises MessageError, as StreamFramer does, and Ended.
        """

    def message(self, message: bytes) -> bytes:
        """The octets of a message, when `ready`. Raises Ended."""

    def answer(self) -> bytes:
        """Octets that the protocol itself has to send now, since the last call."""

    def probe(self) -> None:
        """Asks the peer for a sign of life, where the protocol can."""

    def close(self) -> None:
        """Says goodbye, where the protocol can."""


class Framed:
    """SIP messages one after the other and nothing else: the coding of TCP (RFC 3261 18.3)."""

    __slots__ = ("_framer", "feed")

    ready = True
    more = False

    def __init__(self) -> None:
        self._framer = StreamFramer()
        self.feed = self._framer.feed

    @property
    def pending(self) -> bool:
        return self._framer.pending

    def message(self, message: bytes) -> bytes:
        return message

    def answer(self) -> bytes:
        return b""

    def probe(self) -> None:
        pass

    def close(self) -> None:
        pass
