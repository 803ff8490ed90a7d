"""A request for somebody else, in one object for as long as all goes well (RFC 3261 16.6, 16.7).

Nobody decides about it (any more, where a script did so once), there is one target with one address, and nearly always
the peer answers and accepts. For all else (a refusal, a CANCEL, a failure, Timer C) `unfold` makes the context and the
branch that would be there by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipcgi.compiled import plain_case
from sipcgi.engine.branch import TIMER_C
from sipcgi.engine.by_default import only_branch
from sipcgi.engine.context import RequestContext
from sipcgi.engine.departure import depart
from sipcgi.engine.large import MOST_OCTETS
from sipcgi.engine.late_responses import LateResponses
from sipcgi.engine.own_route import OwnRoute
from sipcgi.engine.upstream import LARGEST_DATAGRAM, Server, framed
from sipcgi.errors import ParseError, ScriptError, Unreachable
from sipcgi.flow import Flow
from sipcgi.proxy.breadth import MAXIMUM
from sipcgi.proxy.loop import loop_hash
from sipcgi.proxy.responses import Ends, side, upstream
from sipcgi.service import NO_EDITS, Action, Edits, Relay
from sipcgi.sip.message import Request, Response
from sipcgi.sip.splice import forget_cgi_fields, plain_way_back

if TYPE_CHECKING:
    from sipcgi.engine.branch import Branch
    from sipcgi.engine.core import Core
    from sipcgi.engine.target import Target
    from sipcgi.engine.transaction import ClientTransaction
    from sipcgi.logs import AccessRecord
    from sipcgi.net.resolver import Target as Address
    from sipcgi.timerqueue import Timer


def handed_over(context: RequestContext, actions: Sequence[Action]) -> bool:
    """Whether all that was decided about a request, for good, is one target, to which it has left as a Passage.

    Then the context is over.
    """
    relay = actions[0] if len(actions) == 1 else None
    if type(relay) is not Relay or relay.timeout is not None:
        return False
    upstream, core, request = context.upstream, context.core, context.request
    if context.reroute is not None or context.caller is not None or context.depth or context.ours:
        return False
    if context.cancelled or context.queue or context.branches or upstream.final is not None:
        return False
    if context.way is not None or relay.edits.sets("route"):
        return False
    target = core.locations.beyond(relay.uri, request, context.initial)
    if target is None or target.binding is not None:
        return False
    record, own = context.record, OwnRoute(not context.initial, None, context.sent_by)
    breadth = MAXIMUM // 8  # as much as its hunt would give it
    whose = (core, context.server, request, context.flow, record, own, target)
    if not sent_on(*whose, upstream.began, relay.edits, breadth):
        return False
    record.actions.append("proxy")
    record.targets.append(relay.uri)
    context.released = True
    context.running = context.running_for = context.service = context.default = None
    return True


def sent_on(
    core: Core, server: Server, request: Request, flow: Flow, record: AccessRecord, own: OwnRoute, target: Target,
    began: float, edits: Edits = NO_EDITS, breadth: int = MAXIMUM,
) -> bool:  # fmt: skip
    """Whether a request that came at `began`, and goes to that target alone, has left as a Passage.

    The edits name no Route; `breadth` is its Max-Breadth. If not, it takes a branch to say why it cannot leave, or how
    it may.
    """
    names = request.headers.names
    if target.flow is not None or target.failure is not None or "route" in names or "max-breadth" in names:
        return False
    if target.routes or target.others:
        return False
    try:
        address = core.resolver.direct(target.uri)
        if address is None:
            return False
        way = core.transport.flow_to(address[0], address[1], "", own.sent_by)
        second = loop_hash(request)
        copy, branch = depart(core, request, flow, second, target, way, edits, breadth)
    except (Unreachable, ParseError, ScriptError):
        return False
    octets = bytes(copy)
    if len(octets) > MOST_OCTETS and way.transport == "UDP" and core.large.stream_for(way) is not None:
        return False
    course = (flow, own, target, address, edits, breadth, way, second)
    server.user = passage = Passage(core, server, request, record, began, course)
    if request.method == "INVITE":
        passage.timer_c = core.timers.start(TIMER_C, passage.timer_c_fired)
    client = core.transactions.send(copy, branch, way, passage, "", octets)
    if passage.branch is None:  # else it failed at once, and all is over: the two would hold each other
        passage.client = client
    return True


_Course = tuple[Flow, OwnRoute, "Target", "Address", Edits, int, Flow, str]
"""How a request goes through: the flow by which it came, its own route, its target and the address of that (RFC 3263
4.3), its edits and Max-Breadth, the flow by which its copy leaves, the second part of its branch (RFC 5393 4.2)."""


class Passage:
    """The user of a server transaction and of the client transaction of its copy."""

    __slots__ = (
        "began", "branch", "client", "core", "course", "record", "renewed", "request", "server", "timer_c",
    )  # fmt: skip

    branch: Branch | None
    """What has taken its place."""
    client: ClientTransaction | None
    timer_c: Timer | None
    renewed: float | None
    """When the last provisional response came; 0 for a 100."""

    def __init__(
        self, core: Core, server: Server, request: Request, record: AccessRecord, began: float, course: _Course
    ) -> None:
        self.core = core
        self.server = server
        self.request = request
        self.record = record
        self.began = began
        self.course = course
        self.branch = self.client = self.timer_c = self.renewed = None

    @plain_case("plain_response")
    def response(self, response: Response, flow: Flow) -> None:
        """A response of the client transaction: provisional ones and a 2xx go back as RFC 3261 16.7 has it.

        Plain are those that `plain_way_back` takes, but 100.
        """
        status, shaped = response.status, None
        if status == 100:
            self.renewed = self.renewed or 0.0
            return
        if status < 300:
            shaped = plain_way_back(response, self.request.headers) or self.shaped(response)
        if shaped is None:
            self.unfold().response(response, flow)
            return
        now, record, server = self.core.timers.now(), self.record, self.server
        if status < 200:
            self.renewed = now
            if record.to_180 is None:
                record.to_180 = now - self.began
            server.respond(shaped)
            return
        record.status = status
        record.to_final = now - self.began
        server.respond(shaped)
        self.over(response)

    def over(self, response: Response) -> None:
        """A 2xx has gone back."""
        server, late = self.server, None
        if self.timer_c is not None:  # an INVITE
            self.timer_c.cancel()
            self.timer_c = None
            late = LateResponses(server, {side(response): server.last}, Ends(self.request.headers, False))
        assert self.client is not None
        self.client.user = late
        self.core.log.access(self.record)

    def shaped(self, response: Response) -> Response | None:
        """As it goes upstream, if it is one that can."""
        forget_cgi_fields(response.headers)
        try:
            shaped = upstream(response, Ends(self.request.headers, False))
        except ParseError:
            return None
        flow = self.server.flow
        if flow.transport != "UDP":
            return framed(shaped, flow)
        fits = 4 * sum(map(len, shaped.headers.lines)) + len(shaped.body) < LARGEST_DATAGRAM
        return shaped if fits else None

    def failed(self, status: int, why: str) -> None:
        """See Branch."""
        self.unfold().failed(status, why)

    def timer_c_fired(self) -> None:
        """See Branch."""
        self.unfold().timer_c_fired()

    def cancel(self, request: Request) -> None:
        """See RequestContext."""
        self.unfold().context.cancel(request)

    def trying(self) -> None:
        """See RequestContext."""
        self.record.to_100 = self.core.timers.now() - self.began

    def unfold(self) -> Branch:
        """The branch in its context, in the state in which they would be now; from now on they are the users."""
        if self.branch is not None:
            return self.branch
        flow, own, target, address, edits, breadth, way, second = self.course
        context = RequestContext(self.core, self.server, self.request, flow, self.record, own)
        context.upstream.began, context.upstream.second = self.began, second
        self.branch = branch = only_branch(context, target, edits)
        branch.breadth, context.upstream.breadth.available = breadth, MAXIMUM - breadth
        branch.servers = (address,)
        branch.flow = way
        branch.client = self.client
        branch.timer_c = self.timer_c
        if self.renewed is not None:
            branch.progress, branch.renewed = True, self.renewed
        self.server.user = context
        if self.client is not None:
            self.client.user = branch
        return branch
