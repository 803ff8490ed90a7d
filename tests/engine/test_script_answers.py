"""Calls that a script answers itself: the server is their UAS core (RFC 3261 12.1.1, 13.3.1.4, 15.1.2; contract)."""

import pytest
from world import World

from sipcgi.cgi.routes import Route

ANSWER = "SIP/2.0 200 OK\nContent-Type: text/plain\n\nhello\n"


@pytest.mark.rfc("3261", "13.3.1.4")
def test_a_call_that_a_script_answers(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    world.shows("""
        0.000 alice > server INVITE
        0.000 server > alice 200 INVITE
        0.000 alice > server ACK
    """)
    assert call.statuses == [200]
    assert call.final.headers.get("contact") == "<sip:192.0.2.1:5060>"
    assert call.final.to.tag
    call.then("BYE")


@pytest.mark.rfc("3261", "15.1.2")
def test_its_bye_gets_200(world: World) -> None:
    alice = world.phone("alice", "203.0.113.5")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    world.script("default.sh", "SIP/2.0 403 Never\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    world.transcript()
    bye = call.then("BYE")
    world.run(6.0)
    world.shows("""
        5.000 alice > server BYE
        5.000 server > alice 200 BYE
    """)
    assert bye.statuses == [200]
    assert len(world.runs) == 1
    assert not world.answered.dialogs
    world.host.programs.clear()
    for method in ("BYE", "INFO", "INVITE", "OPTIONS"):
        again = call.then(method, cseq=3)
        world.run(world.network.now + 1.0)
        assert again.final.status == 481


def test_a_script_for_bye_may_take_it(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    world.script("bye.sh", "SIP/2.0 200 Farewell\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.final.reason == "Farewell"


@pytest.mark.rfc("3261", "13.3.1.4")
def test_the_2xx_is_sent_again_until_the_ack(world: World) -> None:
    alice = world.phone("alice")
    alice.acknowledges = False
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(4.0)
    alice.acknowledges = True
    world.run(20.0)
    times = [line.split()[0] for line in world.transcript().splitlines() if "200 INVITE" in line]
    assert times == ["0.000", "0.500", "1.500", "3.500", "7.500"]
    call.then("BYE", answer=0)


@pytest.mark.rfc("3261", "13.3.1.4")
def test_without_an_ack_the_call_is_ended_with_bye(world: World) -> None:
    alice = world.phone("alice")
    alice.acknowledges = False
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(31.9)
    world.transcript()
    world.run(33.0)
    world.shows("""
        32.000 server > alice BYE
        32.000 alice > server 200 BYE
    """)
    (bye,) = alice.heard("BYE")
    assert bye.uri == alice.contact
    assert bye.from_.tag == call.responses[0].to.tag
    assert bye.to.tag == call.request.from_.tag
    assert str(bye.cseq) == "1 BYE"
    assert not world.answered.dialogs


@pytest.mark.rfc("3261", "12.1.1")
def test_the_record_routes_become_the_routes_of_that_bye(world: World) -> None:
    edge = world.phone("edge")
    edge.acknowledges = False
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    routes = ["Record-Route: <sip:192.0.2.10;lr>", "Record-Route: <sip:192.0.2.99;lr>, <sip:192.0.2.98;lr>"]
    call = edge.calls_up("sip:bob@example.com", *routes, "Contact: <sip:alice@192.0.2.55>")
    world.run(33.0)
    assert call.responses[0].headers.elements("record-route") == edge.heard("BYE")[0].headers.elements("route")
    assert edge.heard("BYE")[0].headers.elements("route") == [
        "<sip:192.0.2.10;lr>",
        "<sip:192.0.2.99;lr>",
        "<sip:192.0.2.98;lr>",
    ]
    assert edge.heard("BYE")[0].uri == "sip:alice@192.0.2.55"


@pytest.mark.rfc("3261", "12.2.1.1")
def test_a_strict_router_gets_that_bye_for_itself(world: World) -> None:
    edge = world.phone("edge")
    edge.acknowledges = False
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    routes = ["Record-Route: <sip:192.0.2.10>, <sip:192.0.2.99;lr>", "Contact: <sip:alice@192.0.2.55>"]
    edge.calls_up("sip:bob@example.com", *routes)
    world.run(33.0)
    (bye,) = edge.heard("BYE")
    assert bye.uri == "sip:192.0.2.10"
    assert bye.headers.elements("route") == ["<sip:192.0.2.99;lr>", "<sip:alice@192.0.2.55>"]


@pytest.mark.rfc("3261", "12.2.1.1")
@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        ["Contact: <sip:alice@192.0.2.20>"],
        ["Contact: <sip:alice@desk.example>"],
        ["Contact: <sip:alice@192.0.2.77>", "Record-Route: <sip:192.0.2.20;lr>"],
    ],
)
def test_that_bye_leaves_by_the_route_set_when_the_connection_is_gone(
    world: World, breaks: bool, fields: list[str]
) -> None:
    alice, desk = world.phone("alice", transport="TCP"), world.phone("desk")
    alice.acknowledges = False
    world.names.hosts["desk.example"] = (0.1, desk.socket.address)
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    alice.calls_up("sip:bob@example.com", *fields)
    world.run(1.0)
    if breaks:
        world.socket.hangs_up("TCP", alice.socket.address)
    else:
        world.network.refusing.add(alice.socket.address)
    world.run(40.0)
    assert [bye.from_.tag is not None for bye in desk.heard("BYE")] == [True]
    assert alice.heard("BYE") == []


@pytest.mark.parametrize(
    "contact", ["<sip:", "<sip:alice@gone.example>", "<tel:+49>", "<sip:alice@192.0.2.10>", "<sip:alice@192.0.2.98>"]
)
def test_a_bye_that_can_go_nowhere(world: World, contact: str) -> None:
    """It came from where nobody is to be reached any more."""
    alice = world.phone("alice")
    alice.acknowledges = False
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    alice.calls_up("sip:bob@example.com", f"Contact: {contact}")
    world.run(1.0)
    world.network.unreachable.add(alice.socket.address)
    world.run(200.0)
    assert not world.answered.dialogs
    assert world.left() == []


@pytest.mark.rfc("3050", "5.11.1-1")
def test_the_ack_runs_the_script_that_asked_for_it(world: World) -> None:
    """Its actions have no effect; its cookie and CGI-AGAIN count, no more."""
    alice = world.phone("alice")
    world.script(
        "invite.sh",
        "SIP/2.0 200 OK\n\nCGI-AGAIN yes SIP/2.0\n\nCGI-SET-COOKIE c SIP/2.0\n\n",
        "SIP/2.0 486 Busy\n\n",
    )
    call = alice.calls_up("sip:bob@example.com", body=b"offer")
    world.run(2.0)
    assert call.statuses == [200]
    assert world.events() == ["0.000 request", "0.000 ack"]
    environment = world.runs[1].environment
    assert environment["REQUEST_METHOD"] == "ACK"
    assert environment["SCRIPT_COOKIE"] == "c"
    call.then("BYE")


@pytest.mark.rfc("3050", "5.5.1.7-2", "5.11.1")
def test_an_ack_may_come_another_way_than_its_invite(world: World) -> None:
    """It is end to end, and what it holds is for the script (RFC 3261 13.2.2.4)."""
    alice, edge = world.phone("alice"), world.phone("edge", transport="TCP")
    alice.acknowledges = False
    world.script("invite.sh", "SIP/2.0 200 OK\n\nCGI-AGAIN yes SIP/2.0\n\n", "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    fields = ("Content-Type: a/b", "Content-Length: 6")
    ack = alice.in_dialog(call, call.final, "ACK", 1, *fields).with_body(b"answer")
    ack.headers.prepend("Via", "SIP/2.0/TCP 192.0.2.20;branch=z9hG4bKack")
    edge.throw(bytes(ack))
    world.run(1.0)
    environment = world.runs[1].environment
    found = [environment[name] for name in ("REMOTE_ADDR", "SERVER_TRANSPORT", "CONTENT_TYPE", "CONTENT_LENGTH")]
    assert found == ["192.0.2.20", "tcp", "a/b", "6"]
    assert world.runs[1].invocation.stdin == b"answer"
    call.then("BYE")


def test_a_repeated_ack_runs_nothing(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\n\nCGI-AGAIN yes SIP/2.0\n\n", "CGI-AGAIN yes SIP/2.0\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    (ack,) = call.acks.values()
    alice.throw(ack)
    world.run(2.0)
    assert len(world.runs) == 2
    call.then("BYE")


def test_the_ack_of_a_relayed_2xx_runs_no_script(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-AGAIN yes SIP/2.0\n\n",
    )
    alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert len(bob.heard("ACK")) == 1
    assert world.events() == ["0.000 request", "0.000 response 200"]


def test_an_answer_while_a_branch_rings_cancels_it(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (9.0, 200))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n",
        "SIP/2.0 200 OK\n\n",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 200]
    assert "2.100 server > bob CANCEL" in world.transcript()
    call.then("BYE")


def test_the_answer_to_a_subscribe_has_a_contact(world: World) -> None:
    alice = world.phone("alice")
    world.script("subscribe.sh", "SIP/2.0 200 OK\nExpires: 60\n\n")
    call = alice.calls_up("sip:bob@example.com", "Event: presence", method="SUBSCRIBE")
    world.run(5.0)
    assert call.final.headers.get("contact") == "<sip:192.0.2.1:5060>"
    assert call.final.to.tag


def test_a_contact_and_a_to_tag_of_the_script_stay(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\nContact: <sip:me@192.0.2.1>\nTo: <sip:bob@example.com>;tag=chosen\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.final.headers.all("contact") == ["<sip:me@192.0.2.1>"]
    assert call.final.to.tag == "chosen"
    assert len(world.network.sent) == 3  # INVITE, 200 and the ACK that ended its repetition
    bye = call.then("BYE")
    world.run(6.0)
    assert bye.statuses == [200]


@pytest.mark.rfc("3261", "12.2.2")
@pytest.mark.parametrize(("method", "status"), [("INVITE", 488), ("INFO", 405), ("OPTIONS", 200)])
def test_other_requests_of_that_dialog(world: World, method: str, status: int) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n", "SIP/2.0 600 No\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.host.programs.clear()
    later = call.then(method)
    world.run(2.0)
    assert later.statuses == [status]
    call.then("BYE", cseq=3)


def test_a_body_and_its_type(world: World) -> None:
    alice = world.phone("alice")
    world.script("message.sh", "SIP/2.0 200 OK\nContent-Type: text/plain\nContent-Length: 3\n\nhey")
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(1.0)
    assert (call.final.body, call.final.headers.get("content-length")) == (b"hey", "3")
    assert "contact" not in call.final.headers


def test_the_contact_names_the_transport(world: World) -> None:
    alice = world.phone("alice", transport="TCP")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.headers.get("contact") == "<sip:192.0.2.1:5060;transport=tcp>"
    assert call.then("BYE").request.uri == "sip:192.0.2.1:5060;transport=tcp"


def test_a_route_for_everything_takes_the_bye(world: World) -> None:
    alice = world.phone("alice")
    world.script("all.sh", "SIP/2.0 200 OK\n\n", "SIP/2.0 200 Taken\n\n")
    world.routes(Route(script="all.sh"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.final.reason == "Taken"


def test_calls_whose_bye_never_came_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipcgi.engine.answered.MOST", 3)
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n", unlimited=True)
    calls = [alice.calls_up("sip:bob@example.com") for _ in range(5)]
    world.run(1.0)
    assert len(world.answered.dialogs) == 3
    for call in calls[2:]:
        call.then("BYE")


def test_the_ack_comes_while_another_run_is_under_way_and_the_bye_too(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 200 OK\n\nCGI-AGAIN yes SIP/2.0\n\n", "CGI-AGAIN yes SIP/2.0\n\n", takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.5)
    bye = call.then("BYE")
    world.run(5.0)
    assert bye.statuses == [200]
    assert world.events() == ["0.000 request", "1.000 ack"]


@pytest.mark.rfc("3050", "5.6-8")
def test_a_body_without_a_length_gets_the_right_one(world: World) -> None:
    alice = world.phone("alice")
    world.script("message.sh", "SIP/2.0 200 OK\nContent-Type: text/plain\n\nall of the rest\n")
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(1.0)
    assert (call.final.body, call.final.headers.get("content-length")) == (b"all of the rest\n", "16")
