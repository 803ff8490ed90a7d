"""Starts scripts the way RFC 3050 means it: one process a run, through a small launcher, without a task for each.

A run costs the server two pipes, one record out, one record in and a single wake-up: what a short script wrote is read
when its exit is reported. Only pipes of a run that lasts are watched, so that one that fills them goes on.

trio is imported where a loop runs: `sipcgi try` and `sipcgi test` start scripts without one.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from select import EPOLLIN, EPOLLOUT, epoll
from time import perf_counter
from typing import TYPE_CHECKING

from sipcgi.hosts import wire
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.link import Link
from sipcgi.hosts.orphans import Orphans, become_subreaper
from sipcgi.hosts.run import Order, ScriptRun
from sipcgi.timerqueue import Timer, TimerQueue

if TYPE_CHECKING:
    import trio

LASTS = 0.1  # seconds: a run that is older than one to two of these is watched
SLICE = 0.002  # seconds of work in one go, then the other tasks of the server have their turn
EVENTS = 64
GIVE_UP = 2.0  # seconds after KILL; only a process that hangs inside the kernel is still there
STARVED = 0.01  # seconds until the next try, when the kernel has no memory for a record
RETRY_FIRST, RETRY_LAST = 0.05, 1.0  # seconds until the next launcher, when they keep dying
STEADY = 5.0  # seconds a launcher has to live for the next one to be started at once
FAREWELL = wire.GRACE + 0.5


class ExecHost:
    """A ScriptHost. `await nursery.start(host.run)`; runs asked for before that wait for it.

    When `run` is cancelled, what still runs is ended (TERM, 1 s later KILL), and no `done` is called any more.
    """

    def __init__(
        self, timers: TimerQueue, python: str = sys.executable, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.timers = timers
        self.python = python
        self.say = say
        """Is told when a launcher dies, or cannot be started."""
        self.runs: dict[int, ScriptRun] = {}  # those that the launcher knows
        self.orphans = Orphans(timers)
        self._numbers = 0
        self._link: Link | None = None
        self._queue: deque[Order] = deque()  # not yet sent
        self._epoll = epoll()
        self._watched: dict[int, ScriptRun] = {}
        self._young: list[ScriptRun] = []
        self._old: list[ScriptRun] = []
        self._look_timer: Timer | None = None
        self._link_timer: Timer | None = None
        self._flush_timer: Timer | None = None
        self._linked_at = 0.0
        self._retry = 0.0

    # Asked from outside

    def full(self, name: str) -> bool:
        """Never: it starts all that it is asked for (hosts/limit)."""
        return False

    def start(
        self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]
    ) -> ScriptRun:
        """Starts a run, or has it wait for the launcher. Never waits and never raises."""
        self._numbers += 1
        run = ScriptRun(self._numbers, invocation, done, stderr, self._end)
        run.started = self.timers.now()
        try:
            order = run.start_order(invocation)
        except (OSError, ValueError) as error:
            run.failure = f"could not be started: {error.strerror if isinstance(error, OSError) else error}"
            run.timer = self.timers.start(0.0, self._finish, run)
            return run
        run.timer = self.timers.start(invocation.timeout, self._time_out, run)
        self._send(order)
        self._young.append(run)
        if self._look_timer is None:
            self._look_timer = self.timers.start(LASTS, self._look)
        return run

    def busy(self) -> int:
        """How many runs have not ended."""
        return len(self.runs) + len(self._queue)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Keeps a launcher going and handles what comes. Raises OSError when the first launcher cannot be started."""
        import trio

        self.open()
        task_status.started()
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self.turn()
        finally:
            with trio.CancelScope(shield=True):
                link = self.close()
                if link is not None:
                    await link.depart(FAREWELL)

    # What `run` does, for who has no loop

    def open(self) -> None:
        """Starts the first launcher. Raises OSError."""
        become_subreaper()
        self._connect()

    def turn(self, patience: float = 0.0) -> None:
        """Handles what has come, for a moment; when there is nothing, waits `patience` seconds for it."""
        found = self._epoll.poll(patience, EVENTS)
        until = perf_counter() + SLICE
        for descriptor, events in found:
            self._handle(descriptor, events, until)
            if perf_counter() > until:
                break  # what is left is reported again

    def close(self) -> Link | None:
        """No `done` is called any more; the launcher ends what runs, and its link is returned to be waited for."""
        for timer in (self._look_timer, self._link_timer, self._flush_timer):
            if timer is not None:
                timer.cancel()
        self.orphans.close()
        for run in (*self.runs.values(), *(run for _, run, _ in self._queue)):
            if run.timer is not None:
                run.timer.cancel()
            run.finished = True
            run.close()
        for _, _, descriptors in self._queue:
            for descriptor in descriptors:
                os.close(descriptor)
        self.runs.clear()
        self._queue.clear()
        self._watched.clear()
        self._epoll.close()
        link, self._link = self._link, None
        if link is not None:
            link.close()
        return link

    # What the descriptors say

    def _handle(self, descriptor: int, events: int, until: float) -> None:
        run = self._watched.get(descriptor)
        if run is not None:
            self._read(run, descriptor)
        elif self._link is not None and descriptor == self._link.socket.fileno():
            if events & EPOLLOUT:
                self._flush()
            if events & ~EPOLLOUT:
                self._receive(self._link, until)

    def _read(self, run: ScriptRun, descriptor: int) -> None:
        is_output = descriptor == run.stdout
        if run.read(descriptor) == 0 or (is_output and run.overflow):
            self._unwatch(descriptor)
            run.close_one(descriptor)
        if is_output and run.overflow and not run.told:
            self._tell(run, wire.KILL, 0.0)

    def _unwatch(self, descriptor: int) -> None:
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def _receive(self, link: Link, until: float) -> None:
        while (records := link.receive()) is not None:
            if not records:
                self._bury(link)
                return
            for kind, code, number, cpu, peak in wire.REPORT.iter_unpack(records):
                run = self.runs.pop(number, None)
                if run is None:
                    continue  # given up
                if kind == wire.FAILED:
                    run.failure = f"could not be started: {os.strerror(code)}"
                    self._finish(run)
                else:
                    self._finish(run, code, cpu / 1e6, peak)
            if perf_counter() > until:
                return

    def _look(self) -> None:
        """From now on watches what was there at the last look already."""
        if self._epoll.closed:
            return
        for run in self._old:
            for descriptor in (run.stdout, run.stderr):
                if descriptor >= 0 and not run.finished:
                    self._watched[descriptor] = run
                    self._epoll.register(descriptor, EPOLLIN)
        self._old, self._young = self._young, []
        self._look_timer = self.timers.start(LASTS, self._look) if self._old else None

    # How a run ends

    def _time_out(self, run: ScriptRun) -> None:
        run.timed_out = True
        self._end(run)

    def _end(self, run: ScriptRun) -> None:
        if run.told or run.failure is not None:
            return  # on its way already
        if run.number in self.runs:
            self._tell(run, wire.END, wire.GRACE)
        else:  # it never started; not from within Run.end, which may be called by whoever is called by `done`
            run.told = True
            self._restart_timer(run, 0.0, self._finish)

    def _tell(self, run: ScriptRun, kind: int, grace: float) -> None:
        run.told = True
        self._restart_timer(run, grace + GIVE_UP, self._give_up)
        self._send((wire.ORDER.pack(kind, 0, 0, run.number), run, []))

    def _give_up(self, run: ScriptRun) -> None:
        self.runs.pop(run.number, None)
        run.failure = "it could not be killed"
        self._finish(run)

    def _restart_timer(self, run: ScriptRun, delay: float, callback: Callable[[ScriptRun], None]) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.timer = self.timers.start(delay, callback, run)

    def _finish(self, run: ScriptRun, code: int | None = None, cpu: float = 0.0, peak_kib: int = 0) -> None:
        """`done`, once."""
        if run.timer is not None:
            run.timer.cancel()
        run.finished = True
        if self._watched:
            self._unwatch(run.stdout)
            self._unwatch(run.stderr)
        run.drain()
        run.done(run.outcome(code, cpu, peak_kib, self.timers.now()))

    # The launcher

    def _send(self, order: Order) -> None:
        if self._queue or not self._pass(order):
            self._queue.append(order)
            self._watch_link()

    def _pass(self, order: Order) -> bool:
        """False when it has to wait. A run that ended meanwhile is passed over."""
        record, run, descriptors = order
        if not run.finished:
            try:
                if self._link is None or not self._link.send(record, descriptors):
                    return False
            except OSError:  # ENOBUFS, ENOMEM, ETOOMANYREFS: others may give back what the kernel lacks
                if self._flush_timer is None:
                    self._flush_timer = self.timers.start(STARVED, self._flush)
                return False
            if descriptors:
                self.runs[run.number] = run
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        queue = self._queue
        while queue and self._pass(queue[0]):
            queue.popleft()
        self._watch_link()

    def _watch_link(self) -> None:
        if self._link is not None:
            waits = self._queue and self._flush_timer is None
            self._epoll.modify(self._link.socket, EPOLLIN | EPOLLOUT if waits else EPOLLIN)

    def _connect(self) -> None:
        self._link_timer = None
        self._link = Link(self.python)
        self._linked_at = self.timers.now()
        self.orphans.launcher = self._link.process
        self._epoll.register(self._link.socket, EPOLLIN)
        self._flush()

    def _connect_again(self) -> None:
        try:
            self._connect()
        except OSError as error:
            self.say(f"the launcher of the scripts cannot be started: {error.strerror}")
            self._link_timer = self.timers.start(RETRY_LAST, self._connect_again)

    def _bury(self, link: Link) -> None:
        """It died: so have its runs. The next one is started at once, unless they keep dying."""
        self._link = None
        self._epoll.unregister(link.socket)
        link.bury()
        self.orphans.launcher = 0
        lost, self.runs = list(self.runs.values()), {}
        self.say(f"the launcher of the scripts died, with {len(lost)} of them running; another one is started")
        self.orphans.end({pipe for run in lost for pipe in run.pipes()})
        if self.timers.now() - self._linked_at > STEADY:
            self._retry = 0.0
        self._link_timer = self.timers.start(self._retry, self._connect_again)
        self._retry = min(max(self._retry * 2, RETRY_FIRST), RETRY_LAST)
        for run in lost:
            run.failure = "the launcher died"
            self._finish(run)
