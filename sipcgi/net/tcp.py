"""TCP, and what runs over it: accepting and connecting (RFC 3261 18)."""

import contextlib
import errno
import socket
from functools import partial

import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net.complaint import Complaints
from sipcgi.net.interface import family
from sipcgi.net.pool import Pool, stream_of
from sipcgi.net.scheme import Codings

BACKLOG = 1024
BATCH = 16  # connections accepted before other tasks have their turn
PAUSE = 0.1  # seconds, when there are no descriptors left
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux ip(7): the port is chosen when connecting, so that there are enough of them
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def open_socket(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    version = family(host)
    sock = socket.socket(version, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


class TcpEndpoint:
    """One listening socket, and the connections that came in through it or were opened from its address.

    Other `codings` count for the connections to come.
    """

    def __init__(
        self, transport: str, sock: socket.socket, codings: Codings, pool: Pool, complaints: Complaints
    ) -> None:
        self.transport = transport
        self.socket = sock
        self.codings = codings
        self.local = HostPort(*sock.getsockname()[:2])
        self.sent_by = str(self.local)
        self.pool = pool
        self.complaints = complaints

    async def serve(self) -> None:
        try:
            while self.socket.fileno() >= 0:
                await trio.lowlevel.wait_readable(self.socket)
                await self.accept()
        except trio.ClosedResourceError:
            pass
        finally:
            self.socket.close()

    async def accept(self) -> None:
        """Takes in what waits, a batch at most."""
        for _ in range(BATCH):
            try:
                sock, address = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self.complaints.say("accept", f"{self.transport.lower()}://{self.local}: {error.strerror}")
                    await trio.sleep(PAUSE)
                return
            sock.setblocking(False)
            remote = HostPort(*address[:2])
            if self.pool.room(remote.host):
                opener = partial(self.accepted, sock)
                self.pool.start(self.transport, self.local, remote, opener, self.codings.accepted())
            else:
                sock.close()
                return  # whoever knocks in vain, however often, leaves the others their turn

    async def accepted(self, sock: socket.socket) -> tuple[trio.abc.Stream, socket.socket | None]:
        return stream_of(sock), sock

    async def connect(self, remote: HostPort) -> tuple[trio.abc.Stream, socket.socket | None]:
        """Raises OSError."""
        sock = socket.socket(family(remote.host), socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((self.local.host, 0))  # the peer may look where it comes from
            await trio.socket.from_stdlib_socket(sock).connect(tuple(remote))
        except BaseException:
            sock.close()
            raise
        return stream_of(sock), sock

    def flow(self, remote: HostPort, name: str | None = None) -> Flow:
        flow = self.pool.find(self.transport, remote, name)
        if flow is not None:
            return flow
        if self.codings.opened is None:
            raise Unreachable(f"{self.transport.lower()} {remote}: its connection has ended, and it takes none from us")
        if not self.pool.room(remote.host):
            raise Unreachable(f"{self.transport.lower()} {remote}: too many connections")
        coding = self.codings.opened(name or remote.host.partition("%")[0])
        return self.pool.start(self.transport, self.local, remote, partial(self.connect, remote), coding, name)

    def is_open(self, flow: Flow) -> bool:
        return self.pool.is_open(flow)

    def send(self, data: bytes, flow: Flow) -> None:
        self.pool.send(data, flow)

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
        self.pool.close(self.transport, self.local)
