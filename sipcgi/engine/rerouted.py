"""A proxied URI of ours that goes through the routes once more (contract: `reroute: true`).

The branch has no peer: its request is that of a further context, which takes the branch for its server transaction.
So the inner script and its branches are a call of their own, whose responses become those of the branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.engine.branch import Branch
from sipcgi.errors import Refused
from sipcgi.proxy.edits import edited
from sipcgi.proxy.forward import request_uri
from sipcgi.proxy.responses import between
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

if TYPE_CHECKING:
    from sipcgi.engine.hunt import Hunt
    from sipcgi.engine.late_responses import LateResponses
    from sipcgi.engine.target import Target
    from sipcgi.engine.transaction import ServerUser

DEEPEST = 10
"""Turns through the routes, one inside the other."""
MOST_TURNS = 100
"""All turns that come of one request: scripts that fork to each other would make hundreds of thousands."""


class Rerouted(Branch):
    """A branch inwards, through `context.reroute`."""

    __slots__ = ("server",)

    def __init__(self, hunt: Hunt, target: Target, breadth: int) -> None:
        super().__init__(hunt, target, breadth)
        self.server: InnerServer | None = None

    def set_out(self) -> None:
        """Begins the inner context."""
        context = self.context
        breadth = context.upstream.breadth
        if context.depth >= DEEPEST or breadth.turns == MOST_TURNS:
            self.local(482)
            return
        breadth.turns += 1
        headers, body, _ = edited(context.request, self.edits)
        request = Request(context.request.method, request_uri(self.target.uri), headers, body)
        self.server = InnerServer(self, request)
        assert self.target.reroute is not None
        try:
            self.target.reroute(context, request, self.server)
        except Refused as refusal:
            self.local(refusal.status)

    def cancel(self, status: int | None = None) -> None:
        """The inner context hears of it as of a CANCEL; see Branch."""
        if self.cancelled or self.final is not None:
            return
        self.cancelled = True
        if status is not None:
            self.close(status)
        if self.server is not None and self.server.user is not None:
            self.server.user.cancel(build.cancel(self.server.request))
        elif status is None:
            self.local(487)

    def release(self, late: LateResponses | None) -> None:
        super().release(late)
        self.server = None

    def answered(self, response: Response) -> None:
        """A response of the inner context; to a script it is one that the server itself has made (RFC 3050 5.8)."""
        status = response.status
        first = self.final is None
        if status == 100 or not (first or 200 <= status < 300):
            return
        if status >= 200 and first:
            self.close(status)
        self.context.received(self, between(response, self.context.upstream.ends), None, True)


class InnerServer:
    """What the inner context has for a server transaction."""

    __slots__ = ("branch", "flow", "last", "request", "to_tag", "user")

    def __init__(self, branch: Rerouted, request: Request) -> None:
        self.branch = branch
        self.flow = branch.context.server.flow
        self.request = request
        self.last = b""
        self.to_tag = ""
        self.user: ServerUser | None = None

    def tag(self) -> str:
        """Of the responses that are made inside; those of several branches differ (RFC 3261 16.7 item 6)."""
        if not self.to_tag:
            self.to_tag = self.branch.context.core.ids.tag()
        return self.to_tag

    def respond(self, response: Response) -> None:
        if response.status >= 200:
            self.user = None
            self.last = bytes(response)
        self.branch.answered(response)

    def respond_again(self, octets: bytes) -> None:
        """A further 2xx to an INVITE, of which the outer context may know."""
        response = parse(octets)
        assert type(response) is Response
        self.branch.answered(response)

    def abandon(self) -> None:
        """There will be no response (RFC 4320 4.2); a branch ends all the same."""
        self.user = None
        if self.branch.final is None:
            self.branch.local(408)
