"""How long the event loop stood still at the longest: the time in which one task did not give way to another."""

from time import perf_counter

import trio


class LoopWatch(trio.abc.Instrument):
    """`longest` is in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._since = perf_counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._since = perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if (lasted := perf_counter() - self._since) > self.longest:
            self.longest = lasted
