"""Many phones that hold a TCP connection each: the memory for one, and calls beside them."""

import resource
import selectors
import socket
import threading
import time
from pathlib import Path

from bench.server import Failed, Server
from bench.sipp import Callee, call
from bench.witness import Witness, report

PATIENCE = 60.0
AT_ONCE = 200
"""REGISTERs under way at a time."""
KEEP_ALIVE = 30.0  # seconds
RATE = 20  # calls a second
PING, PONG = b"\r\n\r\n", b"\r\n"
REGISTER = (
    "REGISTER sip:bench.test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:{port};rport;branch=z9hG4bK{user}\r\n"
    "Max-Forwards: 70\r\nFrom: <sip:phone{user}@bench.test>;tag={user}\r\nTo: <sip:phone{user}@bench.test>\r\n"
    "Call-ID: {user}\r\nCSeq: 1 REGISTER\r\nContact: <sip:phone{user}@127.0.0.1:{port};transport=tcp>\r\n"
    "Expires: 3600\r\nUser-Agent: bench/phone\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Phones:
    """Connections that registered; a context manager that closes them."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.selector = selectors.DefaultSelector()
        self.pongs = self.closed = self.pings = 0

    def __enter__(self) -> "Phones":
        return self

    def __exit__(self, *error: object) -> None:
        for sock in self.sockets:
            sock.close()

    def register(self, server: int, number: int) -> float:
        """Opens them and waits for every 200: seconds."""
        begin, waiting = time.monotonic(), 0
        while len(self.sockets) < number or waiting:
            while len(self.sockets) < number and waiting < AT_ONCE:
                sock = socket.create_connection(("127.0.0.1", server), PATIENCE)
                sock.setblocking(False)
                sock.send(REGISTER.format(port=sock.getsockname()[1], user=len(self.sockets)).encode())
                self.selector.register(sock, selectors.EVENT_READ)
                self.sockets.append(sock)
                waiting += 1
            for key, _ in self.selector.select(PATIENCE):
                answer = _receive(key.fileobj)
                if not answer.startswith(b"SIP/2.0 200"):
                    raise Failed(f"connection {len(self.sockets)}: {answer[:80]!r} to a REGISTER")
                waiting -= 1
            if time.monotonic() > begin + number / 500 + PATIENCE:
                raise Failed(f"{waiting} REGISTERs not answered in time")
        return time.monotonic() - begin

    def hold(self, seconds: float) -> None:
        """Sends keep-alives (RFC 5626 4.4.1), one after the other, and counts what comes back."""
        begin = now = time.monotonic()
        while now < begin + seconds:
            due = int((now - begin) * len(self.sockets) / KEEP_ALIVE)
            for n in range(self.pings, due):
                self.sockets[n % len(self.sockets)].send(PING)
            self.pings = due
            for key, _ in self.selector.select(0.01):
                if data := _receive(key.fileobj):
                    self.pongs += data == PONG
                else:
                    self.closed += 1
                    self.selector.unregister(key.fileobj)
            now = time.monotonic()


def _receive(sock: object) -> bytes:
    assert isinstance(sock, socket.socket)
    try:
        return sock.recv(4096)
    except BlockingIOError:
        return b"nothing"
    except OSError:
        return b""


def allow_files(number: int) -> None:
    """Raises Failed where this process may not have that many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        raise Failed(f"{number} descriptors are needed, {hard} allowed: see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))


def measure(number: int, seconds: float, work: Path) -> int:
    """Prints the result; 0 when no connection ended and no call failed."""
    with Callee(work, "tcp") as callee, Server(work, callee=callee.port) as server, Phones() as phones:
        allow_files(number + 1000)
        uri = f"sip:bob@127.0.0.1:{callee.port};transport=tcp"
        call(work, server.port, uri, RATE, RATE, "tcp")  # warm up
        time.sleep(1)
        before = server.look()
        with Witness(server.port) as opening:
            opened = phones.register(server.port, number)
        time.sleep(1)
        open_ = server.look()
        with Witness(server.port) as holding:
            beat = threading.Thread(target=phones.hold, args=(seconds,))
            beat.start()
            calls = call(work, server.port, uri, int(seconds * RATE / 2), RATE, "tcp")
            beat.join()
        after = server.look()
        status = server.stop()
    each = (open_.resident_kib - before.resident_kib) / number
    print(f"connections      {number} opened and registered in {opened:.1f} s, {phones.closed} ended by the server")
    print(f"memory           {each:.2f} KiB each with its contact (target: at most 16), {after.resident_kib} in all")
    print(f"CPU              {1000 * (open_.cpu - before.cpu) / number:.3f} ms each to open and register")
    print(f"keep-alives      {phones.pongs} of {phones.pings} answered")
    print(f"calls            {calls.successful} of {calls.offered} at {RATE}/s over TCP, {calls.slow} over 100 ms")
    report(
        [*[f"opening: {line}" for line in opening.report()], *[f"then: {line}" for line in holding.report()]],
        server.stand_stills(),
    )
    return 1 if calls.failed or phones.closed or status else 0
