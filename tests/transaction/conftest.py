"""A transaction on a clock that the test moves: what it sent and what it told its user, with the seconds."""

import pytest

from sipcgi.timerqueue import Timer, TimerQueue
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Effects, Input, Machine
from sipcgi.transaction.timers import FIRES, Timers

SENT = {Effect.SEND, Effect.SEND_BESIDE, Effect.RESEND, Effect.SEND_ACK, Effect.SEND_TRYING}
TOLD = {Effect.PASS, Effect.TIMEOUT, Effect.UNREACHABLE, Effect.END}


class Play:
    """Performs effects as the engine does, with two places for timers."""

    def __init__(self, machine: Machine, timers: Timers | None = None) -> None:
        self.table, self.state, entry = machine
        self.timers = timers or Timers()
        self.now = 0.0
        self.queue = TimerQueue(lambda: self.now)
        self.retransmission: Timer | None = None
        self.other: Timer | None = None
        self.interval = 0.0
        self.sent: list[tuple[float, Effect]] = []
        self.told: list[tuple[float, Effect]] = []
        self.perform(entry)

    def step(self, happened: Input) -> Effects:
        self.state, effects = self.table[self.state][happened]
        self.perform(effects)
        return effects

    def until(self, time: float) -> None:
        """Lets the time pass, timer by timer."""
        while (deadline := self.queue.next_deadline()) is not None and deadline <= time:
            self.now = deadline
            self.queue.fire(1)
        self.now = time

    def perform(self, effects: Effects) -> None:
        for effect in effects:
            if effect in SENT:
                self.sent.append((self.now, effect))
            elif effect in TOLD:
                self.told.append((self.now, effect))
                if effect is Effect.END:
                    self.stop_retransmission()
                    self.stop_other()
            elif effect.name.startswith("STOP_"):
                (self.stop_retransmission if effect.name[-2:] in ("_A", "_E", "_G") else self.stop_other)()
            elif FIRES[effect] not in (Input.TIMER_A, Input.TIMER_E, Input.TIMER_G):
                self.stop_other()
                self.other = self.queue.start(self.timers.delays[effect], self.step, FIRES[effect])
            elif effect in self.timers.delays:
                self.start_retransmission(effect, self.timers.delays[effect])
            else:
                self.start_retransmission(effect, self.timers.next_interval(effect, self.interval))

    def start_retransmission(self, effect: Effect, interval: float | None) -> None:
        if interval is not None:
            self.interval = interval
            self.retransmission = self.queue.start(interval, self.step, FIRES[effect])

    def stop_retransmission(self) -> None:
        if self.retransmission is not None:
            self.retransmission.cancel()

    def stop_other(self) -> None:
        if self.other is not None:
            self.other.cancel()

    def times(self, effect: Effect) -> list[float]:
        """When it was sent."""
        return [time for time, sent in self.sent if sent is effect]


@pytest.fixture
def play() -> type[Play]:
    return Play
