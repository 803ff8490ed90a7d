"""SIPp calls SIPp through the server: whole calls by the thousand, none of which may fail."""

import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import HOST, Server, free_port

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
SCENARIOS = Path(__file__).parent / "scenarios"
OURS = "sip:bob@example.com"  # nobody has registered there: only a script leads anywhere
CALLS, RATE = 1000, 100
PYTHON_RATE = 50  # it takes several times as long to start as the others
MARGIN = 10.0  # seconds for a load beyond its own length

PROXY = {
    "sh": '#!/bin/sh\necho "CGI-PROXY-REQUEST sip:bob@$CALLEE SIP/2.0"\necho\nexit 0\n',
    "pl": '#!/usr/bin/perl\nprint "CGI-PROXY-REQUEST sip:bob\\@$ENV{CALLEE} SIP/2.0\\n\\n";\n',
    "py": (
        f"#!{os.path.realpath(sys.executable)} -IS\nimport os\n\n"
        "print(f\"CGI-PROXY-REQUEST sip:bob@{os.environ['CALLEE']} SIP/2.0\\n\")\n"
    ),
}
FORK = """#!/bin/sh
for phone in $CALLEE $OTHER; do
    printf 'CGI-PROXY-REQUEST sip:bob@%s SIP/2.0\\n\\n' "$phone"
done
exit 0
"""


class Load:
    """SIPp processes of one test."""

    def __init__(self, sipp: str, folder: Path) -> None:
        self.sipp = sipp
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        # SIPp wants as many descriptors as there may be calls, though one socket is all it opens.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))

    def start(self, name: str, *arguments: object) -> "Side":
        folder = self.folder / f"sipp{len(self.processes)}"
        folder.mkdir()
        command = [self.sipp, "-sf", SCENARIOS / f"{name}.xml", "-i", HOST, "-nostdin", "-t", "u1"]
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

    def callee(self, name: str, calls: int) -> tuple["Side", str]:
        """The called side and its host:port; it ends by itself after so many calls."""
        port = free_port()
        side = self.start(name, "-p", port, "-m", calls)
        end = time.monotonic() + MARGIN
        taken = f"0100007F:{port:04X} "
        while taken not in Path("/proc/net/udp").read_text():
            assert time.monotonic() < end, side.errors()
            time.sleep(0.02)
        return side, f"{HOST}:{port}"

    def caller(self, name: str, server: Server, uri: str, calls: int, rate: int = RATE) -> "Side":
        load = ("-p", free_port(), "-m", calls, "-r", rate, "-l", calls, "-key", "uri", uri)
        return self.start(name, *load, f"{HOST}:{server.port}")

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


@pytest.fixture
def load(program: Callable[[str], str], tmp_path: Path) -> Iterator[Load]:
    running = Load(program("sipp"), tmp_path)
    yield running
    running.end()


def environment(**variables: str) -> str:
    return json.dumps(variables)  # YAML, too


@pytest.mark.parametrize("ending", PROXY)
def test_a_script_decides_each_call(load: Load, serve: Serve, program: Callable[[str], str], ending: str) -> None:
    if ending == "pl":
        program("perl")
    callee, place = load.callee("callee", CALLS)
    server = serve({f"invite.{ending}": PROXY[ending]}, timeout="20s", environment=environment(CALLEE=place))
    rate = PYTHON_RATE if ending == "py" else RATE
    load.caller("caller", server, OURS, CALLS, rate).has_made(CALLS)
    callee.has_made(CALLS)
    script = f"script=invite.{ending}"
    server.access("INVITE", 200, script, "runs=1", f"targets=sip:bob@{place}", number=CALLS)
    server.access("BYE", 200, "route=dialog", number=CALLS)
    assert len(server.lines(" access ")) == 2 * CALLS


def test_plain_relay(load: Load, serve: Serve) -> None:
    callee, place = load.callee("callee", CALLS)
    server = serve()
    load.caller("caller", server, f"sip:bob@{place}", CALLS).has_made(CALLS)
    callee.has_made(CALLS)
    server.access("INVITE", 200, "route=default", number=CALLS)
    server.access("BYE", 200, "route=dialog", number=CALLS)


def test_forking_to_one_who_is_busy_and_one_who_answers(load: Load, serve: Serve) -> None:
    calls = 200
    answers, place = load.callee("callee", calls)
    is_busy, other = load.callee("busy-callee", calls)
    server = serve({"invite.sh": FORK}, environment=environment(CALLEE=place, OTHER=other))
    load.caller("caller", server, OURS, calls).has_made(calls)
    answers.has_made(calls)
    is_busy.has_made(calls)


def test_forking_to_two_who_ring_of_which_one_answers(load: Load, serve: Serve) -> None:
    calls = 200
    answers, place = load.callee("callee", calls)
    rings, other = load.callee("cancel-callee", calls)
    server = serve({"invite.sh": FORK}, environment=environment(CALLEE=place, OTHER=other))
    load.caller("caller", server, OURS, calls).has_made(calls)
    answers.has_made(calls)
    rings.has_made(calls)


def test_cancel(load: Load, serve: Serve) -> None:
    calls = 200
    callee, place = load.callee("cancel-callee", calls)
    server = serve({"invite.sh": PROXY["sh"]}, environment=environment(CALLEE=place))
    load.caller("cancel-caller", server, OURS, calls).has_made(calls)
    callee.has_made(calls)
    server.access("INVITE", 487, "script=invite.sh", number=calls)


def test_busy(load: Load, serve: Serve) -> None:
    calls = 200
    callee, place = load.callee("busy-callee", calls)
    server = serve({"invite.sh": PROXY["sh"]}, environment=environment(CALLEE=place))
    load.caller("busy-caller", server, OURS, calls).has_made(calls)
    callee.has_made(calls)
    server.access("INVITE", 486, "script=invite.sh", number=calls)
