"""Very many runs of a script: how many a second, and what each leaves behind."""

import socket
import time
from pathlib import Path

from bench.server import BUSY, Failed, Server

AT_ONCE = 8
WARM = 5000  # runs before the first look
SETTLE = 2.0  # seconds
PATIENCE = 10.0
MOST_KIB = 5 * 1024
MESSAGE = (
    "MESSAGE sip:bob@bench.test SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:{port};rport;branch=z9hG4bK{id}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:bench@bench.test>;tag=1\r\nTo: <sip:bob@bench.test>\r\n"
    "Call-ID: {id}\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
)


class Line:
    """A connection over which requests come as fast as they are answered. Over TCP no transaction lingers (RFC 3261
    17.2.2, Timer J), so that nothing but the runs themselves can make the server grow."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.port = self.socket.getsockname()[1]
        self.sent = 0

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def run(self, number: int) -> tuple[int, float]:
        """How many were answered with 486, and in how many seconds all were answered. Raises Failed."""
        begin = time.monotonic()
        for _ in range(min(AT_ONCE, number)):
            self._ask()
        left, good, octets = number, 0, b""
        while left:
            try:
                octets += self.socket.recv(65536)
            except TimeoutError as error:
                raise Failed(f"{left} of {number} runs were not answered in {PATIENCE:.0f} s") from error
            *answers, octets = octets.split(b"\r\n\r\n")
            for answer in answers:
                good += answer.startswith(b"SIP/2.0 486 ")
                left -= 1
                if left >= AT_ONCE:
                    self._ask()
        return good, time.monotonic() - begin

    def _ask(self) -> None:
        self.sent += 1
        self.socket.sendall(MESSAGE.format(transport="TCP", port=self.port, id=f"run{self.sent}").encode())


def measure(number: int, work: Path) -> int:
    """Prints the result; 0 when all were answered and nothing is left of them."""
    with Server(work, scripts={"message.sh": BUSY}) as server, Line(server.port) as line:
        line.run(WARM)
        time.sleep(SETTLE)
        before = server.look()
        good, seconds = line.run(number)
        time.sleep(SETTLE)
        after = server.look()
    status = server.process.returncode
    grown = after.resident_kib - before.resident_kib
    print(f"runs             {good} of {number} answered, {number / seconds:.0f} a second, {AT_ONCE} at once")
    print(f"CPU              {1000 * (after.cpu - before.cpu) / number:.3f} ms a run (server and all its children)")
    print(f"processes        {before.processes} -> {after.processes}, zombies {before.zombies} -> {after.zombies}")
    print(f"descriptors      {before.descriptors} -> {after.descriptors}")
    print(f"threads          {before.threads} -> {after.threads}")
    print(f"resident         {before.resident_kib} -> {after.resident_kib} KiB (target: at most {MOST_KIB} more)")
    print("\n".join(f"{'the loop' if not n else '':16} {text}" for n, text in enumerate(server.stand_stills())))
    kept = ("processes", "zombies", "descriptors", "threads")
    same = all(getattr(before, name) == getattr(after, name) for name in kept)
    return 0 if good == number and same and grown < MOST_KIB and not status else 1
