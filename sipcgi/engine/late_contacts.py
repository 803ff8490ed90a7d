"""Contacts that register while a call to their user is pending: they are called, too (RFC 3261 16.5)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from sipcgi.engine.recursion import MOST_BRANCHES
from sipcgi.engine.target import Target
from sipcgi.registrar.bindings import Binding
from sipcgi.sip.uri import equivalent, parse_uri
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from sipcgi.engine.hunt import Hunt

MOST_CALLS = 50
"""Calls to one user that a contact joins at once."""


class LateContacts:
    """The pending searches for registered users, by their addresses-of-record."""

    def __init__(self, timers: TimerQueue) -> None:
        self.timers = timers
        self.hunts: dict[str, dict[Hunt, None]] = {}

    def watch(self, hunt: Hunt, aors: tuple[str, ...]) -> None:
        hunt.watched = aors
        for aor in aors:
            self.hunts.setdefault(aor, {})[hunt] = None

    def forget(self, hunt: Hunt) -> None:
        """Nothing more is to be tried."""
        for aor in hunt.watched:
            hunts = self.hunts[aor]
            del hunts[hunt]
            if not hunts:
                del self.hunts[aor]
        hunt.watched = ()

    def registered(self, aor: str, before: list[Binding], after: list[Binding]) -> None:
        """What `aor` is bound to has changed. The new contacts are called when the REGISTER has its answer."""
        if aor not in self.hunts:
            return
        known = {(binding.uri, binding.instance) for binding in before}
        new = [binding for binding in after if (binding.uri, binding.instance) not in known]
        if new:
            self.timers.start(0.0, self.join, aor, new)

    def join(self, aor: str, new: list[Binding]) -> None:
        for hunt in list(islice(self.hunts.get(aor, ()), MOST_CALLS)):
            for binding in new:
                if may_join(hunt, binding):
                    join(hunt, binding)


def may_join(hunt: Hunt, binding: Binding) -> bool:
    """Whether it is one to be tried: no URI twice (16.5), no user agent twice at a time (RFC 5626 7)."""
    branches = hunt.context.branches
    if not hunt.watched or len(branches) >= MOST_BRANCHES:
        return False
    if hunt.relay.uri[:5].lower() == "sips:" and binding.uri[:5].lower() != "sips:":  # RFC 5630 5.3
        return False
    waiting = [target for group in hunt.groups for target in group]
    pending = [branch.target for branch in branches if branch.final is None] + waiting
    uri = binding.target
    return not (
        any(equivalent(uri, parse_uri(branch.target.uri)) for branch in branches)
        or any(equivalent(uri, parse_uri(target.uri)) for target in waiting)
        or (binding.instance and any(one.binding and one.binding.instance == binding.instance for one in pending))
    )


def join(hunt: Hunt, binding: Binding) -> None:
    """At once, if its q is no lower than of those being tried and there is Max-Breadth for it; else in its turn."""
    context = hunt.context
    target = context.core.locations.reachable.target([binding])
    context.record.targets.append(target.uri)
    pending = [preference(branch.target) for branch in hunt.branches if branch.final is None]
    if context.upstream.breadth.available and any(q <= binding.q for q in pending):
        context.performing = True
        try:
            hunt.start([target])
        finally:
            context.performing = False
        context.drain()
        return
    at = next((n for n, group in enumerate(hunt.groups) if preference(group[0]) <= binding.q), len(hunt.groups))
    if at < len(hunt.groups) and preference(hunt.groups[at][0]) == binding.q:
        hunt.groups[at].append(target)
    else:
        hunt.groups.insert(at, [target])


def preference(target: Target) -> float:
    """What comes out of an alias says nothing of it."""
    return 1.0 if target.binding is None else target.binding.q
