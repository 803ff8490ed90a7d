"""From a new request to its context: validate, preprocess, find out what it belongs to, choose who decides.

RFC 3261 16.3 (validation), 16.4 (route information), 12.2 (requests in a dialog), 17.1.1.3 (the ACK of a 2xx).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.cgi.metavars import forget_cgi_fields
from sipcgi.engine.cgi_service import CgiService
from sipcgi.engine.context import RequestContext
from sipcgi.engine.location_service import DefaultRoute, InAnsweredDialog
from sipcgi.engine.policy import Choice, Policy
from sipcgi.engine.registrar_service import RegistrarService
from sipcgi.engine.stateless import pass_on
from sipcgi.errors import ParseError, Refused
from sipcgi.flow import Flow
from sipcgi.logs import AccessRecord
from sipcgi.proxy.loop import is_loop
from sipcgi.proxy.route import Preprocessed, preprocess, strip_routes
from sipcgi.proxy.validate import validate
from sipcgi.service import Relay, Service
from sipcgi.sip import build
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri
from sipcgi.sip.via import Via

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.transactions import ServerTransaction


class Dispatch:
    """The core towards the transaction layer. What the configuration says is in `policy`, replaced as a whole."""

    def __init__(self, core: Core, registrar: RegistrarService, policy: Policy) -> None:
        self.core = core
        self.registrar = registrar
        self.policy = policy
        self.stopping = False

    def request(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A new request, other than ACK and CANCEL."""
        try:
            forget_cgi_fields(request.headers)
            self.validate(request)
            found = preprocess(request, self.core.locations.domains.hold)
            request = found.request
            if is_loop(request, self.is_our_via):
                raise Refused(482)
            in_dialog = self.in_dialog(found)
            if not in_dialog and self.core.answered.holds(request):
                self.in_answered_dialog(request, flow, server)
                return
            if self.stopping and not in_dialog:
                raise Refused(503)
            self.begin(request, flow, server, in_dialog)
        except Refused as refusal:
            self.refuse(request, flow, server, refusal)
        except ParseError as error:
            self.refuse(request, flow, server, Refused(error.status, f"Bad {error.header or 'Request'}"))

    def validate(self, request: Request) -> None:
        """RFC 3261 16.3; Max-Forwards counts only for what would be forwarded."""
        try:
            validate(request)
        except Refused as refusal:
            if refusal.status != 483:
                raise
            uri = request.target
            if type(uri) is not SipUri or uri.user is not None or not self.core.locations.domains.hold(uri):
                raise

    def begin(self, request: Request, flow: Flow, server: ServerTransaction, in_dialog: bool) -> None:
        may_relay = self.policy.may_relay(flow.remote.host)
        if not in_dialog and not may_relay:
            request = strip_routes(request)
        choice = self.policy.choose(request, flow.remote.host, in_dialog, self.core.locations.domains.hold)
        default = DefaultRoute(self.core.locations, self.registrar, flow, may_relay or in_dialog)
        self.start(request, flow, server, choice, default, initial=not in_dialog)

    def start(
        self,
        request: Request,
        flow: Flow,
        server: ServerTransaction,
        choice: Choice | None,
        default: Service,
        *,
        initial: bool,
    ) -> None:
        record = access_record(request, flow)
        record.route = "default" if initial else "dialog"
        context = RequestContext(self.core, server, request, flow, record, initial)
        server.user = context
        service = None
        if choice is not None:
            service = CgiService(self.core, self.policy.scripts, context, choice.route)
            record.route, record.script = choice.name, choice.route.script
        context.begin(service, default)

    def is_our_via(self, via: Via) -> bool:
        return self.core.transport.is_ours(via.host.strip("[]").lower(), via.port)

    def in_dialog(self, found: Preprocessed) -> bool:
        """A To tag and our Route with a token that we made for this dialog (contract: In a dialog)."""
        request = found.request
        to_tag = request.to.tag
        if to_tag is None:
            return False
        call_id, from_tag = request.call_id, request.from_.tag or ""
        return any(self.core.token_key.valid(token, call_id, from_tag, to_tag) for token in found.tokens)

    def in_answered_dialog(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        """A request in the dialog of a script's own 2xx; a route or a script named after the method may want it."""
        if request.method == "BYE":
            self.core.answered.ended(request)
        choice = self.policy.choose(request, flow.remote.host, False, self.core.locations.domains.hold)
        if choice is not None and choice.is_default:
            choice = None
        self.start(request, flow, server, choice, InAnsweredDialog(), initial=True)

    def refuse(self, request: Request, flow: Flow, server: ServerTransaction, refusal: Refused) -> None:
        record = access_record(request, flow)
        record.route, record.status, record.to_final = "-", refusal.status, 0.0
        server.respond(
            build.response(request, refusal.status, refusal.reason, to_tag=server.tag(), headers=refusal.headers)
        )
        self.core.log.access(record)

    def ack(self, request: Request, flow: Flow) -> None:
        """An ACK that matches no transaction: for a 2xx (13.2.2.4). It never runs a script as an initial request."""
        try:
            if self.core.answered.acknowledged(request):
                return
            validate(request)
            found = preprocess(request, self.core.locations.domains.hold)
            request = found.request
            if self.in_dialog(found) or self.policy.may_relay(flow.remote.host):
                target = self.core.locations.targets(Relay(request.uri), request, initial=False)[0][0]
                pass_on(self.core, request, target)
        except (Refused, ParseError):
            return  # nothing answers an ACK


def access_record(request: Request, flow: Flow) -> AccessRecord:
    headers = request.headers
    return AccessRecord(
        method=request.method,
        from_=headers.get("from") or "",
        to=headers.get("to") or "",
        uri=request.uri,
        source=str(flow.remote),
        call_id=headers.get("call-id") or "",
    )
