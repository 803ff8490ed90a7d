"""sipsak, as an administrator uses it to see whether a server lives, who is registered and where a request goes."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from running import Server, url
from wire_phone import Phone

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]
PATIENCE = 15.0  # seconds: it repeats what is lost


class Sipsak:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def says(self, status: int = 0) -> str:
        """What it printed until its end."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == status, output
        return output


@pytest.fixture
def sipsak(program: Callable[[str], str]) -> Iterator[Callable[..., Sipsak]]:
    """Runs it: `sipsak(server, "sip:example.com", "-T")`, with the server as outbound proxy: it cuts ports in URIs."""
    path = program("sipsak")
    with ExitStack() as stack:

        def start(server: Server, uri: str, *arguments: str, transport: str = "udp") -> Sipsak:
            command = [path, "-vv", "-E", transport, "-p", server.place(transport), "-s", uri, *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            stack.enter_context(process)
            stack.callback(process.kill)
            return Sipsak(process)

        yield start


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_the_server_lives(serve: Serve, sipsak: Callable[..., Sipsak], transport: str) -> None:
    script = "#!/bin/sh\nprintf 'SIP/2.0 603 No\\n\\n'\n"  # not for these OPTIONS
    server = serve({"default.sh": script}, listen=[url("tcp")])
    said = sipsak(server, "sip:example.com", transport=transport).says()
    assert "SIP/2.0 200 OK" in said
    assert "Allow: INVITE, ACK" in said
    assert f"Via: SIP/2.0/{transport.upper()} " in said
    server.access("OPTIONS", 200, "runs=0")


def test_a_flood_of_pings(serve: Serve, sipsak: Callable[..., Sipsak]) -> None:
    server = serve()
    assert "we sent" in sipsak(server, "sip:example.com", "-F", "-e", "1000").says()
    assert "SIP/2.0 200 OK" in sipsak(server, "sip:example.com").says()


def test_a_registration_comes_and_goes(serve: Serve, phones: Phones, sipsak: Callable[..., Sipsak]) -> None:
    server = serve()
    alice, bob = phones(server, "alice"), phones(server, "bob")
    register = ("-U", "-i", "-x", "60", "-C", bob.contact)
    assert "All usrloc tests completed successful" in sipsak(server, bob.aor, *register).says()
    invite = alice.invite(bob.aor)
    assert bob.take("486 Busy Here").uri == bob.contact
    alice.ack(invite, alice.expect("SIP/2.0 486"))
    sipsak(server, bob.aor, "-U", "-i", "-x", "0", "-C", "*").says()
    invite = alice.invite(bob.aor)
    alice.ack(invite, alice.expect("SIP/2.0 480"))


def test_the_way_of_a_request(serve: Serve, phones: Phones, sipsak: Callable[..., Sipsak]) -> None:
    """Its trace mode, which counts Max-Forwards no further than to 1: the proxy refuses, then Bob answers."""
    server = serve()
    bob = phones(server, "bob")
    bob.register()
    trace = sipsak(server, bob.aor, "-T")
    options = bob.expect("OPTIONS ")
    assert options["Max-Forwards"] == "0"
    bob.answer(options, "200 OK")
    said = trace.says()
    assert [line.rpartition("SIP/2.0 ")[2] for line in said.splitlines() if "SIP/2.0 " in line] == [
        "483 Too Many Hops",
        "200 OK",
    ]
    server.access("OPTIONS", 483)
    server.access("OPTIONS", 200)
