"""The BYE for a call that a script answered and nobody acknowledged (RFC 3261 13.3.1.4)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sipcgi.dialog.dialog import Dialog
from sipcgi.engine.servers import domain, find_servers
from sipcgi.errors import ParseError, Unreachable
from sipcgi.flow import Flow
from sipcgi.proxy.route import next_hop
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.net.resolver import Target as Server


class Farewell:
    """Leaves by the way the INVITE came, which every NAT lets through; where that is gone, by the route set."""

    __slots__ = ("core", "first", "hop", "request")

    def __init__(self, core: Core, request: Request, flow: Flow) -> None:
        self.core = core
        self.request = request
        self.first: Flow | None = flow
        self.hop: SipUri | None = None
        core.transactions.originate(request, flow, self)

    def response(self, response: Response, flow: Flow) -> None:
        """Whatever it is, the call is over (15.1.1)."""

    def failed(self, status: int, why: str) -> None:
        if self.first is None:
            return
        with suppress(ParseError):
            hop = next_hop(self.request)
            if isinstance(hop, SipUri):
                self.hop = hop
                find_servers(self.core, hop, self.found, lambda why: None)

    def found(self, servers: list[Server]) -> None:
        assert self.hop is not None
        first, self.first = self.first, None
        with suppress(Unreachable):
            flow = self.core.transport.flow_to(*servers[0], domain(self.hop))
            if flow != first:
                self.core.transactions.originate(self.request, flow, self)


def bye(invite: Request, answer: Response) -> Request:
    """In the dialog that `answer`, of ours, made (12.1.1, 12.2.1.1)."""
    return Dialog.called(invite, answer).request("BYE", [("Max-Forwards", "70")])
