"""A transaction as it is driven: a table of transaction/ with its timers and its peer (RFC 3261 17, RFC 6026).

What lingers keeps its key and the octets of its last response, nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sipcgi.engine.sides import INPUTS, ClientSide, ServerSide, Side
from sipcgi.engine.steps import Arrow, Performer, steps
from sipcgi.errors import Oversized, Unreachable
from sipcgi.flow import Flow
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import TimerQueue
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_client import INVITE_CLIENT
from sipcgi.transaction.invite_server import INVITE_SERVER
from sipcgi.transaction.machine import Input
from sipcgi.transaction.noninvite_client import NONINVITE_CLIENT
from sipcgi.transaction.noninvite_server import NONINVITE_SERVER
from sipcgi.transaction.timers import Timers


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


class Transaction(Side):
    """How effects are performed."""

    __slots__ = ()

    inputs = INPUTS

    # Effects; each takes the message that came with the input. Those that start timers are in engine/steps.

    def send(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def send_again(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def hand_over(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def timed_out(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def could_not_send(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def send_ack(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def send_beside(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def send_trying(self, message: Request | Response | None) -> None:
        raise NotImplementedError

    def end(self, message: Request | Response | None) -> None:
        raise NotImplementedError


class ClientTransaction(ClientSide, Transaction):
    """A request that was sent.

    `request` is there until a final response came or none will: a CANCEL and an ACK are made from it.
    """

    __slots__ = ()

    user: ClientUser | None

    def reopen(self) -> Flow:
        """RFC 5923 8.1: when the connection of the INVITE is closed, CANCEL and ACK go there over a new one."""
        flow, transport = self.flow, self.layer.transport
        if flow.connection and self.domain is not None and not transport.is_open(flow):
            with suppress(Unreachable):
                self.flow = transport.flow_to(flow.transport, flow.remote, self.domain, transport.sent_by(flow))
        return self.flow

    def forget(self) -> None:
        """Ends it although no final response came (RFC 3261 9.1)."""
        self.end(None)

    def not_sent(self, error: Unreachable, octets: bytes) -> None:
        self.trouble = (513 if type(error) is Oversized else 503, str(error))
        self.step(Input.TRANSPORT_ERROR)

    send_again = ClientSide.send

    def timed_out(self, message: Request | Response | None) -> None:
        if self.user is not None:
            self.user.failed(408, "no response")

    def could_not_send(self, message: Request | Response | None) -> None:
        if self.user is not None:
            self.user.failed(*self.trouble)

    def send_ack(self, message: Request | Response | None) -> None:
        if self.request is not None:
            assert type(message) is Response
            self.last = bytes(build.ack(self.request, message))
        self.reopen()
        self.send(message)


class ServerTransaction(ServerSide, Transaction):
    """A request that was received. `user` is there until the final response."""

    __slots__ = ()

    def tag(self) -> str:
        """The To tag of all our own responses in this transaction (RFC 3261 8.2.6.2)."""
        if not self.to_tag:
            self.to_tag = self.layer.ids.tag()
        return self.to_tag

    def not_sent(self, error: Unreachable, octets: bytes) -> None:
        """A response that cannot go there has other ways (RFC 3261 18.2.2)."""
        self.step(Input.TRANSPORT_ERROR)
        if type(error) is not Oversized:
            self.layer.core.undelivered(octets, self.flow)

    def respond_again(self, octets: bytes) -> None:
        """Sends a further 2xx to an INVITE for a user that is gone (RFC 3261 16.7 item 5)."""
        self.transmit(octets)

    def abandon(self) -> None:
        """There will be no response (RFC 4320 4.2)."""
        self.user = self.request = None
        self.step(Input.ABANDONED)

    def send_again(self, message: Request | Response | None) -> None:
        if self.last:
            self.transmit(self.last)

    def send_beside(self, message: Request | Response | None) -> None:
        assert message is not None
        self.transmit(bytes(message))

    def hand_over(self, message: Request | Response | None) -> None:
        """An ACK that carries the INVITE's branch, as RFC 2543 had it: it is one for a 2xx."""
        assert type(message) is Request
        self.layer.core.ack(message, self.flow)

    def timed_out(self, message: Request | Response | None) -> None:
        """No ACK for a refusal: there is nothing to do about it (RFC 3261 17.2.1)."""

    def could_not_send(self, message: Request | Response | None) -> None:
        """The transaction stays as it is (RFC 6026 8.8); `transmit` looks for another way."""

    def send_trying(self, message: Request | Response | None) -> None:
        if self.request is not None:
            self.send(build.response(self.request, 100))
            if self.user is not None:
                self.user.trying()


def performers(kind: type[Transaction]) -> dict[Effect, Performer]:
    """What each effect is performed by, but for those that start timers."""
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
        if verb == "STOP":
            table[effect] = kind.stop_resend if timer in ("A", "E", "G") else kind.stop_timeout
    return table


@dataclass(frozen=True, slots=True)
class Kinds:
    """The four kinds of transactions over one kind of transport, each by the arrow into its first state."""

    invite_client: Arrow
    noninvite_client: Arrow
    invite_server: Arrow
    noninvite_server: Arrow

    @classmethod
    def over(cls, settings: Timers, timers: TimerQueue) -> Kinds:
        """`settings` are those of the transport."""
        client, server = performers(ClientTransaction), performers(ServerTransaction)
        return cls(
            steps(INVITE_CLIENT, client, settings, timers),
            steps(NONINVITE_CLIENT, client, settings, timers),
            steps(INVITE_SERVER, server, settings, timers),
            steps(NONINVITE_SERVER, server, settings, timers),
        )
