"""What the hosts of runs wait for, in one place: the sockets of their links, and the pipes of runs that last.

trio is imported where a loop runs: `sipcgi try` and `sipcgi test` start scripts without one.
"""

from __future__ import annotations

from collections.abc import Callable
from select import EPOLLIN, epoll
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from sipcgi.timerqueue import Timer, TimerQueue

if TYPE_CHECKING:
    from sipcgi.hosts.run import ScriptRun

LASTS = 0.1  # seconds: a run that is older than one to two of these is watched
SLICE = 0.002  # seconds of work in one go, then the other tasks of the server have their turn
EVENTS = 64

Handler: TypeAlias = Callable[[int, float], None]
"""Gets the events (select.EPOLLIN...) and the time (perf_counter) at which others should have their turn."""


class Watch:
    """An epoll with a handler for each descriptor. It is a descriptor itself, readable when there is work."""

    def __init__(self, timers: TimerQueue) -> None:
        self.timers = timers
        self._epoll = epoll()
        self._handlers: dict[int, Handler] = {}
        self._young: list[ScriptRun] = []
        self._old: list[ScriptRun] = []
        self._look_timer: Timer | None = None

    def add(self, descriptor: int, handler: Handler, events: int = EPOLLIN) -> None:
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Nothing happens if it is not watched. To be called before the descriptor is closed."""
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def add_later(self, run: ScriptRun) -> None:
        """Watches the pipes of a run if it lasts: what a short script wrote is read when its exit is reported."""
        self._young.append(run)
        if self._look_timer is None:
            self._look_timer = self.timers.start(LASTS, self._look)

    def _look(self) -> None:
        """From now on watches what was there at the last look already."""
        for run in self._old:
            if not run.finished:
                run.watch_pipes()
        self._old, self._young = self._young, []
        self._look_timer = self.timers.start(LASTS, self._look) if self._old else None

    def turn(self, patience: float = 0.0) -> None:
        """Handles what has come, for a moment; when there is nothing, waits `patience` seconds for it."""
        found = self._epoll.poll(patience, EVENTS)
        until = perf_counter() + SLICE
        for descriptor, events in found:
            handler = self._handlers.get(descriptor)  # else removed by the one before
            if handler is not None:
                handler(events, until)
            if perf_counter() > until:
                break  # what is left is reported again

    async def serve(self) -> None:
        """Handles what comes, until it is cancelled."""
        import trio

        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self.turn()

    def close(self) -> None:
        """No handler is called any more."""
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._young, self._old = [], []
        self._handlers.clear()
        self._epoll.close()
