"""The search for one target set: groups of equal q, one after the other (RFC 3261 16.6; RFC 3050 5.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.engine.branch import Branch
from sipcgi.engine.rerouted import Rerouted
from sipcgi.engine.target import Target
from sipcgi.service import Relay
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext


class Hunt:
    """One Relay of a service: groups of targets, all of a group at once, the next after the group has failed."""

    open = 0
    stopped = False
    """Whether nothing more is to be tried, found by recursion either."""
    watched: tuple[str, ...] = ()
    """The addresses-of-record whose new contacts join it (engine/late_contacts)."""
    patience: Timer | None = None
    """Until the next group is tried all the same."""
    expiry: Timer | None = None

    def __init__(self, context: RequestContext, relay: Relay, groups: list[list[Target]]) -> None:
        self.context = context
        self.relay = relay
        self.groups = groups
        self.branches: list[Branch] = []
        """Those of the current group."""
        if groups and context.invite and context.initial and groups[0][0].binding is not None:
            context.core.locations.watch(self)
        if relay.timeout is not None:
            self.expiry = context.core.timers.start(relay.timeout, self.expired)

    def next_group(self) -> None:
        """Starts the next group, if there is one."""
        if self.groups:
            self.start(self.groups.pop(0))
            return
        if self.watched:
            self.cease_watching()
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None

    def start(self, group: list[Target]) -> None:
        """Tries all of them now, besides what is still pending of the group before."""
        context = self.context
        group, shares = self.within_breadth(group)
        started = [branch_to(self, target, share) for target, share in zip(group, shares, strict=True)]
        self.branches = [branch for branch in self.branches if branch.final is None] + started
        self.open += len(started)
        context.branches += started
        context.pending += len(started)
        if self.patience is not None:
            self.lose_patience()
        if self.groups:
            seconds = context.core.locations.group_timeout(self.relay)
            if seconds is not None:
                self.patience = context.core.timers.start(seconds, self.group_over)
        for branch in started:
            branch.start()

    def alone(self, target: Target) -> Branch:
        """For the only target of a context to which no script adds any: it may have all of the breadth."""
        context = self.context
        breadth = context.upstream.breadth
        if not breadth.available:
            target = Target(target.uri, failure=440)
        branch = Branch(self, target, breadth.available)
        breadth.available = 0
        self.branches.append(branch)
        context.branches.append(branch)
        self.open = context.pending = context.hunts = 1
        return branch

    def recurse(self, groups: list[list[Target]]) -> None:
        """Further targets in the place of one that has redirected (RFC 3261 16.7 item 4)."""
        self.groups[:0] = groups[1:]
        self.start(groups[0])

    def within_breadth(self, group: list[Target]) -> tuple[list[Target], list[int]]:
        """The targets that may be tried at once, with the Max-Breadth of each (RFC 5393 5.3.3).

        A group that is too wide is tried one after the other; nothing left at all is a 440. A script or another hunt
        may add branches while these are pending, so not all is given away: 5.3.3 leaves the distribution to us.
        """
        breadth = self.context.upstream.breadth
        if group[0].reroute is not None:
            return group, [0]  # the branches inside are those that take some
        if not breadth.available:
            return [Target(target.uri, failure=440) for target in group], [0] * len(group)
        if len(group) > breadth.available:
            self.groups[:0] = [[target] for target in group[1:]]
            group = group[:1]
        keep = 0
        if self.context.service is not None or self.context.hunts > 1:
            keep = breadth.available - len(group) * max(1, breadth.available // 8)
        return group, breadth.take(len(group), keep=keep)

    def closed(self, status: int) -> None:
        """A branch has ended; after a 2xx or 6xx nothing more is tried (RFC 3261 16.7 item 5)."""
        self.open -= 1
        if (status < 300 or status >= 600) and not self.stopped:
            self.stop()
        if not self.open and (self.groups or self.watched or self.expiry is not None):
            self.next_group()

    def stop(self) -> None:
        """What is pending goes on, and nothing comes after it."""
        self.stopped = True
        self.groups = []
        if self.patience is not None:
            self.lose_patience()
        if self.watched:
            self.cease_watching()

    def cease_watching(self) -> None:
        self.context.core.locations.late.forget(self)

    def lose_patience(self) -> None:
        assert self.patience is not None
        self.patience.cancel()
        self.patience = None

    def group_over(self) -> None:
        """The time of a group is over: the next one is tried instead. A 2xx that crosses the CANCEL still wins."""
        self.patience = None
        self.give_up()

    def expired(self) -> None:
        """The time that the service gave is over (RFC 3050 5.7): CANCEL, and one local 408 for all of it."""
        self.stop()
        self.expiry = None
        self.give_up()

    def give_up(self) -> None:
        """Ends what is pending, for the sake of the hunt with one local 408."""
        pending = [branch for branch in self.branches if branch.final is None]
        for branch in pending:
            branch.cancel(408)
        for branch in pending[1:]:
            if not branch.left:
                branch.leave(408)
        if pending:
            self.context.received(pending[0], self.context.upstream.local(408), None, True)


def branch_to(hunt: Hunt, target: Target, breadth: int) -> Branch:
    return Branch(hunt, target, breadth) if target.reroute is None else Rerouted(hunt, target, breadth)
