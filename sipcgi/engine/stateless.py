"""Forwarding without state: the ACK of a 2xx, which belongs to no transaction of ours (RFC 3261 16.11, 17.1.1.3)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sipcgi.engine.large import MOST_OCTETS
from sipcgi.engine.servers import domain, find_servers
from sipcgi.errors import ParseError, Unreachable
from sipcgi.flow import Flow
from sipcgi.proxy.forward import forward
from sipcgi.proxy.route import next_hop
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.target import Target
    from sipcgi.net.resolver import Target as Server


def send_on(core: Core, request: Request, target: Target, sent_by: str) -> None:
    """Sends it on, from the socket of `sent_by`; what cannot be sent is dropped, for nothing answers an ACK.

    Raises ParseError.
    """
    if target.failure is not None:
        return
    flow = target.flow
    try:
        if flow is None:
            server = None if "route" in request.headers.names else core.resolver.direct(target.uri)
            if server is None:
                look_up(core, request, target, sent_by)
                return
            flow = core.transport.flow_to(server[0], server[1], "", sent_by)
        transmit(core, request, target, flow)
    except Unreachable:
        return


def look_up(core: Core, request: Request, target: Target, sent_by: str) -> None:
    """Sends it to the first of the servers of the next hop."""
    hop = next_hop(request, uri=target.uri)
    if type(hop) is not SipUri:
        return

    def found(servers: list[Server]) -> None:
        with suppress(Unreachable, ParseError):
            transmit(core, request, target, core.transport.flow_to(*servers[0], domain(hop), sent_by))

    find_servers(core, hop, found, lambda why: None)


def transmit(core: Core, request: Request, target: Target, flow: Flow) -> None:
    transport = core.transport
    via = f"SIP/2.0/{flow.transport} {transport.sent_by(flow)};branch={core.ids.branch()};rport"
    octets = bytes(forward(request, target.uri, via))
    # RFC 3261 18.1.1; when the connection fails the ACK is lost, but the next one, for the repeated 2xx, is a datagram
    if len(octets) > MOST_OCTETS and target.flow is None and flow.transport == "UDP":
        stream = core.large.stream_for(flow)
        if stream is not None:
            transmit(core, request, target, stream)
            return
    transport.send(octets, flow)
