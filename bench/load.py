"""Requests over UDP at a steady rate, sent again as RFC 3261 has it, from one socket: 25 us of processor time each."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from select import select

FIRST, LONGEST = 0.5, 4.0  # seconds: T1 and T2, between which the interval doubles (RFC 3261 17.1.2.2)
PATIENCE = 32.0  # seconds: 64*T1
BUFFER = 4 * 1024 * 1024


@dataclass
class Outcome:
    """How requests were answered."""

    offered: int = 0
    answered: int = 0
    """With the status that was expected."""
    refused: int = 0
    """With another final one."""
    retransmissions: int = 0
    seconds: float = 0.0
    """Until the last was answered."""
    latencies: list[float] = field(default_factory=list)
    """Milliseconds from the first sending to the final response."""

    @property
    def lost(self) -> int:
        return self.offered - self.answered - self.refused


class Load:
    """A user agent with many users: it also answers what the server sends it with 200, as all their contacts."""

    def __init__(self, server: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.server = ("127.0.0.1", server)
        self.port = self.socket.getsockname()[1]
        self.run = random.getrandbits(32)
        """In every branch and Call-ID: what comes for an earlier load is none of ours."""

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(
        self, number: int, rate: int, request: Callable[[int, str], str], expected: int = 200, at_once: int = 10**9
    ) -> Outcome:
        """Sends `request(n, ID)` for n from 0, `rate` a second, and waits for their final responses.

        ID is to be the end of the branch and of the Call-ID. No more than `at_once` wait for theirs at any time.
        """
        self.run += 1
        outcome = Outcome(offered=number)
        begin = now = moved = time.monotonic()
        open_: dict[int, tuple[float, bytes]] = {}  # by number; in the order of their sending
        again: list[tuple[float, int, float]] = []  # when, which, and the interval until then
        sent = 0
        while (sent < number or open_) and now < moved + PATIENCE:
            due = min(number, int((now - begin) * rate) + 1, sent + at_once - len(open_))
            for n in range(sent, due):
                octets = request(n, f"{n}.{self.run:x}").encode()
                open_[n] = (now, octets)
                heappush(again, (now + FIRST, n, FIRST))
                self._put(octets)
            sent, waiting = due, len(open_)
            while again and again[0][0] <= now:
                _, n, interval = heappop(again)
                if n in open_:
                    outcome.retransmissions += 1
                    self._put(open_[n][1])
                    interval = min(2 * interval, LONGEST)
                    heappush(again, (now + interval, n, interval))
            select([self.socket], [], [], 0.001)
            now = time.monotonic()
            self._take(open_, outcome, now, expected)
            if len(open_) != waiting:
                moved = now
        outcome.seconds = now - begin
        return outcome

    def throw(self, number: int, rate: int, request: Callable[[int, str], str]) -> None:
        """Sends `request(n, ID)` for n from 0, `rate` a second, once each, and waits for nothing."""
        self.run += 1
        for n in range(number):
            self._put(request(n, f"{n}.{self.run:x}").encode())
            time.sleep(1 / rate)

    def _put(self, octets: bytes) -> None:
        with suppress(BlockingIOError):  # lost, as in a network
            self.socket.sendto(octets, self.server)

    def _take(self, open_: dict[int, tuple[float, bytes]], outcome: Outcome, now: float, expected: int) -> None:
        while True:
            try:
                octets, source = self.socket.recvfrom(65536)
            except BlockingIOError:
                return
            if not octets.startswith(b"SIP/2.0 "):
                self._answer(octets, source)
                continue
            status = int(octets[8:11])
            if status < 200:
                continue
            name, run = _value(octets, b"\r\nCall-ID: ").split(b".")
            if int(run, 16) != self.run or (found := open_.pop(int(name), None)) is None:
                continue
            outcome.latencies.append((now - found[0]) * 1000)
            if status == expected:
                outcome.answered += 1
            else:
                outcome.refused += 1

    def _answer(self, request: bytes, source: tuple[str, int]) -> None:
        head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
        wanted = (b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:", b"Record-Route:")
        lines = [b"SIP/2.0 200 OK", *[line for line in head if line.startswith(wanted)], b"Content-Length: 0\r\n\r\n"]
        self.socket.sendto(b"\r\n".join(lines), source)


def _value(octets: bytes, name: bytes) -> bytes:
    return octets.partition(name)[2].partition(b"\r\n")[0]
