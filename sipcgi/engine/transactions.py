"""All transactions of the process, and which of them a message belongs to (RFC 3261 17.1.3, 17.2.3, 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipcgi.compiled import compiled
from sipcgi.engine.awaited import Awaited
from sipcgi.engine.overload import Overload
from sipcgi.engine.sides import ServerSide
from sipcgi.engine.transaction import ClientTransaction, ClientUser, Kinds, ServerTransaction
from sipcgi.flow import WEBSOCKETS, Flow
from sipcgi.ids import Ids
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import TimerQueue
from sipcgi.transaction.key import ClientKey, ServerKey, client_key, invite_key_of_cancel, plain_server_key, server_key
from sipcgi.transaction.machine import Input
from sipcgi.transaction.timers import Timers

if TYPE_CHECKING:
    from sipcgi.net.transport import Transport


class Core(Protocol):
    """Who takes what belongs to no transaction."""

    def request(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A new request; it gives the transaction its user."""

    def ack(self, request: Request, flow: Flow) -> None:
        """An ACK that matches no transaction."""

    def admits(self, request: Request, flow: Flow, transactions: int) -> bool:
        """Whether a request may become one more of so many transactions; if not, it was answered."""

    def undelivered(self, octets: bytes, flow: Flow) -> None:
        """A response that did not arrive over that flow."""


@compiled
class Matching:
    """The transactions by key, and whose a message is (RFC 3261 17.1.3, 17.2.3)."""

    clients: dict[ClientKey, ClientTransaction]
    servers: dict[ServerKey, ServerTransaction]

    def receive(self, message: Request | Response, flow: Flow) -> None:
        """A message from the network. Raises ParseError."""
        if type(message) is Response:
            client = self.clients.get(client_key(message))
            if client is not None:
                client.received(message, flow)
            # else: RFC 6026 8.9: a response that matches no transaction is dropped, never forwarded
            return
        assert type(message) is Request
        key = plain_server_key(message) or server_key(message)
        server = self.servers.get(key)
        if server is not None:
            server.received(message)
        else:
            self.arrived(message, flow, key)

    def arrived(self, request: Request, flow: Flow, key: ServerKey) -> None:
        raise NotImplementedError


class Transactions(Matching):
    """All transactions of the process."""

    kinds = (Response, server_key)
    """What the compiled part tells messages by, and makes the keys that it leaves to Python with."""

    def __init__(
        self, transport: Transport, timers: TimerQueue, ids: Ids, settings: Timers, overload: Overload
    ) -> None:
        self.transport = transport
        self.timers = timers
        self.ids = ids
        self.datagram = Kinds.over(settings.for_transport(False), timers)
        self.stream = Kinds.over(settings.for_transport(True), timers)
        self.t1 = settings.t1
        self.t2 = settings.t2
        self.clients = {}
        self.servers = {}
        self.responded: dict[Flow, ServerSide] = {}
        """Of each UDP flow the one that responded last: an ICMP error that comes is for its response."""
        self.awaited = Awaited()
        self.overload = overload
        self.core: Core

    def arrived(self, request: Request, flow: Flow, key: ServerKey) -> None:
        """A request that belongs to no transaction."""
        method, servers = request.method, self.servers
        if method == "ACK":
            self.core.ack(request, flow)
        elif len(servers) >= self.overload.most and not self.core.admits(request, flow, len(servers)):
            return
        elif method == "CANCEL":
            self.cancelled(request, flow, key)
        else:
            self.core.request(request, flow, self.serve(request, flow, key))

    def serve(self, request: Request, flow: Flow, key: ServerKey) -> ServerTransaction:
        return ServerTransaction(self, request, self.transport.response_flow(request, flow), key)

    def cancelled(self, request: Request, flow: Flow, key: ServerKey) -> None:
        """RFC 3261 9.2: 200 when there is a transaction to cancel, else 481."""
        target = self.servers.get(invite_key_of_cancel(request))
        server = self.serve(request, flow, key)
        tag = server.tag() if target is None else target.tag()  # 9.2: the To tag of both answers SHOULD be the same
        server.respond(build.response(request, 481 if target is None else 200, to_tag=tag))
        if target is not None and target.user is not None:
            target.user.cancel(request)

    def answer(self, response: Response, request: Request, flow: Flow) -> None:
        """The response to a request that nobody else answers: through its transaction, if it got that far, which then
        repeats it and ends (RFC 3261 17.2), else statelessly (8.2.7). Raises ParseError and Unreachable."""
        server = self.servers.get(server_key(request))
        if server is None:
            self.transport.send(bytes(response), self.transport.response_flow(request, flow))
        else:
            server.respond(response)

    def send(
        self,
        request: Request,
        branch: str,
        flow: Flow,
        user: ClientUser | None,
        domain: str | None = None,
        octets: bytes = b"",
    ) -> ClientTransaction:
        """Starts a client transaction. A transport that fails is told to the user like any failure.

        `domain` is what the address of the peer was found by, if it may be connected to again; `octets` are those of
        the request, where they were made already.
        """
        key = (branch, request.method)
        return ClientTransaction(self, request, octets or bytes(request), flow, user, key, domain)

    def cancel(self, client: ClientTransaction) -> None:
        """Sends the CANCEL of a request that is still pending (RFC 3261 9.1)."""
        if client.request is not None:
            self.send(build.cancel(client.request), client.key[0], client.reopen(), None)

    def originate(self, request: Request, flow: Flow, user: ClientUser) -> None:
        """Sends a request of our own."""
        branch = self.ids.branch()
        sent = request.copy()
        sent.headers.prepend("Via", f"SIP/2.0/{flow.transport} {self.transport.sent_by(flow)};branch={branch};rport")
        self.send(sent, branch, flow, user)

    def lost(self, flow: Flow, why: str) -> None:
        """What was sent over it did not arrive (RFC 3261 17.1.4, 18.2.2).

        The requests without a final response are told, and over UDP the last response looks for another way.
        """
        for client in self.awaited.over(flow):
            client.trouble = (503, why)
            client.step(Input.TRANSPORT_ERROR)
            if flow.transport in WEBSOCKETS and not client.answered:
                # RFC 7118 5: its response cannot come over another connection, as it may over TCP (18.2.2)
                client.forget()
                client.could_not_send(None)
        server = self.responded.pop(flow, None)
        if server is not None:
            self.core.undelivered(server.last, flow)

    def waiting(self) -> int:
        """How many requests still lack a final response."""
        return sum(1 for server in self.servers.values() if server.user is not None)
