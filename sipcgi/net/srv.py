"""The order in which the servers of a service are tried (RFC 2782)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Srv(NamedTuple):
    """An SRV record; `target` is a name in lower case without its last dot, "." for a service that is not offered."""

    priority: int
    weight: int
    port: int
    target: str


def in_order(records: Sequence[Srv], random: Callable[[], float]) -> list[Srv]:
    """All records, the one to try first in front; `random` gives numbers from 0 to below 1."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        # RFC 2782, Weight: those with weight 0 are placed at the beginning
        left = sorted([record for record in records if record.priority == priority], key=lambda record: record.weight)
        while len(left) > 1:
            ordered.append(left.pop(_chosen(left, random())))
        ordered += left
    return ordered


def _chosen(records: list[Srv], at: float) -> int:
    """The index of one, drawn by weight."""
    total = sum([record.weight for record in records])
    if not total:  # the RFC leaves it open: each is as good as the other
        return int(at * len(records))
    # RFC 2782, Weight: a number between 0 and the sum inclusive; the first whose running sum is not below it
    drawn = int(at * (total + 1))
    index = 0
    while (drawn := drawn - records[index].weight) > 0:
        index += 1
    return index
