"""What makes that a run with limits or isolation ends as a whole: a control group, else a PID namespace, else its mark.

A PLAIN run has its mark alone (hosts/marks): the other two need a fork, which costs as much as a short script. The
launcher uses this, and the report says which of them is in force; the standard library alone.
"""

import os
import sys
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from sipcgi.hosts import control_groups, marks, spaces, wire
from sipcgi.hosts.control_groups import Group, Groups
from sipcgi.hosts.spaces import Space, Spaces
from sipcgi.profile import Limits

GROUP, SPACE, MARK = "group", "space", "mark"  # from the best to what always works
NOT_WANTED = "not wanted"


class Tier(NamedTuple):
    """How runs with limits or isolation end here."""

    groups: Groups | None
    spaces: Spaces | None
    text: str
    """For people: what is in force, and why nothing better."""


@cache
def tier(server: int, best: str = GROUP) -> Tier:
    """What there is for the server with that process id, and nothing better than `best`. It is tried, once."""
    found = control_groups.find(server) if best == GROUP else NOT_WANTED
    if isinstance(found, Groups):
        return Tier(found, None, f"by control group, below {found.base}{found.remark}")
    why = NOT_WANTED if best == MARK else spaces.obstacle()
    if not why:
        return Tier(None, Spaces(), f"by PID namespace; no control group: {found}")
    how = "by their mark" if marks.POSSIBLE else "by their process group alone, for the number of file locks is limited"
    return Tier(None, None, f"{how}; no control group: {found}; no PID namespace: {why}")


@cache
def settled(best: str) -> Tier:
    """For a launcher: what there is, ready for the first run."""
    found = tier(os.getppid(), best)
    if found.groups is not None:
        try:
            found.groups.settle()
        except OSError as error:
            print(f"sipcgi: memory and processes are not counted by control group: {error.strerror}", file=sys.stderr)
    return found


class Hold:
    """What holds the processes of one run together. Raises OSError when its control group cannot be made."""

    __slots__ = ("group", "over", "space", "tier")

    def __init__(self, tier: Tier, run: int, limits: Limits) -> None:
        self.tier = tier
        self.group: Group | None = None if tier.groups is None else tier.groups.make(run, limits)
        self.space: Space | None = None
        if tier.spaces is not None:
            with suppress(OSError):  # there are as many as there may be: the mark is there, too
                self.space = tier.spaces.take()
        self.over = False
        """Whether nothing was left in its namespace."""

    def fork(self) -> int:
        """As os.fork, but the child is born in there. Raises OSError."""
        if self.space is not None:
            return self.space.fork()
        if self.group is not None:
            with suppress(OSError):  # a filter of system calls may forbid it, for it cannot see what it is for
                return spaces.clone3(spaces.CLONE_INTO_CGROUP, self.group.descriptor)
        return os.fork()

    def enter(self) -> None:
        """In the child, first of all. Raises OSError."""
        if self.space is not None:
            self.space.enter()
        elif self.group is not None:
            self.group.enter()

    def kill(self) -> bool:
        """All that is in there. False when the mark has to do it."""
        if self.group is not None:
            return self.group.kill()
        if self.space is not None:
            self.space.kill()
        return self.over or self.space is not None

    def account(self, cpu: int, peak: int) -> tuple[int, int, int]:
        """The script has ended, and what it left behind is let alone. Kind of the report, CPU microseconds, peak KiB:
        of all its processes where they were counted, else as they are given."""
        if self.space is not None and self.tier.spaces is not None and self.tier.spaces.give_back(self.space):
            self.space, self.over = None, True  # another run has it
        if self.group is None or self.tier.groups is None:
            return wire.EXITED, cpu, peak
        kind = wire.STARVED if self.group.ran_out_of_memory() else wire.EXITED
        cpu, peak = max(cpu, self.group.cpu()), self.group.peak() or peak
        self.tier.groups.remove(self.group)
        return kind, cpu, peak
