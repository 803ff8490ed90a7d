"""Scripts that do not end, or not as they should, and a launcher that dies."""

from __future__ import annotations

import errno
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import trio

from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.link import Link
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from tests.hosts.conftest import Bench


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.rfc("3050", "5.6-2", "5.6-3")
async def test_a_script_that_takes_too_long(bench: Bench) -> None:
    outcome = await bench.sh("echo early; exec sleep 60", timeout=0.2)
    assert outcome.timed_out
    assert not outcome.ended
    assert outcome.signal == signal.SIGTERM
    assert outcome.stdout == b"early\n"
    assert 0.2 <= outcome.wall < 0.5


async def test_one_that_tidies_up_on_term(bench: Bench) -> None:
    outcome = await bench.sh("trap 'echo bye; exit 0' TERM; sleep 60 & wait", timeout=0.2)
    assert (outcome.status, outcome.timed_out, outcome.complete) == (0, True, False)
    assert outcome.stdout == b"bye\n"


async def test_one_that_ignores_term_is_killed_a_second_later(bench: Bench) -> None:
    outcome = await bench.python("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)", timeout=0.2)
    assert outcome.signal == signal.SIGKILL
    assert 1.15 <= outcome.wall < 1.6


async def test_one_that_stops_itself(bench: Bench) -> None:
    outcome = await bench.sh("kill -STOP $$", timeout=0.1)
    assert outcome.signal == signal.SIGKILL
    assert outcome.timed_out


async def test_the_whole_group_ends(bench: Bench) -> None:
    outcome = await bench.sh("sleep 60 & echo $! > pid; wait", timeout=0.2)
    assert outcome.timed_out
    await bench.until(partial(gone, await bench.pid()))


async def test_a_member_that_ignores_term_outlives_its_leader_by_a_second_at_most(bench: Bench) -> None:
    outcome = await bench.sh("(trap '' TERM; exec sleep 60) & echo $! > pid; exec sleep 60", timeout=0.2)
    assert outcome.wall < 0.5
    member = await bench.pid()
    assert not gone(member)
    await bench.until(lambda: gone(member), 1.5)


async def test_ended_by_the_server(bench: Bench) -> None:
    outcomes: list[Outcome] = []
    run = bench.start(["/bin/sleep", "60"], outcomes.append)
    await trio.sleep(0.05)
    run.end()
    run.end()
    assert outcomes == []
    await bench.until(lambda: outcomes, 1)
    run.end()
    await trio.sleep(0.05)
    assert len(outcomes) == 1
    assert outcomes[0].ended
    assert not outcomes[0].timed_out
    assert outcomes[0].signal == signal.SIGTERM


async def test_ended_before_it_started(bench: Bench) -> None:
    outcomes: list[Outcome] = []
    bench.start(["/bin/sh", "-c", "echo > ran"], outcomes.append).end()
    await bench.until(lambda: outcomes, 1)
    assert outcomes[0].ended


@pytest.mark.parametrize("text", ["sleep 60 & echo $! > pid", "setsid sleep 60 & echo $! > pid; sleep 0.1"])
async def test_a_background_child_that_holds_standard_output_delays_nothing_and_is_left_alone(
    bench: Bench, text: str
) -> None:
    outcome = await bench.sh(f"echo hello; {text}")
    assert outcome.stdout == b"hello\n"
    assert outcome.wall < 0.3
    daemon = await bench.pid()
    await trio.sleep(0.1)
    assert not gone(daemon)
    os.kill(daemon, signal.SIGKILL)
    await bench.until(lambda: gone(daemon))
    await trio.sleep(0.05)
    assert not psutil.pid_exists(daemon)  # reaped, too


async def test_a_background_child_that_floods_delays_nothing(bench: Bench) -> None:
    outcome = await bench.sh("yes >&2 & echo $! > pid; sleep 0.1", within=1.0)
    assert outcome.status == 0
    await bench.until(partial(gone, await bench.pid()))  # nobody reads any more: SIGPIPE


async def test_a_flood_on_standard_output(bench: Bench) -> None:
    before = psutil.Process().memory_info().rss
    outcome = await bench.run("/usr/bin/yes", within=1.0)
    assert outcome.overflow
    assert not outcome.timed_out
    assert outcome.signal in (signal.SIGKILL, signal.SIGPIPE)
    assert outcome.stdout == b"y\n" * (1024 * 1024 // 2)
    assert outcome.wall < 0.5
    assert psutil.Process().memory_info().rss - before < 8 * 1024 * 1024


@pytest.mark.parametrize(("size", "overflow"), [(1000, False), (1001, True)])
async def test_output_at_its_limit(bench: Bench, size: int, overflow: bool) -> None:
    outcome = await bench.sh(f"head -c {size} /dev/zero", max_output=1000)
    assert len(outcome.stdout) == 1000
    assert outcome.overflow is overflow  # and then it may have been killed before it ended
    assert outcome.complete is not overflow


async def test_output_larger_than_a_pipe(bench: Bench) -> None:
    outcome = await bench.sh("head -c 900000 /dev/zero")
    assert outcome.complete
    assert len(outcome.stdout) == 900_000


async def test_a_flood_on_standard_error_is_cut_and_drained(bench: Bench) -> None:
    outcome = await bench.sh("yes complaint | head -c 3000000 >&2; echo done")
    assert outcome.stdout == b"done\n"
    assert len(bench.lines) == 201
    assert bench.lines[199:] == ["complaint", "(what followed on standard error was dropped)"]


async def test_a_long_line_on_standard_error_is_cut(bench: Bench) -> None:
    await bench.sh("head -c 9000 /dev/zero | tr '\\0' x >&2")
    assert bench.lines == ["x" * 8192, "(what followed on standard error was dropped)"]


async def test_standard_error_without_end_times_out(bench: Bench) -> None:
    started = time.process_time()
    outcome = await bench.run("/bin/sh", "-c", "exec yes >&2", timeout=0.5)
    assert outcome.timed_out
    assert time.process_time() - started < 0.5
    assert len(bench.lines) == 201


async def test_closing_its_descriptors_is_no_end(bench: Bench) -> None:
    outcome = await bench.sh("echo hello; exec <&- >&- 2>&-; sleep 0.2; exit 4")
    assert (outcome.status, outcome.stdout) == (4, b"hello\n")
    assert outcome.wall > 0.2


# The launcher


async def launcher_change(bench: Bench, old: int) -> None:
    await bench.until(lambda: bench.launcher not in (0, old), 2)


async def test_the_launcher_dies_and_takes_its_runs_with_it(bench: Bench) -> None:
    outcomes: list[Outcome] = []
    launcher = bench.launcher
    bench.start(["/bin/sh", "-c", "echo $$ > pid; trap '' TERM; sleep 60; :"], outcomes.append)
    script = await bench.pid()
    os.kill(launcher, signal.SIGKILL)
    await bench.until(lambda: outcomes, 1)
    assert outcomes[0].failure == "the launcher died"
    assert "the launcher of the scripts died, with 1 of them running" in bench.said[0]
    await bench.until(lambda: gone(script))
    await launcher_change(bench, launcher)
    assert (await bench.sh("echo again")).stdout == b"again\n"
    await trio.sleep(0.2)
    assert [child.pid for child in psutil.Process().children(recursive=True)] == [bench.launcher]


async def test_what_an_earlier_script_left_running_survives_the_launcher(bench: Bench) -> None:
    await bench.sh("setsid sleep 60 > /dev/null 2>&1 & echo $! > pid; sleep 0.1")
    daemon, launcher = await bench.pid(), bench.launcher
    os.kill(launcher, signal.SIGKILL)
    await launcher_change(bench, launcher)
    assert not gone(daemon)
    os.kill(daemon, signal.SIGKILL)
    await bench.until(lambda: not psutil.pid_exists(daemon), 6)


async def test_a_launcher_killed_twenty_times_under_load(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Outcome] = []
    asked = 0
    monkeypatch.setattr("sipcgi.hosts.exec.RETRY_LAST", 0.05)
    descriptors = psutil.Process().num_fds()
    for _ in range(20):
        launcher = bench.launcher
        for _ in range(10):
            bench.start(["/bin/sh", "-c", "echo x; exec sleep 0.02"], outcomes.append)
            asked += 1
        await bench.until(lambda: any(outcome.failure is None for outcome in outcomes[asked - 10 :]))  # noqa: B023
        os.kill(launcher, signal.SIGKILL)
        await launcher_change(bench, launcher)
    await bench.until(lambda: len(outcomes) >= asked, 5)
    assert {outcome.failure for outcome in outcomes} == {None, "the launcher died"}
    assert all(outcome.stdout == b"x\n" for outcome in outcomes if outcome.failure is None)
    await bench.until(lambda: len(psutil.Process().children(recursive=True)) <= 1, 7)
    assert psutil.Process().num_fds() == descriptors


async def test_a_launcher_that_hangs_delays_nobody_for_ever(bench: Bench) -> None:
    launcher = bench.launcher
    os.kill(launcher, signal.SIGSTOP)
    try:
        outcome = await bench.run("/bin/true", timeout=0.1)
        assert outcome.timed_out
        assert outcome.failure == "it could not be killed"
        assert outcome.wall < 3.5
    finally:
        os.kill(launcher, signal.SIGCONT)
    assert (await bench.run("/bin/true")).complete


async def test_signals_of_the_terminal_or_the_service_manager_do_not_end_the_launcher(bench: Bench) -> None:
    launcher = bench.launcher
    assert os.getsid(launcher) == launcher
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(launcher, number)
    assert (await bench.run("/bin/true")).complete
    assert bench.launcher == launcher


async def test_the_launcher_holds_nothing_of_the_server(bench: Bench) -> None:
    assert (await bench.run("/bin/true")).complete
    process = psutil.Process(bench.launcher)
    assert set(process.environ()) <= {"LD_LIBRARY_PATH", "LC_CTYPE"}
    assert process.num_fds() <= 6  # 0, 1, 2, the socket, the two ends of its alarm


# Without a launcher


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("way", ["end", "timeout"])
def test_a_run_that_never_started_ends_too(way: str, tmp_path: Path) -> None:
    clock = Clock()
    timers = TimerQueue(clock)
    host = ExecHost(timers)
    outcomes: list[Outcome] = []
    run = host.start(Invocation("script", ["/bin/true"], str(tmp_path), {}), outcomes.append, outcomes.append)
    if way == "end":
        run.end()
        assert outcomes == []
    else:
        clock.now = 5.0
    timers.fire()
    run.end()
    timers.fire()
    assert [(outcome.ended, outcome.timed_out) for outcome in outcomes] == [(way == "end", way == "timeout")]
    assert outcomes[0].wall == clock.now


def test_one_that_cannot_start_is_told_once(tmp_path: Path) -> None:
    timers = TimerQueue(Clock())
    outcomes: list[Outcome] = []
    run = ExecHost(timers).start(Invocation("script", ["a\0b"], str(tmp_path), {}), outcomes.append, outcomes.append)
    run.end()
    assert outcomes == []
    timers.fire()
    assert outcomes[0].failure == "could not be started: a NUL in the arguments or the environment"
    assert len(outcomes) == 1


async def test_a_kernel_without_memory_for_a_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    send, errors = Link.send, [errno.ENOBUFS, errno.ETOOMANYREFS]

    def starved(link: Link, record: bytes, descriptors: list[int]) -> bool:
        if errors:
            number = errors.pop()
            raise OSError(number, os.strerror(number))
        return send(link, record, descriptors)

    monkeypatch.setattr(Link, "send", starved)
    monkeypatch.setattr("sipcgi.hosts.runs.plain_start", lambda *arguments: False)  # where it fails, that comes next
    assert (await bench.run("/bin/true")).complete
    assert errors == []


async def test_a_launcher_that_does_not_start_again_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipcgi.hosts.exec.RETRY_LAST", 0.05)
    launcher, python = bench.launcher, bench.host.python
    bench.host.python = "/nonexistent"
    os.kill(launcher, signal.SIGKILL)
    await bench.until(lambda: "cannot be started: No such file or directory" in " ".join(bench.said))
    bench.host.python = python
    assert (await bench.run("/bin/true")).complete
