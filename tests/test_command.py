"""Signals from the first moment on: a server that is told to stop while it loads ends as cleanly as any other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sipcgi.command import serves

CONFIGURATION = "listen: udp://127.0.0.1:0\nscripts: {directory: .}\n"


@pytest.mark.parametrize(
    ("arguments", "yes"),
    [
        ("", True),
        ("serve", True),
        ("serve --config x", True),
        ("--config x", True),
        ("--listen=udp://0.0.0.0", True),
        ("check", False),
        ("try serve", False),
        ("--help", False),
        ("--version", False),
        ("-h", False),
    ],
)
def test_which_arguments_make_it_a_server(arguments: str, yes: bool) -> None:
    assert serves(arguments.split()) == yes


def start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    (folder / "sipcgi.yaml").write_text(CONFIGURATION)
    return subprocess.Popen(
        [sys.executable, "-m", "sipcgi", *arguments, "--config", "sipcgi.yaml"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wait_until_signals_are_caught(process: "subprocess.Popen[bytes]") -> None:
    """SIGHUP comes last, and no interpreter catches it by itself."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGHUP - 1) & 1:
            return
    raise AssertionError("they never are")


@pytest.mark.parametrize("arguments", [("serve",), ()])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [0.0, 0.1, 0.3])
def test_a_server_that_is_told_to_stop_while_it_loads(
    tmp_path: Path, arguments: tuple[str, ...], number: int, after: float
) -> None:
    with start(tmp_path, *arguments) as process:
        wait_until_signals_are_caught(process)
        time.sleep(after)
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert "Abort" not in process.stderr.read().decode()


def test_a_reload_while_it_loads_changes_nothing(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        wait_until_signals_are_caught(process)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
        assert process.poll() is None
        process.terminate()
        assert process.wait(20) == 0


def test_a_check_that_is_interrupted_is_not_passed(tmp_path: Path) -> None:
    """Its status says whether the configuration is right."""
    os.mkfifo(tmp_path / "fifo")
    arguments = [sys.executable, "-m", "sipcgi", "check", "--config", "fifo"]
    with subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        time.sleep(0.5)
        process.terminate()
        assert process.wait(20) != 0


def test_signals_are_looked_after_before_anything_slow_is_imported() -> None:
    program = "import sys, sipcgi.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"click", "trio", "yaml", "pydantic", "typing", "sipcgi.cli"} & set(done.stdout.split())
