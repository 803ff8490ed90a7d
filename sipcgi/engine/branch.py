"""One branch of a request context: a relayed request from the choice of its target to its final response.

RFC 3261 16.6 (forwarding), 16.7 (what a branch hears), 16.8 (Timer C), 9.1 (CANCEL), 16.9 (transport errors).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcgi.cgi.metavars import forget_cgi_fields
from sipcgi.engine.stateless import domain
from sipcgi.errors import ParseError, ScriptError, Unreachable
from sipcgi.flow import Flow
from sipcgi.net.blocklist import BLOCK, retry_after
from sipcgi.net.resolver import Target as Server
from sipcgi.proxy.forward import forward
from sipcgi.proxy.loop import loop_hash
from sipcgi.proxy.responses import upstream
from sipcgi.proxy.route import next_hop
from sipcgi.service import Edits, Relay
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.transactions import ClientTransaction

TIMER_C = 181.0  # RFC 3261 16.6 item 11: larger than 3 minutes
MAKES_DIALOG = frozenset({"INVITE", "SUBSCRIBE", "REFER"})


@dataclass(slots=True)
class Target:
    """Where a branch goes: the Request-URI, the Routes before it (RFC 3327 Path), the flow it registered on."""

    uri: str
    routes: tuple[str, ...] = ()
    flow: Flow | None = None
    failure: int | None = None
    """Nothing to send to: the status of the local response instead."""


class Hunt:
    """One Relay of a service: groups of targets, all of a group at once, the next after the group has failed."""

    __slots__ = ("branches", "context", "expiry", "groups", "open", "relay")

    def __init__(self, context: RequestContext, relay: Relay, groups: list[list[Target]]) -> None:
        self.context = context
        self.relay = relay
        self.groups = groups
        self.branches: list[Branch] = []
        self.open = 0
        self.expiry: Timer | None = None
        if relay.timeout is not None:
            self.expiry = context.core.timers.start(relay.timeout, self.expired)

    def next_group(self) -> None:
        """Starts the next group, if there is one."""
        if self.groups:
            group, shares = self.within_breadth(self.groups.pop(0))
            self.branches = [Branch(self, target, share) for target, share in zip(group, shares, strict=True)]
            self.open = len(self.branches)
            self.context.branches.extend(self.branches)
            for branch in self.branches:
                branch.start()
        elif self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None

    def within_breadth(self, group: list[Target]) -> tuple[list[Target], list[int]]:
        """The targets that may be tried at once, with the Max-Breadth of each (RFC 5393 5.3.3).

        A group that is too wide is tried one after the other; nothing left at all is a 440. A script may add branches
        later, so not all is given away.
        """
        breadth = self.context.upstream.breadth
        if not breadth.available:
            return [Target(target.uri, failure=440) for target in group], [0] * len(group)
        if len(group) > breadth.available:
            self.groups[:0] = [[target] for target in group[1:]]
            group = group[:1]
        keep = 0
        if self.context.service is not None:
            keep = breadth.available - len(group) * max(1, breadth.available // 8)
        return group, breadth.take(len(group), keep=keep)

    def closed(self, status: int) -> None:
        """A branch has ended; after a 2xx or 6xx nothing more is tried (RFC 3261 16.7 item 5)."""
        self.open -= 1
        if 200 <= status < 300 or status >= 600:
            self.groups = []
        if not self.open:
            self.next_group()

    def expired(self) -> None:
        """The time that the service gave is over (RFC 3050 5.7): CANCEL, and one local 408 for all of it."""
        self.groups = []
        self.expiry = None
        pending = [branch for branch in self.branches if branch.final is None]
        for branch in pending:
            branch.cancel(408)
        for branch in pending[1:]:
            branch.leave(408)
        if pending:
            self.context.received(pending[0], self.context.upstream.local(408), None, True)


class Branch:
    """The user of one client transaction."""

    __slots__ = (
        "breadth",
        "cancelled",
        "client",
        "context",
        "datagrams",
        "domain",
        "edits",
        "final",
        "flow",
        "hunt",
        "left",
        "progress",
        "servers",
        "target",
        "timer_c",
    )

    def __init__(self, hunt: Hunt, target: Target, breadth: int) -> None:
        self.hunt = hunt
        self.context = hunt.context
        self.target = target
        self.breadth = breadth
        self.edits = hunt.relay.edits
        if target.routes:  # a Path (RFC 3327 5.3), where the script does not say another way
            self.edits = with_routes(self.edits, target.routes)
        self.flow = target.flow
        self.datagrams: Flow | None = None
        """The UDP flow of a request that is sent over TCP because of its size (RFC 3261 18.1.1)."""
        self.domain = ""
        """Of the next hop: its certificate must be for it."""
        self.servers: list[Server] = []
        """Of the next hop (RFC 3263 4.3): the one that is being tried, then those to try after it."""
        self.client: ClientTransaction | None = None
        self.final: int | None = None
        self.left = False
        """Whether the hunt knows of the end."""
        self.progress = False
        """Whether a provisional response came: only then may a CANCEL be sent (RFC 3261 9.1)."""
        self.cancelled = False
        self.timer_c: Timer | None = None

    # To the peer

    def start(self) -> None:
        """Finds the next hop and sends; failures become local responses."""
        if self.final is not None:
            return  # a sibling's failure has ended everything meanwhile
        if self.target.failure is not None:
            self.local(self.target.failure)
            return
        try:
            if self.flow is None:
                hop = next_hop(self.context.request, uri=self.target.uri, edits=self.edits)
                if type(hop) is not SipUri:
                    # a tel URI that nothing turned into another: 404; any other scheme: 416 (RFC 3261 16.3 item 2)
                    self.local(404 if hop.scheme == "tel" else 416)
                    return
                self.domain = domain(hop)
                servers = self.context.core.resolver.resolve_now(hop)
                if servers is None:
                    self.context.core.spawn(self.resolve, hop)
                    return
                self.servers = servers
            self.attempt()
        except Unreachable:
            self.failed(503)
        except ParseError as error:
            self.local(error.status)
        except ScriptError as error:  # an edit that cgi/output should have refused
            self.context.core.log.error(f"{error.text} ({self.context.request.call_id})")
            self.local(500)

    async def resolve(self, hop: SipUri) -> None:
        """The part of `start` that waits for a name server."""
        core = self.context.core
        try:
            self.servers = await core.resolver.resolve(hop)
            if self.final is None:
                self.attempt()
        except Unreachable:
            self.failed(503)
        except (ParseError, ScriptError) as error:  # as in `start`
            self.context.core.log.error(f"{error} ({self.context.request.call_id})")
            self.local(500)

    def attempt(self) -> None:
        """Sends to the first of the servers, or over the flow that is given. Raises as `send` does."""
        self.datagrams = None
        if self.servers:
            self.flow = self.context.core.transport.flow_to(*self.servers[0], self.domain)
        assert self.flow is not None
        self.send(self.flow)

    def next_server(self, blocked: float | None = BLOCK) -> bool:
        """After a failure, which blocks the server for so long: to the next one, if any, in a new transaction (4.3)."""
        if not self.servers or self.cancelled:
            return False
        failed = self.servers.pop(0)
        if blocked:
            self.context.core.resolver.note_failed(failed, blocked)
        if not self.servers:
            return False
        if self.client is not None:
            self.client.user = None  # it lingers for retransmissions, but has nothing more to say
        self.progress = False
        try:
            self.attempt()
        except Unreachable:
            self.failed(503)
        return True

    def fall_back(self) -> bool:
        """18.1.1: what would take no connection gets the large request in a datagram after all."""
        flow, self.datagrams = self.datagrams, None
        if flow is None or self.cancelled:
            return False
        assert self.flow is not None
        self.context.core.large.lost(self.flow)
        if self.client is not None:
            self.client.user = None
        self.flow = flow
        self.send(flow)
        return True

    def send(self, flow: Flow) -> None:
        core = self.context.core
        forwarded, branch = self.forwarded(flow)
        # A flow on which the target registered is kept: nothing else may reach it
        if self.servers and flow.transport == "UDP" and (stream := core.large.stream_for(forwarded, flow)) is not None:
            self.datagrams = flow
            self.flow = flow = stream
            forwarded, branch = self.forwarded(flow)
        if forwarded.method == "INVITE":
            self.restart_timer_c(TIMER_C, self.timer_c_fired)
        client = core.transactions.send(forwarded, branch, flow, self)
        self.client = client if self.flow is flow else self.client  # it may have failed at once: there is a next one

    def forwarded(self, flow: Flow) -> tuple[Request, str]:
        """The request as it leaves by `flow`, and the branch in its Via."""
        context = self.context
        core, request = context.core, context.request
        branch = core.ids.branch(loop_hash(request))
        via = f"SIP/2.0/{flow.transport} {core.transport.sent_by(flow)};branch={branch};rport"
        if not (context.initial and request.method in MAKES_DIALOG):
            return forward(request, uri=self.target.uri, via=via, edits=self.edits, breadth=self.breadth), branch
        name = core.token_key.mint(request.call_id, request.from_.tag or "")
        ours = record_route(name, core.transport.sent_by(flow), flow)
        forwarded = forward(
            request, uri=self.target.uri, via=via, record_route=ours, edits=self.edits, breadth=self.breadth
        )
        arrival = context.flow
        if arrival[:2] != flow[:2]:
            # 16.6 item 4, RFC 5658: each side gets the name by which it reaches us; ours, not one that a script printed
            theirs = record_route(name, core.transport.sent_by(arrival), arrival)
            headers = forwarded.headers
            at = headers.names.index("record-route")
            if theirs != ours and name in headers.lines[at]:
                secure = request.uri[:5].lower() == "sips:"
                headers.insert(at + 1, "Record-Route", theirs.replace("<sip:", "<sips:") if secure else theirs)
        return forwarded, branch

    def cancel(self, status: int | None = None) -> None:
        """Ends a pending branch: CANCEL after its first provisional (RFC 3261 9.1, 16.10).

        With a `status` the branch counts as ended with it at once, and what the peer says later is absorbed.
        """
        if self.cancelled or self.final is not None:
            return
        self.cancelled = True
        self.hunt.groups = []
        if self.client is not None and self.progress and self.context.request.method == "INVITE":
            self.send_cancel()
        if status is not None:
            self.close(status)
        elif self.client is None:  # its name is still being resolved
            self.local(487)

    def send_cancel(self) -> None:
        assert self.client is not None
        core = self.context.core
        core.transactions.cancel(self.client)
        # 9.1: without a final response in 64*T1 the cancelled transaction is given up
        self.restart_timer_c(64 * core.transactions.t1, self.gave_up)

    # From the peer

    def response(self, response: Response, flow: Flow) -> None:
        """A response of the client transaction."""
        status = response.status
        context = self.context
        forget_cgi_fields(response.headers)
        if status >= 200 and self.timer_c is not None:
            self.timer_c.cancel()
        if status < 200:
            if not self.progress:
                self.progress = True
                if self.cancelled and context.request.method == "INVITE":
                    self.send_cancel()
            if status == 100:
                return  # RFC 3261 16.7 item 5: never forwarded
            if not self.cancelled and self.timer_c is not None:
                self.restart_timer_c(TIMER_C, self.timer_c_fired)
        if status == 503 and self.final is None and self.next_server(retry_after(response.headers.get("retry-after"))):
            return
        try:
            shaped = upstream(response, original=context.request)
        except ParseError:
            shaped = None  # no Via left, for one: not ours to forward (16.7 item 3)
        if status >= 200 and self.final is None:
            self.close(status)
            context.received(self, shaped or context.upstream.local(500), flow.remote, shaped is None)
        elif shaped is not None and (self.final is None or 200 <= status < 300):
            context.received(self, shaped, flow.remote, False)

    def failed(self, status: int) -> None:
        """The client transaction timed out (408) or could not send (503): RFC 3261 16.7 and 16.9."""
        # RFC 3263 4.3: a server that answered provisionally has not failed
        if self.final is not None or (not self.progress and status == 503 and self.fall_back()):
            return
        if self.progress or not self.next_server():
            self.local(status)

    def timer_c_fired(self) -> None:
        """RFC 3261 16.8: CANCEL if there was a provisional response, else as if a 408 had come."""
        if self.progress:
            self.cancel()
        else:
            self.local(408)

    def gave_up(self) -> None:
        if self.client is not None:
            self.client.forget()
        if self.final is None:
            self.local(487)

    def restart_timer_c(self, delay: float, callback: Callable[[], None]) -> None:
        if self.timer_c is not None:
            self.timer_c.cancel()
        self.timer_c = self.context.core.timers.start(delay, callback)

    def local(self, status: int) -> None:
        """A response that the server makes itself (RFC 3050 5.8)."""
        self.close(status)
        self.context.received(self, self.context.upstream.local(status), None, True)

    def close(self, status: int) -> None:
        """The branch has its final status; the context tells the hunt, by `leave`, when it has taken note of it."""
        self.final = status
        self.context.upstream.breadth.put_back(self.breadth)
        if self.timer_c is not None and not (self.cancelled and self.progress):
            self.timer_c.cancel()

    def leave(self, status: int) -> None:
        if not self.left:
            self.left = True
            self.hunt.closed(status)


def record_route(name: str, sent_by: str, flow: Flow) -> str:
    """The value that leads back to our end of a flow."""
    transport = "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"
    return f"<sip:{name}@{sent_by};lr{transport}>"


def with_routes(edits: Edits, routes: tuple[str, ...]) -> Edits:
    if any(name.lower() == "route" for name, _ in edits.headers):
        return edits
    return Edits([*edits.headers, ("Route", ", ".join(routes))], edits.remove - {"route"}, edits.body)
