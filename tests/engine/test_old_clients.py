"""Clients of RFC 2543: no branch, no tags, strict routes, ACK in the INVITE's transaction (RFC 3261 17.2.3, 16.12)."""

import pytest
from world import World

INVITE = (
    "{method} sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.10\r\n"
    "From: <sip:alice@example.com>;tag=a\r\n"
    "To: <sip:bob@example.com>{tag}\r\n"
    "Call-ID: old-1\r\n"
    "CSeq: 1 {method}\r\n"
    "Contact: <sip:alice@192.0.2.10>\r\n"
    "\r\n"
)


def octets(method: str, tag: str = "") -> bytes:
    return INVITE.format(method=method, tag=tag).encode()


@pytest.mark.rfc("3261", "17.2.3")
def test_an_invite_without_a_branch(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.3, 486))
    alice.throw(octets("INVITE"))
    world.run(0.1)
    alice.throw(octets("INVITE"))
    world.run(0.4)
    assert len(bob.heard("INVITE")) == 1
    assert bob.got.max_forwards == 70
    assert bob.got.headers.get("content-length") == "0"
    world.transcript()
    alice.throw(octets("ACK", ";tag=whatever"))
    world.run(9.0)
    world.shows("0.400 alice > server ACK")  # and the 486 is not sent again


@pytest.mark.rfc("3261", "17.2.3")
def test_its_cancel(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    alice.throw(octets("INVITE"))
    world.run(0.5)
    world.transcript()
    alice.throw(octets("CANCEL"))
    world.run(0.6)
    world.shows("""
        0.500 alice > server CANCEL
        0.500 server > alice 200 CANCEL
        0.500 server > bob CANCEL
        0.500 bob > server 200 CANCEL
        0.500 bob > server 487 INVITE
        0.500 server > alice 487 INVITE
        0.500 server > bob ACK
    """)


@pytest.mark.rfc("3261", "17.2.3")
def test_two_calls_without_branches_are_two(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.throw(octets("INVITE"))
    alice.throw(octets("INVITE").replace(b"old-1", b"old-2"))
    world.run(1.0)
    assert len(bob.heard("INVITE")) == 2


@pytest.mark.rfc("3261", "16.6-28", "16.6-29", "16.6-30", "16.6-33")
def test_a_strict_router_is_the_next_hop(world: World) -> None:
    """Item 6: it gets itself as the Request-URI, and the target as the last Route."""
    alice, strict = world.phone("alice"), world.phone("strict")
    call = alice.calls_up("sip:bob@other.example", "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.20>, <sip:192.0.2.98;lr>")
    world.run(1.0)
    assert call.statuses == [200]
    assert strict.got.uri == "sip:192.0.2.20"
    assert strict.got.headers.elements("route") == ["<sip:192.0.2.98;lr>", "<sip:bob@other.example>"]


@pytest.mark.rfc("3261", "8.2.6.2", "16.7-29")
def test_a_2xx_without_a_to_tag(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE")
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    for _ in range(2):
        answer = bob.response(bob.got, "x", 200)
        answer.headers.set("To", "<sip:bob@example.com>")
        bob.throw(bytes(answer))
    world.run(0.5)
    assert call.statuses == [200, 200]
    assert {response.to.tag for response in call.responses} == {None}


@pytest.mark.rfc("3261", "20.14")
def test_a_response_without_content_length_gets_one_on_its_way_to_a_stream(world: World) -> None:
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE")
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    for status, tag in ((180, "a"), (200, "a"), (200, "fork")):
        bare = bob.response(bob.got, tag, status, b"v=0\r\n")
        bare.headers.remove("content-length")
        bob.throw(bytes(bare))
        world.run(world.network.now + 0.1)
    assert [answer.headers.get("content-length") for answer in call.responses[-3:]] == ["5", "5", "5"]
    assert [answer.body for answer in call.responses[-3:]] == [b"v=0\r\n"] * 3


@pytest.mark.rfc("6026", "6-5")
def test_its_ack_of_a_2xx_reaches_the_callee(world: World) -> None:
    """It has all that identifies the INVITE: only the state of that transaction tells that it is not for us."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.3, 200))
    alice.throw(octets("INVITE"))
    world.run(0.4)
    world.transcript()
    alice.throw(octets("ACK", ";tag=whatever"))
    world.run(0.45)
    world.shows("""
        0.400 alice > server ACK
        0.400 server > bob ACK
    """)
    world.run()
