"""All timers of the process in one heap: 2 us for a start and a cancel, where a task for each would cost 41 us.

It has no clock of its own: `now` comes in as a function, and engine/clock.py drives it. Seconds throughout.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any


class Timer:
    """A started timer; `cancel` may be called at any time, also after it fired."""

    __slots__ = ("arguments", "callback", "deadline", "queue")

    def __init__(
        self, deadline: float, callback: Callable[..., None], arguments: tuple[Any, ...], queue: "TimerQueue"
    ) -> None:
        self.deadline = deadline
        self.callback: Callable[..., None] | None = callback
        self.arguments = arguments
        self.queue = queue

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self.arguments = ()  # a cancelled timer waits in the heap and must hold nothing meanwhile
            self.queue.note_cancelled()


class TimerQueue:
    """The heap. `wake` is called when a timer becomes the next one due, so that a sleeping driver looks again.

    All are due on a grid, never early, so that one wake-up of the driver serves many: of `grain` seconds for timers of
    a second and more, most of which are those of lingering transactions, of a quarter of it for shorter ones.
    """

    def __init__(self, now: Callable[[], float], wake: Callable[[], None] = lambda: None, grain: float = 0.0) -> None:
        self.now = now
        self.wake = wake
        self.grain = grain
        self.heap: list[tuple[float, int, Timer]] = []
        """By deadline, then in the order of their start; tuples, for those are compared without Python code."""
        self.started = 0
        self.cancelled = 0

    def start(self, delay: float, callback: Callable[..., None], *arguments: Any) -> Timer:
        """Calls `callback(*arguments)` in `delay` seconds."""
        deadline = self.now() + delay
        if grain := self.grain:
            if delay < 1:
                grain *= 0.25
            deadline += -deadline % grain
        timer = Timer(deadline, callback, arguments, self)
        heap = self.heap
        self.started += 1
        heappush(heap, (deadline, self.started, timer))
        if heap[0][2] is timer:
            self.wake()
        return timer

    def note_cancelled(self) -> None:
        self.cancelled += 1
        if self.cancelled > 1000 and self.cancelled * 2 > len(self.heap):
            self.heap = [entry for entry in self.heap if entry[2].callback is not None]
            heapify(self.heap)
            self.cancelled = 0

    def next_deadline(self) -> float | None:
        """When the next timer is due, in the clock's seconds; None when there is none."""
        heap = self.heap
        while heap and heap[0][2].callback is None:
            heappop(heap)
            self.cancelled -= 1
        return heap[0][0] if heap else None

    def fire(self, most: int = 50) -> int:
        """Calls what is due, at most `most` of them, and returns how many were."""
        now, count = self.now(), 0
        while count < most:
            deadline = self.next_deadline()
            if deadline is None or deadline > now:
                break
            timer = heappop(self.heap)[2]
            callback, arguments = timer.callback, timer.arguments
            timer.callback, timer.arguments = None, ()
            count += 1
            assert callback is not None
            callback(*arguments)
        return count
