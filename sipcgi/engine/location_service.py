"""Where requests go: registered contacts, the way back to a phone, and the default action (RFC 3050 5.6.1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipcgi.engine.domains import Domains
from sipcgi.engine.late_contacts import LateContacts
from sipcgi.engine.reachable import Reachable
from sipcgi.engine.target import Reroute, Target
from sipcgi.flow import Flow
from sipcgi.registrar.bindings import Binding, contacts, groups
from sipcgi.registrar.store import LocationStore
from sipcgi.service import Action, Default, Edits, Event, Pending, Relay, Reply, RequestReceived
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri, Uri, equivalent, parse_uri
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from sipcgi.engine.hunt import Hunt
    from sipcgi.engine.registrar_service import RegistrarService
    from sipcgi.net.transport import Transport

CAPABILITIES = [
    ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"),
    ("Accept", "application/sdp"),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "en"),
    ("Supported", "path, outbound"),
]
"""What an OPTIONS to the server itself is told (RFC 3261 11.2)."""


class LocationService:
    """Turns URIs into targets (RFC 3261 16.5)."""

    def __init__(self, store: LocationStore, domains: Domains, timers: TimerQueue, transport: Transport) -> None:
        self.store = store
        self.domains = domains
        self.timers = timers
        self.late = LateContacts(timers)
        self.reachable = Reachable(store, timers.now, transport, self.late)

    def targets(
        self,
        action: Relay,
        request: Request,
        initial: bool,
        flow: Flow | None = None,
        reroute: Reroute | None = None,
    ) -> list[list[Target]]:
        """Groups of targets for a proxied URI: contacts of our own user by q, else the URI itself.

        A request in a dialog whose route set goes on beyond us just follows it. `flow` is the one that our own Route
        named, for the URI that the request came with. A URI of ours goes through `reroute` instead, where there is one.
        """
        uri = parse_uri(action.uri)
        if type(uri) is not SipUri:
            return [[Target(action.uri)]]
        routed = "route" in request.headers.names and "route" not in action.edits.remove
        if routed and (not initial or action.uri == request.uri):
            return [[Target(action.uri)]]  # the Route of a caller who may relay
        if action.edits.headers and action.edits.sets("route"):
            return [[Target(action.uri)]]  # the script names the next hop, and keeps the URI
        if flow is not None and initial and action.uri == request.uri:
            return [[Target(action.uri, flow=flow, lost=430)]]  # RFC 5626 5.3.1
        ours = self.responsible(uri)
        if not initial and action.uri == request.uri and (flow is not None or not ours):
            return [[self.reachable.in_dialog(action.uri, uri, request, flow)]]
        if not ours:
            return [[self.reachable.way(action.uri, uri, request)]]
        if reroute is not None:
            return [[Target(action.uri, reroute=reroute)]]
        return self.users(uri, request) or [[Target(action.uri, failure=480)]]

    def beyond(self, text: str, request: Request, initial: bool) -> Target | None:
        """The target of a proxied URI that is not ours, where no Route and no flow of ours says the way; else None."""
        uri = parse_uri(text)
        if type(uri) is not SipUri:
            return Target(text)
        if self.responsible(uri):
            return None
        if not initial and text == request.uri:
            return self.reachable.in_dialog(text, uri, request, None)
        return self.reachable.way(text, uri, request)

    def elsewhere(self, request: Request, initial: bool, flow: Flow | None) -> Target:
        """The same for the URI that a request came with, which is not ours, and whose route set nobody changes."""
        uri = request.target
        if type(uri) is not SipUri or "route" in request.headers.names:
            return Target(request.uri)
        if not initial:
            return self.reachable.in_dialog(request.uri, uri, request, flow)
        if flow is not None:
            return Target(request.uri, flow=flow, lost=430)  # RFC 5626 5.3.1
        return self.reachable.way(request.uri, uri, request)

    def users(self, uri: SipUri, request: Request) -> list[list[Target]]:
        """All that a URI of ours leads to, by q."""
        bindings, others = self.contacts(uri)
        sets = [
            (group[0][0].q, [self.reachable.target(flows) for flows in group])
            for group in groups(bindings, self.timers.now())
        ]
        if others:  # an alias says nothing of preference, so that they are as good as a contact without q
            if not sets or sets[0][0] < 1:
                sets.insert(0, (1.0, []))
            sets[0][1].extend([self.reachable.way(str(other), other, request) for other in others])
        return [group for _, group in sets]

    def watch(self, hunt: Hunt) -> None:
        """Has contacts that register for the user of ours whom it is for join it (RFC 3261 16.5)."""
        uri = parse_uri(hunt.relay.uri)
        if type(uri) is SipUri and self.responsible(uri):
            self.late.watch(hunt, tuple({end.aor for end in self.domains.ends(uri) if self.domains.hold(end)}))

    def group_timeout(self, action: Relay) -> float | None:
        """Seconds for the contacts of one q, where a proxied URI is of a domain of ours that sets a limit."""
        uri = parse_uri(action.uri)
        return self.domains.of(uri).group_timeout if type(uri) is SipUri and self.responsible(uri) else None

    def recurses(self, request: Request) -> bool:
        """Whether a 3xx to a request is followed here: only the responsible proxy may (RFC 3261 16.5)."""
        uri = request.target
        if type(uri) is not SipUri or "route" in request.headers.names or not self.responsible(uri):
            return False
        return self.domains.of(uri).recurse

    def responsible(self, uri: SipUri) -> bool:
        """Whether a Request-URI names us; with a maddr it names that alone (RFC 3261 16.5; 16.4 took out ours)."""
        return "maddr" not in uri.params and self.domains.hold(uri)

    def contacts(self, uri: SipUri) -> tuple[list[Binding], list[SipUri]]:
        """What a URI of ours leads to: registered contacts, each once (RFC 3261 16.5), and URIs that are not ours."""
        aliases = self.domains.aliases
        if not aliases.entries and uri.scheme == "sip":
            return self.reachable.bindings(uri.aor), []
        bindings, others = self._behind(self.domains.ends(uri))
        if aliases.entries and not (bindings or others or aliases.find(uri)):
            bindings, others = self._behind(aliases.catch_all(uri, self.domains.hold))
        if uri.scheme == "sips":  # RFC 5630 5.3: who registered no SIPS contact cannot be called by a SIPS URI
            bindings = [binding for binding in bindings if binding.uri[:5].lower() == "sips:"]
            others = [other for other in others if other.scheme == "sips"]
        return bindings, others

    def _behind(self, ends: list[SipUri]) -> tuple[list[Binding], list[SipUri]]:
        ours = [end for end in ends if self.domains.hold(end)]
        if len(ours) == len(ends) == 1:
            return self.reachable.bindings(ours[0].aor), []
        found = [binding for end in ours for binding in self.reachable.bindings(end.aor)]
        once = {(binding.uri, binding.instance, binding.reg_id): binding for binding in found}
        return [*once.values()], [end for end in ends if end not in ours]

    def registrations(self, request: Request) -> str | None:
        """The value of REGISTRATIONS: those of the called user (REGISTER: of the To address); None without any."""
        register = request.method == "REGISTER"
        uri: Uri = request.to.uri if register else request.target
        if type(uri) is not SipUri or not self.domains.hold(uri):
            return None
        bindings = self.reachable.bindings(uri.aor) if register else self.contacts(uri)[0]
        return contacts(bindings, self.timers.now()) if bindings else None


class InAnsweredDialog(Default):
    """The default for a request in the dialog of a script's own 2xx: BYE ends it, the rest is refused (12.2.2)."""

    __slots__ = ()

    def decide(self, event: Event) -> Sequence[Action]:
        assert type(event) is RequestReceived
        method = event.request.method
        return [Reply(200 if method in ("BYE", "OPTIONS") else 488 if method == "INVITE" else 405, "")]


class DefaultRoute(Default):
    """The default action for one request: register, answer for the server itself, look up, redirect, or relay."""

    __slots__ = ("flow", "in_dialog", "locations", "may_relay", "registrar")

    def __init__(
        self, locations: LocationService, registrar: RegistrarService, flow: Flow, may_relay: bool, in_dialog: bool
    ) -> None:
        self.locations = locations
        self.registrar = registrar
        self.flow = flow
        self.in_dialog = in_dialog
        self.may_relay = may_relay

    def decide(self, event: Event) -> Sequence[Action] | Pending:
        assert type(event) is RequestReceived
        request = event.request
        uri = request.target
        if type(uri) is not SipUri:
            # a tel URI that nothing turned into another: 404; another scheme: 416 (RFC 3261 16.3 item 2)
            return [Reply(404 if uri.scheme == "tel" else 416, "")]
        if not self.locations.responsible(uri):
            return [Relay(request.uri)] if self.may_relay else [Reply(403, "Relaying Denied")]
        if request.method == "REGISTER":
            return self.registrar.decide(request, self.flow)
        if uri.user is None:
            return [own_answer(request)]
        if request.routes and self.may_relay:
            return [Relay(request.uri)]
        bindings, others = self.locations.contacts(uri)
        if not (bindings or others):
            # RFC 3261 16.5: 404 for a user that does not exist, 480 for one who is not there
            known = self.locations.domains.aliases.find(uri) or self.locations.store.known(uri.aor)
            # 12.2.2: where nobody is, there is no dialog either
            return [Reply(480 if known else 404 if request.to.tag is None else 481, "")]
        if not self.in_dialog and self.locations.domains.of(uri).redirect:
            return [self.redirection(request, bindings, others)]
        return [Relay(request.uri)]

    def redirection(self, request: Request, bindings: list[Binding], others: list[SipUri]) -> Action:
        """RFC 3261 8.3. 302, for 21.3.3 has "address(es)" and how long they hold; 300 (21.3.1) asks the user to choose.

        Nobody is sent to the URI that was asked for: where that is all there is, the request is proxied.
        """
        away = [binding for binding in bindings if not equivalent(binding.target, request.target)]
        values = [contacts(away, self.locations.timers.now())] if away else []
        values += [f"<{other}>" for other in others]
        return Reply(302, "", Edits([("Contact", ", ".join(values))])) if values else Relay(request.uri)


def own_answer(request: Request) -> Reply:
    """A request for the server itself (RFC 3261 11.2): only OPTIONS has an answer."""
    if request.to.tag is not None:  # 12.2.2, 15.1.2: a dialog that is over, or never was
        return Reply(481, "")
    required = request.headers.elements("require")
    if required:  # RFC 3261 8.2.2.3
        return Reply(420, "", Edits([("Unsupported", ", ".join(required))]))
    if request.method == "OPTIONS":
        return Reply(200, "", Edits(CAPABILITIES))
    return Reply(404, "")
