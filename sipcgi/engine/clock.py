"""Drives the timer queue: the one task that sleeps for all of them."""

import math

import trio

from sipcgi.timerqueue import TimerQueue


class Clock:
    """Owns the TimerQueue; `run` fires its timers for as long as the server lives."""

    def __init__(self) -> None:
        self.timers = TimerQueue(trio.current_time, self.wake, grain=0.2)
        self._scope: trio.CancelScope | None = None

    def wake(self) -> None:
        """An earlier timer was started: the sleep is cut short."""
        if self._scope is not None and (deadline := self.timers.heap[0][0]) < self._scope.deadline:
            self._scope.deadline = deadline

    async def run(self) -> None:
        while True:
            self.timers.fire()
            deadline = self.timers.next_deadline()
            if deadline is not None and deadline <= trio.current_time():
                await trio.lowlevel.checkpoint()  # many are due at once: let messages in between
                continue
            with trio.CancelScope(deadline=math.inf if deadline is None else deadline) as self._scope:
                await trio.sleep_forever()
            self._scope = None
