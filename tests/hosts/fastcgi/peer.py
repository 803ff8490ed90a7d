"""FastCGI programs of the tests: a tough one that says what it is told to say, and a real one in Python."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.fastcgi_records import Record

Behaviour = Callable[["Wire"], Awaitable[None]]


class Wire:
    """One connection, as the program sees it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._decoder = records.Decoder()
        self._read: list[Record] = []

    async def record(self) -> Record | None:
        """The next one; None when the server has closed the connection."""
        while not self._read:
            octets = await self.stream.receive_some(65536)
            if not octets:
                return None
            self._read += self._decoder.feed(octets)
        return self._read.pop(0)

    async def request(self) -> tuple[int, dict[str, str], bytes] | None:
        """The next whole request: its id, variables, body."""
        number, params, body = 0, b"", b""
        while (found := await self.record()) is not None:
            if found.kind == records.BEGIN_REQUEST:
                assert found.content == b"\0\1\1\0\0\0\0\0"  # a responder that keeps the connection
                number = found.request
            elif found.kind == records.PARAMS:
                params += found.content
            elif found.kind == records.STDIN and found.content:
                body += found.content
            elif found.kind == records.STDIN:
                pairs = records.unpack_pairs(params)
                return number, {name.decode(): value.decode() for name, value in pairs}, body
        return None

    async def say(self, *parts: bytes) -> None:
        await self.stream.send_all(b"".join(parts))

    async def answer(self, number: int, text: str = "", status: int = 0) -> None:
        await self.say(records.stream(records.STDOUT, number, text.encode()), records.end(number, status))

    async def reset(self) -> None:
        """Closes with what is unread: the server gets a reset."""
        await trio.sleep(0.02)  # until there is something
        self.stream.socket.close()


class Peer:
    """Listens at a socket; each connection that is no question gets the next behaviour, the last one for ever."""

    def __init__(self, path: Path, *behaviours: Behaviour, values: dict[str, str] | None = None) -> None:
        self.url = f"unix://{path}"
        self.path = path
        self.behaviours = [*behaviours]
        self.values = values
        """What it says it can do; None: it does not know the question."""
        self.connections = 0
        self.open = 0
        self.questions = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.path.unlink(missing_ok=True)
        socket = trio.socket.socket(trio.socket.AF_UNIX)
        with socket:
            await socket.bind(str(self.path))
            socket.listen(100)
            task_status.started()
            async with trio.open_nursery() as nursery:
                while True:
                    accepted, _ = await socket.accept()
                    nursery.start_soon(self._attend, trio.SocketStream(accepted))

    async def _attend(self, stream: trio.SocketStream) -> None:
        wire = Wire(stream)
        async with stream:
            try:
                first = await wire.record()
                if first is None:
                    return
                if first.kind == records.GET_VALUES:
                    self.questions += 1
                    if self.values is None:
                        await wire.say(records.record(records.UNKNOWN_TYPE, 0, b"\x09" + bytes(7)))
                    else:
                        await wire.say(records.record(records.GET_VALUES_RESULT, 0, records.pairs(self.values)))
                    await wire.record()
                    return
                wire._read.insert(0, first)
                behave = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                self.connections += 1
                self.open += 1
                try:
                    await behave(wire)
                finally:
                    self.open -= 1
            except (trio.BrokenResourceError, trio.ClosedResourceError, AssertionError) as error:
                if isinstance(error, AssertionError):
                    raise


async def processes(path: Path, number: int, behave: Behaviour, *, task_status: trio.TaskStatus[None]) -> None:
    """So many at one socket, each of which attends to one connection to its end before it takes the next."""

    turn = trio.Lock()

    async def process() -> None:
        while True:
            async with turn:
                stream = await listener.accept()
            async with stream:
                await behave(Wire(stream))

    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(path))
    socket.listen(100)
    async with trio.SocketListener(socket) as listener, trio.open_nursery() as nursery:
        for _ in range(number):
            nursery.start_soon(process)
        task_status.started()


async def echo(wire: Wire) -> None:
    """Answers each request with its variable A and its body."""
    while (asked := await wire.request()) is not None:
        number, variables, body = asked
        await wire.answer(number, f"{variables['A']} {body.decode()}")


async def silent(wire: Wire) -> None:
    """Never answers."""
    while await wire.record() is not None:
        pass
