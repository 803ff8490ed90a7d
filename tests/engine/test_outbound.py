"""Registered flows, and requests that go over them (RFC 5626 sections 6, 7 and 9)."""

import pytest
from phone import Call, Phone
from world import World

from sipcgi.engine.domains import DomainSettings

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
CONTACT = "<sip:bob@192.0.2.2;transport=tcp>"


def registers(phone: Phone, reg_id: int, *fields: str, user: str = "bob", instance: str = INSTANCE) -> Call:
    contact = CONTACT.replace("bob", user)
    return phone.calls_up(
        "sip:example.com",
        f"To: <sip:{user}@example.com>",
        f"Contact: {contact};reg-id={reg_id};{instance}",
        "Supported: path, outbound",
        *fields,
        method="REGISTER",
    )


def two_flows(world: World, transport: str = "TCP") -> tuple[Phone, Phone]:
    """Bob's phone behind a NAT has two flows; what comes over the second, which is the later one, is a phone here."""
    first = world.phone("first", "198.51.100.7", port=40001, says="10.0.0.7", transport=transport)
    second = world.phone("second", "198.51.100.7", port=40002, says="10.0.0.7", transport=transport)
    for number, phone in enumerate((first, second), 1):
        assert registers(phone, number) is not None
        world.run(number * 0.1)
    world.transcript()
    return first, second


def bindings(world: World, user: str = "bob") -> list[int | None]:
    return [binding.reg_id for binding in world.store.bindings(f"{user}@example.com", world.network.now)]


@pytest.mark.rfc("5626", "6-10", "6-11", "7-4")
@pytest.mark.parametrize("transport", ["TCP", "UDP", "WS"])
def test_a_flow_is_registered_and_called(world: World, transport: str) -> None:
    """At another address than its Contact says, and over TCP at another port than where it listens."""
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", port=40001, says="10.0.0.7", transport=transport)
    register = registers(bob, 1)
    world.run(0.1)
    assert register.final.headers.all("require") == ["outbound"]
    assert register.final.headers.all("contact") == [f"{CONTACT};reg-id=1;{INSTANCE};expires=3600"]
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert bob.got.uri == CONTACT[1:-1]
    assert bob.got.via.transport == transport
    assert len(bob.heard("ACK")) == 1


@pytest.mark.rfc("5626", "7-1", "7-3")
@pytest.mark.parametrize("transport", ["TCP", "UDP"])
def test_an_instance_is_called_over_one_flow(world: World, transport: str) -> None:
    alice = world.phone("alice")
    first, second = two_flows(world, transport)
    second.answers("INVITE", (0.1, 180), (0.5, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [180, 486]  # it has given its answer: no other flow is tried
    assert not first.requests
    assert bindings(world) == [1, 2]


@pytest.mark.rfc("5626", "7")
def test_the_flow_that_was_registered_last_is_the_first_to_be_tried(world: World) -> None:
    alice = world.phone("alice")
    first, second = two_flows(world)
    registers(first, 1, "CSeq: 2 REGISTER", "Call-ID: first-1")
    world.run(0.3)
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert (len(first.heard("INVITE")), len(second.heard("INVITE"))) == (1, 0)


@pytest.mark.rfc("5626", "7-6")
def test_a_connection_that_is_gone_ends_its_binding(world: World) -> None:
    alice = world.phone("alice")
    first, second = two_flows(world)
    world.socket.hangs_up("TCP", second.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert first.got.uri == CONTACT[1:-1]
    assert bindings(world) == [1]
    world.socket.hangs_up("TCP", first.socket.address)
    again = alice.calls_up("sip:bob@example.com")
    query = alice.request("REGISTER", "sip:example.com", "To: <sip:bob@example.com>")
    query.headers.remove("contact")
    listed = alice.send(query, world.socket.address)
    world.run(2.0)
    assert again.statuses == [480]
    assert "contact" not in listed.final.headers
    assert bindings(world) == []


@pytest.mark.rfc("5626", "7")
@pytest.mark.parametrize(("transport", "rings"), [("TCP", False), ("WS", False), ("WS", True)])
def test_a_connection_that_breaks_during_the_call_is_replaced_by_the_next_flow(
    world: World, transport: str, rings: bool
) -> None:
    """A phone that has begun to answer over TCP may go on over a new connection (RFC 3261 18.2.2), a browser cannot."""
    alice = world.phone("alice")
    first, second = two_flows(world, transport)
    second.answers("INVITE", *([(0.05, 180)] if rings else []))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.3)
    world.socket.hangs_up(transport, second.socket.address)
    world.run(2.0)
    assert call.statuses == ([180, 200] if rings else [200])
    assert len(first.heard("INVITE")) == len(second.heard("INVITE")) == 1
    assert first.got.via.branch != second.got.via.branch
    assert bindings(world) == [1]
    bye = call.then("BYE")
    world.run(3.0)
    assert bye.statuses == [200]
    assert first.heard("BYE")


@pytest.mark.rfc("7118", "5")
def test_a_browser_that_is_closed_while_it_rings(world: World) -> None:
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", says="df7jal23ls0d.invalid", transport="WS")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.socket.hangs_up("WS", bob.socket.address)
    world.run(1.1)
    assert call.statuses == [180, 480]
    assert world.store.count() == 0


@pytest.mark.rfc("5626", "7")
def test_a_flow_without_an_answer_is_followed_by_the_next(world: World) -> None:
    """408: after 64*T1 over UDP. Its binding stays: that it is gone is not known."""
    alice = world.phone("alice")
    first, second = two_flows(world, "UDP")
    world.network.detach(second.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(40.0)
    assert call.statuses == [100, 200]
    assert len(first.heard("INVITE")) == 1
    assert bindings(world) == [1, 2]


@pytest.mark.rfc("5626", "7-5")
def test_a_destination_that_is_unreachable_is_a_flow_that_is_gone(world: World) -> None:
    alice = world.phone("alice")
    first, second = two_flows(world, "UDP")
    world.network.unreachable |= {second.socket.address}
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert len(first.heard("INVITE")) == 1
    assert bindings(world) == [1]
    world.network.unreachable |= {first.socket.address}
    again = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert again.statuses == [480]  # 11.5: no endpoint should see a 430
    assert bindings(world) == []


@pytest.mark.rfc("5626", "7")
def test_a_script_hears_of_one_target_and_sees_each_instance_once(world: World) -> None:
    alice = world.phone("alice")
    _, second = two_flows(world, "UDP")
    other = world.phone("other", "198.51.100.9")
    registers(other, 1, instance=INSTANCE.replace("EEFF", "0001"))
    world.run(0.5)
    world.network.unreachable |= {second.socket.address}
    world.script(
        "invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n", "", unlimited=True
    )
    other.answers("INVITE", (0.5, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    assert world.runs[0].environment["REGISTRATIONS"].count("<sip:") == 2
    assert world.events() == ["0.500 request", "0.500 response 200"]


@pytest.mark.rfc("5626", "7")
def test_a_script_that_proxies_to_the_contact_reaches_whichever_flow_is_there(world: World) -> None:
    alice = world.phone("alice")
    first, second = two_flows(world, "UDP")
    world.network.unreachable |= {second.socket.address}
    world.script("invite.sh", f"CGI-PROXY-REQUEST {CONTACT[1:-1]} SIP/2.0\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert len(first.heard("INVITE")) == 1


def test_a_cancel_stops_the_search(world: World) -> None:
    alice = world.phone("alice")
    first, second = two_flows(world, "WS")
    second.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    second.obeys_cancel = False
    call.cancel()
    world.run(1.1)
    world.socket.hangs_up("WS", second.socket.address)
    world.run(60.0)
    assert call.final.status == 487
    assert not first.requests


# Behind edge proxies (RFC 5626 9.3)


def edges(world: World) -> tuple[Phone, Phone]:
    """EP1 and EP2, through which bob has registered; EP2 last."""
    ep1, ep2 = world.phone("ep1"), world.phone("ep2")
    for number, edge in enumerate((ep1, ep2), 1):
        path = f"Path: <sip:token{number}@{edge.socket.address};lr;ob>"
        registers(edge, number, "Via: SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKnashds7", path)
        world.run(number * 0.1)
    world.transcript()
    return ep1, ep2


@pytest.mark.rfc("5626", "7-2", "9.3", "11.5-1")
def test_an_edge_that_says_430_is_followed_by_the_other(world: World) -> None:
    alice = world.phone("alice", "203.0.113.5")
    ep1, ep2 = edges(world)
    ep2.answers("INVITE", (0.1, 100), (0.2, 430))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.shows("""
        0.200 alice > server INVITE
        0.200 server > ep2 INVITE
        0.300 ep2 > server 100 INVITE
        0.400 server > alice 100 INVITE
        0.400 ep2 > server 430 INVITE
        0.400 server > ep1 INVITE
        0.400 server > ep2 ACK
        0.400 ep1 > server 200 INVITE
        0.400 server > alice 200 INVITE
        0.400 alice > server ACK
        0.400 server > ep1 ACK
    """)
    assert call.statuses == [100, 200]
    assert ep1.got.headers.get("route") == f"<sip:token1@{ep1.socket.address};lr;ob>"
    assert ep1.got.uri == CONTACT[1:-1]
    assert bindings(world) == [1]


@pytest.mark.rfc("5626", "11.5")
def test_when_no_flow_is_left_the_caller_hears_480(world: World) -> None:
    alice = world.phone("alice", "203.0.113.5")
    for edge in edges(world):
        edge.answers("INVITE", (0, 430))
        edge.answers("MESSAGE", (0, 430))
    call = alice.calls_up("sip:bob@example.com")
    message = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(1.0)
    assert (call.statuses, message.statuses) == ([480], [480])
    assert bindings(world) == []


@pytest.mark.rfc("5626", "7")
def test_a_flow_that_was_registered_anew_meanwhile_stays(world: World) -> None:
    alice = world.phone("alice", "203.0.113.5")
    ep1, ep2 = edges(world)
    ep2.answers("INVITE", (0.5, 430))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.4)
    path = f"Path: <sip:new@{ep2.socket.address};lr;ob>"
    via = "Via: SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKnashds9"
    registers(ep2, 2, via, path, "Call-ID: ep2-1", "CSeq: 2 REGISTER")
    world.run(2.0)
    assert call.final.status == 200
    assert len(ep1.heard("INVITE")) == 1
    assert bindings(world) == [1, 2]


@pytest.mark.rfc("5626", "6")
def test_a_first_hop_without_outbound(world: World) -> None:
    proxy = world.phone("proxy")
    call = registers(proxy, 1, "Via: SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKnashds7", "Path: <sip:192.0.2.10;lr>")
    world.run(1.0)
    assert call.final.status == 439
    assert call.final.reason == "First Hop Lacks Outbound Support"
    assert world.store.count() == 0


# Who is who


@pytest.mark.rfc("5626", "6")
def test_the_instance_of_another_user_is_another_binding(world: World) -> None:
    """Eve, who knows bob's instance and number, and says the same Contact, takes nothing from him."""
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", port=40001, transport="TCP")
    eve = world.phone("eve", "198.51.100.66", transport="TCP")
    registers(bob, 1)
    world.run(0.1)
    stolen = eve.calls_up(
        "sip:example.com",
        "To: <sip:eve@example.com>",
        f"Contact: {CONTACT};reg-id=1;{INSTANCE}",
        "Supported: outbound",
        method="REGISTER",
    )
    world.run(0.2)
    assert stolen.final.status == 200
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bye = call.then("BYE")
    world.run(2.0)
    assert (call.statuses, bye.statuses) == ([200], [200])
    assert [request.method for request in bob.requests] == ["INVITE", "ACK", "BYE"]
    assert not eve.requests


# Plain contacts (RFC 3261)


def test_a_plain_phone_whose_connection_ended_is_called_at_its_address(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(0.1)
    world.socket.hangs_up("TCP", bob.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert world.store.count() == 1


@pytest.mark.rfc("7118", "5")
def test_a_browser_whose_connection_ended_is_not_there(world: World) -> None:
    alice = world.phone("alice")
    bob = world.phone("bob", "198.51.100.7", says="df7jal23ls0d.invalid", transport="WS")
    bob.calls_up("sip:example.com", "To: <sip:bob@example.com>", method="REGISTER")
    world.run(0.1)
    world.socket.hangs_up("WS", bob.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [480]
    assert world.store.count() == 0


# What a 200 tells (RFC 3608, RFC 5626 5.4)


def told(call: Call) -> tuple[list[str], list[str]]:
    headers = call.final.headers
    return headers.all("service-route"), headers.all("flow-timer")


@pytest.mark.rfc("3608", "5-1", "6.3-2")
def test_a_phone_is_told_its_service_route_and_how_often_to_show_itself(world: World) -> None:
    bob, proxy = world.phone("bob", transport="TCP"), world.phone("proxy")
    route = ("sip:p2.example.com;lr", "sip:hsp.example.com;lr")
    world.domains.configure({"example.com": DomainSettings(service_route=route, flow_timer=30)})
    flow = registers(bob, 1)
    plain = bob.calls_up("sip:example.com", "To: <sip:ben@example.com>", method="REGISTER")
    path = "Path: <sip:192.0.2.20;lr;ob>"
    through = registers(proxy, 2, "Via: SIP/2.0/TCP 10.0.0.7;branch=z9hG4bKnashds7", path)
    refused = bob.calls_up("sip:example.com", "To: <sip:ben@example.com>", "Expires: 1", method="REGISTER")
    world.run(1.0)
    both = ["<sip:p2.example.com;lr>, <sip:hsp.example.com;lr>"]
    assert (told(flow), told(plain), told(through)) == ((both, ["30"]), (both, []), (both, []))
    assert told(refused) == ([], [])
    world.domains.configure({"example.com": DomainSettings()})
    nothing = registers(bob, 1, "CSeq: 2 REGISTER", "Call-ID: bob-1")
    world.run(2.0)
    assert told(nothing) == ([], [])
    assert nothing.final.headers.all("require") == ["outbound"]


def test_what_the_server_says_it_has(world: World) -> None:
    alice = world.phone("alice")
    options = alice.calls_up("sip:example.com", method="OPTIONS")
    refused = alice.calls_up("sip:example.com", "Require: gruu", method="REGISTER")
    world.run(1.0)
    assert options.final.headers.all("supported") == ["path, outbound"]
    assert (refused.final.status, refused.final.headers.all("unsupported")) == (420, ["gruu"])


@pytest.mark.rfc("3608", "6.3-1")
def test_a_phone_that_only_asks_is_told_the_same_service_route(world: World) -> None:
    bob = world.phone("bob", transport="TCP")
    world.domains.configure({"example.com": DomainSettings(service_route=("sip:hsp.example.com;lr",))})
    registered = registers(bob, 1)
    query = bob.request("REGISTER", "sip:example.com", "To: <sip:bob@example.com>")
    query.headers.remove("contact")
    asked = bob.send(query, world.socket.address)
    world.run(1.0)
    assert told(asked) == told(registered) == (["<sip:hsp.example.com;lr>"], [])


@pytest.mark.rfc("5626", "6-12")
def test_a_flow_that_comes_over_another_connection_leads_there(world: World) -> None:
    alice = world.phone("alice")
    old, new = (world.phone(name, f"198.51.100.{n}", transport="TCP") for n, name in ((7, "old"), (8, "new")))
    registers(old, 1)
    world.run(0.1)
    registers(new, 1)
    world.run(0.2)
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert (len(old.heard("INVITE")), len(new.heard("INVITE"))) == (0, 1)
    assert bindings(world) == [1]


@pytest.mark.rfc("5626", "7-5", "7-6")
def test_a_connection_that_is_gone_ends_the_bindings_of_all_who_registered_over_it(world: World) -> None:
    alice, gate = world.phone("alice"), world.phone("gate", "198.51.100.7", transport="TCP")
    for user in ("bob", "ben"):
        registers(gate, 1, user=user)
        world.run(world.network.now + 0.1)
    world.socket.hangs_up("TCP", gate.socket.address)
    calls = [alice.calls_up(f"sip:{user}@example.com") for user in ("bob", "ben")]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[480], [480]]
    assert (bindings(world), bindings(world, "ben")) == ([], [])
