"""The runs behind one link: their pipes, their timers, and the orders about them.

Behind a link is a process that starts what it is told to and reports how it ended (hosts/wire): a launcher, or the warm
parent of a script. A run costs the server two pipes, one record out, one record in and a single wake-up.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from select import EPOLLIN, EPOLLOUT

from sipcgi.hosts import wire
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.link import Link, hear
from sipcgi.hosts.run import Order, ScriptRun, plain_start
from sipcgi.hosts.watch import RunWatch
from sipcgi.profile import PLAIN, Profile
from sipcgi.timerqueue import Timer

LASTS = 0.1  # seconds: a run that is older than one to two of these is watched
SOON = 4 * LASTS
GIVE_UP = 2.0  # seconds after KILL; only a process that hangs inside the kernel is still there
STARVED = 0.01  # seconds until the next try, when the kernel has no memory for a record


class Runs:
    """Those that the other end of the link knows (`running`), and the orders that wait (`queue`): while there is no
    link, or its socket is full.

    `died` is called when nobody is at the other end of the link any more, with the runs that it knew. Whoever made the
    link then buries it, ends those runs (`fail`), and brings another link for those that wait (`connect`), or none
    (`refuse`).
    """

    def __init__(self, watch: RunWatch, died: Callable[[list[ScriptRun]], None]) -> None:
        self.watch = watch
        self.timers = watch.timers
        self.died = died
        self.link: Link | None = None
        self.running: dict[int, ScriptRun] = {}
        self.queue: deque[Order] = deque()
        self._profiles: dict[Profile, int] = {PLAIN: wire.PLAIN}
        self._told: set[int] = {wire.PLAIN}
        self._numbers = 0
        self._flush_timer: Timer | None = None
        self._look_timer: Timer | None = None

    def start(
        self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]
    ) -> ScriptRun:
        """Starts a run, or has it wait for the link. Never waits and never raises.

        The descriptors in `invocation.given` are closed when they have been passed, or when there was an error.
        """
        self._numbers = number = self._numbers + 1
        profile, timeout, now = invocation.profile, invocation.timeout, self.timers.now()
        run = ScriptRun(number, profile.limits, invocation.max_output, timeout, done, stderr, self, now)
        try:
            if plain_start(self, run, self._number(profile), invocation):
                if timeout < SOON:
                    self._await(run)
            else:
                self._start(run, invocation)
        except (OSError, ValueError) as error:
            run.failure = f"could not be started: {error.strerror if isinstance(error, OSError) else error}"
            run.timer = self.timers.start(0.0, self._finish, run)
            return run
        if self._look_timer is None:
            self._look_timer = self.timers.start(LASTS, self._look)
        return run

    def _start(self, run: ScriptRun, invocation: Invocation) -> None:
        """One that is not plain, or not at once. Raises OSError or ValueError as `start_order` does."""
        order = run.start_order(invocation, self._number(invocation.profile))
        self._await(run)
        self._send(order)

    def busy(self) -> int:
        """How many have not ended."""
        return len(self.running) + len(self.queue)

    def connect(self, link: Link) -> None:
        """Uses that link from now on, first of all for the orders that wait."""
        self.link = link
        self._told = {wire.PLAIN}
        self.watch.add(link.descriptor, partial(self._handle, link))
        self._flush()

    def sweep(self, mark: int) -> None:
        """Kills all that bear that mark (hosts/marks), if a launcher is at the other end."""
        self._send((wire.ORDER.pack(wire.SWEEP, 0, 0, wire.PLAIN, mark), None, []))

    def fail(self, runs: list[ScriptRun], why: str) -> None:
        """They end here, for that reason."""
        for run in runs:
            run.failure = why
            self._finish(run)

    def refuse(self, why: str) -> None:
        """Those that wait end here: there will be no other link."""
        waiting, self.queue = self.queue, deque()
        for _, _, descriptors in waiting:
            close_all(descriptors)
        self.fail([run for _, run, _ in waiting if run is not None and not run.finished], why)

    def close(self) -> None:
        """No `done` is called any more, and the other end, left alone, ends what runs. Before `Watch.close`."""
        for timer in (self._flush_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        for run in (*self.running.values(), *(run for _, run, _ in self.queue if run is not None)):
            if run.timer is not None:
                run.timer.cancel()
            run.finished = True
            run.close()
        for _, _, descriptors in self.queue:
            close_all(descriptors)
        self.running.clear()
        self.queue.clear()
        link, self.link = self.link, None
        if link is not None:
            self.watch.remove(link.descriptor)
            link.close()

    # What the link says

    def _handle(self, link: Link, events: int, until: float) -> None:
        """One record, which is all that there is in nearly every case; the watch says so when there are more."""
        if events != EPOLLIN and events & EPOLLOUT:
            self._flush()
            if events == EPOLLOUT:
                return
        found = hear(link.descriptor, self.running)
        if isinstance(found, tuple):
            run, output, status, cpu, peak = found
            run.done(Outcome(output, status, wall=self.timers.now() - run.started, cpu=cpu, peak_kib=peak))
        elif found is not None and (record := link.judged(found)) is not None:
            self._receive(record)

    def _receive(self, record: bytes) -> None:
        if not record:
            assert self.link is not None
            self._lose(self.link)
        elif record[0] == wire.FAILED:
            _, code, number, _, _ = wire.REPORT.unpack_from(record)
            if run := self.running.pop(number, None):
                what = record[wire.REPORT.size :].decode("utf-8", "surrogateescape")
                self.fail([run], ": ".join(filter(None, ["could not be started", what, os.strerror(code)])))
        else:
            for kind, code, number, cpu, peak in wire.REPORT.iter_unpack(record):
                if run := self.running.pop(number, None):  # else given up
                    self._finish(run, code, cpu / 1e6, peak, kind == wire.STARVED)

    def _lose(self, link: Link) -> None:
        self.link = None
        self.watch.remove(link.descriptor)
        lost, self.running = list(self.running.values()), {}
        self.died(lost)

    # What becomes of a run

    def _look(self) -> None:
        """From now on the pipes of those that last are watched: what a short one wrote is read when its exit is
        reported. A short one has no timer either, unless it might be due before it is looked at."""
        young, before = bool(self.queue), self.timers.now() - LASTS
        for run in self.running.values():
            if run.started > before:
                young = True
            elif not run.watched:
                run.watch_pipes()
                if run.timer is None:
                    self._await(run)
        self._look_timer = self.timers.start(LASTS, self._look) if young else None

    def _await(self, run: ScriptRun) -> None:
        """Its timeout."""
        if run.timeout != inf:
            run.timer = self.timers.start(run.started + run.timeout - self.timers.now(), self._time_out, run)

    def _time_out(self, run: ScriptRun) -> None:
        run.timed_out = True
        self.end(run)

    def end(self, run: ScriptRun) -> None:
        """Asked for by the run itself."""
        if run.told or run.failure is not None:
            return  # on its way already
        if run.number in self.running:
            self._tell(run, wire.END, wire.GRACE)
        else:  # it never started; not from within Run.end, which may be called by whoever is called by `done`
            run.told = True
            self._restart_timer(run, 0.0, self._finish)

    def overflown(self, run: ScriptRun) -> None:
        """Said by the run itself, whose output is too long."""
        if not run.told:
            self._tell(run, wire.KILL, 0.0)

    def _tell(self, run: ScriptRun, kind: int, grace: float) -> None:
        run.told = True
        self._restart_timer(run, grace + GIVE_UP, self._give_up)
        self._send((wire.ORDER.pack(kind, 0, 0, wire.PLAIN, run.number), run, []))

    def _give_up(self, run: ScriptRun) -> None:
        self.running.pop(run.number, None)
        self.fail([run], "it could not be killed")

    def _restart_timer(self, run: ScriptRun, delay: float, callback: Callable[[ScriptRun], None]) -> None:
        if run.timer is not None:
            run.timer.cancel()
        run.timer = self.timers.start(delay, callback, run)

    def _finish(
        self, run: ScriptRun, code: int | None = None, cpu: float = 0.0, peak_kib: int = 0, starved: bool = False
    ) -> None:
        """`done`, once."""
        if (timer := run.timer) is not None:
            timer.cancel()
        run.finished = True
        run.drain()
        run.done(run.outcome(code, cpu, peak_kib, self.timers.now(), starved))

    # Orders

    def _number(self, profile: Profile) -> int:
        """Of a profile: the other end hears once what is behind it. Raises ValueError when that is too long."""
        if profile is PLAIN:
            return wire.PLAIN
        number = self._profiles.get(profile)
        if number is None:
            if len(profile.pack()) > wire.MAX_RECORD:
                raise ValueError("its profile is too long")
            number = self._profiles[profile] = len(self._profiles)
        return number

    def _send(self, order: Order) -> None:
        if self.queue or not self._pass(order):
            self.queue.append(order)
            self._watch_link()

    def _pass(self, order: Order) -> bool:
        """False when it has to wait. A run that ended meanwhile is passed over."""
        record, run, descriptors = order
        if run is None or not run.finished:
            try:
                link = self.link
                if link is None or not (self._introduce(record) and link.send(record, descriptors)):
                    return False
            except OSError:  # ENOBUFS, ENOMEM, ETOOMANYREFS: others may give back what the kernel lacks
                if self._flush_timer is None:
                    self._flush_timer = self.timers.start(STARVED, self._flush)
                return False
            if run is not None and descriptors:
                self.running[run.number] = run
        close_all(descriptors)
        return True

    def _introduce(self, record: bytes) -> bool:
        """Tells the profile that a record names, if it is the first one to do so. False when that has to wait."""
        number = wire.ORDER.unpack_from(record)[3]
        if number in self._told:
            return True
        packed = next(profile for profile, known in self._profiles.items() if known == number).pack()
        if self.link is None or not self.link.send(wire.ORDER.pack(wire.PROFILE, 0, 0, number, 0) + packed, []):
            return False
        self._told.add(number)
        return True

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        queue = self.queue
        while queue and self._pass(queue[0]):
            queue.popleft()
        self._watch_link()

    def _watch_link(self) -> None:
        if self.link is not None:
            waits = self.queue and self._flush_timer is None
            self.watch.change(self.link.descriptor, EPOLLIN | EPOLLOUT if waits else EPOLLIN)


def close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
