"""The timer queue and the time it runs on. engine/reactor fires it, or the task `run`, in virtual time for one."""

import math
import traceback
from collections.abc import Callable

import trio

from sipcgi.timerqueue import TimerQueue


class Clock:
    """Owns the TimerQueue. `now` tells the time in seconds; it goes as fast as trio's.

    An exception in one of its timers is a bug, which must not stop the others: `crashed` is told of it.
    """

    def __init__(self, crashed: Callable[[str], None], now: Callable[[], float] = trio.current_time) -> None:
        self.crashed = crashed
        self.timers = TimerQueue(now, self.wake, grain=0.2)
        self._scope: trio.CancelScope | None = None

    def fire(self) -> None:
        """Calls what is due, or some of it when it is much."""
        try:
            self.timers.fire()
        except Exception:
            self.crashed(f"a timer:\n{traceback.format_exc()}")

    def wake(self) -> None:
        """An earlier timer was started: the sleep of `run` is cut short."""
        if self._scope is not None:
            self._scope.deadline = min(self._scope.deadline, self._due())

    async def run(self) -> None:
        """Fires the timers, until it is cancelled: the one task that sleeps for all of them."""
        while True:
            self.fire()
            due = self._due()
            if due <= trio.current_time():
                await trio.lowlevel.checkpoint()  # many are due at once: let messages in between
                continue
            with trio.CancelScope(deadline=due) as self._scope:
                await trio.sleep_forever()
            self._scope = None

    def _due(self) -> float:
        """When the next timer is, in trio's time."""
        deadline = self.timers.next_deadline()
        return math.inf if deadline is None else trio.current_time() + deadline - self.timers.now()
