"""A process beside the server that asks it for a sign of life a hundred times a second: `python -m bench.witness PORT`.

Before each OPTIONS it sleeps, and notes by how much it overslept: what the machine itself does to a process that only
waits. It prints both, in milliseconds, when its standard input is closed.
"""

import json
import socket
import subprocess
import sys
import time
from contextlib import suppress
from select import select

from bench.server import OPTIONS

PAUSE = 0.01
PATIENCE = 1.0


class Witness:
    """The process; a context manager. `answers` and `oversleeps` in milliseconds are there after its end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[float] = []
        self.oversleeps: list[float] = []

    def __enter__(self) -> "Witness":
        command = [sys.executable, "-m", "bench.witness", str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *error: object) -> None:
        told, _ = self.process.communicate(timeout=10)
        if not self.process.returncode:
            self.answers, self.oversleeps = json.loads(told)

    def report(self) -> list[str]:
        return [
            f"OPTIONS answered in ms: {spread(self.answers)}",
            f"the machine: overslept by ms: {spread(self.oversleeps)}",
        ]


def report(witness: list[str], loop: list[str]) -> None:
    """Prints what the witness saw, and what the server's own watch did."""
    for title, lines in (("the witness", witness), ("the loop", loop)):
        for line in lines:
            print(f"{title:16} {line}")
            title = ""


def spread(values: list[float]) -> str:
    """Values in milliseconds in a few words."""
    values = sorted(values)
    if not values:
        return "none"
    middle, late, last, longest = (values[int(share * (len(values) - 1))] for share in (0.5, 0.99, 0.999, 1))
    over = f"{sum(value > 10 for value in values)} of {len(values)} over 10"
    return f"median {middle:.1f}, 99 % {late:.1f}, 99.9 % {last:.1f}, longest {longest:.1f}, {over}"


def main(port: int) -> None:
    answers, oversleeps = [], []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(("127.0.0.1", port))
        own, number = sock.getsockname()[1], 0
        while not select([sys.stdin], [], [], 0)[0]:
            begin = time.perf_counter()
            time.sleep(PAUSE)
            middle = time.perf_counter()
            oversleeps.append((middle - begin - PAUSE) * 1000)
            number += 1
            text = OPTIONS.format(port=port, own=own).replace(f"ready-{own}", f"{number}-{own}")
            sock.send(text.replace(f"z9hG4bK{own}", f"z9hG4bK{own}.{number}").encode())
            with suppress(OSError):  # its time counts
                sock.recv(2000)
            answers.append((time.perf_counter() - middle) * 1000)
    print(json.dumps([answers, oversleeps]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
