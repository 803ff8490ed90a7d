"""Scripts that behave, and what they find when they start."""
# ruff: noqa: ASYNC230, ASYNC240 - blocks on purpose, files are small here

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import trio

if TYPE_CHECKING:
    from tests.hosts.conftest import Bench

ANSWER = b"SIP/2.0 486 Busy Here\n\n"


@pytest.mark.rfc("3050", "5.6-1")
@pytest.mark.parametrize(
    ("interpreter", "text"),
    [
        ("/bin/sh", "echo 'SIP/2.0 486 Busy Here'; echo"),
        ("/usr/bin/perl", 'print "SIP/2.0 486 Busy Here\\n\\n";'),
        (sys.executable, 'print("SIP/2.0 486 Busy Here\\n")'),
    ],
)
async def test_what_a_script_prints_comes_back(bench: Bench, interpreter: str, text: str) -> None:
    if not os.path.exists(interpreter):
        pytest.skip(f"no {interpreter}")
    outcome = await bench.run(bench.write(f"#!{interpreter}\n{text}\n"))
    assert outcome.complete
    assert outcome.stdout == ANSWER
    assert (outcome.status, outcome.signal, outcome.failure) == (0, None, None)
    assert 0 < outcome.cpu < outcome.wall + 1
    assert outcome.peak_kib > 500


async def test_a_script_in_c(bench: Bench) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    source, program = bench.folder / "block.c", bench.folder / "block"
    source.write_text('#include <stdio.h>\nint main(void) { puts("SIP/2.0 486 Busy Here\\n"); return 0; }\n')
    await trio.run_process(["gcc", "-o", str(program), str(source)])
    assert (await bench.run(str(program))).stdout == ANSWER


async def test_an_interpreter_with_the_script_as_argument(bench: Bench) -> None:
    path = bench.write('print "@ARGV";', "forward.pl", 0o644)
    assert (await bench.run("/usr/bin/perl", path, "two words", "")).stdout == b"two words "


@pytest.mark.rfc("3050", "6.1-2")
async def test_the_working_directory_is_the_scripts_folder(bench: Bench) -> None:
    assert (await bench.sh("pwd -P")).stdout.decode().strip() == os.path.realpath(bench.folder)


@pytest.mark.rfc("3050", "5.5.1-1", "5.5.1.5-4", "6.1-1")
async def test_the_environment_is_exactly_what_was_given(bench: Bench) -> None:
    environment = {
        "SIP_FROM": '"J. Rosen" <sip:jdrosen@example.com>;tag=1=2',
        "SIP_EMPTY": "",
        "SIP_ODD": "a\udcff\x01é",
    }
    outcome = await bench.run("/usr/bin/env", "-0", environment=environment)
    assert dict(item.split(b"=", 1) for item in outcome.stdout.split(b"\0")[:-1]) == {
        b"SIP_FROM": b'"J. Rosen" <sip:jdrosen@example.com>;tag=1=2',
        b"SIP_EMPTY": b"",
        b"SIP_ODD": b"a\xff\x01\xc3\xa9",
    }
    assert (await bench.run("/usr/bin/env", environment={})).stdout == b""


async def test_an_environment_too_large_for_one_record(bench: Bench) -> None:
    environment = {f"SIP_X_{number}": "x" * 100_000 for number in range(9)}
    assert len((await bench.run("/usr/bin/env", environment=environment)).stdout) == sum(
        len(name) + 2 + 100_000 for name in environment
    )


async def test_a_variable_that_the_system_does_not_take(bench: Bench) -> None:
    outcome = await bench.run("/usr/bin/env", environment={"SIP_X": "x" * 200_000})
    assert outcome.failure == "could not be started: Argument list too long"
    assert outcome.status is None
    assert not outcome.complete


@pytest.mark.parametrize("environment", [{"A": "b\0C=d"}, {"A\0": "b"}, {"": "b"}, {"A": "\ud800"}])
async def test_an_environment_that_cannot_be_is_a_failure(bench: Bench, environment: dict[str, str]) -> None:
    assert "could not be started" in ((await bench.run("/usr/bin/env", environment=environment)).failure or "")


@pytest.mark.rfc("3050", "5.4", "5.5.2-1", "5.5.2-2", "5.5.2-3")
@pytest.mark.parametrize("size", [0, 1, 5000, 65_536, 200_000, 1_048_576])
async def test_the_body_is_on_standard_input_and_ends(bench: Bench, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    outcome = await bench.run("/bin/cat", stdin=body[:size], max_output=2_000_000)
    assert outcome.stdout == body[:size]


@pytest.mark.parametrize("text", ["exit 0", "head -c 1 > /dev/null", "exec < /dev/null; sleep 0.1"])
async def test_a_body_that_nobody_reads(bench: Bench, text: str) -> None:
    outcome = await bench.sh(text, stdin=b"v" * 1_048_576, within=2.0)
    assert outcome.complete


async def test_descriptors_are_exactly_three(bench: Bench) -> None:
    listing = 'import os\nprint(sorted(os.listdir("/proc/self/fd"), key=int))'
    with open("/dev/null") as inheritable:
        os.set_inheritable(inheritable.fileno(), True)
        for body in (b"", b"v=0"):
            outcome = await bench.python(listing, stdin=body)
            assert outcome.stdout == b"['0', '1', '2', '3']\n"  # 3 is the listing's own
            outcome = await bench.run("/bin/ls", "/proc/self/fd", stdin=body)
            assert outcome.stdout.split() == [b"0", b"1", b"2", b"3"]


async def test_own_session_default_signals_nothing_blocked(bench: Bench) -> None:
    outcome = await bench.python(
        "import os, signal\n"
        "print(os.getsid(0) == os.getpid() == os.getpgid(0))\n"
        "for line in open('/proc/self/status'):\n"
        "    if line.startswith(('SigBlk', 'ShdPnd')): print(line.split()[1].strip('0'))\n"
    )
    assert outcome.stdout == b"True\n\n\n"
    ignored = await bench.run("/bin/grep", "SigIgn", "/proc/self/status")
    assert int(ignored.stdout.split()[1], 16) & ~(3 << 31) == 0  # 32 and 33 are glibc's own, which posix_spawn ignores


async def test_no_core_and_a_sane_limit_of_descriptors(bench: Bench) -> None:
    outcome = await bench.sh("ulimit -c; ulimit -n")
    core, descriptors = outcome.stdout.split()
    assert core == b"0"
    assert int(descriptors) <= 1024


@pytest.mark.parametrize("status", [1, 7, 255])
async def test_the_exit_status(bench: Bench, status: int) -> None:
    outcome = await bench.sh(f"echo partial; exit {status}")
    assert (outcome.status, outcome.signal, outcome.stdout) == (status, None, b"partial\n")
    assert not outcome.complete


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGPIPE])
async def test_the_signal_that_killed_it(bench: Bench, number: signal.Signals) -> None:
    outcome = await bench.sh(f"kill -{number.value} $$")
    assert (outcome.status, outcome.signal, outcome.timed_out) == (None, number, False)


@pytest.mark.parametrize(
    ("argv", "failure"),
    [
        (["/nonexistent/block.pl"], "No such file or directory"),
        (["/etc/passwd"], "Permission denied"),
        (["/"], "Permission denied"),
    ],
)
async def test_what_cannot_be_started(bench: Bench, argv: list[str], failure: str) -> None:
    assert (await bench.run(*argv)).failure == f"could not be started: {failure}"


async def test_text_without_interpreter_line_does_not_start(bench: Bench) -> None:
    outcome = await bench.run(bench.write("echo hello\n"))
    assert outcome.failure == "could not be started: Exec format error"


async def test_a_folder_that_is_gone(bench: Bench) -> None:
    outcome = await bench.run("/bin/true", directory=str(bench.folder / "gone"))
    assert outcome.failure == "could not be started: No such file or directory"


async def test_a_program_that_is_being_written_is_tried_twice(bench: Bench) -> None:
    program = bench.folder / "true"
    shutil.copy("/bin/true", program)
    with open(program, "ab"):
        assert (await bench.run(str(program))).failure == "could not be started: Text file busy"
    assert (await bench.run(str(program))).complete


async def test_a_script_replaced_under_load_always_runs(bench: Bench) -> None:
    path = bench.write("#!/bin/sh\necho old\n")
    for number in range(100):
        Path(bench.write("#!/bin/sh\necho new\n", f"new{number}")).rename(path)
        assert (await bench.run(path)).stdout == b"new\n"


async def test_standard_error_comes_line_by_line(bench: Bench) -> None:
    await bench.sh("printf 'one\\n\\ntwo\\r\\nth\\377ree' >&2")
    assert bench.lines == ["one", "two", "th\udcffree"]


async def test_standard_error_comes_while_the_script_runs(bench: Bench) -> None:
    seen: list[list[str]] = []
    run = bench.start(["/bin/sh", "-c", "echo early >&2; exec sleep 9"], lambda outcome: seen.append(bench.lines[:]))
    await bench.until(lambda: bench.lines, 1)
    run.end()
    await bench.until(lambda: seen, 1)
    assert seen == [["early"]]


async def test_runs_side_by_side(bench: Bench) -> None:
    outcomes = []
    for number in range(40):
        bench.start(["/bin/sh", "-c", f"sleep 0.2; echo {number}"], outcomes.append)
    assert bench.host.busy() == 40
    await bench.until(lambda: len(outcomes) >= 40, 3)
    assert sorted(int(outcome.stdout) for outcome in outcomes) == list(range(40))


async def test_more_orders_than_the_socket_holds(bench: Bench) -> None:
    outcomes = []
    for _ in range(250):
        bench.start(["/bin/true"], outcomes.append, environment={"SIP_X": "x" * 30_000})
    await bench.until(lambda: len(outcomes) >= 250, 10)
    assert all(outcome.complete for outcome in outcomes)


async def test_two_thousand_runs_leave_nothing_behind(bench: Bench) -> None:
    launcher = psutil.Process(bench.launcher)
    others = set(psutil.Process().children()) - {launcher}  # corpses of launchers that other tests killed
    path = bench.write("#!/bin/sh\n(exit 3) & echo x >&2; read line; echo $line\n")
    outcomes: list[object] = []
    await bench.run(path, stdin=b"v=0\n")
    ours, theirs = psutil.Process().num_fds(), launcher.num_fds()
    for _ in range(250):
        outcomes.clear()
        for _ in range(8):
            bench.start([path], outcomes.append, stdin=b"v=0\n")
        await bench.until(lambda: len(outcomes) >= 8, 5)
        assert all(outcome.stdout == b"v=0\n" for outcome in outcomes)  # type: ignore[attr-defined]
    await trio.sleep(0.05)
    assert (psutil.Process().num_fds(), launcher.num_fds()) == (ours, theirs)
    assert launcher.children(recursive=True) == []
    assert set(psutil.Process().children()) - others == {launcher}


async def test_no_descriptor_left_for_a_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python; compiled: test_plain_runs."""
    monkeypatch.setattr("sipcgi.hosts.runs.plain_start", lambda *arguments: False)
    before = psutil.Process().num_fds()
    pipe = os.pipe
    left = [1]

    def last_pipe() -> tuple[int, int]:
        if not left:
            raise OSError(24, "Too many open files")
        left.pop()
        return pipe()

    monkeypatch.setattr(os, "pipe", last_pipe)
    outcome = await bench.run("/bin/true")
    assert outcome.failure == "could not be started: Too many open files"
    assert psutil.Process().num_fds() == before


def test_the_launcher_starts_quickly(tmp_path: Path) -> None:
    """It must not hold up the server for long when it has to be started again."""
    from sipcgi.hosts.link import LAUNCHER

    started = psutil.Process().cpu_times()
    subprocess.run([sys.executable, "-I", "-S", LAUNCHER, "3"], stderr=subprocess.DEVNULL, check=False)
    ended = psutil.Process().cpu_times()
    assert ended.children_user + ended.children_system - started.children_user - started.children_system < 0.2
