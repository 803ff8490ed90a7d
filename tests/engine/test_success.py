"""2xx responses to INVITE: every one goes upstream (RFC 3261 16.7 item 5, RFC 6026)."""

import pytest
from world import World


@pytest.mark.rfc("6026", "7.1")
def test_a_repeated_2xx_goes_upstream_each_time_and_leaves_no_trace(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    alice.acknowledges = False
    alice.calls_up("sip:bob@example.com")
    world.run(0.2)
    (server,) = world.transactions.servers.values()
    (client,) = world.transactions.clients.values()
    lingering = len(world.network.timers.heap)
    world.run(12.0)
    assert [line for line in world.transcript().splitlines() if "server > alice" in line] == [
        f"{time:.3f} server > alice 200 INVITE" for time in (0.1, 0.6, 1.6, 3.6, 7.6, 11.6)
    ]
    assert list(world.transactions.servers.values()) == [server]
    assert list(world.transactions.clients.values()) == [client]
    assert len(world.network.timers.heap) <= lingering + 1  # one of bob's


@pytest.mark.rfc("3261", "13.3.1.4")
def test_an_ack_that_was_lost_comes_again_with_the_repeated_2xx(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    alice.acknowledges = False
    alice.calls_up("sip:bob@example.com")
    world.run(0.2)
    alice.acknowledges = True
    world.transcript()
    world.run(5.0)
    world.shows("""
        0.600 bob > server 200 INVITE
        0.600 server > alice 200 INVITE
        0.600 alice > server ACK
        0.600 server > bob ACK
    """)


@pytest.mark.rfc("3261", "16.7")
def test_a_second_2xx_of_a_fork_further_on(world: World) -> None:
    """Another phone behind bob's proxy answers the same branch, with its own To tag."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bob.replies(bob.got, 200, tag="second")
    bob.replies(bob.got, 200, tag="third")
    world.run(2.0)
    assert [response.to.tag for response in call.responses][1:] == ["second", "third"]
    assert len(bob.heard("ACK")) == 3


def test_nothing_but_octets_lingers_of_an_answered_call(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    (server,) = world.transactions.servers.values()
    (client,) = world.transactions.clients.values()
    assert server.user is None
    assert server.request is None
    assert client.request is None
    assert type(client.user).__name__ == "LateResponses"


def test_nothing_but_octets_lingers_of_a_refused_call(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    (server,) = world.transactions.servers.values()
    (client,) = world.transactions.clients.values()
    assert server.user is None
    assert server.request is None
    assert client.request is None
    assert client.user is None


@pytest.mark.rfc("6026", "8.9")
def test_a_response_without_its_transaction_is_dropped(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(40.0)
    world.transcript()
    bob.replies(bob.got, 200, tag="very late")
    world.run(41.0)
    world.shows("40.000 bob > server 200 INVITE")
    assert call.statuses == [200]


@pytest.mark.rfc("3261", "18.1.2")
def test_a_response_to_another_sent_by_is_dropped(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (5.0, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    forged = bytes(bob.response(bob.got, "x", 200)).replace(b"192.0.2.1:5060;branch", b"192.0.2.77:5060;branch")
    bob.throw(forged)
    world.run()
    assert call.statuses == [100, 486]
