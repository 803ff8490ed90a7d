"""Datagrams, scripts and timers, handled in the time in which trio would only wait.

Most of what the server does takes no task: a message is handled to its end where it is received. To have a task woken
for it costs a fifth of a relayed call, so they are handled without one. trio tells when it is about to wait
(`trio.abc.Instrument.before_io_wait`); then the reactor waits in its place, for all that the server watches and for
trio's own descriptor, and returns as soon as there is something for a task to do.
"""

import os
import traceback
from contextlib import suppress
from pathlib import Path

import trio

from sipcgi.compiled import compiled
from sipcgi.engine.clock import Clock
from sipcgi.timerqueue import TimerQueue
from sipcgi.watch import EVENTS, Watch

_DESCRIPTORS = Path("/proc/self/fdinfo")


@compiled
class Waiting:
    """Waits for events, and has them handled."""

    __slots__ = ("readable", "scheduled")

    readable: bool
    """Whether trio's own descriptor has something for a task."""
    scheduled: bool
    """Whether a task can go on that could not when trio was about to wait."""

    def attend(self, timers: TimerQueue, watch: Watch, end: float) -> float | None:
        """Until a timer is due, or the time is `end`: the time that has come. None: there is something for a task."""
        now = timers.now
        while True:
            deadline = timers.next_deadline()
            if deadline is None or deadline > end:
                deadline = end
            patience = deadline - now()
            if patience <= 0:
                return deadline
            if found := watch.poll(patience, EVENTS):
                watch.handle(found)
            if self.readable or self.scheduled:
                return None


class Reactor(Waiting, trio.abc.Instrument):
    """Attends to a Watch and a Clock."""

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self.watch = watch
        self.clock = clock
        self._token: trio.lowlevel.TrioToken | None = None
        """While it waits in trio's place."""
        self.scheduled = self.readable = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until it is cancelled. Where it is not known how trio waits, tasks do the same."""
        own = await trios_epoll()
        if own is None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.clock.run)
                nursery.start_soon(self.watch.serve)
                task_status.started()
            return
        self._token = trio.lowlevel.current_trio_token()
        self.watch.add(own, self._has_come)
        trio.lowlevel.add_instrument(self)
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            trio.lowlevel.remove_instrument(self)
            self.watch.remove(own)
            self._token = None

    def let_in(self, instrument: trio.abc.Instrument) -> None:
        """Adds another one, which hears that trio is about to wait before the reactor waits in its place."""
        trio.lowlevel.add_instrument(instrument)
        if self._token is not None:
            trio.lowlevel.remove_instrument(self)
            trio.lowlevel.add_instrument(self)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self.scheduled = True

    def before_io_wait(self, timeout: float) -> None:
        """trio is about to wait for `timeout` seconds; for none, if a task can go on: then there is one turn."""
        try:
            if timeout > 0:
                self._wait(timeout)
            else:
                self.clock.fire()
                self.watch.turn()
        except Exception:
            self.clock.crashed(f"the reactor:\n{traceback.format_exc()}")
            self._go_on()

    def _wait(self, timeout: float) -> None:
        timers = self.clock.timers
        end = timers.now() + timeout
        self.scheduled = self.readable = False
        while not self.scheduled:
            due = self.attend(timers, self.watch, end)
            if due is not None:
                if due == end:
                    break
                self.clock.fire()
                self.watch.turn()
                if timers.now() > end:  # many are due at once: let tasks in between
                    break
            if self.readable:
                return
        self._go_on()

    def _go_on(self) -> None:
        """trio is not to wait now, although it is about to."""
        assert self._token is not None
        self._token.run_sync_soon(_nothing, idempotent=True)

    def _has_come(self, events: int, until: float) -> None:
        self.readable = True


def _nothing() -> None:
    pass


async def trios_epoll() -> int | None:
    """The descriptor of the epoll with which trio waits: the one that has a pipe for which a task waits."""
    reading, writing = os.pipe()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_readable, reading)
            for _ in range(2):  # by then the new task has had its first turn
                await trio.lowlevel.checkpoint()
            found: list[str] = []
            with suppress(OSError):
                found = [name for name in os.listdir(_DESCRIPTORS) if _has(_DESCRIPTORS / name, reading)]
            nursery.cancel_scope.cancel()
    finally:
        os.close(reading)
        os.close(writing)
    return int(found[0]) if len(found) == 1 else None


def _has(epoll: Path, descriptor: int) -> bool:
    """proc(5): an epoll lists what it waits for in lines that begin with `tfd:`."""
    with suppress(OSError):
        lines = [line.split() for line in epoll.read_text().splitlines()]
        return any(words[:2] == ["tfd:", str(descriptor)] for words in lines)
    return False
