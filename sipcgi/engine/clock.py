"""Drives the timer queue: the one task that sleeps for all of them."""

import math
import traceback
from collections.abc import Callable

import trio

from sipcgi.timerqueue import TimerQueue


class Clock:
    """Owns the TimerQueue; `run` fires its timers for as long as the server lives.

    An exception in one of them is a bug, which must not stop the others: `crashed` is told of it.
    """

    def __init__(self, crashed: Callable[[str], None]) -> None:
        self.crashed = crashed
        self.timers = TimerQueue(trio.current_time, self.wake, grain=0.2)
        self._scope: trio.CancelScope | None = None

    def wake(self) -> None:
        """An earlier timer was started: the sleep is cut short."""
        deadline = self.timers.next_deadline()
        if self._scope is not None and deadline is not None and deadline < self._scope.deadline:
            self._scope.deadline = deadline

    async def run(self) -> None:
        self.timers.now = trio.lowlevel.current_clock().current_time  # as trio.current_time, which looks for it first
        while True:
            try:
                self.timers.fire()
            except Exception:
                self.crashed(f"a timer:\n{traceback.format_exc()}")
            deadline = self.timers.next_deadline()
            if deadline is not None and deadline <= trio.current_time():
                await trio.lowlevel.checkpoint()  # many are due at once: let messages in between
                continue
            with trio.CancelScope(deadline=math.inf if deadline is None else deadline) as self._scope:
                await trio.sleep_forever()
            self._scope = None
