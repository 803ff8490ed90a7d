"""A connection of a stream transport: reading, framing, and writing that never makes the engine wait (RFC 3261 18)."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow
from sipcgi.net.intake import Intake
from sipcgi.sip.framing import PING, PONG, Item, KeepAlive, StreamFramer
from sipcgi.sip.parser import MessageError

IDLE = 300.0  # seconds without a message or keep-alive; RFC 3261 18 asks for 64*T1 at least
SILENT = 30.0  # the same for a connection on which nothing ever passed
HALF = 10.0  # seconds that the rest of a begun message may take
OPENING = 10.0  # seconds for connecting
STALLED = 30.0  # seconds that a peer may take no octets at all
MOST_UNSENT = 1024 * 1024  # octets that may wait for a slow peer
CHUNK = 16 * 1024  # octets read at once: about a millisecond of messages

Opener = Callable[[], Awaitable[tuple[trio.abc.Stream, socket.socket | None]]]


class Connection:
    """One connection. `unsent` is empty, or a task is about to send it; `used` tells whether anything ever passed.

    `lost` is called when it ends, with the reason if messages may have been lost by it.
    """

    __slots__ = (
        "begun",
        "broken",
        "direct",
        "error",
        "flow",
        "framer",
        "heard",
        "intake",
        "lost",
        "nursery",
        "scope",
        "stream",
        "unsent",
        "used",
    )

    def __init__(self, flow: Flow, intake: Intake, lost: Callable[["Connection", str | None], None]) -> None:
        self.flow = flow
        self.intake = intake
        self.lost = lost
        self.framer = StreamFramer()
        self.unsent = bytearray()
        self.stream: trio.abc.Stream | None = None
        self.direct: socket.socket | None = None
        self.nursery: trio.Nursery | None = None
        self.scope = trio.CancelScope()
        self.error: str | None = None
        self.broken = False
        self.used = False
        self.heard = self.begun = 0.0

    async def run(self, open_stream: Opener) -> None:
        """From opening to the end. `open_stream` gives the stream, and its socket if that takes octets directly."""
        try:
            with self.scope:
                await self.open(open_stream)
                if self.stream is not None:
                    async with trio.open_nursery() as self.nursery:
                        if self.unsent:
                            self.nursery.start_soon(self.flush)
                        await self.read(self.stream)
                        self.end("closed")
        finally:
            self.scope.cancel()
            self.lost(self, (self.error or "closed") if self.broken or self.unsent else None)
            if self.stream is not None:
                await trio.aclose_forcefully(self.stream)

    async def open(self, open_stream: Opener) -> None:
        try:
            with trio.fail_after(OPENING):
                self.stream, self.direct = await open_stream()
        except (OSError, trio.BrokenResourceError) as error:
            self.end(getattr(error, "strerror", None) or str(error), broken=True)
        except trio.TooSlowError:
            self.end("no connection in time", broken=True)

    async def read(self, stream: trio.abc.Stream) -> None:
        """Until the peer ends it, breaks the rules, or is silent for too long."""
        self.heard = trio.current_time()
        while True:
            data = None
            with trio.move_on_at(self.deadline()):
                try:
                    data = await stream.receive_some(CHUNK)
                except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    self.end(str(error), broken=True)
            if data is None:
                if trio.current_time() >= self.deadline():
                    return
                continue  # something was sent meanwhile
            if not data or not self.fed(bytes(data)):
                return

    def deadline(self) -> float:
        """When the connection ends unless more comes."""
        if self.framer.pending:
            return self.begun + HALF
        return self.heard + (IDLE if self.used else SILENT)

    def fed(self, data: bytes) -> bool:
        """Hands over what is complete; False when the stream cannot be understood any more."""
        now = trio.current_time()
        self.heard = now
        if not self.framer.pending:
            self.begun = now
        while True:  # feed gives what comes before an error, and then the error
            try:
                items = self.framer.feed(data)
            except MessageError as error:
                self.intake.unparsable(error, self.flow)
                if error.fatal:
                    self.end(str(error))
                    return False
                items = None
            if items == []:
                return True
            for item in items or ():
                self.handle(item)
            self.begun = now
            data = b""

    def handle(self, item: Item) -> None:
        if item is PING:
            with suppress(Unreachable):
                self.send(PONG.value)  # RFC 5626 4.4.1
        elif not isinstance(item, KeepAlive):
            self.used = True
            self.intake.message(item, self.flow)

    def send(self, data: bytes) -> None:
        """At once if the kernel takes it, else in the background. Raises Unreachable."""
        if self.scope.cancel_called:
            raise Unreachable(f"{self.flow.remote}: {self.error or 'closed'}")
        sent, self.used, self.heard = 0, True, trio.current_time()
        if not self.unsent and self.direct is not None:
            try:
                sent = self.direct.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                self.end(error.strerror or "broken", broken=True)
                raise Unreachable(f"{self.flow.remote}: {error.strerror}") from error
            if sent == len(data):
                return
        if len(self.unsent) > MOST_UNSENT:
            self.end("takes its messages too slowly", broken=True)
            raise Unreachable(f"{self.flow.remote}: {self.error}")
        if not self.unsent and self.nursery is not None:
            self.nursery.start_soon(self.flush)
        self.unsent += data[sent:]

    async def flush(self) -> None:
        assert self.stream is not None
        try:
            while self.unsent:
                chunk = bytes(self.unsent[:CHUNK])
                with trio.fail_after(STALLED):
                    await self.stream.send_all(chunk)
                del self.unsent[: len(chunk)]
                self.heard = trio.current_time()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.end(str(error), broken=True)
        except trio.TooSlowError:
            self.end("takes its messages too slowly", broken=True)

    def end(self, reason: str, *, broken: bool = False) -> None:
        """`broken` when what was sent may not have arrived, nor what is awaited come any more (RFC 3261 18.4)."""
        if not self.scope.cancel_called:
            self.error, self.broken = reason, broken
            self.scope.cancel()
