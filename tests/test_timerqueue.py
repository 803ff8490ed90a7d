"""The queue of timers, on a clock that the test moves."""

import gc
import random
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.timerqueue import Timer, TimerQueue


class Clock:
    """`queue`, its time, what its timers did, and how often it woke its driver."""

    def __init__(self, grain: float = 0.0) -> None:
        self.time = 1000.0
        self.wakes = 0
        self.done: list[object] = []
        self.queue = TimerQueue(lambda: self.time, self.wake, grain)

    def wake(self) -> None:
        self.wakes += 1

    def start(self, delay: float, name: object) -> Timer:
        return self.queue.start(delay, self.done.append, name)

    def pass_(self, seconds: float) -> int:
        self.time += seconds
        return self.queue.fire()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_timer_fires_once_when_its_time_has_come(clock: Clock) -> None:
    clock.start(0.5, "A")
    assert clock.pass_(0.25) == 0
    assert clock.pass_(0.25) == 1
    assert clock.pass_(10) == 0
    assert clock.done == ["A"]


def test_timers_fire_in_the_order_of_their_deadlines(clock: Clock) -> None:
    for delay in (3, 1, 2):
        clock.start(delay, delay)
    assert clock.pass_(5) == 3
    assert clock.done == [1, 2, 3]


def test_a_timer_of_no_time_fires_at_the_next_turn_and_not_at_once(clock: Clock) -> None:
    clock.start(0, "K")
    assert clock.done == []
    assert clock.pass_(0) == 1


def test_the_callback_gets_all_arguments(clock: Clock) -> None:
    clock.queue.start(1, lambda *arguments: clock.done.append(arguments), 1, "two")
    clock.pass_(1)
    assert clock.done == [(1, "two")]


def test_a_cancelled_timer_never_fires(clock: Clock) -> None:
    timer = clock.start(1, "A")
    clock.start(2, "B")
    timer.cancel()
    timer.cancel()
    assert clock.queue.next_deadline() == 1002
    clock.pass_(5)
    assert clock.done == ["B"]


def test_cancelling_after_it_fired_does_nothing(clock: Clock) -> None:
    timer = clock.start(1, "A")
    clock.pass_(1)
    timer.cancel()
    assert list(clock.queue.waiting()) == []


def test_a_timer_may_cancel_one_that_is_due_with_it(clock: Clock) -> None:
    clock.queue.start(1, lambda: other.cancel())
    other = clock.start(2, "never")
    assert clock.pass_(5) == 1
    assert clock.done == []


def test_a_timer_may_start_others(clock: Clock) -> None:
    clock.queue.start(1, lambda: clock.start(0, "next"))
    assert clock.pass_(1) == 2
    assert clock.done == ["next"]


def test_firing_stops_after_the_most_so_that_messages_get_their_turn(clock: Clock) -> None:
    for number in range(120):
        clock.start(1, number)
    assert [clock.pass_(1), clock.pass_(0), clock.pass_(0), clock.pass_(0)] == [50, 50, 20, 0]
    assert sorted(clock.done) == list(range(120))


def test_a_timer_that_starts_itself_again_does_not_hold_the_driver_for_ever(clock: Clock) -> None:
    def again() -> None:
        clock.queue.start(0, again)

    again()
    assert clock.pass_(0) == 50


def test_a_callback_that_raises_takes_only_its_own_timer_with_it(clock: Clock) -> None:
    clock.queue.start(1, lambda: 1 // 0)
    clock.start(2, "B")
    with pytest.raises(ZeroDivisionError):
        clock.pass_(5)
    assert clock.pass_(0) == 1


def test_the_driver_is_woken_only_for_a_timer_that_is_due_before_all_others(clock: Clock) -> None:
    clock.start(5, "first")
    clock.start(9, "later")
    assert clock.wakes == 1
    clock.start(3, "sooner")
    assert clock.wakes == 2


def test_without_timers_nothing_is_due(clock: Clock) -> None:
    assert clock.queue.next_deadline() is None
    clock.start(1, "A").cancel()
    assert clock.queue.next_deadline() is None


def test_a_driver_that_need_not_be_woken() -> None:
    queue = TimerQueue(lambda: 0.0)
    queue.start(1, int)
    assert queue.next_deadline() == 1


def test_cancelled_timers_are_gone_at_once(clock: Clock) -> None:
    kept = clock.start(32, "kept")
    for _ in range(100):
        clock.start(32, "A").cancel()
    assert list(clock.queue.waiting()) == [kept]
    clock.pass_(32)
    assert clock.done == ["kept"]


def test_one_cancelled_while_it_is_due_neither_waits_nor_fires(clock: Clock) -> None:
    timers = [clock.start(1, number) for number in range(60)]
    assert clock.pass_(1) == 50
    assert list(clock.queue.waiting()) == timers[50:]
    for timer in timers[50:58]:
        timer.cancel()
    assert list(clock.queue.waiting()) == timers[58:]
    assert clock.queue.next_deadline() == 1001
    assert clock.pass_(0) == 2
    assert clock.done == [*range(50), 58, 59]


def test_a_driver_that_sleeps_is_woken_for_a_deadline_whose_timers_were_all_cancelled(clock: Clock) -> None:
    clock.start(1, "A").cancel()
    clock.start(5, "B")
    assert clock.queue.next_deadline() == 1005
    clock.start(1, "C")
    assert clock.wakes == 2
    clock.start(3, "D").cancel()
    clock.start(3, "E")
    assert clock.wakes == 2
    assert clock.pass_(5) == 3
    assert clock.done == ["C", "E", "B"]


def test_timers_may_be_cancelled_by_the_thousand_while_others_fire(clock: Clock) -> None:
    others = [clock.start(2, "never") for _ in range(5000)]

    def cancel_all() -> None:
        for timer in others:
            timer.cancel()

    clock.queue.start(1, cancel_all)
    clock.start(3, "last")
    clock.pass_(5)
    assert clock.done == ["last"]
    assert list(clock.queue.waiting()) == []
    assert clock.queue.next_deadline() is None


def test_a_cancelled_timer_holds_nothing(clock: Clock) -> None:
    class Transaction:
        def timeout(self) -> None: ...

    transaction = Transaction()
    gone = weakref.ref(transaction)
    timer = clock.queue.start(32, transaction.timeout)
    fired = clock.queue.start(0, transaction.timeout)
    clock.pass_(0)
    timer.cancel()
    del transaction
    gc.collect()
    assert gone() is None
    assert fired.arguments == timer.arguments == ()


@given(
    st.lists(
        st.tuples(st.sampled_from(["start", "start", "cancel", "pass"]), st.integers(0, 40), st.integers(0, 99)),
        max_size=200,
    )
)
def test_what_fires_is_what_is_due_and_not_cancelled(moves: list[tuple[str, int, int]]) -> None:
    clock = Clock()
    waiting: dict[int, tuple[float, Timer]] = {}
    expected: list[object] = []
    for number, (move, seconds, which) in enumerate(moves):
        if move == "start":
            waiting[number] = (clock.time + seconds, clock.start(seconds, number))
        elif move == "cancel" and waiting:
            _, timer = waiting.pop(list(waiting)[which % len(waiting)])
            timer.cancel()
        elif move == "pass":
            clock.time += seconds
            while clock.queue.fire():
                pass
            due = [one for one, (deadline, _) in waiting.items() if deadline <= clock.time]
            expected += due
            for one in due:
                del waiting[one]
        assert set(clock.done) == set(expected)
        assert clock.queue.next_deadline() == min((deadline for deadline, _ in waiting.values()), default=None)


def test_long_timers_are_due_together_and_never_early() -> None:
    clock = Clock(grain=0.1)
    dice = random.Random(3261)
    delays = [dice.uniform(1, 40) for _ in range(200)]
    timers = [clock.start(delay, delay) for delay in delays]
    for delay, timer in zip(delays, timers, strict=True):
        late = timer.deadline - (1000 + delay)
        assert -1e-9 < late < 0.1 + 1e-9
    assert {round(timer.deadline * 10, 6) % 1 for timer in timers} == {0}


def test_short_timers_have_a_finer_grid() -> None:
    clock = Clock(grain=0.1)
    assert clock.start(0.2, "TRYING").deadline == 1000.2
    assert clock.start(0.51, "A").deadline == pytest.approx(1000.525)
