"""Transactions walk their tables alike with the compiled part and in pure Python, whatever happens when."""

import contextlib
import functools
import gc
import os
import random
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest


class Told(Exception):
    """What a user of transactions raises at times."""


class Line:
    """A transport that fails at times, and a user of transactions that raises or steps them again at times."""

    def __init__(self, modules: SimpleNamespace, seed: int) -> None:
        self.modules = modules
        self.chance = random.Random(seed)
        self.now = 0.0
        self.log: list[object] = []
        self.timers = modules.timerqueue.TimerQueue(lambda: self.now, grain=0.2)
        settings = modules.timers.Timers(t1=self.chance.choice((0.5, 1)))
        self.transactions = modules.transactions.Transactions(self, self.timers, None, settings, None)
        self.transactions.core = self
        self.walking: Any = None
        self.depth = 0

    def send(self, octets: bytes, flow: object) -> None:
        self.log.append(("sent", round(self.now, 6), octets[:20]))
        if self.chance.random() < 0.1:
            raise self.modules.errors.Unreachable("no way")

    def is_open(self, flow: object) -> bool:
        return True

    def again(self, *what: object) -> None:
        self.log.append((*what, self.shown()))
        chance = self.chance.random()
        if chance < 0.05:
            raise Told
        if chance < 0.2 and self.walking is not None and self.depth < 3:
            self.depth += 1
            self.happens()
            self.depth -= 1

    def response(self, response: Any, flow: object) -> None:
        self.again("response", response.status)

    def failed(self, status: int, why: str) -> None:
        self.again("failed", status, why)

    def trying(self) -> None:
        self.again("trying")

    def ack(self, request: Any, flow: object) -> None:
        self.again("ack", request.method)

    def undelivered(self, octets: bytes, flow: object) -> None:
        self.again("undelivered", octets[:20])

    def shown(self) -> list[object]:
        """All that can be told of the transaction and of its timers."""
        walking = self.walking
        if walking is None:
            return []
        timers = [
            None if one is None else (one.deadline, one.arguments == ()) for one in (walking.resend, walking.timeout)
        ]
        due = [(timer.deadline, [what.name for what in timer.arguments]) for timer in self.timers.waiting()]
        layer = self.transactions
        tables = [len(table) for table in (layer.clients, layer.servers, layer.awaited.peers, layer.responded)]
        return [walking.state.name, sorted(what.name for what in walking.row), timers, due, tables, walking.last[:20]]

    def request(self, method: str) -> Any:
        fields = [("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"), ("From", "<sip:a@b>;tag=1"), ("To", "<sip:b@b>")]
        fields += [("Call-ID", "1"), ("CSeq", f"1 {method}")]
        return self.modules.message.Request(method, "sip:b@192.0.2.9", self.modules.headers.Headers(fields))

    def begins(self) -> None:
        modules = self.modules
        here, there = modules.flow.HostPort("192.0.2.1", 5060), modules.flow.HostPort("192.0.2.9", 5060)
        transport = self.chance.choice(("UDP", "TCP"))
        flow = modules.flow.Flow(transport, here, there, 0 if transport == "UDP" else 1)
        self.asked = self.request(self.chance.choice(("INVITE", "OPTIONS")))
        if self.chance.random() < 0.5:
            self.walking = self.transactions.send(self.asked, "z9hG4bK1", flow, self)
        else:
            key = ("z9hG4bK1", "192.0.2.1", self.asked.method)
            self.walking = modules.transaction.ServerTransaction(self.transactions, self.asked, flow, key)
            self.walking.user = self

    def happens(self) -> None:
        """A message, a failure, some time, or any input at all with its message; often one the machine has not."""
        self.log.append(self.shown())
        walking, chance = self.walking, self.chance
        if isinstance(walking, self.modules.transaction.ClientTransaction):
            walking.arrival, walking.trouble = walking.flow, (503, "lost")
        response = self.modules.build.response(self.asked, chance.choice((180, 200, 302, 486)), to_tag="2")
        kind = chance.randrange(4)
        try:
            if kind == 0:
                self.now += chance.choice((0.1, 0.5, 1, 5, 33))
                self.timers.fire(chance.choice((1, 50)))
            elif kind == 1:
                happened = chance.choice(list(self.modules.machine.Input))
                is_request = happened.name in ("ACK", "REQUEST")
                step = chance.choice((walking.step, walking))
                step(happened, self.asked if is_request else response)
            elif isinstance(walking, self.modules.transaction.ClientTransaction):
                walking.received(response, walking.flow)
            elif kind == 2:
                walking.received(self.request(chance.choice((self.asked.method, "ACK"))))
            else:
                walking.respond(response)
        except (Told, KeyError, AssertionError, TypeError) as error:
            self.log.append((type(error).__name__, [getattr(one, "name", None) for one in error.args]))
        self.log.append(self.shown())


def play(modules: SimpleNamespace, seed: int) -> list[object]:
    line = Line(modules, seed)
    try:
        line.begins()
    except Told:
        return line.log
    for _ in range(line.chance.randrange(25)):
        line.happens()
    return line.log


def test_any_inputs_have_the_same_effects(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    first = int(os.environ.get("SIPCGI_SEED", "1"))
    played = []
    for seed in range(first, first + int(os.environ.get("SIPCGI_RUNS", "500"))):
        one, other = (play(modules, seed) for modules in both)
        assert one == other, seed
        played.append(one)
    seen = repr(played)
    states = {state.name for state in both[0].machine.State}
    assert {word for word in (*states, "KeyError", "Told", "failed", "trying", "TIMER_G") if word not in seen} == set()


def test_what_has_ended_is_gone(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    """Neither objects nor references stay, and what is only held by its own timers is collected."""
    for modules in both:
        kinds = (modules.transaction.ClientTransaction, modules.transaction.ServerTransaction)
        input_ = modules.machine.Input.TIMER_A
        play(modules, 1)
        gc.collect()
        before = (sys.getrefcount(input_), sys.getrefcount(modules.machine.State.TERMINATED), sys.getrefcount(None))
        for seed in range(300):
            play(modules, seed)
        gc.collect()
        after = (sys.getrefcount(input_), sys.getrefcount(modules.machine.State.TERMINATED), sys.getrefcount(None))
        assert all(abs(late - early) < 100 for early, late in zip(before, after, strict=True)), (before, after)
        assert not [one for one in gc.get_objects() if type(one) in kinds]


def test_misuse_brings_nothing_down(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    native: Any = both[0].compiled.native
    queue = both[0].timerqueue.TimerQueue(lambda: 0.0)
    starter = native.timeout_starter(queue, 1.0, "input")
    walker = native.Walker()
    odd = native.Walker()
    odd.timeout = odd.resend = "no timer"
    calls: list[Callable[[], object]] = [
        lambda: walker.step(),
        lambda: walker.step(1, 2, 3),
        lambda: walker(message=1),
        *(lambda arrow=arrow: walker.begin(arrow) for arrow in (None, (), (1, {}, []), (1, [], ()), (1, {}, (), 4))),
        lambda: native.timeout_starter(),
        lambda: native.timeout_starter(None, 1.0, "input"),
        lambda: native.resend_starter(queue, "1", "input"),
        lambda: type(starter)(),
        lambda: starter(None, None),
        lambda: starter(walker),
        lambda: starter(odd, None),
        lambda: odd.stop_timeout(None),
        lambda: odd.stop_resend(None),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(TypeError):
            call()
    with pytest.raises(AttributeError):
        walker.step(1)
    walker.begin((1, {2: (3, None, ())}, (starter,)))
    assert [timer.callback for timer in queue.waiting()] == [walker]
    with pytest.raises(TypeError):
        walker.step(2)
    with pytest.raises(KeyError):
        walker.step(4)
    assert walker.state == 1


def test_what_runs_meanwhile_brings_nothing_down(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    """An input, a timer's neighbour, a clock, a deadline that lets go of what it is looked for in."""
    native: Any = both[0].compiled.native
    queue = both[0].timerqueue.TimerQueue(lambda: 10.0)
    walker = native.Walker()

    class Odd(float):
        does: Callable[[], object]

        def __hash__(self) -> int:
            return hash(float(self))

        def __eq__(self, other: object) -> bool:
            del [{} for _ in range(200)][:]  # so that a dictionary that is let go of is surely freed
            self.does()
            return False

        __lt__ = __gt__ = __eq__

    Odd.does = lambda _: walker.begin((2, {}, ()))
    walker.begin((1, {Odd(7): None}, ()))
    with pytest.raises(KeyError):
        walker.step(7)
    assert walker.state == 2

    start = native.timeout_starter(queue, 1.0, "input")
    start(walker, None)
    timer = walker.timeout
    hashed = hash(timer)
    Odd.__hash__ = lambda _: hashed  # type: ignore[method-assign]
    Odd.does = lambda _: None
    timer.place.clear()
    timer.place[Odd(1)] = timer.place[timer] = None
    Odd.does = lambda _: (setattr(walker, "timeout", None), queue._timers.popitem()[1].clear())
    del timer
    start(walker, None)
    assert walker.timeout.callback is walker

    Odd.__hash__ = lambda self: hash(float(self))  # type: ignore[method-assign]
    Odd.does = lambda _: (queue._heap.clear(), queue._timers.clear(), queue._due.clear())
    for call in (lambda: queue.start(1.0, print), queue.next_deadline, queue.fire):
        queue._heap[:] = [Odd(number) for number in range(5)]
        queue._timers.clear()
        queue._timers.update((deadline, {}) for deadline in queue._heap)
        with contextlib.suppress(IndexError, KeyError, RuntimeError):
            call()

    for name in ("_heap", "_timers", "_due"):
        with pytest.raises(TypeError):
            delattr(queue, name)
        with pytest.raises(TypeError):
            setattr(queue, name, getattr(queue, name))
    queue._heap.clear()
    for name, delay in (("now", 2.0), ("wake", 1.0)):
        setattr(queue, name, functools.lru_cache(2)(lambda name=name: setattr(queue, name, lambda: 10.0) or 10.0))
        queue.start(delay, print)
    assert (queue.now(), queue.wake()) == (10.0, 10.0)


def test_a_long_chain_ends_without_a_deep_stack(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    native: Any = both[0].compiled.native
    queue = both[0].timerqueue.TimerQueue(lambda: 0.0)
    chain: Any = None
    for _ in range(100_000):
        timer = queue.start(1.0, print)
        timer.cancel()
        timer.callback, deadlines, walker = chain, native.Deadlines(), native.Walker()
        deadlines.now = timer
        walker.begin((native.resend_starter(deadlines, 1.0, "input"), {}, ()))
        chain = walker
    gone = sys.getallocatedblocks()
    del chain, timer, deadlines, walker
    assert gone - sys.getallocatedblocks() > 400_000


def test_a_timer_that_finds_no_memory_takes_no_other_with_it(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    memory = pytest.importorskip("_testcapi")
    for modules in both:
        failed = 0
        for allocation in range(1, 25):
            clock, done = [0.0], []  # type: ignore[var-annotated]
            queue = modules.timerqueue.TimerQueue(lambda clock=clock: clock[0])
            queue.start(5, print)
            memory.set_nomemory(allocation, allocation + 1)
            try:
                queue.start(1, done.append, "first")
            except MemoryError:
                failed += 1
            finally:
                memory.remove_mem_hooks()
            queue.start(1, done.append, "second")
            clock[0] = 2.0
            queue.fire()
            assert done[-1:] == ["second"], allocation
        assert failed
