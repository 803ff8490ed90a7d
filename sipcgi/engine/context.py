"""The request context: one request from its arrival to its last response (RFC 3261 16.7, RFC 3050 5.3).

A synchronous object, stepped inside the receive loop; one thread, so no locks. It owns the branches, the response
context and the events that wait while a service decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from sipcgi.engine.branch import Branch
from sipcgi.engine.by_default import default_response, received_by_default
from sipcgi.engine.hearing import deaf, success
from sipcgi.engine.hunt import Hunt
from sipcgi.engine.late_responses import LateResponses
from sipcgi.engine.recursion import may_recurse
from sipcgi.engine.target import Reroute
from sipcgi.engine.upstream import Server, Upstream
from sipcgi.engine.waiting import WaitingEvents
from sipcgi.proxy.reply import edit_response, withheld
from sipcgi.proxy.responses import ResponseContext, side
from sipcgi.service import (
    AckReceived,
    Action,
    Cancelled,
    Event,
    ForwardResponse,
    Originate,
    Pending,
    Relay,
    Reply,
    RequestReceived,
    ResponseReceived,
    Service,
    Situation,
    TimerFired,
    WakeAfter,
)
from sipcgi.sip.lazy import lazy
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.originated import Caller
    from sipcgi.engine.own_route import OwnRoute
    from sipcgi.flow import Flow
    from sipcgi.logs import AccessRecord

Waiting = tuple[Event, Branch | None]

MOST_RESPONSES = 200  # of a transaction that a script is told of; those of a peer that floods take their default action


class RequestContext:
    """The user of a server transaction, and the master of its branches.

    `default` decides where the service does not: the default action for the request (RFC 3050 5.6.1.6). `initial`
    is whether the request belongs to no dialog we know.
    """

    depth = 0
    """How many contexts it is inside of: turns through the routes (engine/rerouted)."""
    caller: Caller | None = None
    """What sends the requests that the service generates."""
    reroute: Reroute | None = None
    """What takes a URI of ours that the script proxies through the routes again, where its route says so."""
    service: Service | None = None
    default: Service | None = None
    running: Pending | None = None
    running_for: Waiting | None = None
    performing = False
    """While actions are performed, what they set off at once (an unreachable target) waits in the queue."""
    cancelled = False
    released = False
    pending = 0
    """Branches without a final response."""
    hunts = 0
    """How many URIs it was proxied to."""
    wake: Timer | None = None
    token = ""
    tokens = 0

    def __init__(
        self, core: Core, server: Server, request: Request, flow: Flow, record: AccessRecord, own: OwnRoute
    ) -> None:
        self.core = core
        self.server = server
        self.request = request
        self.flow = flow
        self.record = record
        in_dialog, self.way, self.sent_by = own  # the flow that our own Route named (RFC 5626 5.3), and the socket
        self.initial = not in_dialog
        self.upstream = upstream = Upstream(server, request, record, core)
        self.invite = upstream.invite
        self.branches: list[Branch] = []
        self.queue = WaitingEvents()

    def is_inside(self, outer: RequestContext) -> None:
        """It comes of what another one proxied to a URI of ours (engine/rerouted)."""
        self.depth = outer.depth + 1
        self.upstream.share(outer.upstream)

    @lazy
    def ours(self) -> bool:
        """Whether it is a request of our own, which nobody sent to us."""
        return "via" not in self.request.headers.names

    @lazy
    def responses(self) -> ResponseContext:
        """The final responses that wait for others."""
        return ResponseContext(self.invite, self.ours)

    @lazy
    def answers(self) -> dict[str, Response]:
        """Responses by their token (RFC 3050 5.5.1.16)."""
        return {}

    # What comes in

    def begin(self, service: Service | None, default: Service) -> None:
        """The request itself, for which a service always decides."""
        self.service, self.default = service, default
        event = RequestReceived(self.request)
        decision = () if service is None else service.decide(event)
        if isinstance(decision, Pending):
            self.wait_for(decision, event, None)
        else:
            self.perform(event, None, decision)
            self.drain()

    def received(self, branch: Branch, response: Response, flow: Flow | None, local: bool) -> None:
        """A response of a branch, in the shape in which it would go upstream; not a 100."""
        if self.service is None and not self.performing:
            received_by_default(self, branch, response)
            return
        status = response.status
        if self.upstream.repeated(response) or (self.running_for is not None and self.waits(branch, response)):
            return  # a repeated 2xx runs no script
        token = ""
        if self.service is not None:
            if status < 300 and self.tokens >= MOST_RESPONSES:
                default_response(self, branch, response)
                return
            self.tokens += 1
            token = f"{self.token}.{self.tokens}"
            self.answers[token] = response
        if status >= 200:
            self.responses.add(response)
        if not may_recurse(self, branch, response):
            self.leave_hunt(branch)
        relay = branch.hunt.relay
        event = ResponseReceived(response, token, relay.request_token, branch.target.uri, local, flow)
        if self.running is not None and status >= 200:
            for overtaken in self.queue.overtaken(branch):  # they take their default action
                default_response(self, branch, overtaken.response)
        self.post(event, branch)

    def waits(self, branch: Branch, response: Response) -> bool:
        """Whether this 2xx to an INVITE has come before, and a script still runs for it or will."""
        if not self.invite or self.running_for is None or response.status // 100 != 2:
            return False
        return WaitingEvents([self.running_for, *self.queue]).has_success(branch, side(response))

    def leave_hunt(self, branch: Branch) -> None:
        """If the branch has ended the next group may start, before anybody hears of it."""
        if branch.final is None or branch.left:
            return
        performing, self.performing = self.performing, True
        try:
            branch.leave(branch.final)
        finally:
            self.performing = performing

    def cancel(self, request: Request) -> None:
        """The caller's CANCEL, already answered with 200 (RFC 3261 9.2, 16.10; RFC 3050 5.10)."""
        if self.cancelled or self.upstream.final is not None:
            return
        self.cancelled = True
        self.call_off_wake()
        if self.running is not None:
            self.running.abandon()
            self.running = None
            self.queue.appendleft(self.running_for)  # type: ignore[arg-type]
        self.cancel_branches()
        if self.service is not None:
            self.queue.append((Cancelled(request), None))
        self.drain()

    def acknowledged(self, request: Request, flow: Flow) -> None:
        """The ACK of a 2xx that the service itself gave (RFC 3050 5.11.1)."""
        self.post(AckReceived(request, flow), None)

    def call_off_wake(self) -> None:
        if self.wake is not None:
            self.wake.cancel()
            self.wake = None

    def woken(self) -> None:
        self.wake = None
        self.post(TimerFired(), None)

    # Whose turn it is: one decision at a time, messages wait in order (RFC 3050 5.3)

    def post(self, event: Event, branch: Branch | None) -> None:
        if self.running is not None or self.performing:
            self.queue.append((event, branch))
            return
        self.step(event, branch)
        self.drain()

    def drain(self) -> None:
        """Takes the waiting events, as far as no decision makes them wait again."""
        while self.queue and self.running is None:
            event, branch = self.queue.popleft()
            self.step(event, branch)
        self.settle()

    def step(self, event: Event, branch: Branch | None) -> None:
        service = self.service
        self.call_off_wake()  # a message came first
        if service is None or deaf(self, event) or not service.wants(event):
            self.perform(event, branch, ())
            return
        generated = 0 if self.caller is None else self.caller.pending
        event.situation = Situation(generated + self.pending, self.responses.status)
        decision = service.decide(event)
        if type(event) is Cancelled:  # advisory, and the last run (RFC 3050 5.10): nothing waits for it
            if isinstance(decision, Pending):
                decision.then(partial(self.perform, event, None))
        elif isinstance(decision, Pending):
            self.wait_for(decision, event, branch)
        else:
            self.perform(event, branch, decision)

    def wait_for(self, decision: Pending, event: Event, branch: Branch | None) -> None:
        self.running, self.running_for = decision, (event, branch)
        decision.then(self.decided)

    def decided(self, actions: Sequence[Action]) -> None:
        """A Pending decision was made."""
        assert self.running_for is not None
        event, branch = self.running_for
        self.running = self.running_for = None
        if not self.cancelled:
            self.perform(event, branch, actions)
        self.drain()

    # What goes out

    def perform(self, event: Event, branch: Branch | None, actions: Sequence[Action]) -> None:
        """All actions together, in order; the default action where there is none (RFC 3050 5.6.1.6)."""
        if type(event) is Cancelled or type(event) is AckReceived:
            self.act(event, actions, None)  # requests of its own, at most
            return
        self.performing = True
        pending = None
        try:
            if type(event) is ResponseReceived and success(self, event):
                self.perform_success(event, actions)
            elif not (actions and self.act(event, actions, self.reroute)):
                if type(event) is RequestReceived:
                    pending = self.perform_default(event)
                elif type(event) is ResponseReceived and branch is not None:
                    default_response(self, branch, event.response)
        finally:
            self.performing = False
        if branch is not None:
            self.leave_hunt(branch)
        if pending is not None:
            self.wait_for(pending, event, branch)

    def perform_default(self, event: RequestReceived) -> Pending | None:
        """What it returns is to be waited for."""
        assert self.default is not None
        if self.cancelled:
            return None
        decision = self.default.decide(event)
        if isinstance(decision, Pending):
            return decision
        self.act(event, decision, reroute=None)
        return None

    def act(self, event: Event, actions: Sequence[Action], reroute: Reroute | None) -> bool:
        """Performs them; False when none of them takes the place of the default action."""
        acted = False
        for action in actions:
            match action:
                case Relay():
                    self.record.actions.append("proxy")
                    self.relay(action, reroute)
                case Reply():
                    self.record.actions.append(str(action.status))
                    self.reply(action)
                case ForwardResponse():
                    self.record.actions.append("forward")
                    self.forward_response(action, event)
                case Originate():
                    self.record.actions.append(action.method)
                    if self.caller is not None:
                        self.caller.send(action)
                    continue
                case WakeAfter():
                    if self.upstream.final is None or self.caller is not None:
                        self.wake = self.core.timers.start(action.seconds, self.woken)
                    continue
            acted = True
        return acted

    def perform_success(self, event: ResponseReceived, actions: Sequence[Action]) -> None:
        """A 2xx to an INVITE always goes upstream (RFC 3261 16.7 item 5); the service may change headers of it."""
        for action in actions:
            if type(action) is ForwardResponse and action.token in ("this", event.token):
                self.answer(edit_response(event.response, action.edits))
                return
        self.answer(event.response)

    def settle(self) -> None:
        """Sends the best response once everything has ended (RFC 3261 16.7 item 6)."""
        if self.pending or self.running is not None or self.performing or self.queue or self.wake is not None:
            return
        if self.caller is not None and not self.cancelled and self.caller.waits():
            return
        if self.upstream.final is None:
            best = self.responses.best()
            if self.cancelled and (best is None or best.status != 487):
                best = self.upstream.local(487)
            self.answer(best or self.upstream.local(408 if self.branches and not self.invite else 500))
        self.release()

    def answer(self, response: Response) -> None:
        """Sends a final response upstream; it ends the pending branches (RFC 3261 16.7 items 9 and 10)."""
        if self.upstream.finish(response):
            self.cancel_branches()

    def trying(self) -> None:
        """The server transaction has sent a 100."""
        self.upstream.trying()

    def cancel_branches(self) -> None:
        for branch in self.branches:
            if not branch.hunt.stopped:
                branch.hunt.stop()
            if branch.final is None:
                branch.cancel()

    def reply(self, action: Reply) -> None:
        """An answer of the service (RFC 3050 5.6.1.1)."""
        if self.upstream.final is not None:
            return
        if action.status >= 200:
            self.answer(self.core.answered.response(self, action))
        elif why := withheld(self.request, action.status):
            self.core.log.warning(f"{action.status} not sent: {why} ({self.request.call_id})")
        else:
            self.upstream.progress(self.core.answered.response(self, action))

    def relay(self, action: Relay, reroute: Reroute | None) -> None:
        """CGI-PROXY-REQUEST and the default action (RFC 3261 16.5, 16.6)."""
        if self.upstream.final is not None or self.cancelled:
            return
        groups = self.core.locations.targets(action, self.request, self.initial, self.way, reroute)
        self.record.targets.append(action.uri)
        self.hunts += 1
        Hunt(self, action, groups).next_group()

    def forward_response(self, action: ForwardResponse, event: Event) -> None:
        """CGI-FORWARD-RESPONSE (RFC 3050 5.6.1.3); a token of another transaction names nothing here."""
        token = event.token if action.token == "this" and type(event) is ResponseReceived else action.token
        response = self.answers.get(token)
        if response is None:
            self.core.log.warning(f"response token {token!r} names nothing in this transaction")
            return
        response = edit_response(self.responses.presentable(response), action.edits)
        if response.status < 200:
            self.upstream.progress(response)
        else:
            self.answer(response)

    def release(self) -> None:
        """Nothing is pending any more. What lingers is small, so the parts let go of each other."""
        if self.released:
            return
        upstream = self.upstream
        upstream.note()
        successes = upstream.successes
        if self.service is not None and successes and not self.cancelled and self.service.listening():
            return  # a further 2xx may still want the script
        self.released = True
        if self.caller is not None:
            self.caller.left()
        late = LateResponses(self.server, successes, upstream.ends) if successes else None
        for branch in self.branches:
            branch.release(late)
        self.branches = []
        if self.default is not None:
            self.answers = {}
            self.service = self.default = self.reroute = None
