"""Table 4 of RFC 3261, with the additions of RFC 6026."""

import pytest

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.timers import Timers

UDP = Timers()
TCP = UDP.for_transport(reliable=True)


@pytest.mark.rfc("3261", "A")
@pytest.mark.parametrize(
    ("timer", "over_udp", "over_tcp"),
    [
        (Effect.START_B, 32.0, 32.0),
        (Effect.START_D, 32.0, 0.0),
        (Effect.START_F, 32.0, 32.0),
        (Effect.START_H, 32.0, 32.0),
        (Effect.START_I, 5.0, 0.0),
        (Effect.START_J, 32.0, 0.0),
        (Effect.START_K, 5.0, 0.0),
        (Effect.START_L, 32.0, 32.0),
        (Effect.START_M, 32.0, 32.0),
        (Effect.START_TRYING, 0.2, 0.2),
        (Effect.START_LATE_TRYING, 3.5, 3.5),
    ],
)
def test_durations(timer: Effect, over_udp: float, over_tcp: float) -> None:
    assert UDP.delays[timer] == over_udp
    assert TCP.delays[timer] == over_tcp


@pytest.mark.rfc("3261", "A")
@pytest.mark.parametrize("timer", [Effect.START_A, Effect.START_E, Effect.START_G])
def test_retransmissions_begin_after_t1_and_only_over_udp(timer: Effect) -> None:
    assert UDP.delays[timer] == 0.5
    assert TCP.delays[timer] is None


def series(timers: Timers, start: Effect, *again: Effect) -> list[float | None]:
    intervals = [timers.delays[start]]
    for effect in again:
        intervals.append(timers.next_interval(effect, intervals[-1]))
    return intervals


@pytest.mark.rfc("3261", "17.1.1.2-12")
def test_timer_a_doubles_without_limit() -> None:
    assert series(UDP, Effect.START_A, *[Effect.DOUBLE_A] * 6) == [0.5, 1, 2, 4, 8, 16, 32]
    assert series(Timers(t1=3.0), Effect.START_A, *[Effect.DOUBLE_A] * 3) == [3, 6, 12, 24]


@pytest.mark.rfc("3261", "17.1.2.2")
def test_timer_e_doubles_up_to_t2() -> None:
    assert series(UDP, Effect.START_E, *[Effect.DOUBLE_E] * 5) == [0.5, 1, 2, 4, 4, 4]


@pytest.mark.rfc("3261", "17.1.2.2")
def test_timer_e_is_t2_at_once_in_proceeding() -> None:
    assert series(UDP, Effect.START_E, Effect.SLOW_E, Effect.SLOW_E) == [0.5, 4, 4]


@pytest.mark.rfc("3261", "17.2.1")
def test_timer_g_doubles_up_to_t2() -> None:
    assert series(UDP, Effect.START_G, *[Effect.DOUBLE_G] * 4) == [0.5, 1, 2, 4, 4]


@pytest.mark.rfc("3261", "17.1.1.1")
def test_another_t1_scales_them() -> None:
    slow = Timers(t1=1.0)
    assert slow.delays[Effect.START_B] == 64
    assert slow.delays[Effect.START_D] == 64
    assert slow.delays[Effect.START_A] == 1


@pytest.mark.rfc("6026", "8.4-4")
def test_timer_d_is_never_shorter_than_32_seconds() -> None:
    assert Timers(t1=0.1).delays[Effect.START_D] == 32


@pytest.mark.rfc("4320", "4.1-2")
@pytest.mark.parametrize(("t1", "t2", "elapsed"), [(0.5, 4, 3.5), (0.5, 3, 3.5), (1, 4, 3), (4, 4, 4), (8, 4, 8)])
def test_the_late_100_waits_until_the_client_has_reset_timer_e_to_t2(t1: float, t2: float, elapsed: float) -> None:
    assert Timers(t1=t1, t2=t2).delays[Effect.START_LATE_TRYING] == elapsed


def test_timers_are_values() -> None:
    assert Timers(0.5, 4.0, 5.0) == UDP
    assert UDP != TCP
    assert TCP.for_transport(reliable=False) == UDP
    with pytest.raises(AttributeError):
        UDP.t1 = 1.0  # type: ignore[misc]
