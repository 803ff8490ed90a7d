"""Requests in a dialog, and those that only look like it (contract: In a dialog; RFC 3261 12.2, 13.2.2.4, 16.4)."""

import pytest
from phone import Call
from world import World

from sipcgi.cgi.routes import Route


def talking(world: World) -> Call:
    """Alice, a stranger, and bob, who is registered, have a call that invite.sh saw."""
    alice, bob = world.phone("alice", "203.0.113.5"), world.phone("bob")
    world.registers(bob)
    world.script("default.sh", "", unlimited=True)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert len(bob.heard("ACK")) == 1
    world.transcript()
    world.runs.clear()
    return call


@pytest.mark.rfc("3261", "12.2.1.1")
@pytest.mark.parametrize("method", ["BYE", "INVITE", "INFO", "UPDATE"])
def test_with_the_token_it_follows_its_route_and_runs_no_script(world: World, method: str) -> None:
    call = talking(world)
    later = call.then(method)
    world.run(2.0)
    assert later.statuses == [200]
    assert not world.runs
    request = world.phones[1].heard(method)[-1]
    assert "route" not in request.headers
    assert request.uri == "sip:bob@192.0.2.20:5060"


def test_a_route_can_ask_for_requests_in_a_dialog(world: World) -> None:
    call = talking(world)
    world.script("bye.sh", "SIP/2.0 403 Stay\n\n")
    world.routes(Route(script="bye.sh", method=frozenset({"BYE"}), in_dialog=True))
    later = call.then("BYE")
    world.run(2.0)
    assert later.statuses == [403]


def test_without_the_token_it_is_an_initial_request(world: World) -> None:
    """Whatever tags it shows: its Request-URI decides, and a stranger may not reach another domain."""
    call = talking(world)
    answer = call.final
    bye = call.phone.in_dialog(call, answer, "BYE", 2)
    bye.headers.set("Route", "<sip:00000000000000000000@192.0.2.1:5060;lr>")
    later = call.phone.send(bye, world.socket.address)
    world.run(2.0)
    assert later.statuses == [403]
    assert world.events() == ["1.000 request"]


def test_a_token_of_another_call_is_none(world: World) -> None:
    call = talking(world)
    bye = call.phone.in_dialog(call, call.final, "BYE", 2)
    token = world.core.token_key.mint("another", call.request.from_.tag or "")
    bye.headers.set("Route", f"<sip:{token}@192.0.2.1:5060;lr>")
    later = call.phone.send(bye, world.socket.address)
    world.run(2.0)
    assert later.statuses == [403]


def test_a_token_without_a_to_tag_is_none(world: World) -> None:
    call = talking(world)
    invite = call.phone.in_dialog(call, call.final, "INVITE", 2)
    invite.headers.set("To", "<sip:bob@example.com>")
    later = call.phone.send(invite, world.socket.address)
    world.run(2.0)
    assert later.statuses == [403]
    assert len(world.runs) == 1


def test_further_routes_of_a_stranger_are_removed(world: World) -> None:
    """The Request-URI decides: bob's phone is called, not the one in the Route."""
    stranger, bob, evil = world.phone("stranger", "203.0.113.5"), world.phone("bob"), world.phone("evil")
    world.registers(bob)
    call = stranger.calls_up("sip:bob@example.com", "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.30;lr>")
    world.run(1.0)
    assert call.statuses == [200]
    assert "route" not in bob.got.headers
    assert not evil.requests


@pytest.mark.rfc("3261", "16.6-34")
@pytest.mark.parametrize("uri", ["sip:bob@other.example", "sip:bob@example.com"])
def test_further_routes_of_a_trusted_phone_are_obeyed(world: World, uri: str) -> None:
    """Item 7: the first Route says where it goes; the Request-URI stays as it is."""
    alice, gate = world.phone("alice"), world.phone("gate")
    call = alice.calls_up(uri, "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.20;lr>")
    world.run(1.0)
    assert call.statuses == [200]
    assert gate.got.uri == uri
    assert gate.got.headers.get("route") == "<sip:192.0.2.20;lr>"


@pytest.mark.rfc("3261", "16.4-2")
def test_a_strict_router_put_our_record_route_into_the_request_uri(world: World) -> None:
    call = talking(world)
    bye = call.phone.in_dialog(call, call.final, "BYE", 2)
    ours = str(bye.routes[0].uri)
    strict = bye.with_(uri=ours)
    strict.headers.set("Route", f"<{bye.uri}>")
    later = call.phone.send(strict, world.socket.address)
    world.run(2.0)
    assert later.statuses == [200]
    assert world.phones[1].heard("BYE")[0].uri == bye.uri


@pytest.mark.rfc("3261", "13.2.2.4")
def test_an_ack_of_a_stranger_is_forwarded_with_the_token_alone(world: World) -> None:
    call = talking(world)
    bob = world.phones[1]
    ack = call.phone.in_dialog(call, call.final, "ACK", 1)
    ack.headers.prepend("Via", "SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKfresh1;rport")
    call.phone.throw(bytes(ack))
    world.run(1.1)
    world.shows("""
        1.000 alice > server ACK
        1.000 server > bob ACK
    """)
    forged = bytes(ack).replace(str(ack.routes[0].uri.user).encode(), b"00000000000000000000")  # type: ignore[union-attr]
    call.phone.throw(forged.replace(b"fresh1", b"fresh2"))
    world.run(1.2)
    world.shows("1.100 alice > server ACK")
    assert not world.runs
    assert len(bob.heard("ACK")) == 2


@pytest.mark.rfc("3050", "5.5.1.11-1")
def test_an_ack_never_runs_a_script_nor_is_answered(world: World) -> None:
    alice = world.phone("alice", "203.0.113.5")
    world.script("ack.sh", "SIP/2.0 200 OK\n")
    world.script("default.sh", "SIP/2.0 200 OK\n")
    ack = alice.request("ACK", "sip:bob@example.com")
    ack.headers.prepend("Via", "SIP/2.0/UDP 203.0.113.5:5060;branch=z9hG4bKx;rport")
    alice.throw(bytes(ack))
    world.run(1.0)
    world.shows("0.000 alice > server ACK")
    assert not world.runs


@pytest.mark.rfc("3261", "16.6")
def test_the_ack_that_is_forwarded_counts_its_hops(world: World) -> None:
    call = talking(world)
    ack = world.phones[1].heard("ACK")[0]
    assert ack.max_forwards == 69
    assert [via.sent_by for via in ack.vias] == ["192.0.2.1:5060", "203.0.113.5:5060"]
    assert call.request.call_id == ack.call_id


def test_the_callee_in_front_of_a_nat_is_found_again(world: World) -> None:
    """The Contact of bob's 200 equals a registered contact: it goes the way that one registered."""
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", port=40000, says="10.0.0.7")
    world.registers(bob, flow=True)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert len(bob.heard("ACK")) == 1
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]


@pytest.mark.rfc("3261", "12.2.2", "15.1.2")
@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE"])
@pytest.mark.parametrize("uri", ["sip:192.0.2.1:5060", "sip:example.com"])
def test_a_valid_token_for_a_dialog_that_ends_here_and_is_not_there(world: World, method: str, uri: str) -> None:
    """Nobody further on is to be asked, so that we are the one to say so."""
    alice = world.phone("alice", "203.0.113.5")
    request = alice.request(method, uri, "To: <sip:bob@example.com>;tag=gone")
    token = world.core.token_key.mint(request.call_id, request.from_.tag or "")
    request.headers.add("Route", f"<sip:{token}@192.0.2.1:5060;lr>")
    call = alice.send(request, world.socket.address)
    world.run(1.0)
    assert call.statuses == [481]


def test_a_stranger_is_not_told_which_dialogs_there_are(world: World) -> None:
    """To another domain it is forbidden, whatever tags it shows."""
    alice = world.phone("alice", "203.0.113.5")
    call = alice.calls_up("sip:bob@other.example", "To: <sip:bob@example.com>;tag=gone", method="BYE")
    world.run(1.0)
    assert call.statuses == [403]


@pytest.mark.rfc("3261", "16.6-11")
def test_who_has_lost_the_route_of_a_call_finds_it_in_a_later_request(world: World) -> None:
    call = talking(world)
    bob = world.phones[1]
    later = call.then("INVITE")
    world.run(2.0)
    assert later.statuses == [200]
    invite = bob.heard("INVITE")[-1]
    routes = [f"Route: {route}" for route in invite.headers.elements("record-route")]
    ends = [f"From: {invite.headers.get('to')}", f"To: {invite.headers.get('from')}"]
    bye = bob.send(
        bob.request("BYE", str(invite.contacts[0].uri), *ends, *routes, cseq=9, call_id=invite.call_id),
        world.socket.address,
    )
    world.run(3.0)
    assert len(routes) == 1
    assert bye.statuses == [200]
    assert len(call.phone.heard("BYE")) == 1
    assert not world.runs
