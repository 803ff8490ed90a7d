"""Scripts with limits: they hold from the first step on, and what was reached is known."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from sipcgi.hosts import wire
from sipcgi.hosts.ending import MARK
from sipcgi.hosts.launcher import Launcher
from sipcgi.hosts.marks import RLIMIT_LOCKS
from sipcgi.profile import Limits, Profile
from tests.hosts.conftest import Bench, hosted

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
ROOT = os.geteuid() == 0


def limited(**limits: int) -> Profile:
    return Profile(Limits(**limits))


@pytest.mark.parametrize("stdin", [b"", b"v=0\n"])
async def test_it_finds_what_a_script_without_limits_finds(bench: Bench, stdin: bytes) -> None:
    text = (
        "import os, sys, signal, resource\n"
        "print(sorted(os.listdir('/proc/self/fd'), key=int), os.getcwd(), sys.argv, dict(os.environ))\n"
        "print(repr(sys.stdin.read()))\n"
        "print(os.getsid(0) == os.getpid() == os.getpgid(0), resource.getrlimit(resource.RLIMIT_CORE))\n"
        "status = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "print([int(status[name], 16) for name in ('SigBlk', 'ShdPnd')])\n"
        "print(os.umask(0), [number for number in range(1, 32) if number not in (13, 25)"  # Python ignores these itself
        " and signal.getsignal(number) == signal.SIG_IGN])\n"
    )
    plain = await bench.python(text, stdin=stdin)
    other = await bench.python(text, stdin=stdin, profile=limited(cpu=5))
    assert plain.complete
    assert other.complete
    assert plain.stdout == other.stdout
    ignored = await bench.run("/bin/grep", "SigIgn", "/proc/self/status", profile=limited(cpu=5))
    assert int(ignored.stdout.split()[1], 16) & ~(3 << 31) == 0  # 32 and 33 are glibc's own


async def test_limits_are_there_before_the_script_and_cannot_be_raised(bench: Bench) -> None:
    profile = limited(cpu=7, memory=300 * MIB, processes=5000, files=77, file_size=12345)
    outcome = await bench.python(
        "import resource\n"
        "for name in ('CPU', 'AS', 'NPROC', 'NOFILE', 'FSIZE', 'CORE'):\n"
        "    print(*resource.getrlimit(getattr(resource, 'RLIMIT_' + name)))\n",
        profile=profile,
        timeout=10.0,
    )
    assert outcome.complete, bench.lines
    found = [tuple(map(int, line.split())) for line in outcome.stdout.splitlines()]
    assert found == [(7, 8), (300 * MIB,) * 2, (5000, 5000), (77, 77), (12345, 12345), (0, 0)]


async def test_a_limit_above_one_that_holds_already_changes_nothing(bench: Bench) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    outcome = await bench.sh("ulimit -Hn", profile=limited(files=most + 1))
    assert int(outcome.stdout) == most


async def test_processor_time(bench: Bench) -> None:
    outcome = await bench.sh("while :; do :; done", profile=limited(cpu=1), timeout=10.0)
    assert (outcome.signal, outcome.limit, outcome.timed_out) == (signal.SIGXCPU, "cpu", False)
    assert 0.9 < outcome.cpu < 1.3


async def test_processor_time_of_one_that_does_not_listen(bench: Bench) -> None:
    text = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    outcome = await bench.python(text, profile=limited(cpu=1), timeout=15.0)
    assert (outcome.signal, outcome.limit) == (signal.SIGKILL, "cpu")
    assert 1.3 < outcome.cpu < 2.3


async def test_memory(bench: Bench) -> None:
    text = f"try: bytearray({400 * MIB})\nexcept MemoryError: print('no')"
    outcome = await bench.python(text, profile=limited(memory=200 * MIB))
    assert (outcome.stdout, outcome.status) == (b"no\n", 0)


async def test_the_size_of_a_file(bench: Bench) -> None:
    outcome = await bench.sh("exec head -c 2000 /dev/zero > big", profile=limited(file_size=1000))
    assert (outcome.signal, outcome.limit) == (signal.SIGXFSZ, "file_size")
    assert (bench.folder / "big").stat().st_size == 1000


async def test_open_files(bench: Bench) -> None:
    text = "files = []\ntry:\n    while True: files.append(open('/dev/null'))\nexcept OSError: print(len(files))"
    outcome = await bench.python(text, profile=limited(files=20))
    assert int(outcome.stdout) < 20


@pytest.mark.skipif(ROOT, reason="the kernel does not count root's processes (RLIMIT_NPROC)")
async def test_processes(bench: Bench) -> None:
    outcome = await bench.sh("sleep 0.01 & sleep 0.01 & wait; echo all", profile=limited(processes=1))
    assert outcome.stdout != b"all\n"


@pytest.mark.skipif(not ROOT, reason="only root may become another user")
async def test_a_user_who_has_too_many_processes_already(tmp_path: Path) -> None:
    """They may be of anybody else: where no control group counts them, the kernel counts those of the user."""
    user = random.randrange(1 << 24, 1 << 30)
    others = [subprocess.Popen(["/bin/sleep", "60"], user=user) for _ in range(3)]  # noqa: ASYNC220
    profile = Profile(Limits(processes=2), user=str(user), group="0")
    try:
        async with hosted(launchers=1, ending=MARK) as host:
            outcome = await Bench(host, tmp_path).run("/bin/true", directory="/", profile=profile)
    finally:
        for process in others:
            process.kill()
            process.wait()
    assert outcome.failure == (
        "could not be started: its user has as many processes as it may (limits.processes, ulimit -u): "
        "Resource temporarily unavailable"
    )


def test_no_process_to_be_had_is_said_in_words() -> None:
    """By fork, which knows no more than EAGAIN."""
    launcher = Launcher.__new__(Launcher)
    ours, launcher.server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, launcher.server:
        launcher.fail(7, BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)))
        record = ours.recv(1000)
    assert wire.REPORT.unpack_from(record)[:3] == (wire.FAILED, errno.EAGAIN, 7)
    assert b"as many processes as there may be (ulimit -u; TasksMax= of systemd)" in record


@pytest.mark.parametrize(
    ("argv", "failure"),
    [
        (["/nonexistent/block.pl"], "No such file or directory"),
        (["/etc/passwd"], "Permission denied"),
        (["/bin/true", "x" * 200_000], "Argument list too long"),
    ],
)
async def test_what_cannot_be_started(bench: Bench, argv: list[str], failure: str) -> None:
    assert (await bench.run(*argv, profile=limited(cpu=5))).failure == f"could not be started: {failure}"


async def test_a_folder_that_is_gone(bench: Bench) -> None:
    outcome = await bench.run("/bin/true", directory=str(bench.folder / "gone"), profile=limited(cpu=5))
    assert outcome.failure == "could not be started: No such file or directory"


async def test_a_program_that_is_being_written_is_tried_twice(bench: Bench) -> None:
    program = bench.folder / "true"
    shutil.copy("/bin/true", program)
    with open(program, "ab"):  # noqa: ASYNC230
        outcome = await bench.run(str(program), profile=limited(cpu=5))
    assert outcome.failure == "could not be started: Text file busy"
    assert (await bench.run(str(program), profile=limited(cpu=5))).complete


async def test_a_user_who_is_not_there_fails_with_what_is_wrong(bench: Bench) -> None:
    outcome = await bench.run("/bin/true", profile=Profile(user="nobody-of-that-name"))
    assert outcome.failure is not None
    assert outcome.failure.startswith("could not be started: there is no user nobody-of-that-name")
    assert (await bench.run("/bin/true")).complete


async def test_each_profile_is_told_once_and_runs_find_their_own(bench: Bench) -> None:
    for files in (50, 60, 50, 60, 1024):
        profile = limited(files=files) if files < 1024 else Profile()
        assert int((await bench.sh("ulimit -Sn", profile=profile)).stdout) == files


async def test_after_the_launcher_died_profiles_are_told_again(bench: Bench) -> None:
    assert int((await bench.sh("ulimit -n", profile=limited(files=50))).stdout) == 50
    old = bench.launcher
    os.kill(old, signal.SIGKILL)
    await bench.until(lambda: bench.launcher not in (0, old))
    assert int((await bench.sh("ulimit -n", profile=limited(files=50))).stdout) == 50


async def test_a_run_ended_before_its_program_is_there_obeys(bench: Bench) -> None:
    outcomes: list[object] = []
    for _ in range(20):
        run = bench.start(["/bin/sleep", "60"], outcomes.append, profile=limited(cpu=5))
        await bench.until(lambda: run.number in bench.host.launchers[0].runs.running)  # noqa: B023
        run.end()
    started = time.monotonic()
    await bench.until(lambda: len(outcomes) >= 20, 5)
    assert time.monotonic() - started < 0.9  # TERM was enough
    assert {outcome.signal for outcome in outcomes} == {signal.SIGTERM}  # type: ignore[attr-defined]


async def test_the_mark_is_only_a_soft_limit(bench: Bench) -> None:
    for profile in (Profile(), limited(cpu=5)):
        outcome = await bench.python(f"import resource; print(*resource.getrlimit({RLIMIT_LOCKS}))", profile=profile)
        soft, hard = map(int, outcome.stdout.split())
        assert soft >> 32 == bench.host.launchers[0].link.base  # type: ignore[union-attr]
        assert hard == -1
