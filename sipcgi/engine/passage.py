"""A request for somebody else, in one object for as long as all goes well (RFC 3261 16.6, 16.7).

Nobody decides about it (any more, where a script did so once), there is one target with one address, and nearly always
the peer answers and accepts. For all else (a refusal, a CANCEL, a failure, Timer C) `unfold` makes the context and the
branch that would be there by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipcgi.cgi.metavars import forget_cgi_fields
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
    if type(relay) is not Relay or relay.timeout is not None or relay.edits.sets("route"):
        return False
    upstream, core, request = context.upstream, context.core, context.request
    if context.reroute is not None or context.caller is not None or context.depth or context.ours:
        return False
    if context.cancelled or context.queue or context.branches or upstream.final is not None:
        return False
    groups = core.locations.targets(relay, request, context.initial, context.way)
    if len(groups) > 1 or len(groups[0]) > 1:
        return False
    target = groups[0][0]
    if target.binding is not None or target.uri != relay.uri:
        return False
    own = OwnRoute(not context.initial, context.way, context.sent_by)
    whose = (core, context.server, request, context.flow, context.record, own, target)
    if not sent_on(*whose, upstream.began, relay.edits, MAXIMUM // 8):  # as much as its hunt would give it
        return False
    context.record.actions.append("proxy")
    context.record.targets.append(relay.uri)
    context.released = True
    context.running = context.running_for = context.service = context.default = None
    return True


def sent_on(
    core: Core, server: Server, request: Request, flow: Flow, record: AccessRecord, own: OwnRoute, target: Target,
    began: float, edits: Edits = NO_EDITS, breadth: int = MAXIMUM,
) -> bool:  # fmt: skip
    """Whether a request that came at `began`, and goes to that target alone, has left as a Passage.

    The edits name no Route; `breadth` is its Max-Breadth.
    """
    names = request.headers.names
    if target.flow is not None or target.failure is not None or "route" in names or "max-breadth" in names:
        return False
    if target.routes or target.others:
        return False
    try:
        address = core.resolver.direct(target.uri)
    except Unreachable:  # by a transport that nobody speaks, which a branch is to say
        return False
    return (
        address is not None
        and Passage(core, server, request, flow, record, own, target, address, began, edits, breadth).set_out()
    )


class Passage:
    """The user of a server transaction and of the client transaction that `set_out` starts."""

    __slots__ = (
        "address", "began", "branch", "breadth", "client", "core", "edits", "ends", "flow", "invite", "own", "progress",
        "record", "renewed", "request", "second", "server", "target", "timer_c", "way",
    )  # fmt: skip

    branch: Branch | None
    """What has taken its place."""
    client: ClientTransaction | None
    timer_c: Timer | None
    second: str
    """Of the branch that its copy has (RFC 5393 4.2)."""
    way: Flow
    """By which its copy leaves."""

    def __init__(
        self, core: Core, server: Server, request: Request, flow: Flow, record: AccessRecord, own: OwnRoute,
        target: Target, address: Address, began: float, edits: Edits, breadth: int,
    ) -> None:  # fmt: skip
        self.core = core
        self.server = server
        self.request = request
        self.flow = flow
        self.record = record
        self.own = own
        self.target = target
        self.address = address
        """Of the target (RFC 3263 4.3)."""
        self.began = began
        self.edits = edits
        self.breadth = breadth
        self.invite = request.method == "INVITE"
        headers = request.headers
        names, lines = headers.names, headers.lines
        self.ends = Ends(lines[names.index("from")], lines[names.index("to")], False)
        self.progress = False
        self.renewed = 0.0
        self.branch = self.client = self.timer_c = None

    def set_out(self) -> bool:
        """Sends the copy. False: nothing was done, for it takes a branch to say why it cannot leave, or how it may."""
        core, request, address = self.core, self.request, self.address
        try:
            self.way = way = core.transport.flow_to(address[0], address[1], "", self.own.sent_by)
            self.second = second = loop_hash(request)
            copy, branch = depart(core, request, self.flow, second, self.target, way, self.edits, self.breadth)
        except (Unreachable, ParseError, ScriptError):
            return False
        octets = bytes(copy)
        if len(octets) > MOST_OCTETS and way.transport == "UDP" and core.large.stream_for(way) is not None:
            return False
        self.server.user = self
        if self.invite:
            self.timer_c = core.timers.start(TIMER_C, self.timer_c_fired)
        client = core.transactions.send(copy, branch, way, self, "", octets)
        if self.branch is None:  # else it failed at once, and all is over: the two would hold each other
            self.client = client
        return True

    def response(self, response: Response, flow: Flow) -> None:
        """A response of the client transaction: provisional ones and a 2xx go back as RFC 3261 16.7 has it."""
        status, server = response.status, self.server
        if status >= 300:
            self.unfold().response(response, flow)
            return
        if status == 100:
            self.progress = True
            return
        forget_cgi_fields(response.headers)
        datagrams = server.flow.transport == "UDP"
        try:
            shaped = upstream(response, self.ends)
        except ParseError:
            self.unfold().response(response, flow)
            return
        if not datagrams:
            shaped = framed(shaped, server.flow)
        elif 4 * sum(map(len, shaped.headers.lines)) + len(shaped.body) >= LARGEST_DATAGRAM:
            self.unfold().response(response, flow)
            return
        now, record = self.core.timers.now(), self.record
        if status < 200:
            self.progress = True
            self.renewed = now
            if record.to_180 is None:
                record.to_180 = now - self.began
            server.respond(shaped)
            return
        if self.timer_c is not None:
            self.timer_c.cancel()
            self.timer_c = None
        record.status = status
        record.to_final = now - self.began
        server.respond(shaped)
        assert self.client is not None
        late = LateResponses(server, {side(response): server.last}, self.ends) if self.invite else None
        self.client.user = late
        self.core.log.access(record)

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
        context = RequestContext(self.core, self.server, self.request, self.flow, self.record, self.own)
        context.upstream.began, context.upstream.second = self.began, self.second
        self.branch = branch = only_branch(context, self.target, self.edits)
        branch.breadth, context.upstream.breadth.available = self.breadth, MAXIMUM - self.breadth
        branch.servers = (self.address,)
        branch.flow = self.way
        branch.client = self.client
        branch.timer_c = self.timer_c
        branch.progress, branch.renewed = self.progress, self.renewed
        self.server.user = context
        if self.client is not None:
            self.client.user = branch
        return branch
