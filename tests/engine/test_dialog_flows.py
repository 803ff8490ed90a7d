"""In a dialog each side is reached over its own flow (RFC 5626 5.3, RFC 7118 5), whatever its Contact says."""

import pytest
from phone import Call, Phone
from world import World

from sipcgi.cgi.routes import Route
from sipcgi.dialog.token import Sides

HOSTS = {"WS": "df7jal23ls0d.invalid", "TCP": "10.0.0.7", "UDP": "10.0.0.7"}


def behind_a_nat(world: World, name: str, transport: str, host: str) -> Phone:
    """A browser, or a phone whose Contact has a private address."""
    return world.phone(name, host, port=40000, says=HOSTS[transport], transport=transport)


def registered(world: World, phone: Phone) -> Phone:
    call = phone.calls_up("sip:example.com", f"To: <sip:{phone.name}@example.com>", method="REGISTER")
    world.run(world.network.now + 0.1)
    assert call.final.status == 200
    return phone


def talk(world: World, call: Call, caller: Phone, callee: Phone) -> None:
    """Both sides send requests in the dialog, and each reaches the other."""
    world.run(world.network.now + 1.0)
    assert call.statuses == [200], call.statuses
    assert len(callee.heard("ACK")) == 1
    assert callee.got.contacts[0].uri == caller.request("OPTIONS", "sip:h").contacts[0].uri
    tag = call.final.to.tag or ""
    calls = [
        callee.calls_back(callee.got, "INFO", tag),
        call.then("INVITE"),
        callee.calls_back(callee.got, "UPDATE", tag),
        call.then("INFO", cseq=3),
        callee.calls_back(callee.got, "BYE", tag),
    ]
    world.run(world.network.now + 1.0)
    assert [one.statuses for one in calls] == [[200]] * 5
    assert [request.method for request in caller.requests] == ["INFO", "UPDATE", "BYE"]
    assert len(callee.heard("ACK")) == 2
    assert {request.via.transport for request in caller.requests} == {caller.transport}
    assert {request.via.transport for request in callee.requests} == {callee.transport}
    assert all("route" not in request.headers for request in caller.requests + callee.requests)


@pytest.mark.rfc("7118", "5")
@pytest.mark.parametrize("callers", ["WS", "TCP", "UDP"])
@pytest.mark.parametrize("callees", ["WS", "TCP", "UDP"])
def test_two_that_only_their_flows_lead_to(world: World, callers: str, callees: str) -> None:
    """The caller need not be registered."""
    alice = behind_a_nat(world, "alice", callers, "203.0.113.5")
    bob = registered(world, behind_a_nat(world, "bob", callees, "198.51.100.7"))
    talk(world, alice.calls_up("sip:bob@example.com"), alice, bob)


@pytest.mark.rfc("7118", "5")
@pytest.mark.parametrize("transport", ["WS", "TCP", "UDP"])
@pytest.mark.parametrize("inside", [True, False])
def test_one_that_only_its_flow_leads_to(world: World, transport: str, inside: bool) -> None:
    """The other one is where its Contact says."""
    there = behind_a_nat(world, "there", transport, "203.0.113.5")
    here = world.phone("here")
    registered(world, here), registered(world, there)
    caller, callee = (there, here) if inside else (here, there)
    talk(world, caller.calls_up(f"sip:{callee.name}@example.com"), caller, callee)


@pytest.mark.rfc("5626", "5.3.2")
def test_a_contact_with_ob_asks_for_its_flow(world: World) -> None:
    """Over UDP, where nothing else tells that it has moved: from another port than it says."""
    alice = world.phone("alice", "203.0.113.5", port=40000)
    bob = world.phone("bob")
    registered(world, bob)
    call = alice.calls_up("sip:bob@example.com", "Contact: <sip:alice@203.0.113.5:7070;transport=tcp;ob>")
    world.run(1.0)
    bye = bob.calls_back(bob.got, "BYE", call.final.to.tag or "")
    world.run(2.0)
    assert bye.statuses == [200]
    assert alice.heard("BYE")[0].uri == "sip:alice@203.0.113.5:7070;transport=tcp;ob"


def test_a_proxy_in_front_is_not_the_phone(world: World) -> None:
    """What comes over the connection of a proxy goes back by its Record-Route."""
    gate = world.phone("gate", transport="TCP")
    bob = registered(world, world.phone("bob"))
    invite = gate.request("INVITE", "sip:bob@example.com", "Contact: <sip:x@203.0.113.5>")
    invite.headers.prepend("Via", "SIP/2.0/UDP 203.0.113.5;branch=z9hG4bKabc")
    invite.headers.prepend("Record-Route", "<sip:192.0.2.10;lr;transport=tcp>")
    gate.acknowledges = False
    call = gate.send(invite, world.socket.address)
    world.run(0.4)
    bye = bob.calls_back(bob.got, "BYE", call.final.to.tag or "")
    world.run(2.0)
    assert bye.statuses == [200]
    assert gate.heard("BYE")[0].headers.all("route") == ["<sip:192.0.2.10;lr;transport=tcp>"]
    assert "." not in (bob.got.record_routes[0].uri.user or "")  # type: ignore[union-attr]


def test_nobody_takes_a_call_by_registering_a_contact_of_another(world: World) -> None:
    """Eve was there first, and comes again: her bindings equal the Contact of bob, to whom carol's calls go."""
    alice = world.phone("alice", "203.0.113.5")
    for bob in (behind_a_nat(world, "bob", "TCP", "198.51.100.7"), world.phone("ben", "198.51.100.8")):
        eve = world.phone("eve", "198.51.100.66", port=6000 + len(world.phones), transport="TCP")
        contact = f"Contact: <{bob.contact}>"
        first = eve.calls_up("sip:example.com", "To: <sip:eve@example.com>", contact, method="REGISTER")
        registered(world, bob)
        second = eve.calls_up("sip:example.com", "To: <sip:eva@example.com>", contact, method="REGISTER")
        world.run(world.network.now + 0.1)
        assert (first.final.status, second.final.status) == (200, 200)
        world.script("invite.sh", f"CGI-PROXY-REQUEST sip:{bob.name}@example.com SIP/2.0\n\n")
        call = alice.calls_up("sip:carol@example.com")
        world.run(world.network.now + 1.0)
        bye = call.then("BYE")
        world.run(world.network.now + 1.0)
        assert bye.statuses == [200]
        assert [request.method for request in bob.requests] == ["INVITE", "ACK", "BYE"]
        assert not eve.requests


@pytest.mark.rfc("5626", "5.3.1")
@pytest.mark.parametrize("transport", ["WS", "TCP"])
def test_a_phone_that_has_registered_over_another_connection_meanwhile(world: World, transport: str) -> None:
    alice = world.phone("alice")
    bob = registered(world, behind_a_nat(world, "bob", transport, "198.51.100.7"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.socket.hangs_up(transport, bob.socket.address)
    again = bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", "Call-ID: anew", method="REGISTER")
    world.run(1.1)
    assert again.final.status == 200
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]


@pytest.mark.rfc("5626", "5.3.1")
def test_a_phone_that_has_moved_while_its_old_connection_seems_open(world: World) -> None:
    """From one network to another: nobody has told that the first one is dead."""
    alice = world.phone("alice")
    bob = registered(world, behind_a_nat(world, "bob", "TCP", "198.51.100.7"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    moved = world.phone("bob", "203.0.113.99", port=50000, says=HOSTS["TCP"], transport="TCP")
    moved.calls = bob.calls  # its Call-IDs go on
    registered(world, moved)
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]
    assert len(moved.heard("BYE")) == 1
    assert not bob.heard("BYE")


def test_of_several_of_our_routes_the_last_one_is_nearest_to_the_other_side(world: World) -> None:
    """A spiral: the request that made the dialog came by twice."""
    alice = world.phone("alice")
    bob = registered(world, behind_a_nat(world, "bob", "TCP", "198.51.100.7"))
    between = registered(world, behind_a_nat(world, "between", "TCP", "198.51.100.8"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bye = alice.in_dialog(call, call.final, "BYE", 2)
    tag = call.request.from_.tag or ""
    tokens = [
        world.core.token_key.mint(bye.call_id, tag, Sides(recipient=world.socket.flow_to("TCP", phone.socket.address)))
        for phone in (between, bob)
    ]
    world.store.replace("bob@example.com", [])
    bye.headers.set("Route", ", ".join([f"<sip:{token}@192.0.2.1;lr>" for token in tokens]))
    later = alice.send(bye, world.socket.address)
    world.run(2.0)
    assert later.statuses == [200]
    assert len(bob.heard("BYE")) == 1
    assert not between.requests


@pytest.mark.rfc("3261", "26.2.2")
def test_a_sips_uri_is_not_sent_over_a_flow_without_tls(world: World) -> None:
    alice = world.phone("alice")
    bob = registered(world, behind_a_nat(world, "bob", "TCP", "198.51.100.7"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bye = alice.in_dialog(call, call.final, "BYE", 2).with_(uri="sips:bob@10.0.0.7;ob")
    later = alice.send(bye, world.socket.address)
    world.run(2.0)
    assert later.statuses == [430]
    assert not bob.heard("BYE")


@pytest.mark.rfc("5626", "5.3.1")
def test_a_flow_that_is_gone(world: World) -> None:
    alice = world.phone("alice")
    bob = registered(world, behind_a_nat(world, "bob", "WS", "198.51.100.7"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.socket.hangs_up("WS", bob.socket.address)
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [430]
    assert bye.final.reason == "Flow Failed"


def test_a_flow_that_is_gone_of_one_that_takes_connections(world: World) -> None:
    """RFC 3261 18: its Contact leads to it as well."""
    alice, bob = world.phone("alice"), registered(world, world.phone("bob", transport="TCP"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.socket.hangs_up("TCP", bob.socket.address)
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]


def test_a_flow_cannot_be_taken_from_one_dialog_to_another(world: World) -> None:
    """Who is in a call with bob gets no way to carol by mixing the tokens of both."""
    eve = world.phone("eve", "198.51.100.66")
    bob = registered(world, behind_a_nat(world, "bob", "TCP", "198.51.100.7"))
    carol = registered(world, behind_a_nat(world, "carol", "WS", "198.51.100.8"))
    first, second = eve.calls_up("sip:bob@example.com"), eve.calls_up("sip:carol@example.com")
    world.run(1.0)
    names = [call.final.record_routes[-1].uri.user for call in (first, second)]  # type: ignore[union-attr]
    mixed = f"{names[0].partition('.')[0]}.{names[1].partition('.')[2]}"  # type: ignore[union-attr]
    for token in (mixed, names[1]):
        bye = eve.in_dialog(first, first.final, "BYE", 2)
        bye.headers.set("Route", f"<sip:{token}@192.0.2.1;lr>")
        refused = eve.send(bye, world.socket.address)
        world.run(world.network.now + 1.0)
        assert refused.statuses == [403]
    assert not bob.heard("BYE")
    assert not carol.heard("BYE")


def test_a_script_in_the_dialog_that_goes_elsewhere_does(world: World) -> None:
    alice, other = world.phone("alice"), world.phone("other")
    bob = registered(world, behind_a_nat(world, "bob", "TCP", "198.51.100.7"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.script("info.sh", "CGI-PROXY-REQUEST sip:other@192.0.2.20 SIP/2.0\n\n", "")
    world.routes(Route(script="info.sh", method=frozenset({"INFO"}), in_dialog=True))
    info, next_info = call.then("INFO"), call.then("INFO", cseq=3)
    world.run(2.0)
    assert (info.statuses, next_info.statuses) == ([200], [200])
    assert (len(other.heard("INFO")), len(bob.heard("INFO"))) == (1, 1)
