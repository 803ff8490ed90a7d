"""The task that drives the timers: nothing that one of them does stops the others."""

import pytest
import trio

from sipcgi.engine.clock import Clock


def bug() -> None:
    raise ZeroDivisionError


async def test_a_bug_in_a_timer_stops_no_other(autojump_clock: trio.testing.MockClock) -> None:
    said: list[str] = []
    fired: list[float] = []
    clock = Clock(said.append)
    clock.timers.start(1.0, bug)
    clock.timers.start(1.0, lambda: fired.append(trio.current_time()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        await trio.sleep(2.0)
        clock.timers.start(1.0, lambda: fired.append(trio.current_time()))  # while it sleeps without end
        await trio.sleep(2.0)
        nursery.cancel_scope.cancel()
    assert len(fired) == 2
    assert said[0].startswith("a timer:\n")
    assert "ZeroDivisionError" in said[0]


async def test_a_time_of_its_own_and_an_earlier_timer_while_it_sleeps(autojump_clock: trio.testing.MockClock) -> None:
    fired: list[float] = []
    clock = Clock(pytest.fail, lambda: trio.current_time() + 1e6)
    start = trio.current_time()

    def fire() -> None:
        fired.append(trio.current_time() - start)

    async with trio.open_nursery() as nursery:
        clock.timers.start(8.0, fire)
        nursery.start_soon(clock.run)
        await trio.sleep(1.0)
        clock.timers.start(2.0, fire)
        clock.timers.start(20.0, fire)
        await trio.sleep(9.0)
        nursery.cancel_scope.cancel()
    assert fired == pytest.approx([3.0, 8.0], abs=0.3)
