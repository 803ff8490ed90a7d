"""SIPp as the caller and as the callee."""

import csv
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.server import Failed, free_port

SCENARIOS = Path(__file__).parent / "scenarios"
PATIENCE = 40  # seconds after the last call was due


@dataclass
class Calls:
    """The outcome of a load."""

    offered: int
    successful: int
    retransmissions: int
    slow: int
    """Answered later than 100 ms after the INVITE."""
    errors: str

    @property
    def failed(self) -> int:
        return self.offered - self.successful


def start(scenario: str, work: Path, *arguments: object, transport: str = "udp") -> "subprocess.Popen[bytes]":
    """SIPp with one socket (`u1`, `t1`), its statistics in `work`/`scenario`.csv, its errors in .log."""
    command = ["sipp", "-sf", SCENARIOS / f"{scenario}.xml", "-i", "127.0.0.1", "-nostdin", "-t", f"{transport[0]}1"]
    command += ["-trace_stat", "-stf", work / f"{scenario}.csv", "-fd", "1"]
    command += ["-trace_err", "-error_file", work / f"{scenario}.log", "-buff_size", "4000000"]
    try:
        return subprocess.Popen(
            [*map(str, command), *map(str, arguments)],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise Failed("SIPp is not installed: apt-get install sip-tester") from error


class Callee:
    """The called side; a context manager that ends it."""

    def __init__(self, work: Path, transport: str) -> None:
        self.port = free_port()
        self.process = start("callee", work, "-p", self.port, transport=transport)

    def __enter__(self) -> "Callee":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()


def call(work: Path, server: int, uri: str, number: int, rate: int, transport: str) -> Calls:
    """Makes `number` calls, `rate` each second, and waits until they have ended."""
    _allow_files(number)
    for kind in ("csv", "log"):
        (work / f"caller.{kind}").unlink(missing_ok=True)
    load = ("-m", number, "-r", rate, "-l", number, "-key", "uri", uri, "-p", free_port(), f"127.0.0.1:{server}")
    process = start("caller", work, *load, transport=transport)
    try:
        process.wait(number / rate + PATIENCE)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return _outcome(work, number)


def _allow_files(number: int) -> None:
    """SIPp wants as many files as there are calls, though it opens none for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number + 100, hard), hard))


def _outcome(work: Path, number: int) -> Calls:
    try:
        with (work / "caller.csv").open() as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
    except (OSError, IndexError) as error:
        raise Failed("SIPp made no statistics; its errors are: " + _errors(work)) from error
    late = sum(int(last.get(f"ResponseTimeRepartition1_{name}", 0)) for name in ("<500", "<1000", ">=1000"))
    return Calls(number, int(last["SuccessfulCall(C)"]), int(last["Retransmissions(C)"]), late, _errors(work))


def _errors(work: Path) -> str:
    path = work / "caller.log"
    return path.read_text(errors="replace")[:2000] if path.exists() else ""
