"""Which requests are refused, and what the server answers itself: RFC 3261 16.3, 8.2, 11.2."""

import pytest
from world import World

from sipcgi.sip.message import Request


def answer(world: World, request: Request) -> list[int]:
    """What the request gets of the server, as the last of alice's."""
    call = world.phones[0].send(request, world.socket.address)
    world.run(world.network.now + 1.0)
    return [status for status in call.statuses if status != 100]


@pytest.mark.rfc("4475", "3.3.11-1")
@pytest.mark.rfc("3050", "5.8-2")
@pytest.mark.rfc("3261", "16.3-9", "16.3-10")
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS"])
def test_no_hop_is_left(world: World, method: str) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.script(f"{method.lower()}.sh", "SIP/2.0 200 OK\n")
    assert answer(world, alice.request(method, "sip:bob@example.com", "Max-Forwards: 0")) == [483]
    assert not world.runs
    assert not bob.requests


@pytest.mark.rfc("4475", "3.3.11-2")
@pytest.mark.rfc("3261", "11.2")
@pytest.mark.parametrize("uri", ["sip:example.com", "sip:192.0.2.1", "sip:192.0.2.1:5060;transport=udp"])
def test_options_to_the_server_itself(world: World, uri: str) -> None:
    alice = world.phone("alice", "203.0.113.5")
    call = alice.calls_up(uri, "Max-Forwards: 0", method="OPTIONS")
    world.run(1.0)
    assert call.final.status == 200
    assert "INVITE" in (call.final.headers.get("allow") or "")
    assert call.final.headers.get("accept") == "application/sdp"
    assert call.final.to.tag


@pytest.mark.rfc("3261", "8.2.2.3", "16.1-1")
def test_options_that_require_what_the_server_cannot(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:example.com", "Require: nothingSupportsThis", method="OPTIONS")
    world.run(1.0)
    assert call.final.status == 420
    assert call.final.headers.get("unsupported") == "nothingSupportsThis"


@pytest.mark.rfc("3261", "16.3-11", "16.3-12")
def test_proxy_require(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com", "Proxy-Require: foo, bar")
    world.run(1.0)
    assert call.final.status == 420
    assert call.final.headers.get("unsupported") == "foo, bar"


@pytest.mark.rfc("3261", "20.32")
def test_require_is_for_the_callee_alone(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    assert answer(world, alice.request("INVITE", "sip:bob@example.com", "Require: foo")) == [200]
    assert bob.got.headers.get("require") == "foo"


@pytest.mark.parametrize("uri", ["tel:+491234567", "TEL:110;phone-context=example.com"])
def test_a_tel_uri_that_nothing_turned_into_another(world: World, uri: str) -> None:
    assert answer(world, world.phone("alice").request("INVITE", uri)) == [404]


@pytest.mark.rfc("3261", "16.3-8")
@pytest.mark.parametrize("uri", ["http://example.com/", "urn:service:sos", "im:bob@example.com"])
def test_another_scheme(world: World, uri: str) -> None:
    assert answer(world, world.phone("alice").request("INVITE", uri)) == [416]


@pytest.mark.rfc("3261", "16.3-2")
def test_a_request_uri_that_does_not_parse(world: World) -> None:
    assert answer(world, world.phone("alice").request("INVITE", "sip:bob@:x")) == [400]


@pytest.mark.rfc("3261", "16.5-12")
def test_an_unknown_user_of_our_domain(world: World) -> None:
    assert answer(world, world.phone("alice").request("INVITE", "sip:nobody@example.com")) == [480]


@pytest.mark.rfc("3261", "16.5-11")
def test_a_call_to_the_server_itself(world: World) -> None:
    assert answer(world, world.phone("alice").request("INVITE", "sip:example.com")) == [404]


def test_strangers_may_not_relay(world: World) -> None:
    stranger, bob = world.phone("stranger", "203.0.113.5"), world.phone("bob")
    assert answer(world, stranger.request("INVITE", "sip:bob@192.0.2.20")) == [403]
    assert answer(world, stranger.request("REGISTER", "sip:192.0.2.20")) == [403]
    assert not bob.requests


def test_a_script_may_relay_for_a_stranger(world: World) -> None:
    stranger, bob = world.phone("stranger", "203.0.113.5"), world.phone("bob")
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n")
    assert answer(world, stranger.request("INVITE", "sip:bob@other.example")) == [200]
    assert len(bob.heard("INVITE")) == 1


@pytest.mark.rfc("5393", "4.1-1", "4.1-2", "4.2.2-1", "4.2.2-4")
@pytest.mark.rfc("3261", "16.3")
def test_a_loop_is_found(world: World) -> None:
    """Item 4: bob's phone forwards it back, unchanged."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE")
    alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    looping = Request("INVITE", "sip:bob@example.com", bob.got.headers.copy())
    looping.headers.remove("record-route")
    again = bob.send(looping, world.socket.address)
    world.run(0.2)
    assert again.statuses == [482]


@pytest.mark.rfc("3261", "16.3")
def test_a_spiral_is_none(world: World) -> None:
    """Bob forwards to carol, by way of the server."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.registers(bob)
    world.registers(carol)
    bob.answers("INVITE")
    alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    spiral = Request("INVITE", "sip:carol@example.com", bob.got.headers.copy())
    spiral.headers.remove("record-route")
    again = bob.send(spiral, world.socket.address)
    world.run(0.2)
    assert again.statuses == [200]
    assert len(carol.got.vias) == 4


@pytest.mark.rfc("3050", "5.6.2-1")
def test_cgi_fields_of_a_request_from_the_network_are_removed(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.script("invite.sh", "")
    assert answer(world, alice.request("INVITE", "sip:bob@example.com", "CGI-Remove: Subject", "Cgi-X: 1")) == [200]
    assert not [name for name in bob.got.headers.names if name.startswith("cgi-")]
    assert not [name for name in world.runs[0].environment if "CGI_" in name and name.startswith("SIP_")]


def test_cgi_fields_of_a_response_from_the_network_are_removed(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486, "CGI-Remove: Subject"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert not [name for name in call.final.headers.names if name.startswith("cgi-")]


@pytest.mark.rfc("3050", "5.6.2-1")
def test_cgi_fields_of_an_ack_that_is_passed_on_are_removed(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.acknowledges = False
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.2)
    ack = alice.in_dialog(call, call.final, "ACK", 1, "CGI-Remove: Subject", "Subject: x")
    ack.headers.prepend("Via", f"SIP/2.0/UDP {alice.socket.says};branch=z9hG4bKack")
    alice.throw(bytes(ack))
    world.run(0.4)
    (got,) = bob.heard("ACK")
    assert "subject" in got.headers
    assert "cgi-remove" not in got.headers


def test_a_server_that_stops_takes_no_new_requests_and_ends_those_it_has(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (2.0, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.dispatch.stopping = True
    assert world.transactions.waiting() == 1
    assert answer(world, alice.request("INVITE", "sip:bob@example.com")) == [503]
    world.run(3.0)
    assert call.statuses == [180, 200]
    assert call.then("BYE").phone is alice
    world.run(4.0)
    assert len(bob.heard("BYE")) == 1
    assert world.transactions.waiting() == 0


def test_every_transaction_has_one_line_in_the_log(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.5, 180), (2.0, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(3.0)
    call.then("BYE")
    alice.calls_up("sip:nobody@example.com", method="MESSAGE")
    alice.calls_up("http://x", method="MESSAGE")
    world.run()
    lines = world.lines("access")
    assert [line.split()[0] for line in lines] == ["method=INVITE", "method=MESSAGE", "method=MESSAGE", "method=BYE"]
    assert "status=200 to_100=0.2000 to_180=0.5000 to_final=2.0000" in lines[0]


@pytest.mark.rfc("3261", "11.2")
def test_default_never_runs_for_options_to_the_server_but_a_script_of_that_name_does(world: World) -> None:
    alice = world.phone("alice")
    world.script("default.sh", "SIP/2.0 403 No\n")
    assert answer(world, alice.request("OPTIONS", "sip:example.com")) == [200]
    assert not world.runs
    world.script("options.sh", "SIP/2.0 404 No\n")
    assert answer(world, alice.request("OPTIONS", "sip:example.com")) == [404]


def test_a_script_turns_a_tel_uri_into_another(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:+49123@192.0.2.20 SIP/2.0\n\n")
    assert answer(world, alice.request("INVITE", "tel:+49-123")) == [200]
    assert world.runs[0].environment["REQUEST_URI"] == "tel:+49-123"
    assert bob.got.uri == "sip:+49123@192.0.2.20"


@pytest.mark.rfc("3261", "16.3-3")
def test_a_merged_request_is_no_error(world: World) -> None:
    """The same INVITE by two ways, with two branches: both go on, and what to make of it is the callee's business."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    request = alice.request("INVITE", "sip:bob@example.com")
    calls = [alice.send(request.copy(), world.socket.address) for _ in range(2)]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[486], [486]]
    assert len(bob.heard("INVITE")) == 2


@pytest.mark.rfc("3261", "10.3-7")
def test_a_register_for_another_domain_is_forwarded_there(world: World) -> None:
    alice, registrar = world.phone("alice"), world.phone("registrar")
    assert answer(world, alice.request("REGISTER", "sip:192.0.2.20", "To: <sip:alice@192.0.2.20>")) == [200]
    (got,) = registrar.heard("REGISTER")
    assert (got.uri, got.max_forwards) == ("sip:192.0.2.20", 69)
    assert world.store.count() == 0


@pytest.mark.rfc("4475", "3.3.4-2")
def test_schemes_of_from_to_and_contact_are_no_business_of_a_proxy(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    fields = ("To: isbn:2983792873", "From: <http://www.example.com>;tag=1", "Contact: <name:John_Smith>")
    assert answer(world, alice.request("OPTIONS", "sip:bob@example.com", *fields)) == [200]
    assert bob.requests[0].headers.get("to") == "isbn:2983792873"
