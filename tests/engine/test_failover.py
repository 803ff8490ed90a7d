"""The servers of a next hop, one after the other (RFC 3263 4.3)."""

import pytest
from world import World


@pytest.mark.rfc("3261", "16.6-36", "16.6-37", "16.6-38")
@pytest.mark.rfc("3263", "4.2-1", "4.2-2", "4.3-1")
def test_a_503_sends_it_to_the_next_server(world: World) -> None:
    alice, bob, carol, dora = world.phone("alice"), world.phone("bob"), world.phone("carol"), world.phone("dora")
    bob.answers("INVITE", (0, 100), (0.5, 503, "Retry-After: 17"))
    carol.answers("INVITE", (0.5, 503))
    dora.answers("INVITE", (0.5, 180), (1, 200))
    world.names.hosts["two.example"] = (0.0, [bob.socket.address, carol.socket.address, dora.socket.address])
    call = alice.calls_up("sip:bob@two.example")
    world.run(400.0)
    assert call.statuses == [100, 180, 200]
    assert [t.remote for t in world.names.failed] == [bob.socket.address]
    assert len({phone.got.via.branch for phone in (bob, carol, dora)}) == 3


@pytest.mark.rfc("3263", "4.3")
def test_when_no_server_is_left_the_failure_is_told(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    dead = bob.socket.address._replace(host="192.0.2.99")
    dead2 = bob.socket.address._replace(host="192.0.2.98")
    world.network.unreachable |= {dead, dead2}
    carol.answers("INVITE", (0.5, 503))
    world.names.hosts["two.example"] = (0.0, [dead, carol.socket.address, dead2])
    call = alice.calls_up("sip:bob@two.example")
    world.run(400.0)
    assert call.statuses == [100, 500]


@pytest.mark.rfc("3263", "4-3", "4.3", "4.4-1")
def test_a_cancel_goes_to_the_server_that_was_reached(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    dead = bob.socket.address._replace(host="192.0.2.99")
    world.network.unreachable |= {dead}
    carol.answers("INVITE", (0.5, 180))
    world.names.hosts["two.example"] = (0.0, [dead, carol.socket.address, dead])
    call = alice.calls_up("sip:bob@two.example")
    world.run(2.0)
    world.transcript()
    call.cancel()
    world.run(400.0)
    assert call.statuses == [100, 180, 487]
    assert [line for line in world.transcript().splitlines() if "server >" in line and "alice" not in line] == [
        "2.000 server > carol CANCEL",
        "2.000 server > carol ACK",
    ]


@pytest.mark.rfc("3263", "4.3")
def test_a_503_after_a_cancel_is_the_end(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.5, 180), (3, 503))
    bob.obeys_cancel = False
    world.names.hosts["two.example"] = (0.0, [bob.socket.address, carol.socket.address])
    call = alice.calls_up("sip:bob@two.example")
    world.run(2.0)
    call.cancel()
    world.run(400.0)
    assert carol.requests == []


@pytest.mark.rfc("3263", "4.3")
def test_a_server_that_answered_provisionally_has_not_failed(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.5, 100))
    carol.answers("INVITE", (0.5, 200))
    world.names.hosts["two.example"] = (0.0, [bob.socket.address, carol.socket.address])
    alice.calls_up("sip:bob@two.example")
    world.run(500.0)
    assert carol.requests == []


@pytest.mark.rfc("3263", "4-1", "4-2", "4.4-1")
def test_repetitions_and_the_ack_of_a_refusal_go_to_the_server_that_was_reached(world: World) -> None:
    """The name has another first server meanwhile."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.names.hosts["two.example"] = (0.0, [bob.socket.address, carol.socket.address])
    world.network.detach(bob.socket.address)
    bob.answers("INVITE", (0.1, 486))
    call = alice.calls_up("sip:bob@two.example")
    world.run(0.7)
    world.names.hosts["two.example"] = (0.0, [carol.socket.address, bob.socket.address])
    world.network.attach(bob.socket.address, "bob", bob.socket._arrived)
    world.run(3.0)
    assert call.final.status == 486
    assert [line for line in world.transcript().splitlines() if "server >" in line and "alice" not in line] == [
        "0.000 server > bob INVITE",
        "0.500 server > bob INVITE",
        "1.500 server > bob INVITE",
        "1.600 server > bob ACK",
    ]
