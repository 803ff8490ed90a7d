"""A script's run for a request: which one runs, what it may say, and what happens when it fails (contract)."""

import pytest
from world import World

from sipcgi.cgi.routes import Route
from sipcgi.hosts.base import Outcome
from sipcgi.profile import Limits, Profile

PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n"
CRASH = Outcome(stdout=b"SIP/2.0 200 OK\n\n", status=3)


def test_a_script_answers(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy Bee\nX-Why: honey\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(10.0)
    world.shows("""
        0.000 alice > server INVITE
        0.000 server > alice 486 INVITE
        0.000 alice > server ACK
    """)
    assert (call.final.reason, call.final.headers.get("x-why")) == ("Busy Bee", "honey")
    assert call.final.to.tag


@pytest.mark.rfc("3050", "5.4-1", "5.5.1.4-2", "5.5.1.7-2", "5.5.1.11-2", "5.5.1.13-1", "5.5.1.18-1", "5.5.1.19-1")
def test_the_environment_of_the_first_run(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy\n")
    alice.calls_up("sip:bob@example.com", "Subject: x", body=b"v=0")
    world.run(1.0)
    environment = world.runs[0].environment
    expected = {
        "GATEWAY_INTERFACE": "SIP-CGI/1.1",
        "REQUEST_METHOD": "INVITE",
        "REQUEST_URI": "sip:bob@example.com",
        "REMOTE_ADDR": "192.0.2.10",
        "REMOTE_PORT": "5060",
        "SERVER_NAME": "example.com",
        "SERVER_PORT": "5060",
        "SERVER_TRANSPORT": "udp",
        "SIP_SUBJECT": "x",
        "SIPCGI_EVENT": "request",
        "SIPCGI_METHOD": "INVITE",
        "SIPCGI_URI": "sip:bob@example.com",
        "SIPCGI_RUN": "1",
        "SIPCGI_ELAPSED_MS": "0",
        "SIPCGI_PENDING": "0",
        "CONTENT_LENGTH": "3",
        "PATH": "/usr/bin:/bin",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert {"SIPCGI_BEST", "RESPONSE_STATUS", "SCRIPT_COOKIE", "LANG"}.isdisjoint(environment)
    assert world.runs[0].invocation.stdin == b"v=0"
    assert world.runs[0].invocation.argv == ["/cgi-bin/invite.sh"]


def test_nothing_printed_is_the_default_action(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.script("invite.sh", "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]


def test_all_actions_together_once_it_has_exited(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.script("invite.sh", "SIP/2.0 181 Forwarded\n\nSIP/2.0 182 Queued\n\n" + PROXY, takes=0.1)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [181, 182, 486]
    assert (
        "0.100 server > alice 181 INVITE\n0.100 server > alice 182 INVITE\n0.100 server > bob INVITE"
        in world.transcript()
    )


@pytest.mark.rfc("3050", "5.6-6")
def test_what_follows_the_final_answer_is_dropped(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.sh", "SIP/2.0 180 Ringing\n\nSIP/2.0 486 Busy\n\nSIP/2.0 600 Really\n\n" + PROXY)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [180, 486]
    assert not bob.requests
    assert len(world.lines("warning")) == 2


@pytest.mark.rfc("3050", "5.6.1.2-2", "5.6.1.2-3")
def test_several_proxy_requests_are_parallel(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (5.0, 200))
    carol.answers("INVITE", (0.1, 180), (1.0, 200))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:x@192.0.2.20 SIP/2.0\nSubject: one\n\nCGI-PROXY-REQUEST sip:y@192.0.2.30 SIP/2.0\n\n",
    )
    call = alice.calls_up("sip:bob@example.com", "Subject: original")
    world.run(9.0)
    assert call.final.status == 200
    assert bob.got.headers.get("subject") == "one"
    assert carol.got.headers.get("subject") == "original"
    assert (bob.got.max_forwards, len(bob.got.vias), len(bob.got.record_routes)) == (69, 2, 1)
    assert bob.heard("CANCEL") == []  # its transaction took it
    assert "1.000 server > bob CANCEL" in world.transcript()


@pytest.mark.rfc("3050", "5.6-3", "5.6-7", "5.6-9")
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (CRASH, 500),
        (Outcome(signal=9), 500),
        (Outcome(stdout=b"SIP/2.0 200 OK\n\n", overflow=True), 500),
        (Outcome(failure="no such program"), 500),
        ("Content-Type: text/plain\n\n", 500),
        ("SIP/2.0 99 Low\n\n", 500),
        ("SIP/2.0 200 OK\nContent-Type: text/plain\nContent-Length: 9\n\nshort", 500),
        ("SIP/2.0 200 OK\nContent-Length: 5\n\nshort", 500),
        ("SIP/2.0 180 Ringing\n\n", 500),
        ("CGI-FORWARD-RESPONSE this SIP/2.0\n\n", 500),
        ("SIP/2.0 200 OK\nCall-ID: another\n\n", 500),
        ("CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\nVia: SIP/2.0/UDP x\n\n", 500),
        ("CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\nFrom: <sip:unclosed\n\n", 500),
        ("CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\nMax-Forwards: many\n\n", 500),
        ("SIP/2.0 200 OK\nTo: <sip:unclosed\n\n", 500),
        ("SIP/2.0 486 Busy\nRoute:\n\n", 500),
        ("CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\nRoute: <tel:+49>\n\n", 500),
    ],
)
def test_a_script_that_fails_is_a_500_and_nothing_of_it_is_done(
    world: World, outcome: Outcome | str, status: int
) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.sh", outcome)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [status]
    assert not bob.requests
    (line,) = world.lines("script")
    assert line.startswith("script=invite.sh call_id=alice-1")
    assert "hint=" in line


def test_a_bad_action_undoes_the_good_ones_before_it(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script(
        "invite.sh", "SIP/2.0 181 Forwarded\n\n" + PROXY + "CGI-PROXY-REQUEST sip:x@192.0.2.30 SIP/2.0\nTo: <sip:x\n\n"
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [500]
    assert not bob.requests


@pytest.mark.rfc("3050", "5.6-3")
def test_a_script_that_takes_too_long_is_a_504(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy\n", takes=9.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(10.0)
    assert call.statuses == [100, 504]
    assert "5.000 server > alice 504 INVITE" in world.transcript()


@pytest.mark.parametrize("takes", [0.0, 9.0])
def test_on_error_default(world: World, takes: float) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.script("invite.sh", CRASH, takes=takes)
    world.routes(fallback=Route(script="", on_error="default"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(10.0)
    assert call.final.status == 200
    assert len(bob.heard("INVITE")) == 1


def test_on_error_another_script(world: World) -> None:
    """Its CGI-AGAIN does not count; its answer does."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.sh", CRASH)
    world.script("sorry.sh", PROXY + "CGI-AGAIN yes SIP/2.0\n\n")
    world.routes(fallback=Route(script="", on_error="sorry.sh"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert [run.invocation.name for run in world.runs] == ["invite.sh", "sorry.sh"]
    assert len(bob.heard("INVITE")) == 1


@pytest.mark.parametrize("takes", [0.1, 9.0])
def test_when_that_fails_too_it_is_a_500(world: World, takes: float) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", CRASH)
    world.script("sorry.sh", CRASH, takes=takes)
    world.routes(fallback=Route(script="", on_error="sorry.sh"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(20.0)
    assert call.final.status == 500
    assert len(world.lines("script")) == 2


def test_an_on_error_script_that_is_not_there(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", CRASH)
    world.routes(fallback=Route(script="", on_error="gone.sh"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [500]


def test_a_routed_script_that_is_not_there(world: World) -> None:
    alice = world.phone("alice")
    world.routes(Route(script="gone.sh"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [500]


def test_a_cancel_while_the_on_error_script_runs(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", CRASH)
    world.script("sorry.sh", "SIP/2.0 486 Busy\n", takes=4.0)
    world.routes(fallback=Route(script="", on_error="sorry.sh"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(9.0)
    assert call.statuses == [100, 487]
    assert world.runs[1].ended


def test_after_a_failure_it_is_not_called_again(world: World) -> None:
    """In a run for a response the default action follows."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 486))
    world.script("invite.sh", PROXY + "CGI-AGAIN yes SIP/2.0\n\n", CRASH)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [180, 486]
    assert world.events() == ["0.000 request", "0.100 response 180"]


def test_a_request_that_is_too_large_for_the_environment(world: World) -> None:
    alice = world.phone("alice", transport="TCP")
    world.script("message.sh", "SIP/2.0 200 OK\n")
    call = alice.calls_up("sip:bob@example.com", *["X-Large: " + "x" * 1000 for _ in range(50)], method="MESSAGE")
    big = alice.calls_up("sip:bob@example.com", *["X-Large: " + "y" * 1000 for _ in range(125)], method="MESSAGE")
    world.run(1.0)
    assert call.statuses == [200]
    assert big.statuses == [513]
    assert len(world.runs) == 1


def test_a_script_cannot_change_the_dialog(world: World) -> None:
    """A changed From or To is undone in the responses; the tag of From stays in any case."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n"
        "From: <sip:other@example.com>;tag=mine\nTo: <sip:another@example.com>;tag=mine\nX-New: 1\n\n",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    tag = call.request.from_.tag
    assert bob.got.headers.get("from") == f"<sip:other@example.com>;tag={tag}"
    assert bob.got.headers.get("to") == "<sip:another@example.com>"
    assert call.final.headers.get("from") == f"<sip:alice@example.com>;tag={tag}"
    assert str(call.final.to.uri) == "sip:bob@example.com"
    assert call.final.to.tag


@pytest.mark.rfc("3050", "5.6.1.2-4")
def test_record_route_and_max_forwards_of_the_script_replace_those_of_the_server(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\nRecord-Route: <sip:192.0.2.77;lr>\nMax-Forwards: 5\n\n",
    )
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert bob.got.headers.all("record-route") == ["<sip:192.0.2.77;lr>"]
    assert bob.got.max_forwards == 5


def test_a_route_that_the_script_prints_is_the_next_hop(world: World) -> None:
    alice, gate = world.phone("alice"), world.phone("gate")
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nRoute: <sip:192.0.2.20;lr>\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert gate.got.uri == "sip:bob@example.com"


@pytest.mark.parametrize(
    ("uri", "status"), [("tel:+49123", 404), ("http://example.com/", 416), ("sip:b@x.example;transport=sctp", 500)]
)
def test_a_proxied_uri_that_cannot_be_reached(world: World, uri: str, status: int) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", f"CGI-PROXY-REQUEST {uri} SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n", "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [status]
    assert world.events()[1] == f"0.000 response {503 if status == 500 else status}"


@pytest.mark.rfc("3262", "3")
def test_no_unreliable_provisional_response_where_100rel_is_required(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.5, 486))
    world.script("invite.sh", "SIP/2.0 180 Ringing\n\n" + PROXY)
    call = alice.calls_up("sip:bob@example.com", "Require: 100rel")
    world.run(1.0)
    assert 180 not in call.statuses
    assert call.final.status == 486
    assert len(world.lines("warning")) == 1


def test_a_bug_that_shows_after_a_run_costs_one_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy\n\n", unlimited=True)
    world.dispatch.policy.scripts.guard = True
    with monkeypatch.context() as patch:
        patch.setattr("sipcgi.engine.cgi_service.read_output", lambda *_, **__: 1 / 0)
        first = alice.calls_up("sip:bob@example.com")
        world.run(1.0)
    assert first.statuses == [500]
    assert any("ZeroDivisionError" in line for line in world.lines("error"))
    second = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert second.statuses == [486]


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome(signal=24, limit="cpu"), "used more than 2 s of processor time"),
        (Outcome(signal=9, limit="memory"), "used more than 1000 octets of memory"),
        (Outcome(signal=9), "killed by a signal"),
    ],
)
def test_the_log_names_the_limit_that_a_script_reached(world: World, outcome: Outcome, text: str) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", outcome)
    world.routes(fallback=Route(script="", profile=Profile(Limits(cpu=2, memory=1000))))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [500]
    (line,) = world.lines("script")
    assert text in line
    assert ("raise `limits." in line) == bool(outcome.limit)
