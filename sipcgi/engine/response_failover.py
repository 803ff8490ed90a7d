"""Responses that the source of their request does not take: to the other servers of the client.

RFC 3261 18.2.2 and RFC 3263 section 5: over a stream first a new connection to the source, then, as over UDP, the
servers of the sent-by, one after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.engine.servers import find_servers
from sipcgi.errors import ParseError, Unreachable
from sipcgi.flow import WEBSOCKETS, Flow
from sipcgi.sip.message import Response
from sipcgi.sip.params import NONE
from sipcgi.sip.parser import parse
from sipcgi.sip.uri import SipUri
from sipcgi.sip.via import Via
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.net.resolver import Target as Server

MOST = 200
"""Responses that are looked after at once; those beyond are lost, as their clients are."""
WAIT = 16.0
"""Seconds in which it shows whether an address takes one: those of connecting and of a handshake (net/stream)."""


class ResponseFailover:
    """Which responses are on their way to somewhere else than the source of their request."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.under_way = 0
        self.sent: dict[Flow, list[Attempt]] = {}
        """By the flow on which it may still show that they do not arrive."""

    def undelivered(self, octets: bytes, flow: Flow) -> None:
        """A response could not be sent over `flow`, or it was heard that it did not arrive there."""
        if flow.transport in WEBSOCKETS or self.under_way >= MOST:  # RFC 7118 5: no other connection leads there
            return
        try:
            response = parse(octets)
            via = response.via
        except ParseError:  # relayed as it came, with something that is only looked at here
            return
        if type(response) is Response:
            self.under_way += 1
            Attempt(self, response, via, octets, flow).begin()

    def lost(self, flow: Flow) -> None:
        """What was sent over it did not arrive."""
        for attempt in self.sent.pop(flow, ()):
            attempt.go_on()


class Attempt:
    """One response, from one address to the next."""

    __slots__ = ("failover", "flow", "octets", "response", "servers", "timer", "tried", "via", "way")

    def __init__(self, failover: ResponseFailover, response: Response, via: Via, octets: bytes, flow: Flow) -> None:
        self.failover = failover
        self.response = response
        self.via = via
        self.octets = octets
        self.flow = flow
        """Over which it cannot go."""
        self.way = flow
        self.tried = {flow.remote}
        self.servers: list[Server] | None = None
        """Of the sent-by, those that are left; None: nobody has asked for them."""
        self.timer: Timer | None = None

    def begin(self) -> None:
        way = self.failover.core.transport.response_flow(self.response, self.flow)
        if self.flow.transport == "UDP" or way == self.flow or not self.send(way):
            self.go_on()

    def send(self, way: Flow) -> bool:
        """Whether it may arrive there; if not, the transport may tell later."""
        self.tried.add(way.remote)
        failover = self.failover
        try:
            failover.core.transport.send(self.octets, way)
        except Unreachable:
            return False
        self.way = way
        failover.sent.setdefault(way, []).append(self)
        self.timer = failover.core.timers.start(WAIT, self.arrived)
        return True

    def arrived(self) -> None:
        """Nothing else was heard."""
        attempts = self.failover.sent[self.way]
        attempts.remove(self)
        if not attempts:
            del self.failover.sent[self.way]
        self.end()

    def go_on(self) -> None:
        """To the next server, if there is one."""
        if self.timer is not None:
            self.timer.cancel()
        if self.servers is None:
            # section 5: with a port its A and AAAA records, without one SRV for the transport; never another transport
            params = NONE.with_("transport", self.flow.transport.lower())
            sent_by = SipUri("sip", None, None, self.via.host, self.via.port, params)
            find_servers(self.failover.core, sent_by, self.found, lambda why: self.end())
            return
        transport = self.failover.core.transport
        while self.servers:
            server = self.servers.pop(0)
            if server.remote in self.tried:
                continue
            try:
                way = transport.flow_to(*server, self.via.host, transport.sent_by(self.flow))
            except Unreachable:
                continue
            if self.send(way):
                return
        self.end()

    def found(self, servers: list[Server]) -> None:
        self.servers = list(servers)
        self.go_on()

    def end(self) -> None:
        self.failover.under_way -= 1
