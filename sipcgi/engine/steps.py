"""The tables of transaction/, made ready to be walked: for each state and input the next state, and what is called.

Made once for each kind of transaction and of transport, so that a step of a transaction looks nothing up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import TimerQueue
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Effects, Input, Machine, State
from sipcgi.transaction.timers import FIRES, Timers

Performer = Callable[[Any, Request | Response | None], None]
"""Performs an effect of a transaction; takes the message that came with the input."""
Performers = tuple[Performer, ...]

_ENDED_BY = {
    Input.TIMER_A: Effect.START_B,
    Input.TIMER_E: Effect.START_F,
    Input.TIMER_G: Effect.START_H,
}
"""The timers of retransmissions, and the start of the one that ends each of them after 64*T1."""


class Steps(NamedTuple):
    """A machine (transaction/machine) with what performs its effects."""

    rows: Mapping[State, Mapping[Input, tuple[State, Performers]]]
    initial: State
    entry: Performers


def steps(machine: Machine, performers: Mapping[Effect, Performer], settings: Timers, timers: TimerQueue) -> Steps:
    """`performers` has all effects but those that start timers: these start one in `timers`, as `settings` say.

    Who makes a server transaction hands the request on: that PASS of the entry is left out.
    """
    walk = _Walk(performers, settings, timers)
    rows = {
        state: {happens: (after, walk.performed(effects)) for happens, (after, effects) in row.items()}
        for state, row in machine.table.items()
    }
    entry = walk.performed(tuple([effect for effect in machine.entry if effect is not Effect.PASS]))
    # nothing runs yet that could be stopped
    return Steps(rows, machine.initial, tuple([one for one in entry if one is not performers[Effect.STOP_B]]))


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
                called.append(self._resend(effect, fires))
                later.add(_ENDED_BY[fires])
            else:
                called.append(self._timeout(effect, fires))
        return tuple(called)

    def _resend(self, effect: Effect, fires: Input) -> Performer:
        """A, E and G."""
        interval, start = self.settings.delays[effect], self.timers.start
        assert interval is not None

        def start_resend(transaction: Any, message: Request | Response | None) -> None:
            transaction.interval = interval
            transaction.resend = start(interval, transaction.step, fires)

        return start_resend

    def _again(self, effect: Effect, fires: Input) -> Performer:
        """A, E and G once more, with the interval that follows; they have just fired."""
        settings, start = self.settings, self.timers.start
        ends = FIRES[_ENDED_BY[fires]]
        patience = settings.delays[_ENDED_BY[fires]]
        assert patience is not None
        left = patience - settings.t1

        def resend_later(transaction: Any, message: Request | Response | None) -> None:
            transaction.interval = interval = settings.next_interval(effect, transaction.interval)
            transaction.resend = start(interval, transaction.step, fires)
            if transaction.timeout is None:  # for the first time
                transaction.timeout = start(left, transaction.step, ends)

        return resend_later

    def _timeout(self, effect: Effect, fires: Input) -> Performer:
        """All others, of which one runs at a time."""
        delay, start = self.settings.delays[effect], self.timers.start
        assert delay is not None

        def start_timeout(transaction: Any, message: Request | Response | None) -> None:
            if transaction.timeout is not None:
                transaction.timeout.cancel()
            transaction.timeout = start(delay, transaction.step, fires)

        return start_timeout
