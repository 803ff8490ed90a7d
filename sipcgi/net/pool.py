"""All connections of the stream transports, by number and by far end (RFC 3261 18)."""

import itertools
import socket
import time
from collections.abc import Callable

import trio

from sipcgi.errors import Closed, Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net.coding import Coding
from sipcgi.net.complaint import Complaints
from sipcgi.net.descriptors import most_connections
from sipcgi.net.intake import Intake
from sipcgi.net.shares import Shares
from sipcgi.net.stream import Connection, Opener

Failed = Callable[[Flow, Unreachable], None]
LOOKED_AT = 32
"""Connections of which the quietest gives way to another."""


class Pool:
    """Connections run in `nursery`; `failed` hears of flows on which messages were lost."""

    def __init__(
        self, nursery: trio.Nursery, intake: Intake, complaints: Complaints, failed: Failed, most: int | None = None
    ) -> None:
        self.nursery = nursery
        self.intake = intake
        self.complaints = complaints
        self.failed = failed
        self.most = most if most is not None else most_connections()
        self.by_number: dict[int, Connection] = {}
        self.by_remote: dict[tuple[str, HostPort, str | None], Connection] = {}
        self.shares = Shares()
        self._turn = trio.Semaphore(1)
        # never used twice, not even by the next process: registered flows may outlive us (RFC 5626 5.3)
        self._numbers = itertools.count(time.time_ns() // 1000)

    def find(self, transport: str, remote: HostPort, name: str | None = None) -> Flow | None:
        """RFC 3261 18.1.1: an existing connection to that address, port and transport is used again.

        With a `name`, only one of ours whose far end has proved to have it: an address may serve many.
        """
        connection = self.by_remote.get((transport, remote, name))
        return None if connection is None or not connection.is_open else connection.flow

    def is_open(self, flow: Flow) -> bool:
        connection = self.by_number.get(flow.connection)
        return connection is not None and connection.is_open

    def send(self, data: bytes, flow: Flow) -> None:
        connection = self.by_number.get(flow.connection)
        if connection is None:
            raise Unreachable(f"{flow.transport.lower()} {flow.remote}: the connection has ended")
        connection.send(data)

    def room(self, host: str) -> bool:
        """Whether there may be one more connection from there, or to there.

        One host may have all, for it may be a whole site, or a proxy before us; but when others come, it has to give.
        """
        if len(self.by_number) < self.most:
            return True
        greediest = self.shares.greediest()
        if self.shares.of(greediest) <= self.shares.of(host) + 1:
            self.complaints.say("too many connections", f"{host}: too many connections, one more is refused")
            return False
        self.complaints.say("too many connections", f"{greediest}: too many connections, others take their place")
        theirs = (one for one in self.shares.connections(greediest) if one.is_open)
        quietest = min(itertools.islice(theirs, LOOKED_AT), key=lambda one: (one.used, one.heard), default=None)
        if quietest is not None:
            quietest.end("too many connections")
        return True

    def start(
        self,
        transport: str,
        local: HostPort,
        remote: HostPort,
        open_stream: Opener,
        coding: Coding,
        name: str | None = None,
    ) -> Flow:
        """Begins a connection, accepted or our own."""
        flow = Flow(transport, local, remote, next(self._numbers))
        connection = Connection(flow, self.intake, self._lost, coding, name, self._turn)
        self.by_number[flow.connection] = connection
        self.by_remote[transport, remote, name] = connection
        self.shares.add(connection)
        self.nursery.start_soon(connection.run, open_stream)
        return flow

    def _lost(self, connection: Connection, reason: str | None) -> None:
        flow = connection.flow
        del self.by_number[flow.connection]
        key = (flow.transport, flow.remote, connection.name)
        if self.by_remote.get(key) is connection:
            del self.by_remote[key]
        self.shares.remove(connection)
        text = f"{flow.transport.lower()} {flow.remote}: {reason or connection.error}"
        if reason is not None:
            self.failed(flow, Unreachable(text))
        elif connection.used:
            self.failed(flow, Closed(text))

    def close(self, transport: str, local: HostPort) -> None:
        """Ends the connections of one endpoint."""
        for connection in self.by_number.values():
            if connection.flow.transport == transport and connection.flow.local == local:
                connection.end("closed")


def stream_of(sock: socket.socket) -> trio.SocketStream:
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))
