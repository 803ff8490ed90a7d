"""The servers of a next hop, one after the other (RFC 3263 4.3)."""

import pytest
from world import World


@pytest.mark.rfc("3263", "4.3")
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


@pytest.mark.rfc("3263", "4.3")
def test_a_cancel_goes_to_the_server_that_was_reached(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    dead = bob.socket.address._replace(host="192.0.2.99")
    world.network.unreachable |= {dead}
    carol.answers("INVITE", (0.5, 180))
    world.names.hosts["two.example"] = (0.0, [dead, carol.socket.address, dead])
    call = alice.calls_up("sip:bob@two.example")
    world.run(2.0)
    call.cancel()
    world.run(400.0)
    assert call.statuses == [100, 180, 487]


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
