"""Descriptors and who handles what comes in on them: the datagram sockets, and what the hosts of scripts wait for.

A task for each of them would cost more than the handling: trio takes some 700 instructions of Python to wake a task
that waits for a descriptor. So one epoll has them all, and engine/reactor attends to it.
trio is imported where a loop runs: `sipcgi try` and `sipcgi test` start scripts without one.
"""

from collections.abc import Callable
from select import EPOLLIN, epoll
from time import perf_counter
from typing import TypeAlias

from sipcgi.compiled import compiled

SLICE = 0.002  # seconds of work in one go, then the other tasks of the server have their turn
EVENTS = 64

Handler: TypeAlias = Callable[[int, float], None]
"""Gets the events (select.EPOLLIN...) and the time (perf_counter) at which others should have their turn."""


@compiled
class Handling:
    """What was found to the handler of its descriptor."""

    _handlers: dict[int, Handler]

    def handle(self, found: list[tuple[int, int]]) -> None:
        """Of what `poll` found, as much as fits into a moment: what is left is reported again."""
        if len(found) == 1:
            descriptor, events = found[0]
            self._handlers[descriptor](events, perf_counter() + SLICE)
        else:
            self.handle_several(found)

    def handle_several(self, found: list[tuple[int, int]]) -> None:
        raise NotImplementedError


class Watch(Handling):
    """An epoll with a handler for each descriptor. What a handler leaves unread is reported again."""

    def __init__(self) -> None:
        self._epoll = epoll()
        self.poll = self._epoll.poll
        """`poll(patience, EVENTS)`: what `handle` is to handle."""
        self._handlers = {}
        self._first = 0
        """The place among what `poll` finds of the one that comes first: the next one, after the time was up."""

    def add(self, descriptor: int, handler: Handler, events: int = EPOLLIN) -> None:
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Nothing happens if it is not watched. To be called before the descriptor is closed."""
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def turn(self, patience: float = 0.0) -> None:
        """Handles what has come, for a moment; when there is nothing, waits `patience` seconds for it."""
        if found := self.poll(patience, EVENTS):
            self.handle(found)

    def handle_several(self, found: list[tuple[int, int]]) -> None:
        until = perf_counter() + SLICE
        first = self._first
        if first:  # epoll finds them in the same order again, and who took all of the time may do so again
            first %= len(found)
            found = found[first:] + found[:first]
            self._first = 0
        for descriptor, events in found:
            handler = self._handlers.get(descriptor)  # else removed by the one before
            if handler is not None:
                handler(events, until)
                if perf_counter() > until:
                    self._first = first + found.index((descriptor, events)) + 1
                    break

    async def serve(self) -> None:
        """Handles what comes, until it is cancelled. One task alone may do so."""
        import trio

        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self.turn()

    def close(self) -> None:
        """No handler is called any more."""
        self._handlers.clear()
        self._epoll.close()
