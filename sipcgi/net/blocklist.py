"""Which targets failed lately, and are passed over for a while (RFC 3263 4.3, RFC 3261 21.5.4)."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

BLOCK = 30.0  # seconds
LONGEST = 3600.0  # seconds: a Retry-After may come from far behind the target that is blocked for it
MOST = 4096
_LONGEST_NUMBER = 10

T = TypeVar("T", bound=Hashable)


class Blocklist:
    """Targets that failed, each until its time; `now` is in seconds of any clock that does not jump."""

    def __init__(self) -> None:
        self._until: dict[Hashable, float] = {}

    def note_failed(self, target: Hashable, now: float, duration: float = BLOCK) -> None:
        """The target timed out, could not be connected to, or asked to be left alone for `duration` seconds."""
        if len(self._until) >= MOST:
            self._until = {one: until for one, until in self._until.items() if until > now}
            if len(self._until) >= MOST:
                self._until.clear()
        until = now + min(duration, LONGEST)
        self._until[target] = max(until, self._until.get(target, until))

    def order(self, targets: Sequence[T], now: float) -> list[T]:
        """Those that may be tried, in their order; all of them, where all are blocked."""
        blocked = self._until
        if not blocked or len(targets) < 2:
            return list(targets)
        free = [target for target in targets if blocked.get(target, now) <= now]
        return free or list(targets)


def retry_after(value: str | None) -> float | None:
    """The seconds in a Retry-After header field (RFC 3261 20.33); None without one, or where it says no number."""
    digits = (value or "").partition(";")[0].partition("(")[0].strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
        return None
    return float(digits)
