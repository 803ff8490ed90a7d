"""A transaction as it is driven: a table of transaction/ with its timers and its peer (RFC 3261 17, RFC 6026).

What lingers keeps its key and the octets of its last response, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from sipcgi.errors import Oversized, Unreachable
from sipcgi.flow import Flow
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_client import InviteClient
from sipcgi.transaction.invite_server import InviteServer
from sipcgi.transaction.key import ClientKey, ServerKey
from sipcgi.transaction.machine import Input, Machine, State, response_input
from sipcgi.transaction.noninvite_client import NonInviteClient
from sipcgi.transaction.noninvite_server import NonInviteServer
from sipcgi.transaction.timers import FIRES

if TYPE_CHECKING:
    from sipcgi.engine.transactions import Transactions


class ClientUser(Protocol):
    """Whom a client transaction tells."""

    def response(self, response: Response, flow: Flow) -> None: ...

    def failed(self, status: int, why: str) -> None:
        """408: timed out. 503: nothing can be sent to the peer. 513: this request does not fit into a datagram."""


class ServerUser(Protocol):
    """Whom a server transaction tells."""

    def cancel(self, request: Request) -> None: ...

    def trying(self) -> None:
        """A 100 was sent, for the user took its time."""


Performer = Callable[[Any, Effect, Request | Response | None], None]


class Transaction:
    """What both sides share: the machine, its two timers, and how effects are performed."""

    __slots__ = (
        "acknowledgement", "delays", "flow", "interval", "last", "layer", "machine", "resend", "timeout", "trouble",
    )  # fmt: skip

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
        self.trouble = (503, "")
        """What could not be sent is told as: a status, and why (RFC 3261 16.9)."""

    def step(self, happened: Input, message: Request | Response | None = None) -> None:
        """One row of the table. `message` is what came with the input."""
        performers = self.performers
        for effect in self.machine.step(happened):
            performers[effect](self, effect, message)

    def transmit(self, octets: bytes) -> None:
        try:
            self.layer.transport.send(octets, self.flow)
        except Unreachable as error:
            self.trouble = (513 if type(error) is Oversized else 503, str(error))
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

    __slots__ = ("answered", "arrival", "domain", "key", "request", "user")

    def __init__(
        self,
        layer: Transactions,
        request: Request,
        flow: Flow,
        user: ClientUser | None,
        key: ClientKey,
        domain: str | None = None,
    ) -> None:
        super().__init__(layer, flow)
        self.key = key
        self.domain = domain
        """Which led to the peer's address; None: nothing but this flow leads there."""
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

    def reopen(self) -> Flow:
        """RFC 5923 8.1: when the connection of the INVITE is closed, CANCEL and ACK go there over a new one."""
        flow, transport = self.flow, self.layer.transport
        if flow.connection and self.domain is not None and not transport.is_open(flow):
            with suppress(Unreachable):
                self.flow = transport.flow_to(flow.transport, flow.remote, self.domain, transport.sent_by(flow))
        return self.flow

    def received(self, response: Response, flow: Flow) -> None:
        status = response.status
        self.arrival = flow
        if status >= 200 and not self.answered:
            self.answered = True
            self.layer.awaited.discard(self)
        self.step(response_input(status), response)
        if status >= 200:
            self.request = None
            self.last = b""  # it is never sent again

    def forget(self) -> None:
        """Ends it although no final response came (RFC 3261 9.1)."""
        self.end(Effect.END, None)

    def hand_over(self, effect: Effect, message: Request | Response | None) -> None:
        if self.user is not None:
            assert type(message) is Response
            self.user.response(message, self.arrival)

    def timed_out(self, effect: Effect, message: Request | Response | None) -> None:
        if self.user is not None:
            self.user.failed(408, "no response")

    def could_not_send(self, effect: Effect, message: Request | Response | None) -> None:
        if self.user is not None:
            self.user.failed(*self.trouble)

    def send_ack(self, effect: Effect, message: Request | Response | None) -> None:
        if self.request is not None:
            assert type(message) is Response
            self.acknowledgement = bytes(build.ack(self.request, message))
            self.last = b""
        self.reopen()
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

    def transmit(self, octets: bytes) -> None:
        """A response; one that cannot go there has other ways (RFC 3261 18.2.2)."""
        flow = self.flow
        try:
            self.layer.transport.send(octets, flow)
        except Unreachable as error:
            self.step(Input.TRANSPORT_ERROR)
            if type(error) is not Oversized:
                self.layer.core.undelivered(octets, flow)
        else:
            if flow.transport == "UDP" and self.machine.state is not State.TERMINATED:  # its errors come later
                self.layer.responded[flow] = self

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
        """The transaction stays as it is (RFC 6026 8.8); `transmit` looks for another way."""

    def send_trying(self, effect: Effect, message: Request | Response | None) -> None:
        if self.request is not None:
            self.send(effect, build.response(self.request, 100))
            if self.user is not None:
                self.user.trying()

    def end(self, effect: Effect, message: Request | Response | None) -> None:
        self.stop_resend(effect, message)
        self.stop_timeout(effect, message)
        self.layer.servers.pop(self.key, None)
        if self.layer.responded.get(self.flow) is self:
            del self.layer.responded[self.flow]


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
