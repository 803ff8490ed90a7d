"""What is common to the runs behind any link; several launchers."""

from __future__ import annotations

import math
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.exec import ExecHost
from sipcgi.timerqueue import TimerQueue
from tests.hosts.conftest import Bench, hosted


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


async def test_a_descriptor_instead_of_an_input(bench: Bench) -> None:
    text = bench.folder / "text"
    text.write_text("from a file")
    assert (await bench.run("/bin/cat", given={0: opened(text)})).stdout == b"from a file"


async def test_a_control_socket_and_an_opened_script(bench: Bench) -> None:
    ours, theirs = socket.socketpair()
    script = bench.folder / "script"
    script.write_text("#!/bin/sh\necho $0 $(cat)\necho hello >&3\n")
    script.chmod(0o700)
    with ours:
        given = {3: theirs.detach(), 4: opened(script)}
        outcome = await bench.run("/proc/self/fd/4", given=given, stdin=b"input", environment={"PATH": "/usr/bin:/bin"})
        assert outcome.stdout == b"/proc/self/fd/4 input\n"
        assert ours.recv(100) == b"hello\n"
        assert ours.recv(100) == b""  # nobody else has it


async def test_what_was_given_is_closed_when_there_is_an_error(bench: Bench) -> None:
    text = bench.folder / "text"
    text.write_text("")
    descriptor = opened(text)
    assert (await bench.run("/bin/cat", "a\0b", given={0: descriptor})).failure is not None
    assert opened(text) == descriptor  # the number is free
    os.close(descriptor)


async def test_a_run_without_end(bench: Bench) -> None:
    outcomes: list[Outcome] = []
    run = bench.start(["/bin/sleep", "60"], outcomes.append, timeout=math.inf)
    assert run.timer is None
    await bench.until(lambda: run.number in bench.host.launchers[0].runs.running)
    run.end()
    await bench.until(lambda: outcomes)
    assert outcomes[0].signal == signal.SIGTERM


async def test_several_launchers_share_the_work_and_die_alone(tmp_path: Path) -> None:
    async with hosted(launchers=3) as host:
        bench, outcomes = Bench(host, tmp_path), dict[int, Outcome]()

        def note(number: int) -> Callable[[Outcome], None]:
            return lambda outcome: outcomes.__setitem__(number, outcome)

        for number in range(6):
            bench.start(["/bin/sleep", "0.5"], note(number))
        assert [launcher.runs.busy() for launcher in host.launchers] == [2, 2, 2]
        victim = host.launchers[1]
        assert victim.link is not None
        await bench.until(lambda: len(victim.runs.running) >= 2)
        os.kill(victim.link.process, signal.SIGKILL)
        await bench.until(lambda: len(outcomes) >= 2, 0.4)
        assert sorted(outcomes) == [1, 4]
        assert {outcome.failure for outcome in outcomes.values()} == {"the launcher died"}
        await bench.until(lambda: len(outcomes) >= 6)
        assert all(outcomes[number].complete for number in (0, 2, 3, 5))
        await bench.until(lambda: victim.link is not None)
        assert (await bench.run("/bin/true")).complete


async def test_a_launcher_that_is_away_gets_no_runs(tmp_path: Path) -> None:
    async with hosted(launchers=2) as host:
        bench = Bench(host, tmp_path)
        host.launchers[0].link = None
        for _ in range(3):
            assert (await bench.run("/bin/true", within=1.0)).complete
        assert host.launchers[0].runs.busy() == 0


def test_what_waits_for_a_link_that_does_not_come_is_refused(tmp_path: Path) -> None:
    timers = TimerQueue(lambda: 0.0)
    host = ExecHost(timers, launchers=1)
    outcomes: list[Outcome] = []
    host.start(Invocation("script", ["/bin/true"], str(tmp_path), {}), outcomes.append, print)
    host.launchers[0].runs.refuse("there is no launcher")
    assert [outcome.failure for outcome in outcomes] == ["there is no launcher"]
    assert host.busy() == 0
