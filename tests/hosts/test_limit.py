"""Places, and the lines before them. What comes of it in a whole server: tests/engine/test_overload."""

from collections.abc import Callable

import pytest

from sipcgi.hosts.base import Invocation, Outcome, Run
from sipcgi.hosts.limit import PATIENCE, TARGET, WAITING, LimitedHost
from sipcgi.timerqueue import TimerQueue


class Below:
    """The host below: runs last until they are told to end."""

    def __init__(self) -> None:
        self.running: list[tuple[str, Callable[[Outcome], None]]] = []
        self.ended: list[str] = []

    def full(self, name: str) -> bool:
        return False

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> "Begun":
        self.running.append((invocation.argv[0], done))
        return Begun(self, invocation.argv[0])

    def finish(self, number: int = 0) -> None:
        self.running.pop(number)[1](Outcome(status=0))

    def names(self) -> list[str]:
        return [name for name, _ in self.running]


class Begun:
    def __init__(self, below: Below, name: str) -> None:
        self.below, self.name = below, name

    def end(self) -> None:
        self.below.ended.append(self.name)


class Case:
    def __init__(self, most: int) -> None:
        self.now = 0.0
        self.timers = TimerQueue(lambda: self.now)
        self.below = Below()
        self.host = LimitedHost(self.below, self.timers, most)
        self.outcomes: dict[str, Outcome] = {}

    def start(self, run: str, *, refusable: bool = True, most: int | None = None) -> Run:
        """Of the script whose name is the run's without its number."""
        invocation = Invocation(run.rstrip("0123456789"), [run], "/", {}, refusable=refusable, max_running=most)

        def done(outcome: Outcome) -> None:
            assert run not in self.outcomes
            self.outcomes[run] = outcome

        return self.host.start(invocation, done, lambda line: None)

    def at(self, now: float) -> None:
        self.now = now
        self.timers.fire()


def test_places_are_given_back_in_the_order_of_arrival() -> None:
    case = Case(4)
    for number in range(6):
        case.start(f"a{number}")
    assert case.below.names() == ["a0", "a1", "a2"]
    case.below.finish(1)
    assert case.below.names() == ["a0", "a2", "a3"]
    case.below.finish()
    case.below.finish()
    case.below.finish()
    assert case.below.names() == ["a4", "a5"]
    case.below.finish()
    case.below.finish()
    assert set(case.outcomes) == {f"a{number}" for number in range(6)}
    assert case.host.running == 0


def test_one_script_leaves_a_quarter_to_others() -> None:
    case = Case(8)
    for number in range(20):
        case.start(f"a{number}")
    assert len(case.below.running) == 6
    case.start("b")
    case.start("c")
    case.start("d")
    assert case.below.names()[6:] == ["b", "c"]
    case.at(0.01)
    case.below.finish()  # of a, which has waited as long as d, and stands before it
    assert case.below.names()[-1] == "a6"
    case.below.finish(5)
    assert case.below.names()[-1] in ("a7", "d")


def test_a_script_has_the_places_that_its_route_says() -> None:
    case = Case(8)
    case.host.most_per_script = 3
    for number in range(9):
        case.start(f"a{number}")
        case.start(f"b{number}", most=1)
        case.start(f"c{number}", most=8)
    assert [case.below.names().count(name) for name in ("a0", "b0", "c0")] == [1, 1, 1]
    assert sum(name[0] == "a" for name in case.below.names()) == 3
    assert sum(name[0] == "b" for name in case.below.names()) == 1
    assert sum(name[0] == "c" for name in case.below.names()) == 4
    for number in range(3, 4 + 1):
        case.start(f"b{10 + number}", most=1)
    assert case.host.full("b")


def test_a_single_place_is_for_any_script() -> None:
    case = Case(1)
    case.start("a")
    assert case.below.names() == ["a"]


def test_what_was_begun_comes_before_what_is_new() -> None:
    case = Case(1)
    case.start("a0")
    case.start("a1")
    case.at(0.1)
    case.start("a2", refusable=False)
    case.start("b", refusable=False)
    case.below.finish()
    assert case.below.names() == ["a2"]
    case.at(5.0)
    assert set(case.outcomes) == {"a0", "a1"}
    assert case.outcomes["a1"].refused
    case.below.finish()
    assert case.below.names() == ["b"]


def test_what_waits_too_long_is_refused() -> None:
    case = Case(1)
    case.start("a0")
    case.start("a1")
    case.at(PATIENCE - 0.01)
    assert case.outcomes == {}
    case.at(PATIENCE)
    case.at(PATIENCE)
    assert case.outcomes["a1"].refused
    assert case.outcomes["a1"].wall == pytest.approx(PATIENCE)
    assert not case.outcomes["a1"].complete
    case.below.finish()
    assert case.below.names() == []


def test_what_is_ended_when_it_is_refused_already_is_over_once() -> None:
    case = Case(1)
    case.start("a0")
    refused = case.start("a1")
    case.at(PATIENCE)
    refused.end()
    case.at(PATIENCE)
    assert case.outcomes["a1"].refused
    assert case.host.statistics().waiting == 0


def test_a_line_that_is_long_or_slow_is_full() -> None:
    case = Case(2)
    assert not case.host.full("a")
    case.start("a0")
    case.start("a1")
    assert not case.host.full("a")
    case.at(TARGET + 0.01)
    assert case.host.full("a")
    assert not case.host.full("b")
    case.below.finish()
    assert not case.host.full("a")
    for number in range(WAITING):
        assert not case.host.full("a")
        case.start(f"a{2 + number}")
    assert case.host.full("a")


def test_a_run_that_is_ended_in_line_never_begins() -> None:
    case = Case(1)
    case.start("a0")
    waiting = [case.start("a1"), case.start("a2", refusable=False)]
    for run in waiting:
        run.end()
        run.end()
    assert "a1" not in case.outcomes  # never from within `end`
    case.at(0.0)
    assert case.outcomes["a1"].ended
    assert case.outcomes["a2"].ended
    case.at(2.0)
    case.below.finish()
    assert case.below.names() == []
    assert case.outcomes["a0"].status == 0


def test_statistics() -> None:
    case = Case(2)
    for number in range(3):
        case.start(f"a{number}")
    case.start("b")
    found = case.host.statistics()
    assert (found.running, found.waiting) == (2, 2)
    case.at(PATIENCE)
    for outcome in (
        Outcome(status=0, wall=0.5, cpu=0.25, peak_kib=2000),
        Outcome(signal=9, timed_out=True, wall=5.0, peak_kib=1000),
    ):
        case.below.running.pop()[1](outcome)
    case.start("a3")
    case.below.running.pop()[1](Outcome(signal=15, ended=True))
    found = case.host.statistics()
    assert (found.running, found.waiting) == (0, 0)
    assert {name: str(each) for name, each in found.scripts.items()} == {
        "a": "runs=2 failed=1 timed_out=1 refused=2 seconds=5.000 cpu=0.000 peak_kib=1000",
        "b": "runs=1 failed=0 timed_out=0 refused=0 seconds=0.500 cpu=0.250 peak_kib=2000",
    }


def test_a_run_that_began_is_ended_below() -> None:
    case = Case(1)
    case.start("a0").end()
    later = case.start("a1")
    case.below.finish()
    later.end()
    assert case.below.ended == ["a0", "a1"]


def test_the_next_run_of_a_transaction_may_begin_as_the_last_one_ends() -> None:
    case = Case(1)
    begun: list[object] = []
    case.host.start(
        Invocation("a", ["a0"], "/", {}),
        lambda outcome: begun.append(case.start("a1", refusable=False)),
        lambda line: None,
    )
    case.start("a2")
    case.below.finish()
    assert case.below.names() == ["a1"]
    assert begun


def test_more_places_are_taken_at_the_next_end() -> None:
    case = Case(1)
    for number in range(4):
        case.start(f"a{number}")
    case.host.most = 8
    case.below.finish()
    assert case.below.names() == ["a1", "a2", "a3"]
