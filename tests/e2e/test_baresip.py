"""Two baresip telephones register here and call each other through a script."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from running import HOST, PATIENCE, Server, free_port

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
DOMAIN = "example.com"
SCRIPT = """#!/usr/bin/perl
print "CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\\nSubject: seen by Perl\\n\\n";
"""
CONFIGURATION = """
poll_method epoll
sip_listen {host}:{port}
net_interface {host}
audio_player aubridge,nil
audio_source aubridge,nil
audio_alert aubridge,nil
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
"""
ACCOUNT = '<sip:{user}@{domain}>;auth_pass=none;outbound="sip:{host}:{server}";regint=60{more}\n'


def modules() -> str:
    """Where the distribution puts them."""
    found = [*Path("/usr/lib").glob("baresip/modules"), *Path("/usr/lib").glob("*/baresip/modules")]
    assert found, "baresip has no modules"
    return str(found[0])


def sip_port() -> int:
    """One that is free together with the next, where baresip listens for TLS."""
    while True:
        port = free_port(socket.SOCK_STREAM)
        try:
            for kind, number in ((socket.SOCK_DGRAM, port), (socket.SOCK_STREAM, port + 1)):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind((HOST, number))
        except OSError:
            continue
        return port


class Agent:
    """One baresip, driven through its module ctrl_tcp: netstrings of JSON."""

    def __init__(self, baresip: str, folder: Path, user: str, server: int, more: str = "") -> None:
        folder.mkdir()
        control = free_port(socket.SOCK_STREAM)
        places = {"host": HOST, "port": sip_port(), "control": control, "modules": modules()}
        (folder / "config").write_text(CONFIGURATION.format(**places))
        (folder / "accounts").write_text(ACCOUNT.format(user=user, domain=DOMAIN, host=HOST, server=server, more=more))
        self.output = folder / "output.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [baresip, "-f", folder], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self.aor = f"sip:{user}@{DOMAIN}"
        self.control = self.connect(control)
        self.octets = b""

    def connect(self, port: int) -> socket.socket:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return socket.create_connection((HOST, port), PATIENCE)
            except ConnectionRefusedError:
                assert time.monotonic() < end, self.says()
                time.sleep(0.05)

    def says(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def command(self, name: str, parameters: str = "") -> None:
        text = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))

    def message(self) -> dict[str, Any]:
        """The next that it sends: an event, or the response to a command."""
        while True:
            length, colon, rest = self.octets.partition(b":")
            if colon and len(rest) > int(length):
                self.octets = rest[int(length) + 1 :]
                return dict(json.loads(rest[: int(length)]))
            received = self.control.recv(65536)
            assert received, self.says()
            self.octets += received

    def event(self, kind: str) -> dict[str, Any]:
        """Waits for an event of this kind; others are passed over, but for the end of the call."""
        end = time.monotonic() + PATIENCE
        passed = []
        while time.monotonic() < end:
            try:
                message = self.message()
            except TimeoutError:
                break
            if message.get("type") == kind:
                return message
            passed.append(message)
            if message.get("type") == "CALL_CLOSED":
                break
        pytest.fail(f"{self.aor} waits for {kind}, after {passed}. It says:\n{self.says()[:5000]}")

    def quit(self) -> None:
        self.control.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def agent(program: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    with ExitStack() as stack:

        def start(user: str, server: Server, more: str = "") -> Agent:
            made = Agent(program("baresip"), tmp_path / user, user, server.port, more)
            stack.callback(made.quit)
            server.access("REGISTER", 200, f" from=<sip:{user}@{DOMAIN}>;")
            return made

        yield start


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_call_from_one_to_the_other(
    serve: Serve, agent: Callable[..., Agent], program: Callable[[str], str], who: str
) -> None:
    program("perl")
    server = serve({"invite.pl": SCRIPT})
    alice, bob = agent("alice", server), agent("bob", server, ";answermode=auto")
    alice.command("dial", bob.aor)
    assert bob.event("CALL_ESTABLISHED")["peeruri"] == alice.aor
    assert alice.event("CALL_ESTABLISHED")["peeruri"] == bob.aor
    server.access("INVITE", 200, "script=invite.pl", "runs=1", f" targets={bob.aor} ")
    (alice if who == "caller" else bob).command("hangup")
    assert alice.event("CALL_CLOSED")["peeruri"] == bob.aor
    assert bob.event("CALL_CLOSED")["peeruri"] == alice.aor
    server.access("BYE", 200, "route=dialog", f" from=<{(alice if who == 'caller' else bob).aor}>;")
    for one in (alice, bob):
        assert "200 OK" in one.says()  # to its REGISTER
        assert "Call established" in one.says()


def test_the_caller_gives_up(serve: Serve, agent: Callable[..., Agent]) -> None:
    server = serve()
    alice, bob = agent("alice", server), agent("bob", server)
    alice.command("dial", bob.aor)
    bob.event("CALL_INCOMING")
    alice.event("CALL_RINGING")
    alice.command("hangup")
    bob.event("CALL_CLOSED")
    server.access("INVITE", 487, "route=default")


def test_the_callee_declines(serve: Serve, agent: Callable[..., Agent]) -> None:
    server = serve()
    alice, bob = agent("alice", server), agent("bob", server)
    alice.command("dial", bob.aor)
    bob.event("CALL_INCOMING")
    bob.command("hangup")
    assert "486" in alice.event("CALL_CLOSED")["param"]
    server.access("INVITE", 486, "route=default")
