"""Calls through scripts written for the exec modules of Kamailio and OpenSIPS (`style: exec`)."""

from dataclasses import replace

import pytest
from world import World

from sipcgi.cgi.routes import Route
from sipcgi.hosts.base import Outcome

EXEC = Route("dset.sh", style="exec")


def test_the_uris_that_a_script_prints_ring_together(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 486))
    carol.answers("INVITE", (0.15, 200))
    world.routes(EXEC)
    world.script("dset.sh", "sip:bob@192.0.2.20\n\nsip:carol@192.0.2.30\n")
    call = alice.calls_up("sip:sales@example.com", "Subject: x", body=b"v=0")
    world.run(0.5)
    world.shows("""
        0.000 alice > server INVITE
        0.000 server > bob INVITE
        0.000 server > carol INVITE
        0.100 bob > server 486 INVITE
        0.100 server > bob ACK
        0.150 carol > server 200 INVITE
        0.150 server > alice 200 INVITE
        0.150 alice > server ACK
        0.150 server > carol ACK
    """)
    assert call.statuses == [200]
    (run,) = world.runs
    invocation = run.invocation
    assert invocation.argv == ["/cgi-bin/dset.sh", "sip:sales@example.com"]
    assert invocation.stdin.startswith(b"INVITE sip:sales@example.com SIP/2.0\r\nVia: ")
    assert invocation.stdin.endswith(b"\r\n\r\nv=0")
    expected = {
        "PATH": "/usr/bin:/bin",
        "SIP_HF_SUBJECT": "x",
        "SIP_RURI": "sip:sales@example.com",
        "SIP_USER": "sales",
        "SIP_SRCIP": "192.0.2.10",
    }
    assert {name: run.environment.get(name) for name in expected} == expected
    assert not [name for name in run.environment if name.startswith(("SIPCGI_", "REQUEST_", "GATEWAY_"))]


def test_a_uri_of_our_domain_is_that_of_its_phones(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    world.routes(EXEC)
    world.script("dset.sh", "sip:bob@example.com\n")
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    assert call.statuses == [486]
    assert bob.got.uri == "sip:bob@192.0.2.20:5060"


def test_a_script_that_prints_nothing_has_read_its_message_and_leaves_the_default_action(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    world.routes(EXEC)
    world.script("dset.sh", "\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [486]
    assert len(world.runs) == 1


@pytest.mark.parametrize(
    "output",
    [Outcome(stdout=b"sip:bob@192.0.2.20\n", status=3), "sip:bob@192.0.2.20\nBob is away\n", Outcome(signal=9)],
)
@pytest.mark.parametrize(("on_error", "status"), [("reject", 500), ("default", 480), ("sorry.sh", 486)])
def test_one_that_fails_forks_to_nobody(world: World, output: str | Outcome, on_error: str, status: int) -> None:
    """In Kamailio the URIs printed before a failure stay in the destination set."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.routes(replace(EXEC, on_error=on_error))
    world.script("dset.sh", output)
    world.script("sorry.sh", "sip:bob@192.0.2.20\n")
    call = alice.calls_up("sip:nobody@example.com")
    world.run(1.0)
    assert call.statuses == [status]
    assert len(world.lines("script")) == 1


def test_the_line_of_a_bad_uri_is_logged(world: World) -> None:
    alice = world.phone("alice")
    world.routes(EXEC)
    world.script("dset.sh", "sip:bob@192.0.2.20\n<sip:carol@192.0.2.30>\n")
    alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    (line,) = world.lines("script")
    assert "dset.sh" in line
    assert "line=2" in line
    assert "write the URI alone" in line


def test_one_that_takes_too_long(world: World) -> None:
    alice = world.phone("alice")
    world.routes(replace(EXEC, timeout=2.0))
    world.script("dset.sh", "sip:bob@192.0.2.20\n", takes=3.0)
    call = alice.calls_up("sip:sales@example.com")
    world.run(3.0)
    assert call.statuses == [100, 504]


def test_in_sequence(world: World) -> None:
    """A logger as for exec_msg, then a script as for exec_dset."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.routes(replace(EXEC, script="log.sh", then=("dset.sh",)))
    world.script("log.sh", "")
    world.script("dset.sh", "sip:bob@192.0.2.20\n")
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    assert [run.invocation.name for run in world.runs] == ["log.sh", "dset.sh"]
    assert call.statuses == [486]


def test_a_cancel_ends_the_script(world: World) -> None:
    alice = world.phone("alice")
    world.routes(EXEC)
    world.script("dset.sh", "sip:bob@192.0.2.20\n", takes=3.0)
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    call.cancel()
    world.run(5.0)
    assert call.statuses[-1] == 487
    assert len(world.runs) == 1


def test_what_does_not_fit_into_an_environment(world: World) -> None:
    alice = world.phone("alice", transport="TCP")
    world.routes(EXEC)
    world.script("dset.sh")
    call = alice.calls_up("sip:sales@example.com", f"Subject: {'x' * 130_000}")
    world.run(1.0)
    assert call.statuses == [513]
    assert world.runs == []


def test_the_style_of_scripts_that_no_route_names(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.routes(fallback=Route(script="", style="exec"))
    world.script("invite.sh", "sip:bob@192.0.2.20\n")
    call = alice.calls_up("sip:sales@example.com")
    world.run(1.0)
    assert call.statuses == [486]
