"""A network in virtual time: it writes down what it carries, and from a seed loses, doubles, delays and reorders."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import NamedTuple

from sipcgi.errors import Oversized, ParseError, Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.logs import Log
from sipcgi.net.complaint import Complaints
from sipcgi.net.intake import Intake, Receive
from sipcgi.sip.framing import KeepAlive, StreamFramer
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse
from sipcgi.timerqueue import TimerQueue

ENDLESS = 2_000_000
"""More steps than any test has."""


class Datagram(NamedTuple):
    """Something that was sent, whether it arrived or not."""

    time: float
    source: HostPort
    destination: HostPort
    data: bytes
    transport: str = "UDP"


class Network:
    """The clock, the timers and the wire. At equal times what was sent arrives, in its order, before timers fire."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self.timers = TimerQueue(lambda: self.now)
        self.loss = self.doubling = 0.0
        """Probabilities, of datagrams."""
        self.delay = self.jitter = 0.0
        """Seconds, and seconds at most on top of them: what is shorter under way overtakes."""
        self.sent: list[Datagram] = []
        self.names: dict[HostPort, str] = {}
        self.unreachable: set[HostPort] = set()
        self.refusing: set[HostPort] = set()
        """Those that take no connection, which is known after 50 ms."""
        self._hosts: dict[HostPort, Callable[[Datagram], None]] = {}
        self._air: list[tuple[float, int, Datagram]] = []
        self._number = 0

    def attach(self, address: HostPort, name: str, arrived: Callable[[Datagram], None]) -> None:
        self._hosts[address] = arrived
        self.names[address] = name

    def detach(self, address: HostPort) -> None:
        """The host is switched off: what is sent to it vanishes."""
        del self._hosts[address]

    def send(self, data: bytes, source: HostPort, destination: HostPort, transport: str = "UDP") -> None:
        """Raises Unreachable."""
        if destination in self.unreachable:
            raise Unreachable(f"{destination}: no route to host")
        datagram = Datagram(self.now, source, destination, data, transport)
        self.sent.append(datagram)
        copies = 1
        if transport == "UDP" and (self.loss or self.doubling):
            draw = self.random.random()
            copies = 0 if draw < self.loss else 2 if draw < self.loss + self.doubling else 1
        for _ in range(copies):
            self._number += 1
            under_way = self.delay + (self.random.random() * self.jitter if self.jitter else 0.0)
            heappush(self._air, (self.now + under_way, self._number, datagram))

    def run(self, until: float = inf) -> None:
        """Lets the time pass until then, or until nothing more is to come."""
        for _ in range(ENDLESS):
            arrival = self._air[0][0] if self._air else inf
            deadline = self.timers.next_deadline()
            due = inf if deadline is None else deadline
            if min(arrival, due) > until or min(arrival, due) == inf:
                break
            self.now = max(self.now, min(arrival, due))
            if arrival <= due:
                datagram = heappop(self._air)[2]
                if datagram.destination in self._hosts:
                    self._hosts[datagram.destination](datagram)
            else:
                self.timers.fire(1)
        else:
            raise AssertionError("it never ends")
        if until != inf:
            self.now = until

    def transcript(self, since: int = 0) -> list[str]:
        """One line for each datagram, like `0.200 server > alice 100 INVITE`."""
        return [self._line(datagram) for datagram in self.sent[since:]]

    def _line(self, datagram: Datagram) -> str:
        names = self.names
        source = names.get(datagram.source, str(datagram.source))
        destination = names.get(datagram.destination, str(datagram.destination))
        try:
            message = parse(datagram.data)
        except ParseError:
            what = repr(datagram.data[:30])
        else:
            what = f"{message.status} {message.cseq.method}" if isinstance(message, Response) else message.method
        return f"{datagram.time:.3f} {source} > {destination} {what}"


class Socket:
    """One address of a host, with what the engine uses of net/transport.Transport.

    `says` is what the host takes its own address for, host and port; a NAT makes it another one. Streams are there as
    far as the engine can tell: nothing is lost on them, and their flows have a connection, which can be hung up.
    """

    def __init__(
        self, network: Network, address: HostPort, name: str, receive: Receive, log: Log, says: HostPort | None = None
    ) -> None:
        self.network = network
        self.address = address
        self.says = says or address
        self.closed: set[str] = set()
        """Transports that are not spoken."""
        self.connections: dict[HostPort, int] = {}
        """Numbers of those that are not the first ones with that host."""
        self.failed: Callable[[Flow], None] = lambda flow: None
        """Hears of flows on which messages were lost."""
        self.intake = Intake(receive, self._answer, {str(self.says)}, Complaints(log), guard=False)
        network.attach(address, name, self._arrived)

    def _arrived(self, datagram: Datagram) -> None:
        flow = self._flow(datagram.transport, datagram.source)
        if datagram.transport == "UDP":
            self.intake.datagram(datagram.data, flow)
            return
        for message in StreamFramer().feed(datagram.data):
            if not isinstance(message, KeepAlive):
                self.intake.message(message, flow)

    def _flow(self, transport: str, remote: HostPort) -> Flow:
        connection = 0 if transport == "UDP" else self.connections.get(remote, 1)
        return Flow(transport, self.address, remote, connection)

    def is_open(self, flow: Flow) -> bool:
        here = self._flow(flow.transport, flow.remote)
        return flow.connection == here.connection and flow.local.port == here.local.port

    def hangs_up(self, transport: str, remote: HostPort) -> None:
        """The connection breaks; what is sent to that host from now on goes over a new one."""
        broken = self._flow(transport, remote)
        self.connections[remote] = broken.connection + 1
        self.failed(broken)

    def _answer(self, response: Response, request: Request, flow: Flow) -> None:
        self.send(bytes(response), self.response_flow(request, flow))

    def send(self, data: bytes, flow: Flow) -> None:
        if not self.is_open(flow):
            raise Unreachable(f"{flow.remote}: the connection has ended")
        if flow.transport != "UDP" and flow.remote in self.network.refusing:
            self.network.timers.start(0.05, self.failed, flow)
            return
        if flow.transport == "UDP" and len(data) > 65507:
            raise Oversized(f"{flow.remote}: message too long")
        self.network.send(data, self.address, flow.remote, flow.transport)

    def flow_to(self, transport: str, remote: HostPort, name: str | None = None, sent_by: str = "") -> Flow:
        if transport in self.closed or transport not in ("UDP", "TCP", "WS"):
            raise Unreachable(f"{transport} is not spoken")
        return self._flow(transport, remote)

    def sent_by(self, flow: Flow) -> str:
        return str(self.says)

    def is_ours(self, host: str, port: int | None) -> bool:
        return host in (self.says.host, "localhost") and port in (
            self.says.port,
            None if self.says.port == 5060 else self.says.port,
        )

    def response_flow(self, request: Request, flow: Flow) -> Flow:
        """RFC 3261 18.2.2, RFC 3581 section 4."""
        via = request.via
        if flow.transport != "UDP" and not self.is_open(flow):
            return self._flow(flow.transport, HostPort(flow.remote.host, via.port or 5060))
        if flow.transport != "UDP" or via.rport is not None:
            return flow
        return flow._replace(remote=HostPort(flow.remote.host, via.port or 5060))
