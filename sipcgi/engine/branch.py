"""One branch of a request context: a relayed request from the choice of its target to its final response.

RFC 3261 16.6 (forwarding), 16.7 (what a branch hears), 16.8 (Timer C), 9.1 (CANCEL), 16.9 (transport errors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sipcgi.engine.departure import depart, set_out
from sipcgi.engine.large import MOST_OCTETS
from sipcgi.engine.reachable import needs_flow
from sipcgi.engine.servers import domain, find_servers
from sipcgi.engine.target import Target
from sipcgi.errors import ParseError, ScriptError, Unreachable
from sipcgi.flow import Flow
from sipcgi.net.blocklist import BLOCK, retry_after
from sipcgi.proxy.responses import upstream
from sipcgi.proxy.route import next_hop
from sipcgi.service import Edits
from sipcgi.sip.message import Request, Response
from sipcgi.sip.splice import forget_cgi_fields
from sipcgi.sip.uri import SipUri
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.hunt import Hunt
    from sipcgi.engine.late_responses import LateResponses
    from sipcgi.engine.transaction import ClientTransaction
    from sipcgi.net.resolver import Target as Server

TIMER_C = 181.0  # RFC 3261 16.6 item 11: larger than 3 minutes
_OTHER_WAYS = frozenset({408, 430, 503})
"""Of responses after which there may be another way to the same target."""


class Branch:
    """The user of one client transaction."""

    datagrams: Flow | None = None
    """The UDP flow of a request that is sent over TCP because of its size (RFC 3261 18.1.1)."""
    domain = ""
    """Of the next hop: its certificate must be for it."""
    servers: Sequence[Server] = ()
    """Of the next hop (RFC 3263 4.3): the one that is being tried, then those to try after it."""
    client: ClientTransaction | None = None
    final: int | None = None
    left = False
    """Whether the hunt knows of the end."""
    progress = False
    """Whether a provisional response came: only then may a CANCEL be sent (RFC 3261 9.1)."""
    cancelled = False
    timer_c: Timer | None = None
    renewed = 0.0
    """When Timer C was last to start anew (RFC 3261 16.7 item 2)."""

    def __init__(self, hunt: Hunt, target: Target, breadth: int) -> None:
        self.hunt = hunt
        self.context = hunt.context
        self.breadth = breadth
        self.aim(target)

    # To the peer

    def aim(self, target: Target) -> None:
        """Has it go there when it starts."""
        self.target = target
        self.edits = self.hunt.relay.edits
        if target.routes:  # a Path (RFC 3327 5.3), where the script does not say another way
            there = [] if "route" in self.edits.remove else self.context.request.headers.elements("route")
            self.edits = with_routes(self.edits, (*target.routes, *there))  # ahead of them (16.6 item 6)
        self.flow = target.flow

    def start(self) -> None:
        """Finds the next hop and sends; failures become local responses."""
        if self.final is not None:
            return  # a sibling's failure has ended everything meanwhile
        if self.target.failure is not None:
            self.local(self.target.failure)
            return
        try:
            self.set_out()
        except (Unreachable, ParseError, ScriptError) as error:
            self.not_sent(error)

    def not_sent(self, error: Unreachable | ParseError | ScriptError) -> None:
        """A step that has failed: a local response."""
        if isinstance(error, Unreachable):
            self.failed(503, str(error))
        elif isinstance(error, ParseError):
            self.local(error.status)
        else:  # an edit that cgi/output should have refused
            self.context.core.log.error(f"{error.text} ({self.context.request.call_id})")
            self.local(500)

    def set_out(self) -> None:
        """Raises Unreachable, ParseError and ScriptError."""
        if self.flow is None:
            context, edits = self.context, self.edits
            server = None
            if not (edits.headers or edits.remove or "route" in context.request.headers.names):
                server = context.core.resolver.direct(self.target.uri)
            if server is None:
                self.look_up()
                return
            self.servers = (server,)
        self.attempt()

    def look_up(self) -> None:
        """Asks for the servers of the next hop. Raises as `set_out` does."""
        hop = next_hop(self.context.request, uri=self.target.uri, edits=self.edits)
        if type(hop) is not SipUri:
            # a tel URI that nothing turned into another: 404; any other scheme: 416 (RFC 3261 16.3 item 2)
            self.local(404 if hop.scheme == "tel" else 416)
            return
        self.domain = domain(hop)
        find_servers(self.context.core, hop, self.found, partial(self.failed, 503))

    def found(self, servers: list[Server]) -> None:
        """The servers of the next hop; meanwhile all may be over."""
        self.servers = servers
        if self.final is None:
            try:
                self.attempt()
            except (Unreachable, ParseError, ScriptError) as error:
                self.not_sent(error)

    def attempt(self) -> None:
        """Sends to the first of the servers, or over the flow that is given. Raises as `send` does."""
        flow = self.flow
        if self.servers:
            context, (transport, remote) = self.context, self.servers[0]
            self.flow = flow = context.core.transport.flow_to(transport, remote, self.domain, context.sent_by)
        assert flow is not None
        self.send(flow)

    def next_server(self, blocked: float | None = BLOCK) -> bool:
        """After a failure, which blocks the server for so long: to the next one, if any, in a new transaction (4.3)."""
        if not self.servers or self.cancelled:
            return False
        failed, *self.servers = self.servers
        if blocked:
            self.context.core.resolver.note_failed(failed, blocked)
        if not self.servers:
            return False
        if self.client is not None:
            self.client.user = None  # it lingers for retransmissions, but has nothing more to say
        self.progress = False
        self.datagrams = None
        try:
            self.attempt()
        except Unreachable as error:
            self.failed(503, str(error))
        return True

    def next_flow(self, status: int) -> bool:
        """After a 430, a 408, or what a lost flow ends with: to the next flow of the same user agent (RFC 5626 7)."""
        target = self.target
        registered = target.binding
        if registered is not None and (status == 430 or (status == 503 and target.flow and needs_flow(registered))):
            self.context.core.locations.reachable.forget(registered)
        if not target.others or self.cancelled:
            return False
        if self.client is not None:
            self.client.user = None
        self.client = self.datagrams = None
        self.servers = ()
        self.progress = False
        following, *others = target.others
        following.others = others
        self.aim(following)
        self.start()
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
        context = self.context
        core = context.core
        forwarded, branch = self.departing(flow)
        octets = bytes(forwarded)
        # A flow on which the target registered is kept: nothing else may reach it
        if len(octets) > MOST_OCTETS and self.servers and flow.transport == "UDP":
            stream = core.large.stream_for(flow)
            if stream is not None:
                self.datagrams = flow
                self.flow = flow = stream
                forwarded, branch = self.departing(flow)
                octets = bytes(forwarded)
        if context.invite:
            self.restart_timer_c(TIMER_C, self.timer_c_fired)
        client = core.transactions.send(forwarded, branch, flow, self, self.domain if self.servers else None, octets)
        self.client = client if self.flow is flow else self.client  # it may have failed at once: there is a next one

    def departing(self, flow: Flow) -> tuple[Request, str]:
        """The request as it leaves by `flow`, and the branch in its Via. Raises as forward does."""
        context = self.context
        core, request = context.core, context.request
        if context.ours:
            return set_out(core, request, self.target, flow, self.edits)
        second = context.upstream.loop_hash()
        return depart(core, request, context.flow, second, self.target, flow, self.edits, self.breadth)

    def cancel(self, status: int | None = None) -> None:
        """Ends a pending branch: CANCEL after its first provisional (RFC 3261 9.1, 16.10).

        With a `status` the branch counts as ended with it at once, and what the peer says later is absorbed.
        """
        if self.cancelled or self.final is not None:
            return
        self.cancelled = True
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
        if status < 200:
            if not self.progress:
                self.progress = True
                if self.cancelled and context.invite:
                    self.send_cancel()
            if status == 100:
                return  # RFC 3261 16.7 item 5: never forwarded
            self.renewed = context.core.timers.now()
        else:
            if self.timer_c is not None:
                self.timer_c.cancel()
                self.timer_c = None
            if status in _OTHER_WAYS and self.final is None and self.other_way(response):
                return
        try:
            shaped = upstream(response, context.upstream.ends)
        except ParseError:
            shaped = None  # no Via left, for one: not ours to forward (16.7 item 3)
        if status >= 200 and self.final is None:
            self.close(status)
            context.received(self, shaped or context.upstream.local(500), flow, shaped is None)
        elif shaped is not None and (self.final is None or 200 <= status < 300):
            context.received(self, shaped, flow, False)

    def other_way(self, response: Response) -> bool:
        """After a final response of this server or flow alone: to the next one (RFC 3263 4.3, RFC 5626 7)."""
        status = response.status
        if status == 503:
            if self.next_server(retry_after(response.headers.get("retry-after"))):
                return True
            self.complain("answers 503", f"it answers {status} {response.reason}")
            return False
        if self.next_flow(status):
            return True
        if status == 430 and self.target.binding is not None:
            self.local(480)  # RFC 5626 11.5: no endpoint should see a 430
            return True
        return False

    def failed(self, status: int, why: str) -> None:
        """The client transaction timed out (408) or could not send (503, 513): RFC 3261 16.7 and 16.9."""
        # RFC 3263 4.3: a server that answered provisionally has not failed
        if self.final is not None or (not self.progress and status == 503 and self.fall_back()):
            return
        # nor has one for which a request is too large, but the next may take connections
        if self.progress or not self.next_server(None if status == 513 else BLOCK):
            lost = status == 503 and self.target.flow is not None
            if not self.next_flow(status):
                if status != 408:  # which goes upstream as it is
                    self.complain("no way there" if self.flow is None else "not reached", why)
                self.local(self.target.lost if lost else status)

    def complain(self, kind: str, why: str) -> None:
        """Of a status that goes upstream as another one (RFC 3261 16.7 item 6), the log tells where it comes from."""
        request, asked, uri = self.context.request, self.hunt.relay.uri, self.target.uri
        whose = "" if uri == asked else f", for {asked}"
        text = f"{request.method} to {uri}{whose} failed: {why} ({request.call_id})"
        self.context.core.complaints.say(kind, text)

    def timer_c_fired(self) -> None:
        """RFC 3261 16.8: CANCEL if there was a provisional response, else as if a 408 had come."""
        left = self.renewed + TIMER_C - self.context.core.timers.now()
        if left > 0:
            self.restart_timer_c(left, self.timer_c_fired)
        elif self.progress:
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
        context = self.context
        if self.final is None:
            context.pending -= 1
        self.final = status
        context.upstream.breadth.put_back(self.breadth)
        if self.timer_c is not None and not (self.cancelled and self.progress):
            self.timer_c.cancel()

    def release(self, late: LateResponses | None) -> None:
        """The context is over: `late` hears what the client transaction may still have to tell."""
        if self.client is not None and self.client.answered:
            self.client.user = late
        self.hunt.branches = []

    def leave(self, status: int) -> None:
        """The hunt hears of the end, once."""
        self.left = True
        self.hunt.closed(status)


def with_routes(edits: Edits, routes: tuple[str, ...]) -> Edits:
    if edits.sets("route"):
        return edits
    return Edits([*edits.headers, ("Route", ", ".join(routes))], edits.remove - {"route"}, edits.body)
