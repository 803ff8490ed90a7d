"""The watch: a handler for each descriptor, and a turn that leaves time for others."""

import os
from select import EPOLLIN, EPOLLOUT

import pytest

from sipcgi import watch as module
from sipcgi.watch import Watch


@pytest.fixture
def watch():
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
def pipes():
    pipes = [os.pipe() for _ in range(3)]
    for _, writing in pipes:
        os.write(writing, b"x")
    yield pipes
    for pipe in pipes:
        for descriptor in pipe:
            os.close(descriptor)


def test_what_is_not_read_is_reported_again(watch, pipes):
    heard = []
    watch.add(pipes[0][0], lambda events, until: heard.append(events))
    watch.turn()
    watch.turn(1.0)
    assert heard == [EPOLLIN, EPOLLIN]


def test_nothing_came(watch):
    watch.turn()


def test_one_handler_takes_another_away(watch, pipes):
    heard = []

    def readable(descriptor, other):
        heard.append(descriptor)
        watch.remove(other)

    a, b = pipes[0][0], pipes[1][0]
    watch.add(a, lambda events, until: readable(a, b))
    watch.add(b, lambda events, until: readable(b, a))
    watch.turn()
    watch.turn()
    assert len(heard) == 2
    assert len(set(heard)) == 1
    watch.remove(a)
    watch.remove(b)  # one of them is gone already


def test_other_events(watch, pipes):
    heard = []
    _, writing = pipes[0]
    watch.add(writing, lambda events, until: heard.append(events))
    watch.turn()
    watch.change(writing, EPOLLIN | EPOLLOUT)
    watch.turn()
    assert heard == [EPOLLOUT]


def test_a_turn_is_over_after_its_time(watch, pipes, monkeypatch):
    times = iter([0.0, 0.001, 0.003, 1.0, 1.1])
    monkeypatch.setattr(module, "perf_counter", lambda: next(times))
    heard = []
    for reading, _ in pipes:
        watch.add(reading, lambda events, until, number=reading: heard.append((number, until)))
    watch.turn()
    assert len(heard) == 2  # the third has to wait
    assert {until for _, until in heard} == {module.SLICE}
    watch.turn()
    assert heard[2][1] == 1.0 + module.SLICE


def test_who_takes_all_of_the_time_keeps_nobody_waiting(watch, pipes, monkeypatch):
    monkeypatch.setattr(module, "SLICE", 0.0)
    heard = []
    for number, (reading, _) in enumerate(pipes):
        watch.add(reading, lambda events, until, number=number: heard.append(number))
    for _ in range(6):
        watch.turn()
    assert sorted(heard) == [0, 0, 1, 1, 2, 2]
