"""SIPp as a process: one of our scenarios or of its own, how many calls it made, and what it sent and received."""

import csv
import re
import resource
import subprocess
import time
from pathlib import Path

import pytest
from running import HOST, Server, free_port
from wire_phone import Message

SCENARIOS = Path(__file__).parent / "scenarios"
RATE = 100  # calls a second
PYTHON_RATE = 50  # where each starts a Python, which takes several times as long as other scripts
MARGIN = 10.0  # seconds for a load beyond its own length
TRACE = ("-trace_msg", "-message_file", "messages.log")
TRACED = re.compile(r"^\S+ message (sent|received) .*:\n\n((?:.*\n)*?)\n?(?=-{20,} |\Z)", re.M)


class Load:
    """SIPp processes of one test."""

    def __init__(self, sipp: str, folder: Path) -> None:
        self.sipp = sipp
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        # SIPp wants as many descriptors as there may be calls, though one socket is all it opens.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))

    def start(self, name: str | Path, *arguments: object) -> "Side":
        """`name` is a scenario of SIPp's own, one of ours, or a file."""
        folder = self.folder / f"sipp{len(self.processes)}"
        folder.mkdir()
        path = SCENARIOS / f"{name}.xml" if isinstance(name, str) else name
        scenario = ("-sf", path) if path.exists() else ("-sn", name)
        command = [self.sipp, *scenario, "-i", HOST, "-nostdin", "-t", "u1"]
        command += ["-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-trace_err", "-error_file", "errors.log"]
        process = subprocess.Popen(
            [*map(str, command), *map(str, arguments)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return Side(process, folder)

    def callee(self, name: str | Path, calls: int, *arguments: object) -> tuple["Side", str]:
        """The called side and its host:port; it ends by itself after so many calls."""
        tcp = "t1" in arguments
        port = free_port()
        side = self.start(name, "-p", port, "-m", calls, *arguments)
        end = time.monotonic() + MARGIN
        taken = f"0100007F:{port:04X} "
        while taken not in Path("/proc/net/tcp" if tcp else "/proc/net/udp").read_text():
            assert time.monotonic() < end, side.errors()
            time.sleep(0.02)
        return side, f"{HOST}:{port}"

    def caller(self, name: str, server: Server, uri: str, calls: int, rate: int = RATE, *arguments: object) -> "Side":
        load = ("-p", free_port(), "-m", calls, "-r", rate, "-l", calls, "-key", "uri", uri)
        return self.start(name, *load, *arguments, f"{HOST}:{server.port}")

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class Side:
    """One SIPp."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self.process = process
        self.folder = folder

    def errors(self) -> str:
        path = self.folder / "errors.log"
        return path.read_text(errors="replace")[:3000] if path.exists() else "SIPp says nothing"

    def has_made(self, calls: int) -> None:
        """Waits for its end: every call went as the scenario says."""
        try:
            status = self.process.wait(calls / PYTHON_RATE + MARGIN)
        except subprocess.TimeoutExpired:
            pytest.fail(f"SIPp does not end:\n{self.errors()}")
        with (self.folder / "statistics.csv").open() as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        made, failed = int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
        assert (status, made, failed) == (0, calls, 0), self.errors()

    def traced(self) -> list[tuple[str, Message]]:
        """What was "sent" and "received", if it was started with TRACE."""
        text = (self.folder / "messages.log").read_bytes().decode()
        return [(way, Message(octets)) for way, octets in TRACED.findall(text)]

    def received(self, start: str) -> list[Message]:
        """The messages that begin so, without repetitions."""
        texts = [
            message.text for way, message in self.traced() if way == "received" and message.start.startswith(start)
        ]
        return [Message(text) for text in dict.fromkeys(texts)]
