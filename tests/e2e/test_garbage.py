"""What lives longer than a moment holds no cycles: only what is young is ever collected (engine/garbage.py)."""

import signal
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from authority import Authority
from running import HOST, Server, url
from wire_phone import Phone, talk

WATCHED = """
import gc, signal, sys
from sipcgi.cli import main

def told(number, frame):
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = sorted({type(one).__qualname__ for one in gc.garbage})
    gc.garbage.clear()
    gc.set_debug(0)
    print("cycles:", " ".join(kinds), flush=True)

signal.signal(signal.SIGUSR2, told)
gc.set_threshold = lambda *numbers: gc.disable()
real = gc.collect
gc.collect = lambda *generation: 0 if generation else real()
main(prog_name="sipcgi")
"""
OPTIONS = (
    b"OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;rport;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)
PIECES = {
    "no SIP": b"\0\1\r\n\r\n" * 3 + b"A" * 70_000,
    "half a message": b"OPTIONS sip:example.com SIP/2.0\r\nVia:",
    "no length": b"OPTIONS sip:example.com SIP/2.0\r\n\r\n",
    "keep-alive": b"\r\n\r\n",
    "nothing": b"",
}
AGAIN = """#!/bin/sh
[ "$SIPCGI_EVENT" = response ] && exit 0
echo "CGI-AGAIN yes SIP/2.0"
echo
echo "CGI-SET-COOKIE one SIP/2.0"
echo
echo "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0"
echo
echo "CGI-PROXY-REQUEST sip:nobody@example.com SIP/2.0"
echo
"""
SCRIPTS = {
    "invite.sh": AGAIN,
    "notify.sh": "#!/bin/sh\nsleep 5\n",
    "message.sh": "#!/bin/sh\necho nonsense\n",
    "subscribe.sh": "#!/bin/sh\nexit 3\n",
    "info.sh": "#!/bin/sh\necho 'CGI-PROXY-REQUEST sip:x@127.0.0.1:9;transport=tcp SIP/2.0'\necho\n",
}


@pytest.fixture
def server(serve: Callable[..., Server], authority: Authority, tmp_path: Path) -> Server:
    program = tmp_path / "watched.py"
    program.write_text(WATCHED)
    configuration = f"location: {{store: sqlite:///location.db}}\n{authority.configuration(HOST)}"
    return serve(SCRIPTS, configuration, listen=[url("tcp"), url("ws"), url("tls")], program=[program], timeout="300ms")


def cycles(server: Server) -> list[str]:
    """The kinds of objects in cycles that nobody needs any more."""
    told = len(server.lines("cycles:"))
    server.signal(signal.SIGUSR2)
    return server.wait_for("cycles:", number=told + 1).split()[1:]


def test_calls_registrations_and_scripts_leave_no_cycles(server: Server, phones: Callable[..., Phone]) -> None:
    cycles(server)  # those of the start
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    talk(alice, bob, alice.invite("sip:bob@example.com"))
    invite = alice.invite("sip:bob@example.com")
    bob.take("486 Busy Here")
    alice.ack(invite, alice.expect("SIP/2.0 48"))
    invite = alice.invite("sip:bob@example.com")
    request = bob.expect("INVITE")
    bob.answer(request, "180 Ringing")
    alice.expect("SIP/2.0 180")
    alice.cancel(invite)
    bob.answer(bob.expect("CANCEL"), "200 OK")
    bob.answer(request, "487 Request Terminated")
    bob.expect("ACK")
    alice.expect("SIP/2.0 200")
    alice.ack(invite, alice.expect("SIP/2.0 4"))
    for method, status in (("NOTIFY", 504), ("MESSAGE", 500), ("SUBSCRIBE", 500), ("INFO", 500), ("OPTIONS", 480)):
        alice.request(method, "sip:carol@example.com")
        alice.expect(f"SIP/2.0 {status}")
    alice.raw("REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK\r\nFrom: &\r\n\r\n")
    time.sleep(0.5)  # until the host has forgotten what ran
    assert cycles(server) == []


@pytest.mark.parametrize("scheme", ["tcp", "ws", "tls"])
def test_connections_leave_no_cycles_however_they_end(server: Server, scheme: str) -> None:
    cycles(server)
    for name, piece in PIECES.items():
        for reset in (False, True):
            with connected(server, scheme) as caller:
                with suppress(OSError):  # the server may close it before it has all
                    caller.sendall(piece)
                end(caller, reset)
            assert (name, cycles(server)) == (name, [])


def test_secure_connections_leave_no_cycles_however_they_end(server: Server, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.file)
    cycles(server)
    for name, piece in (PIECES | {"a request": OPTIONS}).items():
        for way in ("closed", "reset", "unwrapped"):
            with context.wrap_socket(connected(server, "tls"), server_hostname=HOST) as caller:
                with suppress(OSError):
                    caller.sendall(piece)
                if name == "a request":
                    assert caller.recv(4096).startswith(b"SIP/2.0 200")
                if way == "unwrapped":
                    with suppress(OSError):  # the server has closed it already
                        caller.unwrap()
                end(caller, way == "reset")
            assert (name, way, cycles(server)) == (name, way, [])


def connected(server: Server, scheme: str) -> socket.socket:
    host, _, port = server.place(scheme).partition(":")
    return socket.create_connection((host, int(port)), 5)


def end(caller: socket.socket, reset: bool) -> None:
    time.sleep(0.05)
    if reset:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()
    time.sleep(0.05)
