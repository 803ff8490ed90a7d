"""The tables of transaction/ driven by messages, timers and the transport (RFC 3261 17, RFC 6026).

What lingers keeps its key and the octets of its last response, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from sipcgi.engine.awaited import Awaited
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow
from sipcgi.ids import Ids
from sipcgi.net.transport import Transport
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer, TimerQueue
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_client import InviteClient
from sipcgi.transaction.invite_server import InviteServer
from sipcgi.transaction.key import ClientKey, ServerKey, client_key, invite_key_of_cancel, server_key
from sipcgi.transaction.machine import Input, Machine, response_input
from sipcgi.transaction.noninvite_client import NonInviteClient
from sipcgi.transaction.noninvite_server import NonInviteServer
from sipcgi.transaction.timers import FIRES, Timers


class ClientUser(Protocol):
    """Whom a client transaction tells."""

    def response(self, response: Response, flow: Flow) -> None: ...

    def failed(self, status: int) -> None:
        """408: timed out. 503: nothing can be sent to the peer."""


class ServerUser(Protocol):
    """Whom a server transaction tells."""

    def cancel(self, request: Request) -> None: ...

    def trying(self) -> None:
        """A 100 was sent, for the user took its time."""


class Core(Protocol):
    """Who takes what belongs to no transaction."""

    def request(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A new request; it gives the transaction its user."""

    def ack(self, request: Request, flow: Flow) -> None:
        """An ACK that matches no transaction."""


class Transactions:
    """All transactions of the process, by key."""

    def __init__(self, transport: Transport, timers: TimerQueue, ids: Ids, settings: Timers) -> None:
        self.transport = transport
        self.timers = timers
        self.ids = ids
        self.datagram = settings.for_transport(False)
        self.stream = settings.for_transport(True)
        self.t1 = settings.t1
        self.t2 = settings.t2
        self.clients: dict[ClientKey, ClientTransaction] = {}
        self.servers: dict[ServerKey, ServerTransaction] = {}
        self.awaited = Awaited()
        self.core: Core

    def receive(self, message: Request | Response, flow: Flow) -> None:
        """A message from the network. RFC 3261 17.1.3, 17.2.3."""
        if type(message) is Response:
            client = self.clients.get(client_key(message))
            if client is not None:
                client.received(message, flow)
            # else: RFC 6026 8.9: a response that matches no transaction is dropped, never forwarded
            return
        assert type(message) is Request
        key = server_key(message)
        server = self.servers.get(key)
        if server is not None:
            server.received(message)
        elif message.method == "ACK":
            self.core.ack(message, flow)
        elif message.method == "CANCEL":
            self.cancelled(message, flow, key)
        else:
            self.core.request(message, flow, self.serve(message, flow, key))

    def serve(self, request: Request, flow: Flow, key: ServerKey) -> ServerTransaction:
        server = ServerTransaction(self, request, self.transport.response_flow(request, flow), key)
        self.servers[key] = server
        return server

    def cancelled(self, request: Request, flow: Flow, key: ServerKey) -> None:
        """RFC 3261 9.2: 200 when there is a transaction to cancel, else 481."""
        target = self.servers.get(invite_key_of_cancel(request))
        server = self.serve(request, flow, key)
        tag = server.tag() if target is None else target.tag()  # 9.2: the To tag of both answers SHOULD be the same
        server.respond(build.response(request, 481 if target is None else 200, to_tag=tag))
        if target is not None and target.user is not None:
            target.user.cancel(request)

    def send(self, request: Request, branch: str, flow: Flow, user: ClientUser | None) -> ClientTransaction:
        """Starts a client transaction. A transport that fails is told to the user like any failure."""
        client = ClientTransaction(self, request, flow, user, (branch, request.method))
        self.clients[client.key] = client
        self.awaited.add(client)
        client.begin()
        return client

    def cancel(self, client: ClientTransaction) -> None:
        """Sends the CANCEL of a request that is still pending (RFC 3261 9.1)."""
        if client.request is not None:
            self.send(build.cancel(client.request), client.key[0], client.flow, None)

    def originate(self, request: Request, flow: Flow) -> None:
        """Sends a request of our own whose answer nobody waits for."""
        branch = self.ids.branch()
        sent = request.copy()
        sent.headers.prepend("Via", f"SIP/2.0/{flow.transport} {self.transport.sent_by(flow)};branch={branch};rport")
        self.send(sent, branch, flow, None)

    def lost(self, flow: Flow) -> None:
        """What was sent over it did not arrive: the requests without a final response are told (RFC 3261 17.1.4)."""
        for client in self.awaited.over(flow):
            client.step(Input.TRANSPORT_ERROR)

    def waiting(self) -> int:
        """How many requests still lack a final response."""
        return sum(1 for server in self.servers.values() if server.user is not None)


Performer = Callable[[Any, Effect, Request | Response | None], None]


class Transaction:
    """What both sides share: the machine, its two timers, and how effects are performed."""

    __slots__ = ("acknowledgement", "delays", "flow", "interval", "last", "layer", "machine", "resend", "timeout")

    machine: Machine
    performers: ClassVar[dict[Effect, Performer]]

    def __init__(self, layer: Transactions, flow: Flow) -> None:
        self.layer = layer
        self.flow = flow
        self.delays = (layer.datagram if flow.transport == "UDP" else layer.stream).delays
        self.last = b""
        self.acknowledgement = b""
        self.resend: Timer | None = None
        self.timeout: Timer | None = None
        self.interval = 0.0

    def step(self, happened: Input, message: Request | Response | None = None) -> None:
        """One row of the table. `message` is what came with the input."""
        performers = self.performers
        for effect in self.machine.step(happened):
            performers[effect](self, effect, message)

    def transmit(self, octets: bytes) -> None:
        try:
            self.layer.transport.send(octets, self.flow)
        except Unreachable:
            self.step(Input.TRANSPORT_ERROR)

    # Effects; each takes the effect and the message that came with the input

    def send(self, effect: Effect, message: Request | Response | None) -> None:
        assert message is not None
        self.last = octets = bytes(message)
        self.transmit(octets)

    def send_beside(self, effect: Effect, message: Request | Response | None) -> None:
        assert message is not None
        self.transmit(bytes(message))

    def send_again(self, effect: Effect, message: Request | Response | None) -> None:
        if self.last:
            self.transmit(self.last)

    def start_resend(self, effect: Effect, message: Request | Response | None) -> None:
        """A, E and G; not on a reliable transport."""
        interval = self.delays[effect]
        if interval is not None:
            self.interval = interval
            self.resend = self.layer.timers.start(interval, self.step, FIRES[effect])

    def resend_later(self, effect: Effect, message: Request | Response | None) -> None:
        """A, E and G again, with the interval that follows; they have just fired."""
        self.interval = interval = self.layer.datagram.next_interval(effect, self.interval)
        self.resend = self.layer.timers.start(interval, self.step, FIRES[effect])

    def start_timeout(self, effect: Effect, message: Request | Response | None) -> None:
        """The other timer, of which one runs at a time."""
        if self.timeout is not None:
            self.timeout.cancel()
        delay = self.delays[effect]
        assert delay is not None
        self.timeout = self.layer.timers.start(delay, self.step, FIRES[effect])

    def stop_resend(self, effect: Effect, message: Request | Response | None) -> None:
        if self.resend is not None:
            self.resend.cancel()
            self.resend = None

    def stop_timeout(self, effect: Effect, message: Request | Response | None) -> None:
        if self.timeout is not None:
            self.timeout.cancel()
            self.timeout = None

    def hand_over(self, effect: Effect, message: Request | Response | None) -> None:
        raise NotImplementedError

    def timed_out(self, effect: Effect, message: Request | Response | None) -> None:
        raise NotImplementedError

    def could_not_send(self, effect: Effect, message: Request | Response | None) -> None:
        raise NotImplementedError

    def send_ack(self, effect: Effect, message: Request | Response | None) -> None:
        raise NotImplementedError

    def send_trying(self, effect: Effect, message: Request | Response | None) -> None:
        raise NotImplementedError

    def end(self, effect: Effect, message: Request | Response | None) -> None:
        raise NotImplementedError


class ClientTransaction(Transaction):
    """`request` is there until a final response came or none will: a CANCEL and an ACK are made from it."""

    __slots__ = ("answered", "arrival", "key", "request", "user")

    def __init__(
        self, layer: Transactions, request: Request, flow: Flow, user: ClientUser | None, key: ClientKey
    ) -> None:
        super().__init__(layer, flow)
        self.key = key
        self.arrival = flow
        """By which the last response came."""
        self.answered = False
        """Whether a final response came, or none will."""
        self.request: Request | None = request
        self.user = user
        self.machine = InviteClient() if request.method == "INVITE" else NonInviteClient()

    def begin(self) -> None:
        request = self.request
        for effect in self.machine.ENTRY:
            self.performers[effect](self, effect, request)

    def received(self, response: Response, flow: Flow) -> None:
        status = response.status
        self.arrival = flow
        if status >= 200 and not self.answered:
            self.answered = True
            self.layer.awaited.discard(self)
        self.step(response_input(status), response)
        if status >= 200:
            self.request = None
            if type(self.machine) is NonInviteClient:
                self.last = b""

    def forget(self) -> None:
        """Ends it although no final response came (RFC 3261 9.1)."""
        self.end(Effect.END, None)

    def hand_over(self, effect: Effect, message: Request | Response | None) -> None:
        if self.user is not None:
            assert type(message) is Response
            self.user.response(message, self.arrival)

    def timed_out(self, effect: Effect, message: Request | Response | None) -> None:
        if self.user is not None:
            self.user.failed(408)

    def could_not_send(self, effect: Effect, message: Request | Response | None) -> None:
        if self.user is not None:
            self.user.failed(503)

    def send_ack(self, effect: Effect, message: Request | Response | None) -> None:
        if self.request is not None:
            assert type(message) is Response
            self.acknowledgement = bytes(build.ack(self.request, message))
            self.last = b""
        self.transmit(self.acknowledgement)

    def end(self, effect: Effect, message: Request | Response | None) -> None:
        self.stop_resend(effect, message)
        self.stop_timeout(effect, message)
        self.request = None
        if not self.answered:
            self.answered = True
            self.layer.awaited.discard(self)
        self.layer.clients.pop(self.key, None)


class ServerTransaction(Transaction):
    """`user` is there until the final response."""

    __slots__ = ("key", "request", "to_tag", "user")

    def __init__(self, layer: Transactions, request: Request, flow: Flow, key: ServerKey) -> None:
        super().__init__(layer, flow)
        self.key = key
        self.user: ServerUser | None = None
        self.to_tag = ""
        self.request: Request | None = request
        self.machine = InviteServer() if request.method == "INVITE" else NonInviteServer()
        for effect in self.machine.ENTRY:
            if effect is not Effect.PASS:  # who makes the transaction hands the request on
                self.performers[effect](self, effect, request)

    def tag(self) -> str:
        """The To tag of all our own responses in this transaction (RFC 3261 8.2.6.2)."""
        if not self.to_tag:
            self.to_tag = self.layer.ids.tag()
        return self.to_tag

    def received(self, request: Request) -> None:
        self.step(Input.ACK if request.method == "ACK" else Input.REQUEST, request)

    def respond(self, response: Response) -> None:
        """Sends a response of the user."""
        status = response.status
        self.step(response_input(status), response)
        if status >= 200:
            self.user = self.request = None

    def respond_again(self, octets: bytes) -> None:
        """Sends a further 2xx to an INVITE for a user that is gone (RFC 3261 16.7 item 5)."""
        self.transmit(octets)

    def abandon(self) -> None:
        """There will be no response (RFC 4320 4.2)."""
        self.user = self.request = None
        self.step(Input.ABANDONED)

    def hand_over(self, effect: Effect, message: Request | Response | None) -> None:
        """An ACK that carries the INVITE's branch, as RFC 2543 had it: it is one for a 2xx."""
        assert type(message) is Request
        self.layer.core.ack(message, self.flow)

    def timed_out(self, effect: Effect, message: Request | Response | None) -> None:
        """No ACK for a refusal: there is nothing to do about it (RFC 3261 17.2.1)."""

    def could_not_send(self, effect: Effect, message: Request | Response | None) -> None:
        """The upstream is gone; its request times out there (RFC 6026 8.8)."""

    def send_trying(self, effect: Effect, message: Request | Response | None) -> None:
        if self.request is not None:
            self.send(effect, build.response(self.request, 100))
            if self.user is not None:
                self.user.trying()

    def end(self, effect: Effect, message: Request | Response | None) -> None:
        self.stop_resend(effect, message)
        self.stop_timeout(effect, message)
        self.layer.servers.pop(self.key, None)


def performers(kind: type[Transaction]) -> dict[Effect, Performer]:
    """What each effect is performed by, so that an effect without a performer is an error at import."""
    table: dict[Effect, Performer] = {
        Effect.SEND: kind.send,
        Effect.SEND_BESIDE: kind.send_beside,
        Effect.RESEND: kind.send_again,
        Effect.SEND_ACK: kind.send_ack,
        Effect.SEND_TRYING: kind.send_trying,
        Effect.PASS: kind.hand_over,
        Effect.TIMEOUT: kind.timed_out,
        Effect.UNREACHABLE: kind.could_not_send,
        Effect.END: kind.end,
    }
    for effect in Effect:
        verb, _, timer = effect.name.rpartition("_")
        if effect in table:
            continue
        resends = timer in ("A", "E", "G")
        if verb in ("DOUBLE", "SLOW"):
            table[effect] = kind.resend_later
        elif verb == "STOP":
            table[effect] = kind.stop_resend if resends else kind.stop_timeout
        else:
            table[effect] = kind.start_resend if resends else kind.start_timeout
    return table


ClientTransaction.performers = performers(ClientTransaction)
ServerTransaction.performers = performers(ServerTransaction)
