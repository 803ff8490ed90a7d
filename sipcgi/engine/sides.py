"""What a transaction does with nearly every message, on either side (RFC 3261 17): it begins, takes, sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.compiled import compiled
from sipcgi.engine.steps import Walker
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow
from sipcgi.sip.message import Request, Response
from sipcgi.transaction.key import ClientKey, ServerKey
from sipcgi.transaction.machine import Input

if TYPE_CHECKING:
    from sipcgi.engine.transaction import ClientUser, ServerUser
    from sipcgi.engine.transactions import Transactions

_1XX, _2XX, _300_699 = Input.RESPONSE_1XX, Input.RESPONSE_2XX, Input.RESPONSE_300_699

INPUTS = (_1XX, _2XX, _300_699, Input.REQUEST, Input.ACK)
"""What the compiled part steps with."""


@compiled
class Side(Walker):
    """What both sides have."""

    __slots__ = ("flow", "key", "last", "layer", "request", "user")

    flow: Flow
    layer: Transactions
    request: Request | None
    last: bytes
    """The octets that are sent again."""


@compiled
class ClientSide(Side):
    """Enters itself in the tables of its layer, and leaves them in `end`. `not_sent` is told of what cannot be sent."""

    __slots__ = ("answered", "arrival", "domain", "trouble")

    key: ClientKey
    user: ClientUser | None
    arrival: Flow
    """By which the last response came."""
    answered: bool
    """Whether a final response came, or none will."""
    domain: str | None
    """Which led to the peer's address; None: nothing but this flow leads there."""
    trouble: tuple[int, str]
    """What could not be sent is told as: a status, and why (RFC 3261 16.9)."""

    def __init__(
        self,
        layer: Transactions,
        request: Request,
        octets: bytes,
        flow: Flow,
        user: ClientUser | None,
        key: ClientKey,
        domain: str | None,
    ) -> None:
        self.layer = layer
        self.request = request
        self.last = octets
        self.flow = flow
        self.user = user
        self.key = key
        self.domain = domain
        self.answered = False
        layer.clients[key] = self  # type: ignore[assignment]
        layer.awaited.add(self)  # type: ignore[arg-type]
        kinds = layer.datagram if flow[0] == "UDP" else layer.stream
        self.begin(kinds.invite_client if request.method == "INVITE" else kinds.noninvite_client)

    def not_sent(self, error: Unreachable, octets: bytes) -> None:
        raise NotImplementedError

    def received(self, response: Response, flow: Flow) -> None:
        self.arrival = flow
        status = response.status
        if status < 200:
            self.step(_1XX, response)
            return
        if not self.answered:
            self.answered = True
            self.layer.awaited.discard(self)  # type: ignore[arg-type]
            self.last = b""  # it is never sent again
        self.step(_2XX if status < 300 else _300_699, response)
        self.request = None

    def send(self, message: Request | Response | None) -> None:
        """What is in `last`: the request, then its ACK; the first time and all others."""
        if not self.last:
            return
        try:
            self.layer.transport.send(self.last, self.flow)
        except Unreachable as error:
            self.not_sent(error, self.last)

    def hand_over(self, message: Request | Response | None) -> None:
        user = self.user
        if user is not None:
            user.response(message, self.arrival)  # type: ignore[arg-type]

    def end(self, message: Request | Response | None) -> None:
        self.stop_resend(message)
        self.stop_timeout(message)
        self.request = None
        if not self.answered:
            self.answered = True
            self.layer.awaited.discard(self)  # type: ignore[arg-type]
        self.layer.clients.pop(self.key, None)


@compiled
class ServerSide(Side):
    """Enters itself in the table of its layer, and leaves it in `end`. `not_sent` likewise."""

    __slots__ = ("to_tag",)

    key: ServerKey
    user: ServerUser | None
    to_tag: str

    def __init__(self, layer: Transactions, request: Request, flow: Flow, key: ServerKey) -> None:
        self.layer = layer
        self.request = request
        self.last = b""
        self.flow = flow
        self.user = None
        self.key = key
        self.to_tag = ""
        layer.servers[key] = self  # type: ignore[assignment]
        kinds = layer.datagram if flow[0] == "UDP" else layer.stream
        self.begin(kinds.invite_server if request.method == "INVITE" else kinds.noninvite_server)

    def not_sent(self, error: Unreachable, octets: bytes) -> None:
        raise NotImplementedError

    def received(self, request: Request) -> None:
        self.step(Input.ACK if request.method == "ACK" else Input.REQUEST, request)

    def respond(self, response: Response) -> None:
        """Sends a response of the user."""
        status = response.status
        if status < 200:
            self.step(_1XX, response)
            return
        self.step(_2XX if status < 300 else _300_699, response)
        self.user = self.request = None

    def send(self, message: Request | Response | None) -> None:
        self.last = octets = bytes(message)  # type: ignore[arg-type]
        self.transmit(octets)

    def transmit(self, octets: bytes) -> None:
        """A response. Over UDP its errors come later; one that has ended has no use for them."""
        flow, layer = self.flow, self.layer
        try:
            layer.transport.send(octets, flow)
        except Unreachable as error:
            self.not_sent(error, octets)
        else:
            if flow[0] == "UDP" and layer.servers.get(self.key) is self:
                layer.responded[flow] = self

    def end(self, message: Request | Response | None) -> None:
        self.stop_resend(message)
        self.stop_timeout(message)
        self.layer.servers.pop(self.key, None)
        if self.layer.responded.get(self.flow) is self:
            del self.layer.responded[self.flow]
