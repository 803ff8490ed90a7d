"""A connection of a stream transport: reading, framing, and writing that never makes the engine wait (RFC 3261 18)."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import perf_counter

import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow
from sipcgi.net.coding import Coding, Ended, Framed
from sipcgi.net.intake import Intake
from sipcgi.sip.framing import PING, PONG, Item, KeepAlive
from sipcgi.sip.parser import MessageError

IDLE = 300.0  # seconds without a message or keep-alive; RFC 3261 18 asks for 64*T1 at least
SILENT = 30.0  # the same for a connection on which nothing ever passed
HALF = 10.0  # seconds that the rest of a begun message may take
OPENING = 10.0  # seconds for connecting
HANDSHAKE = 5.0  # seconds for all that TLS and WebSocket have to say before the first message
PROBE = 45.0  # seconds of silence before the peer is asked for a sign of life: proxies of HTTP often wait for 60
STALLED = 30.0  # seconds that a peer may take no octets at all
MOST_UNSENT = 1024 * 1024  # octets that may wait for a slow peer
MOST_HELD = 1000  # messages that may wait for the end of a handshake
CHUNK = 16 * 1024  # octets read at once
SLICE = 1024  # octets looked at in one go, for they may be hundreds of keep-alives
BUDGET = 0.002  # seconds of that before other tasks have their turn

Opener = Callable[[], Awaitable[tuple[trio.abc.Stream, socket.socket | None]]]


class Connection:
    """One connection. `unsent` is empty, or a task is about to send it; `used` tells whether anything ever passed.

    `held` are messages that wait for the end of the handshake. `begun` is when the handshake or a message began,
    `heard` when the last octet came or went, `probed` whether the peer was asked for a sign of life since.
    `name` is whom we asked to be connected to, where a certificate had to tell. `turn` is shared by all handshakes.
    `lost` is called when it ends, with the reason if messages may have been lost by it.
    """

    __slots__ = (
        "begun",
        "broken",
        "coding",
        "direct",
        "error",
        "flow",
        "heard",
        "held",
        "intake",
        "lost",
        "name",
        "nursery",
        "probed",
        "scope",
        "stream",
        "turn",
        "unsent",
        "used",
    )

    def __init__(
        self,
        flow: Flow,
        intake: Intake,
        lost: Callable[["Connection", str | None], None],
        coding: Coding | None = None,
        name: str | None = None,
        turn: trio.Semaphore | None = None,
    ) -> None:
        self.flow = flow
        self.intake = intake
        self.lost = lost
        self.coding = coding or Framed()
        self.name = name
        self.turn = turn or trio.Semaphore(1)
        self.unsent = bytearray()
        self.held: list[bytes] = []
        self.stream: trio.abc.Stream | None = None
        self.direct: socket.socket | None = None
        self.nursery: trio.Nursery | None = None
        self.scope = trio.CancelScope()
        self.error: str | None = None
        self.broken = self.used = self.probed = False
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
            self.end("closed")  # if nothing else has ended it
            self.lost(self, (self.error or "closed") if self.broken or self.unsent or self.held else None)
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
        self.begun = trio.current_time()
        if not await self.take(b""):  # a handshake may be ours to begin
            return
        while True:
            data = None
            with trio.move_on_at(self.deadline()) as patience:
                data = await self.receive(stream)
                while data and self.coding.ready:
                    if not await self.take(data):
                        return
                    # one that is later now is seen to when it comes: trio keeps each that was ever set
                    if (deadline := self.deadline()) < patience.deadline:
                        patience.deadline = deadline
                    data = None
                    data = await self.receive(stream)
            if data is None:
                if trio.current_time() >= self.deadline() and not self.patient():
                    return
            elif not data or not await self.take(data):
                return

    async def receive(self, stream: trio.abc.Stream) -> bytes:
        """Nothing when it has ended."""
        try:
            return bytes(await stream.receive_some(CHUNK))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self.end(str(error), broken=True)
            return b""

    async def take(self, data: bytes) -> bool:
        """Hands over what is in it, a slice after the other; False when the connection is over.

        The steps of handshakes, which may take a millisecond, are one after the other, not all at once.
        """
        until = perf_counter() + BUDGET
        part, rest = (data[:SLICE], data[SLICE:]) if self.coding.ready else (data, b"")
        while True:
            if self.coding.ready:
                fed = self.fed(part)
            else:
                async with self.turn:
                    fed = self.fed(part)
                    await trio.lowlevel.checkpoint()  # the other tasks have their turn before the next handshake
            if fed is False or (fed and not rest):
                return fed
            part = b""
            if fed:
                part, rest = rest[:SLICE], rest[SLICE:]
            if perf_counter() > until:
                await trio.lowlevel.cancel_shielded_checkpoint()  # at a deadline of `read` nothing of it is to be lost
                if not self.is_open:
                    return False
                until = perf_counter() + BUDGET

    def deadline(self) -> float:
        """When something is to be done unless more comes."""
        if self.coding.pending:
            return self.begun + (HALF if self.coding.ready else HANDSHAKE)
        if not self.used:
            return self.heard + SILENT
        return self.heard + (IDLE if self.probed else PROBE)

    def patient(self) -> bool:
        """What is done at the deadline; whether the connection goes on."""
        if not self.coding.ready:
            self.complain("no handshake in time")
            self.end("no handshake in time")
        if self.coding.pending or not self.used or self.probed:
            return False
        self.probed = True
        self.coding.probe()
        self.answer()
        return True

    def fed(self, data: bytes) -> bool | None:
        """A step: hands over what comes first. None: there may be more of it; True: that was all; False when the stream
        cannot be understood any more.
        """
        now = trio.current_time()
        self.heard, self.probed = now, False
        if not self.coding.pending:
            self.begun = now
        items = None
        try:
            items = self.coding.feed(data)  # gives what comes before an error, and then the error
        except MessageError as error:
            self.intake.unparsable(error, self.flow)
            # the framer keeps a fatal one, whose frames hold the framer
            error.__traceback__ = error.__cause__ = error.__context__ = None
            if error.fatal:
                self.end(str(error))
                return False
        except Ended as ended:
            self.ended(ended)
            return False
        except Exception as error:  # the guard of intake, around what others wrote for hostile octets
            self.intake.failed(None, self.flow, error)
            self.end("failed", broken=True)
            return False
        if items == []:
            if self.coding.more:
                return None
            self.answer()
            return True
        for item in items or ():
            self.handle(item)
        self.begun = now
        return None

    def ended(self, ended: Ended) -> None:
        if not ended.orderly:
            self.complain(str(ended))
        self.answer()
        self.end(str(ended), broken=not ended.orderly and self.used)

    def complain(self, text: str) -> None:
        kind = "connecting" if self.held else "connection"  # no scanner hides what keeps us from a peer
        self.intake.complaints.say(kind, f"{self.flow.transport} {self.flow.remote}: {text}")

    def answer(self) -> None:
        """Sends what the protocol has to say, and at the end of the handshake what was held."""
        with suppress(Unreachable):
            octets = self.coding.answer()
            if octets:
                self.write(octets)
            if self.held and self.coding.ready:
                held, self.held = self.held, []
                for message in held:
                    self.transmit(message)

    def handle(self, item: Item) -> None:
        if item is PING:
            with suppress(Unreachable):
                self.send(PONG.value)  # RFC 5626 4.4.1
        elif not isinstance(item, KeepAlive):
            self.used = True
            self.intake.message(item, self.flow)

    @property
    def is_open(self) -> bool:
        return not self.scope.cancel_called

    def send(self, message: bytes) -> None:
        """At once if the kernel takes it, else in the background. Raises Unreachable."""
        if self.scope.cancel_called:
            raise Unreachable(f"{self.flow.remote}: {self.error or 'closed'}")
        self.used, self.heard = True, trio.current_time()
        if self.coding.ready:
            self.transmit(message)
        else:
            self.hold(message)

    def hold(self, message: bytes) -> None:
        self.held.append(message)
        if len(self.held) > MOST_HELD or sum(map(len, self.held)) > MOST_UNSENT:
            self.end("no handshake yet, and too many messages wait", broken=True)
            raise Unreachable(f"{self.flow.remote}: {self.error}")

    def transmit(self, message: bytes) -> None:
        try:
            octets = self.coding.message(message)
        except Ended as ended:
            self.end(str(ended), broken=True)
            raise Unreachable(f"{self.flow.remote}: {ended}") from ended
        self.write(octets)

    def write(self, octets: bytes) -> None:
        """Raises Unreachable."""
        sent = 0
        if not self.unsent and self.direct is not None:
            try:
                sent = self.direct.send(octets)
            except BlockingIOError:
                pass
            except OSError as error:
                self.end(error.strerror or "broken", broken=True)
                raise Unreachable(f"{self.flow.remote}: {error.strerror}") from error
            if sent == len(octets):
                return
        if len(self.unsent) > MOST_UNSENT:
            self.end("takes its messages too slowly", broken=True)
            raise Unreachable(f"{self.flow.remote}: {self.error}")
        if not self.unsent and self.nursery is not None:
            self.nursery.start_soon(self.flush)
        self.unsent += octets[sent:]

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
            self.coding.close()
            goodbye = self.coding.answer()
            if goodbye and self.direct is not None and not self.unsent:
                with suppress(OSError):
                    self.direct.send(goodbye)
