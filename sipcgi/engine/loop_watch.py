"""How long the event loop stood still: the time in which one step did not give way to another."""

import gc
from bisect import insort
from collections.abc import Callable
from time import perf_counter, thread_time
from typing import Any

import trio

from sipcgi.engine.clock import Clock
from sipcgi.watch import Watch

_LIMITS = (2, 5, 10, 20)
"""Milliseconds whose excesses are counted."""
_SHOWN = 3


class LoopWatch(trio.abc.Instrument):
    """A stand-still is one step of a task, or what the reactor does in one go; a turn is what the loop does between two
    looks at its sockets.

    Each is told with the processor time in it: the rest was spent waiting for a processor, for another thread's turn
    at the interpreter, or in a call that blocks.
    """

    def __init__(self) -> None:
        self.longest: list[tuple[float, float, str]] = []
        """The longest steps: seconds, seconds of processor time, whose; the longest one comes last."""
        self.busiest: list[tuple[float, float, str]] = []
        """Those with the most processor time likewise, which comes first here."""
        self.turn = (0.0, 0.0)
        """The longest turn likewise."""
        self.over = dict.fromkeys(_LIMITS, 0)
        """How many steps lasted longer than so many milliseconds."""
        self.busy = dict.fromkeys(_LIMITS, 0)
        """And how many took more processor time than that."""
        self.collections = [0.0, 0.0, 0.0]
        """The longest collection of garbage by generation, in seconds."""
        self._least = 0.001
        self._since = self._turn_since = perf_counter()
        self._worked = self._turn_worked = thread_time()
        self._collecting = self._since
        gc.callbacks.append(self.collect)

    def measure(self, clock: Clock, watch: Watch) -> None:
        """Takes what the reactor does for a step and a turn of its own."""
        clock.fire = self._measured(clock.fire, "timers")  # type: ignore[method-assign]
        watch.handle = self._measured(watch.handle, "datagrams and scripts")  # type: ignore[method-assign]

    def _measured(self, work: Callable[..., None], name: str) -> Callable[..., None]:
        def measured(*arguments: Any) -> None:
            since, worked = perf_counter(), thread_time()
            work(*arguments)
            if (lasted := perf_counter() - since) > self._least:
                worked = thread_time() - worked
                self._note(lasted, worked, name)
                self.turn = max(self.turn, (lasted, worked))

        return measured

    def after_io_wait(self, timeout: float) -> None:
        self._turn_since, self._turn_worked = perf_counter(), thread_time()

    def before_io_wait(self, timeout: float) -> None:
        if (lasted := perf_counter() - self._turn_since) > self.turn[0]:
            self.turn = (lasted, thread_time() - self._turn_worked)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._since, self._worked = perf_counter(), thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if (lasted := perf_counter() - self._since) > self._least:
            self._note(lasted, thread_time() - self._worked, task.name)

    def _note(self, lasted: float, worked: float, name: str) -> None:
        for limit in _LIMITS:
            self.over[limit] += lasted * 1000 > limit
            self.busy[limit] += worked * 1000 > limit
        for most, value in ((self.longest, (lasted, worked, name)), (self.busiest, (worked, lasted, name))):
            insort(most, value)
            del most[:-_SHOWN]

    def collect(self, phase: str, details: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = perf_counter()
        else:
            generation, lasted = details["generation"], perf_counter() - self._collecting
            self.collections[generation] = max(lasted, self.collections[generation])

    def report(self) -> list[str]:
        longest = self.longest[-1][0] if self.longest else self._least
        return [
            f"loop: longest stand-still {longest * 1000:.1f} ms",
            f"loop: stand-stills: {_counted(self.over)}; by processor time: {_counted(self.busy)}",
            f"loop: longest turn {_told(*self.turn)}",
            f"loop: longest collections of garbage by generation: {', '.join(map(_ms, self.collections))}",
            *[f"loop: stood still for {_told(lasted, worked)}: {name}" for lasted, worked, name in self.longest[::-1]],
            *[
                f"loop: worked for {_ms(worked)} in {_ms(lasted)}: {name}"
                for worked, lasted, name in self.busiest[::-1]
            ],
        ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _told(lasted: float, worked: float) -> str:
    return f"{_ms(lasted)}, {_ms(worked)} of it at work"


def _counted(counts: dict[int, int]) -> str:
    return ", ".join([f"{number} over {limit} ms" for limit, number in counts.items()])
