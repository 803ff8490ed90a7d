"""Bindings and the flows that they need: a binding ends with its flow (RFC 5626 section 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sipcgi.engine.late_contacts import LateContacts
from sipcgi.engine.target import Target
from sipcgi.errors import Unreachable
from sipcgi.flow import WEBSOCKETS, Flow
from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.store import LocationStore
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri

if TYPE_CHECKING:
    from sipcgi.net.transport import Transport

_MOST_EQUAL = 200
_SECURE = ("TLS", "WSS")


class Reachable:
    """What is in the store and can be reached. `now` counts as Binding.expires_at does."""

    def __init__(
        self, store: LocationStore, now: Callable[[], float], transport: Transport, late: LateContacts
    ) -> None:
        self.store = store
        self.now = now
        self.is_open = transport.is_open
        self.flow_to = transport.flow_to
        self.late = late
        """Who is to hear of what registers."""

    def bindings(self, aor: str) -> list[Binding]:
        """The current bindings of `aor`; those whose flow is gone are forgotten."""
        found = self.store.bindings(aor, self.now())
        if not found:
            return found
        alive = [binding for binding in found if not self.ended(binding)]
        if len(alive) < len(found):
            self.store.replace(aor, alive)
        return alive

    def ended(self, binding: Binding) -> bool:
        """Whether its flow is gone, and it with it."""
        return binding.flow is not None and not self.is_open(binding.flow) and needs_flow(binding)

    def forget(self, binding: Binding) -> None:
        """Its flow has failed (RFC 5626 7). A later registration of the same flow stays."""
        now = self.now()
        for aor, found in self.store.by_contact(binding.target, now, _MOST_EQUAL):
            if found is binding:
                self.store.replace(aor, [one for one in self.store.bindings(aor, now) if one is not binding])

    def target(self, flows: Sequence[Binding], uri: str | None = None) -> Target:
        """The way to one user agent, over the first of its `flows` that does not fail."""
        first, *others = [self._way(binding, uri) for binding in flows]
        first.others = others
        return first

    def _way(self, binding: Binding, uri: str | None) -> Target:
        flow = binding.flow
        if flow is not None and not self.is_open(flow):
            flow = self._instead(flow)
        lost = 480 if needs_flow(binding) else 503  # no endpoint should see a 430 (RFC 5626 11.5)
        return Target(uri or binding.uri, binding.path, flow, lost=lost, binding=binding)

    def _instead(self, flow: Flow) -> Flow | None:
        """From another socket of ours to where a client was seen: its own address may lead nowhere, behind a NAT.

        None: only its own address is left. A connection leads to whom it led to, and to nobody else.
        """
        if flow.transport != "UDP":
            return None
        try:
            return self.flow_to("UDP", flow.remote)
        except Unreachable:
            return None

    def _first(self, found: list[tuple[str, Binding]], aor: str) -> list[Binding]:
        """Those that are there, of `aor` first and of these the last one first."""
        found = [(owner, one) for owner, one in found if not self.ended(one)]
        mine = [binding for owner, binding in reversed(found) if owner == aor]
        return mine + [binding for owner, binding in found if owner != aor]

    def way(self, text: str, uri: SipUri, request: Request) -> Target:
        """A URI that equals a registered contact goes the way that contact registered, the called user's first."""
        found = self.store.by_contact(uri, self.now())
        if not found:
            return Target(text)
        called = request.target
        equal = self._first(found, called.aor if type(called) is SipUri else "")
        return self._to_instance(equal, text) if equal else Target(text)

    def _to_instance(self, found: list[Binding], text: str) -> Target:
        """Over the first one, and then over the other flows of the same user agent."""
        instance = found[0].instance
        flows = [one for one in found if one.instance == instance] if instance else found[:1]
        return self.target(flows, text)

    def in_dialog(self, text: str, uri: SipUri, request: Request, flow: Flow | None) -> Target:
        """The way to the other side of a dialog, whose request came with our Record-Route, where no Route is left.

        `flow` is the one that was recorded there. What the other side itself has registered since may be better, what
        others registered is none of its concern: anybody may register a contact that equals its own.
        """
        mine = []
        if found := self.store.by_contact(uri, self.now()):
            to = request.to.uri
            aor = to.aor if type(to) is SipUri else ""
            mine = [one for owner, one in found if owner == aor and not self.ended(one)]
        elif flow is None:
            return Target(text)
        secure = uri.scheme != "sips" or (flow is not None and flow.transport in _SECURE)
        usable = flow is not None and secure and self.is_open(flow)
        if usable and (not mine or any(one.flow == flow for one in mine)):
            return Target(text, flow=flow, lost=430)
        if mine:
            return self._to_instance(mine[::-1], text)
        if flow is not None and not usable and ("ob" in uri.params or uri.host.endswith(".invalid")):
            return Target(text, failure=430)  # RFC 5626 5.3.1, RFC 7118 5: nothing else leads there
        return Target(text)


def needs_flow(binding: Binding) -> bool:
    """Whether a binding ends with its flow: that was agreed (RFC 5626 6), or it cannot be otherwise (RFC 7118 5)."""
    return binding.reg_id is not None or (binding.flow is not None and binding.flow.transport in WEBSOCKETS)
