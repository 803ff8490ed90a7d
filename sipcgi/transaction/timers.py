"""How long the timers of transactions last: RFC 3261 table 4 (appendix A), RFC 6026 8.11, RFC 4320 4.1. Seconds.

Timer C is of the proxy core, not of a transaction.
"""

from dataclasses import dataclass, field, replace

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input

FIRES: dict[Effect, Input] = {
    Effect.START_A: Input.TIMER_A,
    Effect.DOUBLE_A: Input.TIMER_A,
    Effect.START_B: Input.TIMER_B,
    Effect.START_D: Input.TIMER_D,
    Effect.START_E: Input.TIMER_E,
    Effect.DOUBLE_E: Input.TIMER_E,
    Effect.SLOW_E: Input.TIMER_E,
    Effect.START_F: Input.TIMER_F,
    Effect.START_G: Input.TIMER_G,
    Effect.DOUBLE_G: Input.TIMER_G,
    Effect.START_H: Input.TIMER_H,
    Effect.START_I: Input.TIMER_I,
    Effect.START_J: Input.TIMER_J,
    Effect.START_K: Input.TIMER_K,
    Effect.START_L: Input.TIMER_L,
    Effect.START_M: Input.TIMER_M,
    Effect.START_TRYING: Input.TIMER_TRYING,
    Effect.START_LATE_TRYING: Input.TIMER_TRYING,
}
"""What each timer becomes when it fires."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers over one kind of transport. Made once for each kind: this is not for the hot path."""

    t1: float = 0.5
    """The estimate of the round-trip time."""
    t2: float = 4.0
    """The longest interval between retransmissions of non-INVITE requests and INVITE responses."""
    t4: float = 5.0
    """How long a message stays in the network."""
    reliable: bool = False
    """Whether the transport is TCP or the like."""

    delays: dict[Effect, float | None] = field(init=False, repr=False, compare=False)
    """How long the timer lasts that a START effect starts.

    None: does not run on a reliable transport. 0: due at the next turn of the timer queue, not inside the row.
    """

    def __post_init__(self) -> None:
        patience = 64 * self.t1
        retransmission = None if self.reliable else self.t1
        delays: dict[Effect, float | None] = {
            Effect.START_A: retransmission,
            Effect.START_B: patience,
            Effect.START_D: 0.0 if self.reliable else max(32.0, patience),  # 32 s at least, whatever T1 is
            Effect.START_E: retransmission,
            Effect.START_F: patience,
            Effect.START_G: retransmission,
            Effect.START_H: patience,
            Effect.START_I: 0.0 if self.reliable else self.t4,
            Effect.START_J: 0.0 if self.reliable else patience,
            Effect.START_K: 0.0 if self.reliable else self.t4,
            Effect.START_L: patience,
            Effect.START_M: patience,
            Effect.START_TRYING: 0.2,  # RFC 3261 17.2.1
            Effect.START_LATE_TRYING: self._until_e_is_slow(),
        }
        object.__setattr__(self, "delays", delays)

    def _until_e_is_slow(self) -> float:
        """The time it takes a client's Timer E to be reset to T2 (RFC 4320 4.1); 3.5 s with the usual values."""
        elapsed, interval = self.t1, 2 * self.t1
        while interval < self.t2:
            elapsed += interval
            interval *= 2
        return elapsed

    def for_transport(self, reliable: bool) -> "Timers":
        """The same for TCP and the like (`reliable`) or for UDP."""
        return replace(self, reliable=reliable)

    def next_interval(self, effect: Effect, interval: float) -> float:
        """The interval that follows `interval`, for the effects that start A, E or G again."""
        if effect is Effect.DOUBLE_A:
            return 2 * interval  # RFC 3261 17.1.1.2: it grows until Timer B ends it
        if effect is Effect.SLOW_E:
            return self.t2  # RFC 3261 17.1.2.2, in Proceeding
        return min(2 * interval, self.t2)
