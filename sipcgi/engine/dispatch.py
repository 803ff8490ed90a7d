"""From a new request to its context: validate, preprocess, find out what it belongs to, choose who decides.

RFC 3261 16.3 (validation), 16.4 (route information), 12.2 (requests in a dialog), 17.1.1.3 (the ACK of a 2xx).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from sipcgi.cgi.routes import Route
from sipcgi.engine.by_default import pass_on
from sipcgi.engine.cgi_service import CgiService
from sipcgi.engine.context import RequestContext
from sipcgi.engine.location_service import DefaultRoute, InAnsweredDialog
from sipcgi.engine.originated import Caller, Calls, InCalledDialog, arrived
from sipcgi.engine.own_route import NOTHING, OwnRoute, own_route
from sipcgi.engine.passage import sent_on
from sipcgi.engine.policy import Choice, Policy
from sipcgi.engine.registrar_service import RegistrarService
from sipcgi.engine.response_failover import ResponseFailover
from sipcgi.engine.stateless import send_on
from sipcgi.engine.upstream import access_record
from sipcgi.errors import ParseError, Refused, Unreachable
from sipcgi.flow import Flow
from sipcgi.proxy.loop import is_loop
from sipcgi.proxy.route import preprocess, strip_routes
from sipcgi.proxy.validate import validate
from sipcgi.service import Relay, Service
from sipcgi.sip import build
from sipcgi.sip.message import Request
from sipcgi.sip.splice import forget_cgi_fields
from sipcgi.sip.uri import SipUri
from sipcgi.sip.via import Via

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.leg import Leg
    from sipcgi.engine.transaction import ServerTransaction
    from sipcgi.engine.upstream import Server


class Dispatch:
    """The core towards the transaction layer. What the configuration says is in `policy`, replaced as a whole."""

    script_service: ClassVar[type[CgiService]] = CgiService
    """What a script decides through; `sipcgi try` looks over its shoulder."""

    def __init__(self, core: Core, registrar: RegistrarService, policy: Policy) -> None:
        self.core = core
        self.registrar = registrar
        self.policy = policy
        self.failover = ResponseFailover(core)
        self.stopping = False

    def admits(self, request: Request, flow: Flow, transactions: int) -> bool:
        """Whether the request may become one more transaction; if not, it is answered here, statelessly."""
        core = self.core
        if core.overload.admits(request, transactions):
            return True
        with suppress(ParseError, Unreachable):
            core.transport.send(bytes(core.overload.response(request)), core.transport.response_flow(request, flow))
        return False

    def undelivered(self, octets: bytes, flow: Flow) -> None:
        self.failover.undelivered(octets, flow)

    def request(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A new request, other than ACK and CANCEL."""
        try:
            forget_cgi_fields(request.headers)
            core = self.core
            try:
                validate(request)
            except Refused as refusal:
                if refusal.status != 483 or not self.ends_here(request):
                    raise
            found = preprocess(request, core.locations.domains.hold)
            request = found.request
            if not request.headers.one_via and is_loop(request, self.is_our_via):
                raise Refused(482)
            own = own_route(core, found, flow) if found.tokens else NOTHING
            if own.in_dialog or not self.in_own_dialog(request, flow, server):
                self.begin(request, flow, server, own)
        except Refused as refusal:
            self.refuse(request, flow, server, refusal)
        except ParseError as error:
            self.refuse(request, flow, server, Refused(error.status, f"Bad {error.header or 'Request'}"))

    def ends_here(self, request: Request) -> bool:
        """Whether it is for the server itself: Max-Forwards counts only for what would be forwarded (RFC 3261 16.3)."""
        uri = request.target
        return type(uri) is SipUri and uri.user is None and self.core.locations.domains.hold(uri)

    def begin(
        self, request: Request, flow: Flow, server: Server, own: OwnRoute, outer: RequestContext | None = None
    ) -> None:
        in_dialog, policy, locations = own.in_dialog, self.policy, self.core.locations
        if in_dialog and not policy.any_in_dialog:  # as nearly always
            uri = request.target
            if type(uri) is SipUri and not locations.responsible(uri):
                self.elsewhere(request, flow, server, own, outer)
                return
        host = flow.remote.host
        may_relay = in_dialog or policy.may_relay(host)
        if not may_relay:
            request = strip_routes(request)
        choice = None
        if not in_dialog or policy.any_in_dialog:
            choice = policy.choose(request, host, in_dialog, locations.domains.hold)
        # Only a registrar, and who heard of it there, can know the token of a flow: it opens that one way
        may_relay = may_relay or own.flow is not None
        if choice is None:
            uri = request.target
            if may_relay and type(uri) is SipUri and not locations.responsible(uri):
                self.elsewhere(request, flow, server, own, outer)
                return
        elif outer is None and not in_dialog and policy.scripts.host.full(choice.route.script):
            raise self.core.overload.refusal(f"too many runs of {choice.route.script}")
        default = DefaultRoute(locations, self.registrar, flow, may_relay, in_dialog)
        self.start(request, flow, server, choice, default, own, outer)

    def reroute(self, outer: RequestContext, request: Request, server: Server) -> None:
        """What a script proxies to us, through the routes once more. Raises Refused and ParseError."""
        self.begin(request, outer.flow, server, OwnRoute(not outer.initial, None), outer)

    def elsewhere(
        self, request: Request, flow: Flow, server: Server, own: OwnRoute, outer: RequestContext | None
    ) -> None:
        """For somebody else: without a script it goes where its URI says."""
        core = self.core
        record = access_record(request, str(flow.remote), request.call_id)
        record.route = "dialog" if own.in_dialog else "default"
        target = core.locations.elsewhere(request, not own.in_dialog, own.flow)
        record.actions, record.targets = ["proxy"], [request.uri]
        if outer is None and sent_on(core, server, request, flow, record, own, target, core.timers.now()):
            return
        server.user = context = RequestContext(core, server, request, flow, record, own)
        if outer is not None:
            context.is_inside(outer)
        pass_on(context, target)

    def start(
        self,
        request: Request,
        flow: Flow,
        server: Server,
        choice: Choice | None,
        default: Service,
        own: OwnRoute,
        outer: RequestContext | None = None,
        leg: Leg | None = None,
    ) -> None:
        """What the server decides about, by the script of the choice or by default."""
        core = self.core
        record = access_record(request, str(flow.remote), request.call_id)
        server.user = context = RequestContext(core, server, request, flow, record, own)
        if outer is not None:
            context.is_inside(outer)
        service = None
        if choice is None:
            record.route = "dialog" if own.in_dialog else "default"
        else:
            route = choice.route
            record.route, record.script = choice.name, route.script
            if route.reroute:
                context.reroute = self.reroute
            if route.originate:
                context.caller = self.caller(context, route, leg)
            service = self.script_service(core, self.policy.scripts, context, route)
            service.refusable = outer is None and not own.in_dialog and type(default) is DefaultRoute
        context.begin(service, default)

    def caller(self, context: RequestContext, route: Route, leg: Leg | None) -> Caller:
        """What sends the requests of a script; one of ours that came back may bring about no further one."""
        request, host = context.request, self.policy.scripts.server_name
        if leg is not None:
            return Caller(leg.calls, context, leg)
        first = request.vias[-1]
        key = self.core.token_key
        returned = self.is_our_via(first) and key.marks(first.branch or "", request.call_id, request.from_.tag or "")
        return Caller(Calls(self.core, route, host), context, withheld=returned)

    def is_our_via(self, via: Via) -> bool:
        return self.core.transport.is_ours(via.host.strip("[]").lower(), via.port)

    def in_own_dialog(self, request: Request, flow: Flow, server: ServerTransaction) -> bool:
        """Whether it is in a dialog of which the server itself is one side, which was handled. Raises Refused."""
        core = self.core
        if core.originated.legs and (leg := core.originated.find(request)) is not None:
            self.in_called_dialog(leg, request, flow, server)
            return True
        if core.answered.dialogs and core.answered.holds(request):
            self.in_answered_dialog(request, flow, server)
            return True
        if self.stopping:
            raise Refused(503)
        return False

    def in_answered_dialog(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A request in the dialog of a script's own 2xx; a route or a script named after the method may want it."""
        if request.method == "BYE":
            self.core.answered.ended(request)
        choice = self.policy.choose(request, flow.remote.host, False, self.core.locations.domains.hold)
        if choice is not None and choice.is_default:
            choice = None
        self.start(request, flow, server, choice, InAnsweredDialog(), NOTHING)

    def in_called_dialog(self, leg: Leg, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A request in the dialog of one that a script has generated: it runs that script, if it fails by default.

        Raises Refused.
        """
        if (status := arrived(leg, request)) is not None:
            raise Refused(status)
        route = replace(leg.calls.route, script=leg.script, then=(), on_error="default")
        self.start(request, flow, server, Choice(route, "generated"), InCalledDialog(leg), NOTHING, leg=leg)

    def refuse(self, request: Request, flow: Flow, server: ServerTransaction, refusal: Refused) -> None:
        record = access_record(request, str(flow.remote), request.headers.get("call-id") or "")
        record.route, record.status, record.to_final = "-", refusal.status, 0.0
        server.respond(
            build.response(request, refusal.status, refusal.reason, to_tag=server.tag(), headers=refusal.headers)
        )
        self.core.log.access(record)

    def ack(self, request: Request, flow: Flow) -> None:
        """An ACK that matches no transaction: for a 2xx (13.2.2.4). It never runs a script as an initial request."""
        core = self.core
        try:
            forget_cgi_fields(request.headers)
            if core.answered.dialogs and core.answered.acknowledged(request, flow):
                return
            if core.overload.acknowledged(request):
                return
            validate(request)
            found = preprocess(request, core.locations.domains.hold)
            request = found.request
            own = own_route(core, found, flow) if found.tokens else NOTHING
            if not (own.in_dialog or self.policy.may_relay(flow.remote.host)):
                return
            uri = request.target
            if type(uri) is SipUri and core.locations.responsible(uri):
                target = core.locations.targets(Relay(request.uri), request, not own.in_dialog, own.flow)[0][0]
            else:
                target = core.locations.elsewhere(request, not own.in_dialog, own.flow)
            send_on(core, request, target, own.sent_by)
        except (Refused, ParseError):
            return  # nothing answers an ACK
