"""Two baresip telephones register here and call each other through a script."""

from collections.abc import Callable

import pytest
from authority import Authority
from baresip import Agent
from running import HOST, Server, url

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
SCRIPT = """#!/usr/bin/perl
print "CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\\nSubject: seen by Perl\\n\\n";
"""
RELAY = """#!/bin/sh
printf 'CGI-PROXY-REQUEST %s SIP/2.0\\n\\n' "$REQUEST_URI"
"""


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


TRANSPORTS = ["tcp", "tls"]


@pytest.mark.parametrize("theirs", ["udp", *TRANSPORTS])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_over_streams(
    serve: Serve, agent: Callable[..., Agent], authority: Authority, transport: str, theirs: str
) -> None:
    """The caller's transport and the callee's; each side hangs up once, so each is sent a BYE over its own."""
    listen = [url(one) for one in TRANSPORTS]
    server = serve({"invite.sh": RELAY}, authority.configuration(HOST), listen=listen)
    alice = agent("alice", server, "", transport, authority)
    bob = agent("bob", server, ";answermode=auto", theirs, authority)
    for number, one in enumerate((alice, bob), 1):
        alice.command("dial", bob.aor)
        bob.event("CALL_ESTABLISHED")
        alice.event("CALL_ESTABLISHED")
        server.access("INVITE", 200, "script=invite.sh", number=number)
        one.command("hangup")
        alice.event("CALL_CLOSED")
        bob.event("CALL_CLOSED")
        server.access("BYE", 200, "route=dialog", f" from=<{one.aor}>;")


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
