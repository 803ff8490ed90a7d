"""A binding of an address-of-record to a contact, and the lists made of bindings (RFC 3261 10, RFC 3050 5.5.1.6)."""

from collections.abc import Iterable
from dataclasses import dataclass

from sipcgi.compiled.quick import quick
from sipcgi.flow import Flow
from sipcgi.sip.address import Address
from sipcgi.sip.uri import Uri, parse_uri


@quick
@dataclass(slots=True)
class Binding:
    """One registered contact, held as texts: they are smaller than what they parse to, and a server keeps many."""

    contact: str
    """The contact as registered, with its display name and all its parameters but `expires`."""
    uri: str
    """The URI in it."""
    q: float
    """Preference from 0 to 1 (RFC 3261 10.2.1.2)."""
    expires_at: float
    """When it ends, in seconds of the clock that `now` comes from."""
    call_id: str
    cseq: int
    flow: Flow | None = None
    """The way to the contact where its own address is not it (nat.way_back); None: what the URI or the path says."""
    path: tuple[str, ...] = ()
    """Values of Path, which become the Routes of a request to this contact (RFC 3327 5.3)."""
    instance: str = ""
    """The user agent whose contact it is (RFC 5626 4.1: +sip.instance); empty where that is not told."""
    reg_id: int | None = None
    """Which flow of the instance it is (RFC 5626 6): with the instance, what the binding is known by instead of the
    URI. None where no outbound processing took place."""

    @property
    def target(self) -> Uri:
        return parse_uri(self.uri)

    @property
    def address(self) -> Address:
        return Address.parse(self.contact)

    def seconds(self, now: float) -> int:
        """Seconds left; at least 1, for 0 would be the end of a binding that is still there."""
        return max(1, round(self.expires_at - now))

    def text(self, now: float) -> str:
        """The value of Contact for it: all that was registered, and `expires` with the seconds left."""
        return f"{self.contact};expires={self.seconds(now)}"


def current(bindings: Iterable[Binding], now: float) -> list[Binding]:
    """Those that have not expired."""
    return [binding for binding in bindings if binding.expires_at > now]


def by_preference(bindings: Iterable[Binding], now: float) -> list[list[Binding]]:
    """The current ones, those of the highest q first and equal ones in the order they registered.

    Those of one instance are one target, of which one at a time is tried (RFC 5626 7): the highest q first, of equal
    ones the flow that was registered last.
    """
    targets: dict[str | int, list[Binding]] = {}
    for number, binding in enumerate(current(bindings, now)):
        targets.setdefault(binding.instance or number, []).insert(0, binding)
    for flows in targets.values():
        flows.sort(key=lambda binding: -binding.q)
    return sorted(targets.values(), key=lambda flows: -flows[0].q)


def contacts(bindings: Iterable[Binding], now: float) -> str:
    """The metavariable REGISTRATIONS: the Contact of a 302 (RFC 3050 5.5.1.6); empty where there is none.

    An instance is named once, whatever the number of its flows: who proxies to each contact forks to each user agent.
    """
    return ", ".join([flows[0].text(now) for flows in by_preference(bindings, now)])


def groups(bindings: Iterable[Binding], now: float) -> list[list[list[Binding]]]:
    """The target sets of a serial search: equal q together, the highest first (RFC 3261 16.6)."""
    sets: list[list[list[Binding]]] = []
    for flows in by_preference(bindings, now):
        if sets and sets[-1][0][0].q == flows[0].q:
            sets[-1].append(flows)
        else:
            sets.append([flows])
    return sets
