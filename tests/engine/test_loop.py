"""What keeps the event loop from its tasks: when garbage is collected, and who is watching."""

import gc
import time
from itertools import pairwise

import pytest
import trio

from sipcgi.engine import garbage
from sipcgi.engine.loop_watch import LoopWatch


@pytest.mark.parametrize(
    ("took", "pauses"),
    [
        (0.0001, [1.0, 1.0, 1.0, 1.0]),  # at rest
        (0.002, [1.0, 0.25, 0.0625, 0.05]),  # four times too long
        (0.0, [1.0, 1.0, 1.0, 1.0]),  # too short for the clock
    ],
)
async def test_garbage_is_collected_the_more_often_the_more_there_is(monkeypatch, autojump_clock, took, pauses):
    times, worked = [0.0], [0.0]

    def collect(generation: int) -> int:
        assert generation == 1
        times.append(trio.current_time() - start)
        worked[0] += took
        return 0

    monkeypatch.setattr(garbage.gc, "collect", collect)
    monkeypatch.setattr(garbage, "thread_time", lambda: worked[0])
    start = trio.current_time()
    with trio.move_on_after(sum(pauses) + 0.01):
        await garbage.collect()
    assert [later - sooner for sooner, later in pairwise(times)] == pytest.approx(pauses)


def test_the_watch_tells_the_longest_step_and_whether_it_was_work():
    async def work():
        while time.thread_time() < until:
            pass

    async def wait():
        time.sleep(0.1)  # noqa: ASYNC251

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            nursery.start_soon(wait)

    watch = LoopWatch()
    until = time.thread_time() + 0.012
    try:
        trio.run(main, instruments=[watch])
    finally:
        gc.callbacks.remove(watch.collect)
    (longest, worked, waiter), (busiest, _, worker) = watch.longest[-1], watch.busiest[-1]
    assert longest >= 0.1
    assert worked < 0.05
    assert "wait" in waiter
    assert busiest >= 0.011
    assert "work" in worker
    assert watch.over[10] >= 2
    assert watch.over[20] >= 1
    assert watch.busy[10] >= 1
    assert watch.turn[0] >= 0.1
    lines = watch.report()
    assert lines[0] == f"loop: longest stand-still {longest * 1000:.1f} ms"
    assert any(line.startswith("loop: stood still for ") and line.endswith(f": {waiter}") for line in lines)


def test_the_watch_tells_the_longest_collection():
    watch = LoopWatch()
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(watch.collect)
    assert watch.collections[2] > 0
