"""The server under test: `sipcgi serve` as a process, with a configuration and scripts of its own."""

import itertools
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 5.0  # seconds for what should take milliseconds
START = 20.0  # seconds until it listens, on a busy machine
# Below those of ip_local_port_range, which the system gives to others; none comes twice in one test
PORTS = itertools.cycle(random.sample(range(20000, 32000, 2), 6000))


def free_port() -> int:
    """One that is free for UDP and TCP together with the next."""
    return next(port for port in PORTS if all(is_free(number) for number in (port, port + 1)))


def is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def wait_or_kill(process: subprocess.Popen[Any]) -> int:
    """The exit status of a program that was told to end."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def url(scheme: str) -> str:
    """For `listen`, of a transport that is a stream."""
    return f"{scheme}://{HOST}:{free_port()}"


class Server:
    """`sipcgi serve` in a folder of its own, with what it prints in a file."""

    def __init__(
        self,
        folder: Path,
        scripts: dict[str, str],
        configuration: str,
        *,
        listen: Sequence[str] = (),
        domains: str = "example.com, gateway.example.com",
        program: Sequence[str | Path] = ("-m", "sipcgi"),
        **settings: str,
    ) -> None:
        """`listen` are URLs beside that of UDP, `program` what Python is to run as sipcgi."""
        self.port = free_port()
        self.listen = listen
        self.domains = domains
        self.program = program
        self.folder = folder
        self.scripts = folder / "cgi-bin"
        self.scripts.mkdir(parents=True)
        for name, text in scripts.items():
            self.write(name, text)
        self.configuration = folder / "sipcgi.yaml"
        self.configure(configuration, **settings)
        self.output = folder / "output.log"
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, *self.program, "serve", "--config", self.configuration],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> None:
        """Waits until it listens."""
        self.wait_for(f"udp://{HOST}:{self.port}", within=START)

    def configure(self, more: str = "", **settings: str) -> None:
        """`settings` are keys below `scripts`, `more` whatever else the file should say."""
        lines = [f"listen: {json.dumps([f'udp://{HOST}:{self.port}', *self.listen])}", f"domains: [{self.domains}]"]
        lines += ["scripts:", "  directory: cgi-bin", *(f"  {key}: {value}" for key, value in settings.items())]
        self.configuration.write_text("\n".join([*lines, more, ""]))

    def place(self, scheme: str = "udp") -> str:
        """The host:port where it listens."""
        if scheme == "udp":
            return f"{HOST}:{self.port}"
        [found] = [one.partition("://")[2] for one in self.listen if one.startswith(f"{scheme}:")]
        return found

    def write(self, name: str, text: str, mode: int = 0o755) -> Path:
        """Puts a script in its place in one step, as an editor or `install` does."""
        path = self.scripts / name
        new = self.folder / f".new-{name}"
        new.write_text(text)
        new.chmod(mode)
        new.rename(path)
        return path

    def log(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def lines(self, *parts: str) -> list[str]:
        """Those that hold all of the parts."""
        return [line for line in self.log().splitlines() if all(part in line for part in parts)]

    def wait_for(self, *parts: str, number: int = 1, within: float = PATIENCE) -> str:
        """The last of `number` lines that hold all of the parts, which may be written only now."""
        end = time.monotonic() + within
        while len(found := self.lines(*parts)) < number:
            ended = self.process.poll()
            assert ended is None, f"the server ended with status {ended}:\n{self.log()}"
            assert time.monotonic() < end, f"{len(found)} of {number} lines with {parts}"
            time.sleep(0.02)
        return found[-1]

    def access(self, method: str, status: int, *parts: str, number: int = 1, within: float = PATIENCE) -> str:
        return self.wait_for(f" access method={method} ", f" status={status} ", *parts, number=number, within=within)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Its exit status, -9 when it would not end by itself."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return wait_or_kill(self.process)


def field(line: str, name: str) -> str:
    """A value of a log line."""
    found = re.search(rf' {name}=("(?:[^"\\]|\\.)*"|\S+)', line)
    assert found is not None, f"no {name} in {line}"
    return found[1]
