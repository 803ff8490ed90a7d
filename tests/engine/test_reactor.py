"""The reactor: what it attends to goes on without a task, and the tasks go on as if it were not there."""

import os
import random
import threading
import time

import pytest
import trio

from sipcgi.engine import reactor
from sipcgi.engine.clock import Clock
from sipcgi.engine.loop_watch import LoopWatch
from sipcgi.engine.reactor import Reactor, trios_epoll
from sipcgi.hosts.base import Invocation
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.watch import RunWatch
from sipcgi.watch import Watch


class Stage:
    """A pipe whose octets the reactor hands on, and a counter of the steps that tasks take."""

    def __init__(self):
        self.crashes = []
        self.heard = []
        self.clock = Clock(self.crashes.append)
        self.watch = Watch()
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.watch.add(self.reading, self.readable)
        self.reactor = Reactor(self.watch, self.clock)
        self.heard_now = lambda octets: None

    def readable(self, events, until):
        self.heard.append(os.read(self.reading, 1))
        self.heard_now(self.heard[-1])

    def say(self, octets):
        os.write(self.writing, octets)

    def close(self):
        self.watch.close()
        os.close(self.reading)
        os.close(self.writing)


@pytest.fixture
async def stage(nursery):
    stage = Stage()
    await nursery.start(stage.reactor.run)
    yield stage
    nursery.cancel_scope.cancel()
    stage.close()


async def test_it_knows_how_trio_waits():
    """Else all would go the slow way, as tasks."""
    assert await trios_epoll() is not None


class Steps(trio.abc.Instrument):
    count = 0

    def before_task_step(self, task):
        self.count += 1


async def test_what_comes_in_takes_no_step_of_a_task(stage):
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    writer = threading.Timer(0.05, lambda: [stage.say(b"%d" % number) or time.sleep(0.01) for number in range(5)])
    writer.start()
    await trio.sleep(0.3)
    trio.lowlevel.remove_instrument(steps)
    writer.join()
    assert stage.heard == [b"0", b"1", b"2", b"3", b"4"]
    assert steps.count < 5


async def test_timers_fire_in_time(stage):
    fired = []
    for delay in (0.2, 0.4):
        stage.clock.timers.start(delay, lambda: fired.append(trio.current_time()))
    start = trio.current_time()
    await trio.sleep(1.0)
    assert [round(moment - start, 1) for moment in fired] == pytest.approx([0.2, 0.4], abs=0.21)


async def test_a_task_that_was_scheduled_goes_on_at_once(stage):
    """By a handler, by a timer, by another thread, and by its own deadline."""
    for wake in (
        lambda event: (setattr(stage, "heard_now", lambda octets: event.set()), stage.say(b"x")),
        lambda event: stage.clock.timers.start(0.05, event.set),
        lambda event: threading.Timer(0.05, trio.lowlevel.current_trio_token().run_sync_soon, [event.set]).start(),
    ):
        event = trio.Event()
        wake(event)
        with trio.fail_after(2):
            await event.wait()
    start = trio.current_time()
    await trio.sleep(0.05)
    assert trio.current_time() - start < 1


async def test_busy_tasks_do_not_keep_it_from_its_work(stage):
    fired = []
    stage.clock.timers.start(0.0, fired.append, True)
    stage.say(b"x")
    with trio.fail_after(2):
        while not fired:
            await trio.lowlevel.checkpoint()
    assert stage.heard == [b"x"]


async def test_busy_handlers_do_not_keep_tasks_from_theirs(stage):
    stage.heard_now = stage.say  # for ever
    stage.say(b"x")
    for _ in range(20):
        await trio.sleep(0.001)
    await trio.to_thread.run_sync(time.sleep, 0.001)
    assert len(stage.heard) > 20
    stage.heard_now = lambda octets: None


async def test_many_timers_do_not_keep_tasks_from_theirs(stage):
    fired = []
    for _ in range(1000):
        stage.clock.timers.start(0.0, lambda: fired.append(time.sleep(0.001)))
    await trio.sleep(0.4)
    assert 0 < len(fired) < 1000  # and the rest is still to come
    await trio.sleep(2)
    assert len(fired) == 1000


async def test_a_bug_in_a_handler_ends_nothing(stage):
    done = trio.Event()
    stage.heard_now = lambda octets: 1 // int(octets) == 0 and done.set()
    stage.say(b"012")
    with trio.fail_after(2):
        await done.wait()
    assert stage.heard == [b"0", b"1", b"2"]
    assert len(stage.crashes) == 1
    assert "ZeroDivisionError" in stage.crashes[0]


async def test_where_trio_waits_otherwise_tasks_do_it(monkeypatch, nursery):
    async def unknown():
        return None

    monkeypatch.setattr(reactor, "trios_epoll", unknown)
    stage, fired = Stage(), trio.Event()
    await nursery.start(stage.reactor.run)
    stage.say(b"x")
    stage.clock.timers.start(0.05, fired.set)
    with trio.fail_after(2):
        await fired.wait()
    assert stage.heard == [b"x"]
    nursery.cancel_scope.cancel()
    stage.close()


async def test_a_host_of_scripts_leaves_its_watch_to_the_task_of_the_reactor(monkeypatch, nursery, tmp_path):
    monkeypatch.setattr(reactor, "_DESCRIPTORS", tmp_path / "proc")  # which is not mounted
    clock = Clock(lambda text: None)
    watch = RunWatch(clock.timers)
    await nursery.start(Reactor(watch, clock).run)
    host = ExecHost(clock.timers, watch=watch)
    await nursery.start(host.run)
    outcomes, ended = [], trio.Event()
    invocation = Invocation("echo", ["/bin/echo", "hello"], str(tmp_path), {}, timeout=5.0)
    host.start(invocation, lambda outcome: (outcomes.append(outcome), ended.set()), print)
    with trio.fail_after(5):
        await ended.wait()
    assert outcomes[0].stdout == b"hello\n"
    nursery.cancel_scope.cancel()


async def test_the_loop_watch_sees_its_steps(stage):
    watch = LoopWatch()
    watch.measure(stage.clock, stage.watch)
    stage.reactor.let_in(watch)
    stage.heard_now = lambda octets: time.sleep(0.03)
    stage.say(b"x")
    await trio.sleep(0.1)
    assert watch.longest[-1][0] >= 0.03
    assert watch.longest[-1][2] == "datagrams and scripts"
    assert 0.03 <= watch.turn[0] < 0.09  # what the reactor waited does not count
    trio.lowlevel.remove_instrument(watch)


class Turns:
    """A watch, its epoll, and timers on a clock that goes on while there is nothing: what they were asked."""

    def __init__(self, modules, seed):
        self.chance = random.Random(seed)
        self.time = 0.0
        self.asked = []
        self._handlers = {7: self.handler}
        self.waiting = modules.reactor.Waiting()
        self.waiting.readable = self.waiting.scheduled = False

    def now(self):
        return self.time

    def next_deadline(self):
        self.asked.append("deadline")
        return self.chance.choice((None, self.time + self.chance.choice((-0.5, 0.0, 1.0, 2.5)), 4.0))

    def poll(self, patience, most):
        self.asked.append((patience, most))
        if (kind := self.chance.random()) < 0.1:
            raise OSError("no epoll")
        if kind < 0.4:
            self.time += patience
            return []
        self.time += patience / 3
        return self.chance.choice(([(7, 1)], [(7, 1), (7, 4)], [(8, 1)]))

    def handler(self, events, until):
        self.asked.append(events)
        if (kind := self.chance.random()) < 0.1:
            raise ZeroDivisionError("a bug")
        self.waiting.readable = kind < 0.2
        self.waiting.scheduled = 0.15 < kind < 0.3


def attended(modules, seed):
    turns = Turns(modules, seed)
    watch = modules.watch.Watch.__new__(modules.watch.Watch)
    watch._handlers, watch._first, watch.poll = turns._handlers, 0, turns.poll
    try:
        turns.asked.append(turns.waiting.attend(turns, watch, turns.chance.choice((0.0, 4.0, 10.0))))
    except Exception as error:
        turns.asked.append((type(error), error.args))
    return [*turns.asked, turns.time, turns.waiting.readable, turns.waiting.scheduled]


def test_it_waits_the_same_in_pure_python(both):
    played = []
    for seed in range(500):
        one, other = (attended(modules, seed) for modules in both)
        assert one == other, seed
        played.append(one[-4])
    assert {None, 0.0, 4.0, (KeyError, (8,)), (OSError, ("no epoll",)), (ZeroDivisionError, ("a bug",))} <= set(played)


def test_it_is_handled_for_as_long_in_pure_python(both):
    for modules in both:
        watch, until = modules.watch.Watch(), []
        watch._handlers[7] = lambda events, until_, until=until: until.append(until_)
        watch.handle([(7, 1)])
        assert until[0] == pytest.approx(time.perf_counter() + modules.watch.SLICE, abs=0.002)
        for odd in (None, 5, [7], [(7,)], [(8, 1)]):
            with pytest.raises((TypeError, ValueError, KeyError)):
                watch.handle(odd)
        watch.close()
    native = both[0].compiled.native
    for arguments in ((), (1, 2), (1, 2, 3), (both[0].timerqueue.TimerQueue(lambda: None), watch, 3.0), (1, 2, "")):
        with pytest.raises((TypeError, AttributeError)):
            native.Waiting().attend(*arguments)
