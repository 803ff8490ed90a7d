"""The task that drives the timers: nothing that one of them does stops the others."""

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
