"""The tables of transaction/, made ready to be walked: for each state and input an arrow, and what is called.

Made once for each kind of transaction and of transport, so that a step of a transaction looks nothing up but its arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sipcgi.compiled import compiled
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer, TimerQueue
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Effects, Input, Machine, State
from sipcgi.transaction.timers import FIRES, Timers

Performer = Callable[[Any, Request | Response | None], None]
"""Performs an effect of a transaction; takes the message that came with the input."""
Performers = tuple[Performer, ...]
Arrow = tuple[State, "Row", Performers]
"""Into a state: which one it is, the arrows out of it, and what is performed on the way."""
Row = dict[Input, Arrow]

_ENDED_BY = {
    Input.TIMER_A: Effect.START_B,
    Input.TIMER_E: Effect.START_F,
    Input.TIMER_G: Effect.START_H,
}
"""The timers of retransmissions, and the start of the one that ends each of them after 64*T1."""


@compiled
class Walker:
    """Who walks a table: where it is, and the two timers. One that fires calls the walker itself with its input."""

    __slots__ = ("interval", "resend", "row", "state", "timeout")

    state: State
    row: Row
    resend: Timer | None
    interval: float
    """Of `resend`."""
    timeout: Timer | None

    def begin(self, arrow: Arrow) -> None:
        """The arrow into the first state."""
        self.resend = self.timeout = None
        self.state, self.row, performers = arrow
        for perform in performers:
            perform(self, None)

    def step(self, happened: Input, message: Request | Response | None = None) -> None:
        """One arrow. `message` is what came with the input. KeyError: no input of this machine."""
        self.state, self.row, performers = self.row[happened]
        for perform in performers:
            perform(self, message)

    __call__ = step

    def stop_resend(self, message: Request | Response | None) -> None:
        if self.resend is not None:
            self.resend.cancel()
            self.resend = None

    def stop_timeout(self, message: Request | Response | None) -> None:
        if self.timeout is not None:
            self.timeout.cancel()
            self.timeout = None


@compiled
def resend_starter(timers: TimerQueue, interval: float, fires: Input) -> Performer:
    """Of A, E and G."""

    def start_resend(walker: Walker, message: Request | Response | None) -> None:
        walker.interval = interval
        walker.resend = timers.start(interval, walker, fires)

    return start_resend


@compiled
def timeout_starter(timers: TimerQueue, delay: float, fires: Input) -> Performer:
    """Of all others, of which one runs at a time."""

    def start_timeout(walker: Walker, message: Request | Response | None) -> None:
        if walker.timeout is not None:
            walker.timeout.cancel()
        walker.timeout = timers.start(delay, walker, fires)

    return start_timeout


def steps(machine: Machine, performers: Mapping[Effect, Performer], settings: Timers, timers: TimerQueue) -> Arrow:
    """The arrow into the first state of the machine, from which all others are reached.

    `performers` has all effects but those that start timers: these start one in `timers`, as `settings` say. Who makes
    a server transaction hands the request on: that PASS of the entry is left out.
    """
    walk = _Walk(performers, settings, timers)
    rows: dict[State, Row] = {state: {} for state in machine.table}
    for state, row in machine.table.items():
        for happens, (after, effects) in row.items():
            rows[state][happens] = after, rows[after], walk.performed(effects)
    entry = walk.performed(tuple([effect for effect in machine.entry if effect is not Effect.PASS]))
    # nothing runs yet that could be stopped
    begins = tuple([one for one in entry if one is not performers[Effect.STOP_B]])
    return machine.initial, rows[machine.initial], begins


class _Walk:
    """Over one kind of transport."""

    def __init__(self, performers: Mapping[Effect, Performer], settings: Timers, timers: TimerQueue) -> None:
        self.performers = performers
        self.settings = settings
        self.timers = timers

    def performed(self, effects: Effects) -> Performers:
        """What performs them, in their order.

        B, F and H wait for the first retransmission: while A, E or G has not fired, 64*T1 cannot be over, and nearly
        always the answer comes before.
        """
        called = []
        later = set()
        for effect in effects:
            fires = FIRES.get(effect)
            if self.settings.reliable and effect.name[-2:] in ("_A", "_E", "_G"):
                continue  # no retransmissions there (17.1.1.2, 17.1.2.2, 17.2.1)
            if effect in later:
                called.append(self.performers[Effect.STOP_B])  # whatever ran in its place
            elif fires is None:
                called.append(self.performers[effect])
            elif effect not in self.settings.delays:
                called.append(self._again(effect, fires))
            elif fires in _ENDED_BY:
                called.append(resend_starter(self.timers, self._delay(effect), fires))
                later.add(_ENDED_BY[fires])
            else:
                called.append(timeout_starter(self.timers, self._delay(effect), fires))
        return tuple(called)

    def _delay(self, effect: Effect) -> float:
        delay = self.settings.delays[effect]
        assert delay is not None
        return delay

    def _again(self, effect: Effect, fires: Input) -> Performer:
        """A, E and G once more, with the interval that follows; they have just fired."""
        settings, start = self.settings, self.timers.start
        ends = FIRES[_ENDED_BY[fires]]
        left = self._delay(_ENDED_BY[fires]) - settings.t1

        def resend_later(walker: Walker, message: Request | Response | None) -> None:
            walker.interval = interval = settings.next_interval(effect, walker.interval)
            walker.resend = start(interval, walker, fires)
            if walker.timeout is None:  # for the first time
                walker.timeout = start(left, walker, ends)

        return resend_later
