"""The request context: one request from its arrival to its last response (RFC 3261 16.7, RFC 3050 5.3).

A synchronous object, stepped inside the receive loop; one thread, so no locks. It owns the branches, the response
context and the events that wait while a service decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipcgi.engine.branch import Branch, Hunt
from sipcgi.engine.late_responses import LateResponses
from sipcgi.engine.upstream import Upstream
from sipcgi.engine.waiting import WaitingEvents
from sipcgi.proxy.reply import edit_response, reply, withheld
from sipcgi.proxy.responses import ResponseContext
from sipcgi.service import (
    AckReceived,
    Action,
    Cancelled,
    Event,
    ForwardResponse,
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
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.transactions import ServerTransaction
    from sipcgi.flow import Flow, HostPort
    from sipcgi.logs import AccessRecord

Waiting = tuple[Event, Branch | None]

MOST_RESPONSES = 200  # of a transaction that a script is told of; those of a peer that floods take their default action


class RequestContext:
    """The user of a server transaction, and the master of its branches.

    `default` decides where the service does not: the default action for the request (RFC 3050 5.6.1.6). `initial`
    says that the request belongs to no dialog we know.
    """

    __slots__ = (
        "answers",
        "branches",
        "cancelled",
        "core",
        "default",
        "flow",
        "initial",
        "invite",
        "performing",
        "queue",
        "record",
        "released",
        "request",
        "responses",
        "running",
        "running_for",
        "server",
        "service",
        "token",
        "tokens",
        "upstream",
        "wake",
    )

    def __init__(
        self, core: Core, server: ServerTransaction, request: Request, flow: Flow, record: AccessRecord, initial: bool
    ) -> None:
        self.core = core
        self.server = server
        self.request = request
        self.flow = flow
        self.record = record
        self.upstream = Upstream(server, request, record, core.timers)
        self.initial = initial
        self.invite = request.method == "INVITE"
        self.service: Service | None = None
        self.default: Service | None = None
        self.branches: list[Branch] = []
        self.responses = ResponseContext(self.invite)
        self.queue = WaitingEvents()
        self.running: Pending | None = None
        self.running_for: Waiting | None = None
        self.performing = False
        """While actions are performed, what they set off at once (an unreachable target) waits in the queue."""
        self.cancelled = False
        self.released = False
        self.wake: Timer | None = None
        self.token = ""
        self.tokens = 0
        self.answers: dict[str, Response] = {}
        """Responses by their token (RFC 3050 5.5.1.16)."""

    # What comes in

    def begin(self, service: Service | None, default: Service) -> None:
        """The request itself."""
        self.service = service
        self.default = default
        self.post(RequestReceived(self.request, Situation()), None)

    def received(self, branch: Branch, response: Response, remote: HostPort | None, local: bool) -> None:
        """A response of a branch, in the shape in which it would go upstream; not a 100."""
        status = response.status
        if self.upstream.repeated(response) or self.waits(branch, response):
            return  # a repeated 2xx runs no script
        token = ""
        if self.service is not None:
            if status < 300 and self.tokens >= MOST_RESPONSES:
                self.default_response(branch, response)
                return
            self.tokens += 1
            token = f"{self.token}.{self.tokens}"
            self.answers[token] = response
        if status >= 300:
            self.responses.add(response, token)
        if branch.final is not None and not branch.left:
            self.leave_hunt(branch)
        if self.service is None and not self.performing:
            self.default_response(branch, response)
            self.drain()
            return
        relay = branch.hunt.relay
        event = ResponseReceived(response, token, relay.request_token, branch.target.uri, local, remote, Situation())
        if self.running is not None and status >= 200:
            for overtaken in self.queue.overtaken(branch):  # they take their default action
                self.default_response(branch, overtaken.response)
        self.post(event, branch)

    def waits(self, branch: Branch, response: Response) -> bool:
        """Whether this 2xx to an INVITE has come before, and a script still runs for it or will."""
        if not self.invite or self.running_for is None or response.status // 100 != 2:
            return False
        return WaitingEvents([self.running_for, *self.queue]).has_success(branch, response.to.tag)

    def leave_hunt(self, branch: Branch) -> None:
        """The next group may start, before anybody hears of the end of this branch."""
        performing, self.performing = self.performing, True
        try:
            branch.leave(branch.final or 0)
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
            self.queue.append((Cancelled(request, Situation()), None))
        self.drain()

    def acknowledged(self, request: Request) -> None:
        """The ACK of a 2xx that the service itself gave (RFC 3050 5.11.1)."""
        self.post(AckReceived(request, Situation()), None)

    def call_off_wake(self) -> None:
        if self.wake is not None:
            self.wake.cancel()
            self.wake = None

    def woken(self) -> None:
        self.wake = None
        self.post(TimerFired(Situation()), None)

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
        event.situation.pending = sum(1 for one in self.branches if one.final is None)
        event.situation.best = self.responses.status
        if service is None or self.deaf(event) or not service.wants(event):
            self.perform(event, branch, ())
            return
        decision = service.decide(event)
        if type(event) is Cancelled:
            return  # advisory, and the last run (RFC 3050 5.10): nothing waits for it
        if type(decision) is Pending:
            self.wait_for(decision, event, branch)
        else:
            self.perform(event, branch, decision)  # type: ignore[arg-type]

    def wait_for(self, decision: Pending, event: Event, branch: Branch | None) -> None:
        self.running, self.running_for = decision, (event, branch)
        decision.then(self.decided)

    def deaf(self, event: Event) -> bool:
        """After a final response, or a CANCEL, services hear of little."""
        if self.cancelled:
            return type(event) is not Cancelled
        if self.upstream.final is None or type(event) is AckReceived:
            return False
        return not (type(event) is ResponseReceived and self.success(event))

    def success(self, event: Event) -> bool:
        return self.invite and type(event) is ResponseReceived and 200 <= event.response.status < 300

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
            return
        self.performing = True
        pending = None
        try:
            if type(event) is ResponseReceived and self.success(event):
                self.perform_success(event, actions)
            elif not self.act(event, actions):
                if type(event) is RequestReceived:
                    pending = self.perform_default(event)
                elif type(event) is ResponseReceived and branch is not None:
                    self.default_response(branch, event.response)
        finally:
            self.performing = False
        if pending is not None:
            self.wait_for(pending, event, branch)

    def perform_default(self, event: RequestReceived) -> Pending | None:
        """What it returns is to be waited for."""
        assert self.default is not None
        if self.cancelled:
            return None
        decision = self.default.decide(event)
        if type(decision) is Pending:
            return decision
        self.act(event, decision)  # type: ignore[arg-type]
        return None

    def act(self, event: Event, actions: Sequence[Action]) -> bool:
        """Performs them; False when none of them takes the place of the default action."""
        acted = False
        for action in actions:
            match action:
                case Reply():
                    self.record.actions.append(str(action.status))
                    self.reply(action)
                case Relay():
                    self.record.actions.append("proxy")
                    self.relay(action)
                case ForwardResponse():
                    self.record.actions.append("forward")
                    self.forward_response(action, event)
                case WakeAfter():
                    if self.upstream.final is None:
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

    def default_response(self, branch: Branch, response: Response) -> None:
        """RFC 3261 16.7 items 5 and 10: what is forwarded at once; `settle` does the rest."""
        status = response.status
        if status < 200:
            self.upstream.progress(response)
        elif status < 300:
            self.answer(response)
        elif status >= 600:
            self.cancel_branches()

    def settle(self) -> None:
        """Sends the best response once everything has ended (RFC 3261 16.7 item 6)."""
        if self.running is not None or self.performing or self.queue or self.wake is not None:
            return
        if any(branch.final is None for branch in self.branches):
            return
        if self.upstream.final is None:
            best = self.responses.best()
            if self.cancelled and (best is None or best.status != 487):
                best = self.upstream.local(487)
            if best is not None:
                self.answer(best)
            elif self.branches and not self.invite:
                self.answer(self.upstream.local(408))
            else:
                self.answer(self.upstream.local(500))
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
            if branch.final is None:
                branch.cancel()

    def reply(self, action: Reply) -> None:
        """An answer of the service (RFC 3050 5.6.1.1)."""
        if self.upstream.final is not None:
            return
        response = reply(self.request, action, to_tag=self.server.tag())
        if action.status < 200:
            if why := withheld(self.request, action.status):
                self.core.log.warning(f"{action.status} not sent: {why} ({self.request.call_id})")
                return
            if self.invite and action.status > 100:
                response = self.core.answered.with_contact(self, response)
            self.upstream.progress(response)
            return
        if action.status < 300 and self.request.method in ("INVITE", "SUBSCRIBE"):
            response = self.core.answered.begin(self, response)
        self.answer(response)

    def relay(self, action: Relay) -> None:
        """CGI-PROXY-REQUEST and the default action (RFC 3261 16.5, 16.6)."""
        if self.upstream.final is not None or self.cancelled:
            return
        groups = self.core.locations.targets(action, self.request, self.initial)
        self.record.targets.append(action.uri)
        hunt = Hunt(self, action, groups)
        hunt.next_group()

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
        self.upstream.log(self.core.log)
        successes = self.upstream.successes
        if self.service is not None and successes and self.service.listening():
            return  # a further 2xx may still want the script
        self.released = True
        late = LateResponses(self.server, successes) if successes else None
        for branch in self.branches:
            if branch.client is not None and branch.client.answered:
                branch.client.user = late
            branch.hunt.branches = []
        self.branches = []
        self.answers = {}
        self.service = self.default = None
