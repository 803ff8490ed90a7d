"""The requests that scripts generate (RFC 3050 3.1, 5.6.2.1, 5.11.2): who sends them, and who hears what comes of them.

`Originated` is what the server knows of them, `Calls` the dialogs of one story, `Caller` one transaction in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipcgi.auth.digest import Account
from sipcgi.cgi.action import IN_DIALOG
from sipcgi.cgi.routes import Route
from sipcgi.dialog.dialog import ALLOWED, new_request
from sipcgi.engine.leg import Key, Leg
from sipcgi.engine.outgoing import Outgoing
from sipcgi.engine.own_route import NOTHING
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.service import (
    Action,
    Default,
    Edits,
    Event,
    Originate,
    Reply,
    RequestReceived,
    ResponseReceived,
)
from sipcgi.sip.build import MAKES_DIALOG
from sipcgi.sip.message import Request, Response

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.core import Core

MOST_REQUESTS = 16
"""Of one transaction; ACK, BYE and CANCEL do not count."""
MOST_LEGS = 10_000
MOST_PROVISIONALS = 200
"""Of one transaction that a script is told of."""
_ENDING = frozenset({"ACK", "BYE", "CANCEL"})


class Originated:
    """All dialogs of generated requests, by Call-ID and our tag."""

    def __init__(self) -> None:
        self.core: Core
        self.accounts: Sequence[Account] = ()
        """What challenges are answered with."""
        self.legs: dict[Key, Leg] = {}

    def find(self, request: Request) -> Leg | None:
        """The dialog that a request of a peer belongs to; another one's tag belongs to none (RFC 3261 12.2.2)."""
        leg = self.legs.get((request.call_id, request.to.tag or ""))
        if leg is None or (leg.dialog is not None and leg.dialog.remote_tag != (request.from_.tag or "")):
            return None
        return leg

    def add(self, leg: Leg) -> None:
        if len(self.legs) >= MOST_LEGS:  # whose end never came
            next(iter(self.legs.values())).hang_up()
        self.legs[leg.key] = leg


class Calls:
    """What the transactions of one story share: from the request that ran a script first to those in its dialogs."""

    __slots__ = ("cookies", "core", "host", "legs", "route")

    def __init__(self, core: Core, route: Route, host: str) -> None:
        self.core = core
        self.route = route
        self.host = host
        """Who sends requests that say nothing else."""
        self.legs: dict[str, Leg] = {}
        """By request token."""
        self.cookies: dict[str, str | None] = {}
        """By name of the script: each finds its last one when a request comes in one of the dialogs."""

    def forget(self, leg: Leg) -> None:
        self.core.originated.legs.pop(leg.key, None)
        if self.legs.get(leg.token) is leg:
            del self.legs[leg.token]

    def hang_up(self) -> None:
        """Ends all of them."""
        for leg in [*self.legs.values()]:
            leg.hang_up()


class Caller:
    """The requests of one transaction. `leg` is the dialog that its own request came in."""

    __slots__ = ("calls", "context", "leg", "pending", "request", "sent", "withheld")

    def __init__(
        self, calls: Calls, context: RequestContext, leg: Leg | None = None, *, withheld: bool = False
    ) -> None:
        self.calls = calls
        self.context: RequestContext | None = context
        """None when it is over."""
        self.request = context.request
        self.leg = leg
        self.withheld = withheld
        """Whether nothing new is sent, for the request that runs the script is one of ours that came back."""
        self.pending = 0
        """Requests that still lack a final response."""
        self.sent = 0

    # What the context asks

    def listens(self) -> bool:
        """Whether the script may still hear of something."""
        service = None if self.context is None else self.context.service
        return service is not None and service.listening()

    def waits(self) -> bool:
        """Whether responses are to come that the script wants to hear."""
        return self.pending > 0 and self.listens()

    def left(self) -> None:
        """The transaction is over: whatever it leaves unfinished is ended."""
        self.context = None
        for leg in [*self.calls.legs.values()]:
            leg.left(self)

    # What the script asks for

    def send(self, action: Originate) -> None:
        """Sends a request, or does what stands for it."""
        method, token = action.method, action.request_token
        leg = self.calls.legs.get(token) if token is not None else None
        if method == "ACK":
            if leg is None or not leg.acknowledge(action.edits):
                self.complain(action, "nothing of that token waits for one")
        elif method == "CANCEL" or (method == "BYE" and leg is not None and leg.outgoing is not None):
            if leg is None or leg.method != "INVITE" or not (leg.outgoing or leg.reinvite):
                self.complain(action, "no INVITE of that token is pending")
            elif leg.outgoing is not None:
                leg.hang_up()
            elif leg.reinvite is not None:
                leg.reinvite.cancel()
        elif method not in _ENDING and self.sent >= MOST_REQUESTS:
            self.complain(action, f"more than {MOST_REQUESTS} requests of one transaction")
        elif leg is not None and leg.dialog is not None and (leg.confirmed or method != "INVITE"):
            self.send_in(leg, action)
        else:
            self.send_new(action, leg)

    def complain(self, action: Originate, why: str) -> None:
        text = f"output line {action.line}: {action.method} not sent: {why}"
        self.calls.core.log.warning(f"{action.script}: {text} ({self.request.call_id})")

    def send_in(self, leg: Leg, action: Originate) -> None:
        """RFC 3261 12.2.1, 14.1, 15.1.1."""
        assert leg.dialog is not None
        busy = action.method == "INVITE" and (leg.reinvite is not None or leg.invite is not None)
        if action.method == "BYE":
            leg.acknowledge(Edits())  # the peer waits for it all the same
        request = leg.next_request(action.method, action.edits)
        outgoing = self.outgoing(request, action, leg)
        if action.method == "INVITE" and not busy:
            leg.reinvite, leg.caller = outgoing, self
        self.set_out(outgoing, 491 if busy else None)

    def send_new(self, action: Originate, leg: Leg | None) -> None:
        """RFC 3261 8.1.1; RFC 3050 5.6.2.1."""
        core, method = self.calls.core, action.method
        if self.withheld:
            self.complain(action, "the request that runs the script is one of ours, and came back")
            return
        fields = [each for each in action.edits.headers if each[0].lower() != "max-forwards"]
        if (hops := self.hops(action)) is not None:
            fields.append(("Max-Forwards", str(hops)))
        tag, call_id = core.ids.tag(), f"{core.ids.token()}@{self.calls.host}"
        body = action.edits.body or b""
        request = new_request(method, action.uri, fields, body, host=self.calls.host, tag=tag, call_id=call_id)
        outgoing = self.outgoing(request, action, None)
        status = None
        if method in IN_DIALOG:
            status = 481  # of a dialog that is over
        elif method in MAKES_DIALOG and leg is not None:
            status = 491  # the one before it is pending
        elif not core.overload.admits(request, len(core.transactions.clients)):
            status = 503
        elif method in MAKES_DIALOG:
            leg = Leg(self.calls, self, action.request_token or core.ids.token(), action.script, request)
            self.calls.legs[leg.token] = leg
            core.originated.add(leg)
            leg.outgoing = outgoing
            outgoing.hearer = Heard(self, action, leg)
        self.set_out(outgoing, status)

    def hops(self, action: Originate) -> int | None:
        """Max-Forwards before it is counted down: a request that came of another one goes no further than that."""
        printed = next((int(value) for name, value in action.edits.headers if name.lower() == "max-forwards"), None)
        limits = [self.request.max_forwards, None if printed is None else printed + 1]
        return min((limit for limit in limits if limit is not None), default=None)

    def outgoing(self, request: Request, action: Originate, leg: Leg | None) -> Outgoing:
        own, dialog = (leg.way, leg.dialog) if leg is not None else (NOTHING, None)
        heard = Heard(self, action, leg)
        core = self.calls.core
        return Outgoing(core, heard, request, own, dialog=dialog, script=action.script, timeout=action.timeout)

    def set_out(self, outgoing: Outgoing, status: int | None) -> None:
        """Sends it, or has it refused with a local response."""
        self.pending += 1
        if outgoing.request.method not in _ENDING:
            self.sent += 1
        if status is not None:
            outgoing.refuse(status)
        else:
            outgoing.send()

    # What comes back

    def heard(self, outgoing: Outgoing, response: Response, token: str | None, flow: Flow | None) -> None:
        """A response, for the script."""
        context = self.context
        if response.status >= 200:
            self.pending -= 1
        if context is None or (response.status < 200 and context.tokens >= MOST_PROVISIONALS):
            return
        context.tokens += 1
        name = f"{context.token}.{context.tokens}"
        uri, local = outgoing.request.uri, flow is None
        context.post(ResponseReceived(response, name, token, uri, local, flow, generated=True), None)


class Heard:
    """Tells the dialog of a request first, and then the script."""

    __slots__ = ("action", "caller", "leg")

    def __init__(self, caller: Caller, action: Originate, leg: Leg | None) -> None:
        self.caller = caller
        self.action = action
        self.leg = leg

    def heard(self, outgoing: Outgoing, response: Response, flow: Flow | None, target_flow: Flow | None) -> None:
        if self.leg is not None:
            self.leg.heard(outgoing, response, target_flow)
        self.caller.heard(outgoing, response, self.action.request_token, flow)

    def heard_again(self, response: Response) -> None:
        if self.leg is not None:
            self.leg.heard_again(response)


class InCalledDialog(Default):
    """The default for a request that comes in the dialog of a generated one.

    When the peer hangs up, the other calls of the story end as well: no one is left to talk to.
    """

    __slots__ = ("leg",)

    def __init__(self, leg: Leg) -> None:
        self.leg = leg

    def decide(self, event: Event) -> Sequence[Action]:
        assert type(event) is RequestReceived
        method = event.request.method
        if method == "BYE":
            self.leg.calls.hang_up()
        if method in ("BYE", "NOTIFY", "OPTIONS"):
            return [Reply(200, "")]
        if method in ("INVITE", "UPDATE"):
            return [Reply(488, "")]
        return [Reply(405, "", Edits([("Allow", ALLOWED)]))]


def arrived(leg: Leg, request: Request) -> int | None:
    """A request has come in the dialog: the status to refuse it with, if it is out of order (RFC 3261 12.2.2, 14.2)."""
    dialog, method = leg.dialog, request.method
    try:
        if dialog is not None and not dialog.accepts(request):
            return 500
        if method == "INVITE" and (leg.reinvite is not None or leg.invite is not None):
            return 491
        state = request.headers.get("subscription-state") or ""
        subscribed = leg.method != "INVITE" and method == "NOTIFY"
        if method == "BYE" or (subscribed and state.partition(";")[0].strip(" \t").lower() == "terminated"):
            leg.end()  # RFC 3261 15.1.2; RFC 6665 4.4.1
    except ParseError as error:
        return error.status
    return None
