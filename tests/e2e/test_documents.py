"""docs/tutorial.md and docs/services.md, followed to the letter."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from document import Block, Terminal, blocks, commands, is_shown
from running import free_port
from wire_phone import Phone, talk

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TUTORIAL = list(blocks(ROOT / "docs" / "tutorial.md"))
SERVICES = list(blocks(ROOT / "docs" / "services.md"))
SERVER = "sipcgi --domain example.com"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What of one is used, to be written to."""
    made = tmp_path / "checkout"
    for name in ("sipcgi", "cgi-bin", "conf", "tests/golden"):
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__", "screen"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, made)
    return made


@pytest.fixture
def terminal(checkout: Path) -> Iterator[Terminal]:
    """In the checkout; unless the document installs it, sipcgi is the one under test."""
    programs = checkout.parent / "bin"
    programs.mkdir()
    wrapper = programs / "sipcgi"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m sipcgi "$@"\n')
    wrapper.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
    }
    with Terminal(checkout, environment) as made:
        yield made


@pytest.fixture
def server(checkout: Path) -> Iterator[Callable[[Terminal, list[str]], int]]:
    """Starts the tutorial's server on a port of its own, and waits until it shows what it should; its port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(terminal: Terminal, shown: list[str]) -> int:
        port = free_port()
        [path, folder] = terminal.type('echo "$PATH"; pwd')
        output = checkout.parent / "server.log"
        with output.open("wb") as file:
            command = [*SERVER.split(), "--listen", f"udp://127.0.0.1:{port}"]
            started = subprocess.Popen(
                ["/usr/bin/env", *command], cwd=folder, env={"PATH": path}, stdout=file, stderr=subprocess.STDOUT
            )
        running.append(started)
        end = time.monotonic() + 20
        while not is_shown(shown, printed := output.read_text().splitlines()):
            assert time.monotonic() < end, printed
            assert started.poll() is None, printed
            time.sleep(0.05)
        return port

    yield start
    for process in running:
        process.terminate()
        assert process.wait(10) == 0


def is_installation(block: Block) -> bool:
    return "pip install" in block.text


def test_the_tutorial(
    checkout: Path,
    terminal: Terminal,
    server: Callable[[Terminal, list[str]], int],
    phones: Callable[..., Phone],
    program: Callable[[str], str],
) -> None:
    """Its installation takes packages from the network: only where CI is set."""
    program("perl")
    port = 0
    for block in TUTORIAL:
        if block.file is not None:
            folder = Path(terminal.type("pwd")[0])
            (folder / block.file).write_text(block.text)
        elif block.language == "log":
            call(checkout.parent / "server.log", block.text.strip(), [phones(Number(port), user) for user in USERS])
        elif not is_installation(block) or os.environ.get("CI"):
            for command, shown in commands(block):
                if command == SERVER:
                    port = server(terminal, shown)
                else:
                    printed = terminal.type(command)
                    # pip warns of what the tutorial cannot know
                    good = terminal.status == 0 if is_installation(block) else is_shown(shown, printed)
                    assert good, "\n".join([f"$ {command}", *printed])
    assert port


USERS = ("alice", "bob", "mobile")


class Number:
    """Stands for a server of which only the port is known."""

    def __init__(self, port: int) -> None:
        self.port = port


def call(log: Path, shown: str, users: list[Phone]) -> None:
    """As the tutorial has it: Bob's phone rings and is busy, the mobile is answered, and there is the line for it."""
    alice, bob, mobile = users
    bob.register()
    mobile.register()
    invite = alice.invite(bob.aor)
    ringing = bob.expect("INVITE ")
    bob.answer(ringing, "180 Ringing")
    alice.expect("SIP/2.0 180")
    bob.answer(ringing, "486 Busy Here")
    bob.expect("ACK ")
    talk(alice, mobile, invite)
    end = time.monotonic() + 5
    while not any(is_shown([shown], [line]) for line in log.read_text().splitlines()):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    bob.socket.close()  # his phone is switched off
    talk(alice, mobile, alice.invite(bob.aor))


def test_the_transcripts_of_the_services(checkout: Path, terminal: Terminal, program: Callable[[str], str]) -> None:
    for name in ("perl", "tclsh", "ruby", "lua", "node", "php", "awk", "cc"):
        program(name)
    assert len(SERVICES) > 20
    for block in SERVICES:
        for command, shown in commands(block):
            printed = terminal.type(command)
            lines = [line for line in printed if re.match(r" +\d+ \||  ok ", line)]
            while lines and lines[-1].rstrip().endswith("|"):
                lines.pop()
            assert is_shown(shown, lines), "\n".join([f"$ {command}", *printed])


def test_each_service_is_in_the_table() -> None:
    text = (ROOT / "docs" / "services.md").read_text("utf-8")
    for sample in (ROOT / "cgi-bin").iterdir():
        if sample.is_file() and sample.suffix != ".txt" and sample.name != "screen":
            assert f"(../cgi-bin/{sample.name})" in text, sample.name
    for link in re.findall(r"\]\(([^):]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
