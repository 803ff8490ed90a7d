"""UDP: one socket for each of our addresses (RFC 3261 18, RFC 5626 4.4.2)."""

import contextlib
import errno
import socket
from select import EPOLLIN
from typing import Any

import trio

from sipcgi.compiled import compiled
from sipcgi.errors import Oversized, Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import icmp, stun
from sipcgi.net.complaint import Complaints
from sipcgi.net.intake import Intake
from sipcgi.net.interface import family
from sipcgi.net.pool import Failed
from sipcgi.sip.grammar import MAX_DATAGRAM
from sipcgi.watch import Watch

RECEIVE_BUFFER = 4 * 1024 * 1024  # octets; a burst must fit while a slow message is handled
MOST_FLOWS = 4096
_SO_RCVBUFFORCE = 33  # Linux socket(7): beyond net.core.rmem_max, for the privileged
_MTU_DISCOVER = {socket.AF_INET: (socket.IPPROTO_IP, 10), socket.AF_INET6: (socket.IPPROTO_IPV6, 23)}  # ip(7), ipv6(7)
_FULL = frozenset({errno.ENOBUFS, errno.ENOMEM})
_ICMP = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ENONET}
)
_ICMP_OR_ROUTE = _ICMP | {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES}


def open_socket(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    version = family(host)
    sock = socket.socket(version, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if version == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
        with contextlib.suppress(OSError):
            # what is larger than the path's MTU is fragmented, not refused: responses cannot change to TCP (18.1.1)
            sock.setsockopt(*_MTU_DISCOVER[version], 0)
        icmp.ask_for_errors(sock)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class _Flows(dict[Any, Flow]):
    """By source, so that all its messages share one."""

    def __init__(self, local: HostPort) -> None:
        super().__init__()
        self.local = local

    def __missing__(self, address: Any) -> Flow:
        if len(self) >= MOST_FLOWS:
            self.clear()
        flow = self[address] = Flow("UDP", self.local, HostPort(*address[:2]))
        return flow


@compiled
class Datagrams:
    """Sending them over a socket."""

    socket: socket.socket

    def send(self, data: bytes, flow: Flow) -> None:
        """What the kernel has no room for is lost, as in the network; retransmission is the transaction's work."""
        try:
            self.socket.sendto(data, flow[2])
        except OSError as error:
            self.not_sent(error, data, flow)

    def not_sent(self, error: OSError, data: bytes, flow: Flow) -> None:
        raise NotImplementedError


class UdpEndpoint(Datagrams):
    """One socket. `failed` hears of the peers that cannot be reached, always out of `ready`."""

    transport = "UDP"

    def __init__(
        self, sock: socket.socket, watch: Watch, intake: Intake, complaints: Complaints, failed: Failed
    ) -> None:
        self.socket = sock
        self.watch = watch
        self.local = HostPort(*sock.getsockname()[:2])
        self.sent_by = str(self.local)
        self.intake = intake
        self.complaints = complaints
        self.failed = failed
        self.flows = _Flows(self.local)
        self.closed = trio.Event()

    async def serve(self) -> None:
        if self.socket.fileno() >= 0:
            self.watch.add(self.socket.fileno(), self.ready)
        try:
            await self.closed.wait()
        finally:
            self.close()

    def ready(self, events: int, until: float) -> None:
        """Handles one datagram, and what the error queue has. Of a burst the next ones are reported again at once: to
        ask for them until there are none costs more than that, for nearly always there is one."""
        if events != EPOLLIN:
            self.take_errors()
        try:
            data, address = self.socket.recvfrom(MAX_DATAGRAM)
        except BlockingIOError:
            pass
        except OSError as error:
            if self.socket.fileno() >= 0 and not self.take_errors() and error.errno not in _ICMP_OR_ROUTE:
                self.complaints.say("receive", f"udp://{self.local}: {error.strerror}")
        else:
            self.received(data, address)

    def take_errors(self) -> int:
        """Tells of the peers that, as ICMP says, what was sent did not reach (RFC 3261 18.4); how many errors."""
        count, unreachable = icmp.take_errors(self.socket)
        for address, reason in unreachable.items():
            flow = self.flows.get(address) or self.flow(HostPort(*address[:2]))
            try:
                self.failed(flow, Unreachable(f"udp {flow.remote}: {reason}"))
            except Exception as error:
                self.intake.failed(None, flow, error)
        return count

    def received(self, data: bytes, address: Any) -> None:
        if self.intake.plain(data, self.flows[address]):
            return
        if data < b"!" and not self.is_message(data, address):  # it is empty, or begins with what no method has
            return
        self.intake.unusual(data, self.flows[address])

    def is_message(self, data: bytes, address: Any) -> bool:
        """Tells from a message what only keeps a NAT open: blank datagrams and STUN (RFC 5626 4.4)."""
        if not data.strip(b"\r\n\0 "):
            return False
        reply = stun.answer(data, *address[:2])
        if reply is None:
            return data[0] > 1  # RFC 5626 section 8: no SIP message begins with 0 or 1
        with contextlib.suppress(Unreachable):
            self.send(reply, self.flow(HostPort(*address[:2])))
        return False

    def flow(self, remote: HostPort, name: str | None = None) -> Flow:
        return Flow("UDP", self.local, remote)

    def is_open(self, flow: Flow) -> bool:
        return self.socket.fileno() >= 0

    def not_sent(self, error: OSError, data: bytes, flow: Flow) -> None:
        """Raises Unreachable for what will not get better by repeating (RFC 3261 18.4); Oversized: for no peer."""
        if error.errno in _ICMP_OR_ROUTE:  # perhaps of an earlier datagram to somebody else: `ready` will see to that
            try:
                self.socket.sendto(data, flow.remote)
                return
            except OSError as again:
                error = again
        if isinstance(error, BlockingIOError) or error.errno in _FULL or error.errno in _ICMP:
            self.complaints.counts["not sent"] += 1
            return
        kind = Oversized if error.errno == errno.EMSGSIZE else Unreachable
        raise kind(f"udp {flow.remote}: {error.strerror}") from error

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self.watch.remove(self.socket.fileno())
            self.socket.close()
        self.closed.set()
