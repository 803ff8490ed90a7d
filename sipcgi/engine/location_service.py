"""Where requests go: registered contacts, the way back to a phone, and the default action (RFC 3050 5.6.1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipcgi.engine.branch import Target
from sipcgi.engine.domains import Domains
from sipcgi.flow import Flow
from sipcgi.registrar.bindings import Binding, contacts, groups
from sipcgi.registrar.store import LocationStore
from sipcgi.service import Action, Edits, Event, Pending, Relay, Reply, RequestReceived
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri, Uri, parse_uri
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from sipcgi.engine.registrar_service import RegistrarService

CAPABILITIES = [
    ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"),
    ("Accept", "application/sdp"),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "en"),
    ("Supported", "path"),
]
"""What an OPTIONS to the server itself is told (RFC 3261 11.2)."""


class LocationService:
    """Turns URIs into targets (RFC 3261 16.5)."""

    def __init__(self, store: LocationStore, domains: Domains, timers: TimerQueue) -> None:
        self.store = store
        self.domains = domains
        self.timers = timers

    def targets(self, action: Relay, request: Request, initial: bool) -> list[list[Target]]:
        """Groups of targets for a proxied URI: contacts of our own user by q, else the URI itself.

        A request in a dialog whose route set goes on beyond us just follows it.
        """
        uri = parse_uri(action.uri)
        if type(uri) is not SipUri:
            return [[Target(action.uri)]]
        if "route" in request.headers and (not initial or action.uri == request.uri):
            return [[Target(action.uri)]]  # the Route of a caller who may relay
        if any(name.lower() == "route" for name, _ in action.edits.headers):
            return [[Target(action.uri)]]  # the script names the next hop, and keeps the URI
        if self.domains.hold(uri):
            bindings = self.store.bindings(uri.aor, self.timers.now())
            if not bindings:
                return [[Target(action.uri, failure=480)]]
            return [[target(binding) for binding in group] for group in groups(bindings, self.timers.now())]
        return [[self.way(action.uri, uri, request)]]

    def way(self, text: str, uri: SipUri, request: Request) -> Target:
        """A URI that equals a registered contact goes the way that contact registered, the called user's first."""
        found = self.store.by_contact(uri, self.timers.now())
        if not found:
            return Target(text)
        called = request.target
        aor = called.aor if type(called) is SipUri else ""
        binding = next((binding for owner, binding in found if owner == aor), found[0][1])
        return target(binding, text)

    def registrations(self, request: Request) -> str | None:
        """The value of REGISTRATIONS: those of the called user (REGISTER: of the To address); None without any."""
        uri: Uri = request.to.uri if request.method == "REGISTER" else request.target
        if type(uri) is not SipUri or not self.domains.hold(uri):
            return None
        now = self.timers.now()
        bindings = self.store.bindings(uri.aor, now)
        return contacts(bindings, now) if bindings else None


def target(binding: Binding, uri: str | None = None) -> Target:
    return Target(uri or binding.uri, binding.path, binding.flow)


class InAnsweredDialog:
    """The default for a request in the dialog of a script's own 2xx: BYE ends it, the rest is refused (12.2.2)."""

    __slots__ = ()

    def wants(self, event: Event) -> bool:
        return False

    def listening(self) -> bool:
        return False

    def decide(self, event: Event) -> Sequence[Action]:
        assert type(event) is RequestReceived
        method = event.request.method
        return [Reply(200 if method in ("BYE", "OPTIONS") else 488 if method == "INVITE" else 405, "")]


class DefaultRoute:
    """The default action for one request: register, answer for the server itself, look up, or relay."""

    __slots__ = ("flow", "locations", "may_relay", "registrar")

    def __init__(self, locations: LocationService, registrar: RegistrarService, flow: Flow, may_relay: bool) -> None:
        self.locations = locations
        self.registrar = registrar
        self.flow = flow
        self.may_relay = may_relay

    def wants(self, event: Event) -> bool:
        return False

    def listening(self) -> bool:
        return False

    def decide(self, event: Event) -> Sequence[Action] | Pending:
        assert type(event) is RequestReceived
        request = event.request
        uri = request.target
        if type(uri) is not SipUri:
            # a tel URI that nothing turned into another: 404; another scheme: 416 (RFC 3261 16.3 item 2)
            return [Reply(404 if uri.scheme == "tel" else 416, "")]
        if not self.locations.domains.hold(uri):
            return [Relay(request.uri)] if self.may_relay else [Reply(403, "Relaying Denied")]
        if request.method == "REGISTER":
            return self.registrar.decide(request, self.flow)
        if uri.user is None:
            return [own_answer(request)]
        if request.routes and self.may_relay:
            return [Relay(request.uri)]
        if not self.locations.store.bindings(uri.aor, self.locations.timers.now()):
            return [Reply(480, "")]
        return [Relay(request.uri)]


def own_answer(request: Request) -> Reply:
    """A request for the server itself (RFC 3261 11.2): only OPTIONS has an answer."""
    required = request.headers.elements("require")
    if required:  # RFC 3261 8.2.2.3
        return Reply(420, "", Edits([("Unsupported", ", ".join(required))]))
    if request.method == "OPTIONS":
        return Reply(200, "", Edits(CAPABILITIES))
    return Reply(404, "")
