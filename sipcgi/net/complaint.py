"""What goes wrong in the network: counted always, logged seldom, for a flood of it must not become a flood of lines."""

from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Protocol

INTERVAL = 10.0  # seconds between two lines of one kind


class Log(Protocol):
    """The part of a log that this package writes to."""

    def info(self, text: str, /) -> object: ...

    def warning(self, text: str, /) -> object: ...

    def crash(self, traceback: str, /) -> object: ...


class Complaints:
    """Counts by kind in `counts`; at most one line of each kind in ten seconds, which says how many were left out."""

    def __init__(self, log: Log, now: Callable[[], float] = monotonic) -> None:
        self.log = log
        self.counts: Counter[str] = Counter()
        self._now = now
        self._said: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, text: str) -> None:
        """`kind` is one of a few fixed names; `text` may hold what a stranger sent."""
        self.counts[kind] += 1
        count, now = self.counts[kind], self._now()
        when, before = self._said.get(kind, (-INTERVAL, 0))
        if now - when < INTERVAL:
            return
        self._said[kind] = (now, count)
        unsaid = f" ({count - before - 1} more since the last such line)" if count - before > 1 else ""
        self.log.warning(text + unsaid)
