"""All timers of the process in one queue: 1 us for a start and a cancel, where a task for each would cost 41 us.

It has no clock of its own: `now` comes in as a function, and engine/clock.py drives it. Seconds throughout.
"""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

from sipcgi.compiled import compiled


@compiled
class Timer:
    """A started timer; `cancel` may be called at any time, also after it fired."""

    __slots__ = ("arguments", "callback", "deadline", "place")

    def __init__(
        self,
        deadline: float,
        callback: Callable[..., None],
        arguments: tuple[Any, ...],
        place: dict["Timer", None],
    ) -> None:
        self.deadline = deadline
        self.callback: Callable[..., None] | None = callback
        self.arguments = arguments
        self.place = place
        """Those of the same deadline that wait for it."""

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self.arguments = ()  # one that is due waits for its turn, and must hold nothing meanwhile
            self.place.pop(self, None)


@compiled
class Deadlines:
    """A heap of deadlines, the timers of each, and calling them.

    All are due on a grid, never early, so that one wake-up of the driver serves many, and many share one place in the
    heap: of `grain` seconds for timers of a second and more, most of which are those of lingering transactions, of a
    quarter of it for shorter ones.
    """

    now: Callable[[], float]
    wake: Callable[[], None]
    grain: float
    _heap: list[float]
    _timers: dict[float, dict[Timer, None]]
    """By deadline, in the order of their start."""
    _due: list[Timer]
    """Those of a deadline that has come, the next one last."""

    def start(self, delay: float, callback: Callable[..., None], *arguments: Any) -> Timer:
        """Calls `callback(*arguments)` in `delay` seconds."""
        deadline = self.now() + delay
        if grain := self.grain:
            if delay < 1:
                grain *= 0.25
            deadline = -(-deadline // grain) * grain
        place = self._timers.get(deadline)
        if place is not None:
            timer = Timer(deadline, callback, arguments, place)
            place[timer] = None
            return timer
        place = {}
        timer = Timer(deadline, callback, arguments, place)
        place[timer] = None
        self._timers[deadline] = place  # last: without memory none is left that is not in the heap
        heappush(self._heap, deadline)
        if self._heap[0] == deadline:
            self.wake()
        return timer

    def next_deadline(self) -> float | None:
        """When the next timer is due, in the clock's seconds; None when there is none."""
        due = self._due
        while due and due[-1].callback is None:
            due.pop()
        if due:
            return due[-1].deadline
        heap = self._heap
        while heap and not self._timers[heap[0]]:
            del self._timers[heappop(heap)]
        return heap[0] if heap else None

    def fire(self, most: int = 50) -> int:
        """Calls what is due, at most `most` of them, and returns how many were."""
        now, count = self.now(), 0
        while count < most:
            deadline = self.next_deadline()
            if deadline is None or deadline > now:
                break
            if not self._due:
                place = self._timers.pop(heappop(self._heap))
                self._due = list(place)[::-1]
                place.clear()
            timer = self._due.pop()
            callback, arguments = timer.callback, timer.arguments
            timer.callback, timer.arguments = None, ()
            count += 1
            assert callback is not None
            callback(*arguments)
        return count


class TimerQueue(Deadlines):
    """All timers. `wake` is called when one becomes the next one due, so that a sleeping driver looks
    again."""

    def __init__(self, now: Callable[[], float], wake: Callable[[], None] = lambda: None, grain: float = 0.0) -> None:
        self.now = now
        self.wake = wake
        self.grain = grain
        self._heap = []
        self._timers = {}
        self._due = []

    def waiting(self) -> Iterator[Timer]:
        """All that were neither called nor cancelled."""
        yield from (timer for timer in reversed(self._due) if timer.callback is not None)
        for timers in self._timers.values():
            yield from timers
