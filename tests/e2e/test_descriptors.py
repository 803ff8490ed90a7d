"""The descriptors of the server: it takes all that are allowed, and lives on when there are none left."""

import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from running import HOST, Server, url
from wire_phone import Phone, talk

TICK = os.sysconf("SC_CLK_TCK")
SCRIPT = "#!/bin/sh\necho 'SIP/2.0 486 Busy Here'\necho\n"
OPTIONS = (
    "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP {0}:1;rport;branch=z9hG4bK{1}\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: {1}\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


@contextmanager
def soft_limit(number: int) -> Iterator[int]:
    """For what is started meanwhile; the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_is_raised_to_the_hard_one_but_not_for_scripts(
    serve: Callable[..., Server], phones: Callable[..., Phone]
) -> None:
    with soft_limit(512) as hard:
        server = serve({"invite.sh": '#!/bin/sh\necho "SIP/2.0 400 $(ulimit -Sn)"\necho\n'})
    assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    alice = phones(server, "alice")
    alice.ack(alice.invite("sip:bob@example.com"), alice.expect("SIP/2.0 400 1024"))


def test_calls_go_on_when_no_descriptors_are_left(serve: Callable[..., Server], phones: Callable[..., Phone]) -> None:
    """New connections wait, scripts are answered for with 500, the processor rests; later all goes on as before."""
    server = serve({"message.sh": SCRIPT}, listen=[url("tcp")])
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    host, _, port = server.place("tcp").partition(":")
    pid = server.process.pid
    allowed = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 2, allowed[1]))
    with ExitStack() as stack:
        callers = [stack.enter_context(socket.create_connection((host, int(port)), 5)) for _ in range(6)]
        for number, caller in enumerate(callers):
            caller.sendall(OPTIONS.format(HOST, number).encode())
        server.wait_for("Too many open files")
        began = cpu(pid)
        talk(alice, bob, alice.invite("sip:bob@example.com"))
        alice.request("MESSAGE", "sip:bob@example.com")
        alice.expect("SIP/2.0 500")
        time.sleep(1)
        assert cpu(pid) - began < 0.3
        resource.prlimit(pid, resource.RLIMIT_NOFILE, allowed)
        for caller in callers:
            assert caller.recv(4096).startswith(b"SIP/2.0 200")
    alice.request("MESSAGE", "sip:bob@example.com")
    alice.expect("SIP/2.0 486")


def cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK
