"""The server ends, by itself or not, and nothing of it stays."""
# ruff: noqa: ASYNC220 - blocks on purpose, and shortly

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import trio

from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.exec import ExecHost
from sipcgi.timerqueue import TimerQueue

STUBBORN = "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done"


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await trio.sleep(0.01)


async def pid_in(folder: Path) -> int:
    path = folder / "pid"
    await until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def gone(pid: int) -> bool:
    """Or a corpse: this process may be a subreaper, by other tests, and its host does not run any more."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_the_host_waits_for_what_it_ends(tmp_path: Path) -> None:
    host = ExecHost(TimerQueue(trio.current_time))
    outcomes: list[Outcome] = []
    host.start(  # waits for the launcher
        Invocation("script", ["/bin/sh", "-c", STUBBORN], str(tmp_path), {"PATH": "/bin:/usr/bin"}),
        outcomes.append,
        lambda line: None,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        launcher, script = min(host.orphans.launchers), await pid_in(tmp_path)
        nursery.cancel_scope.cancel()
    assert not psutil.pid_exists(launcher)
    await until(lambda: gone(script))  # it was killed, and takes its time to die
    assert outcomes == []
    assert host.busy() == 0


async def test_an_idle_host_ends_at_once() -> None:
    host = ExecHost(TimerQueue(trio.current_time))
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        asked = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - asked < 0.5
    assert not psutil.pid_exists(min(host.orphans.launchers))


SERVER = """
import sys, trio
from sipcgi.hosts.base import Invocation
from sipcgi.hosts.exec import ExecHost
from sipcgi.timerqueue import TimerQueue

async def main():
    host = ExecHost(TimerQueue(trio.current_time))
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        invocation = Invocation("script", ["/bin/sh", "-c", sys.argv[1]], sys.argv[2], {"PATH": "/bin:/usr/bin"})
        host.start(invocation, print, print)
        print(min(host.orphans.launchers), flush=True)
trio.run(main)
"""


async def test_a_killed_server_leaves_no_scripts(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, STUBBORN, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as server:
        assert server.stdout is not None
        launcher = int(await trio.to_thread.run_sync(server.stdout.readline))
        script = await pid_in(tmp_path)
        server.send_signal(signal.SIGKILL)
        await until(lambda: gone(script) and gone(launcher))
