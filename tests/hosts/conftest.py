"""A host with real children, driven in real time."""

import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share

from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.run import ScriptRun
from sipcgi.profile import PLAIN
from sipcgi.timerqueue import TimerQueue
from tests.hosts.warm_bench import WarmBench

PYTHON = f"{sys.executable} -IS"


class Bench:
    """Writes scripts and runs them."""

    def __init__(self, host: ExecHost, folder: Path) -> None:
        self.host = host
        host.say = lambda text: self.said.append(text)
        self.folder = folder
        self.lines: list[str] = []
        self.said: list[str] = []
        """What the host said about its launcher."""
        self.profile = PLAIN
        """For tests with several of them."""

    @property
    def launcher(self) -> int:
        """Process id of the first launcher; 0 while there is none."""
        link = self.host.launchers[0].link
        return link.process if link is not None else 0

    def write(self, text: str, name: str = "script", mode: int = 0o755) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(stat.S_IFMT(path.stat().st_mode) | mode)
        return str(path)

    def start(self, argv: list[str], done: Callable[[Outcome], None], **changes: object) -> ScriptRun:
        values: dict[str, object] = {"environment": {"PATH": "/usr/bin:/bin"}, "directory": str(self.folder)}
        invocation = Invocation("script", argv, **(values | changes))  # type: ignore[arg-type]
        return self.host.start(invocation, done, self.lines.append)

    async def until(self, condition: Callable[[], object], within: float = 3.0) -> None:
        with trio.fail_after(within):
            while not condition():  # noqa: ASYNC110 - other processes set no event
                await trio.sleep(0.003)

    async def pid(self, name: str = "pid") -> int:
        """Process id that a script wrote to a file."""
        path = self.folder / name
        await self.until(lambda: path.exists() and path.read_text().endswith("\n"))
        return int(path.read_text())

    async def run(self, *argv: str, within: float = 10.0, **changes: object) -> Outcome:
        send, receive = trio.open_memory_channel[Outcome](2)
        self.start(list(argv), send.send_nowait, **changes)
        with trio.fail_after(within):
            return await receive.receive()

    async def sh(self, text: str, **changes: object) -> Outcome:
        return await self.run(self.write(f"#!/bin/sh\n{text}\n"), **changes)

    async def python(self, text: str, **changes: object) -> Outcome:
        return await self.run(self.write(f"#!{PYTHON}\n{text}\n"), **changes)


class Alarm:
    """Wakes the driver of the timers."""

    def __init__(self) -> None:
        self.event = trio.Event()

    def __call__(self) -> None:
        self.event.set()

    async def drive(self, timers: TimerQueue) -> None:
        while True:
            deadline = timers.next_deadline()
            with trio.move_on_at(trio.current_time() + 3600 if deadline is None else deadline):
                await self.event.wait()
            self.event = trio.Event()
            timers.fire()


@asynccontextmanager
async def hosted(**options: object) -> AsyncIterator[ExecHost]:
    """A host that runs, in real time."""
    alarm = Alarm()
    timers = TimerQueue(trio.current_time, alarm)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarm.drive, timers)
        host = ExecHost(timers, **options)  # type: ignore[arg-type]
        await nursery.start(host.run)
        yield host
        nursery.cancel_scope.cancel()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with hosted(launchers=1) as host:
        yield Bench(host, tmp_path)
        assert host.busy() == 0


@pytest.fixture
async def warm(tmp_path: Path) -> AsyncIterator[WarmBench]:
    async with hosted() as host, trio.open_nursery() as nursery:
        bench = WarmBench(host, tmp_path)
        await nursery.start(bench.warm.run)
        yield bench
        nursery.cancel_scope.cancel()
