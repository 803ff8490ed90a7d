"""Requests that are too large for a datagram go over TCP (RFC 3261 18.1.1)."""

import pytest
from phone import Phone
from world import World

from sipcgi.engine import large
from sipcgi.flow import Flow, HostPort
from sipcgi.sip.message import Request

LARGE = b"v=0\r\n" * 300


def ways(phone: Phone, method: str = "INVITE") -> list[str]:
    return [request.via.transport for request in phone.heard(method)]


@pytest.mark.rfc("3261", "18-4", "18.1.1-2")
def test_a_large_request_changes_to_tcp(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com", body=LARGE)
    world.run(1.0)
    assert call.statuses == [200]
    assert ways(bob) == ["TCP"]
    assert [str(route.uri.with_(user="x")) for route in bob.got.record_routes] == [  # type: ignore[union-attr]
        "sip:x@192.0.2.1:5060;lr;transport=tcp",
        "sip:x@192.0.2.1:5060;lr",
    ]
    assert ways(bob, "ACK") == ["UDP"]
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]


@pytest.mark.rfc("3261", "18.1.1-1")
@pytest.mark.parametrize(("octets", "transport"), [(1300, "UDP"), (1301, "TCP")])
def test_the_size_that_counts_is_that_of_what_leaves(world: World, octets: int, transport: str) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com", body=b"x" * 200, method="MESSAGE")
    world.run(1.0)
    small = next(len(one.data) for one in world.network.sent if one.destination == bob.socket.address)
    world.transcript()
    alice.calls_up("sip:bob@example.com", body=b"x" * (octets - small + 200), method="MESSAGE")
    world.run(2.0)
    assert [len(one.data) for one in world.network.sent if one.destination == bob.socket.address] == [octets]
    assert ways(bob, "MESSAGE") == ["UDP", transport]


@pytest.mark.rfc("3261", "18.1.1-4")
def test_a_peer_without_tcp_gets_a_datagram_and_is_remembered(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.network.refusing.add(bob.socket.address)
    bob.answers("INVITE", (0.0, 486))
    for until, seconds in ((1.0, 0.05), (2.0, 0.0)):
        began = world.network.now
        call = alice.calls_up("sip:bob@example.com", body=LARGE)
        world.run(until)
        assert call.final.status == 486
        sent = [one.time for one in world.network.sent if one.destination == alice.socket.address]
        assert sent[-1] - began == pytest.approx(seconds)
    assert ways(bob) == ["UDP", "UDP"]
    assert world.names.failed == []
    world.network.refusing.clear()
    world.run(61.5)
    alice.calls_up("sip:bob@example.com", body=LARGE)
    world.run(62.0)
    assert ways(bob) == ["UDP", "UDP", "TCP"]


@pytest.mark.rfc("3263", "4.3")
def test_the_datagram_comes_before_the_next_server(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.network.refusing |= {bob.socket.address, carol.socket.address}
    bob.answers("INVITE", (0.1, 503, "Retry-After: 17"))
    carol.answers("INVITE", (0.1, 180), (0.3, 200))
    world.names.hosts["two.example"] = (0.0, [bob.socket.address, carol.socket.address])
    call = alice.calls_up("sip:bob@two.example", body=LARGE)
    world.run(2.0)
    assert (ways(bob), ways(carol)) == (["UDP"], ["UDP"])
    assert call.final.status == 200
    assert [target.remote for target in world.names.failed] == [bob.socket.address]


def test_a_peer_that_cannot_be_reached_at_all(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.network.unreachable.add(bob.socket.address)
    call = alice.calls_up("sip:bob@example.com", body=LARGE)
    world.run(1.0)
    assert call.statuses == [500]


def test_a_call_that_was_cancelled_meanwhile_is_not_sent_again(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.network.refusing.add(bob.socket.address)
    call = alice.calls_up("sip:bob@example.com", body=LARGE)
    world.run(0.02)
    call.cancel()
    world.run(1.0)
    assert call.final.status == 487
    assert bob.requests == []


def test_the_flow_of_a_registration_is_kept(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", "198.51.100.7", port=40000, says="10.0.0.7")
    world.registers(bob, flow=True)
    call = alice.calls_up("sip:bob@example.com", body=LARGE)
    world.run(1.0)
    assert call.statuses == [200]
    assert ways(bob) == ["UDP"]


def test_a_server_without_tcp_sends_datagrams(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.socket.closed.add("TCP")
    call = alice.calls_up("sip:bob@example.com", body=LARGE)
    world.run(1.0)
    assert call.statuses == [200]
    assert ways(bob) == ["UDP"]


def large_ack(world: World, alice: Phone, bob: Phone) -> Request:
    """Of a call that is up."""
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    ack = alice.in_dialog(call, call.final, "ACK", 1).with_body(LARGE)
    ack.headers.prepend("Via", f"SIP/2.0/UDP {alice.socket.says};branch=z9hG4bKlarge;rport")
    return ack


@pytest.mark.rfc("3261", "18.1.1")
def test_a_large_ack_of_a_2xx(world: World) -> None:
    """It has no transaction that would notice; the repeated one finds that the peer does not speak TCP."""
    alice, bob = world.phone("alice"), world.phone("bob")
    ack = large_ack(world, alice, bob)
    alice.throw(bytes(ack))
    world.run(1.5)
    assert ways(bob, "ACK") == ["UDP", "TCP"]
    world.network.refusing.add(bob.socket.address)
    alice.throw(bytes(ack))
    world.run(2.0)
    assert ways(bob, "ACK") == ["UDP", "TCP"]
    alice.throw(bytes(ack))
    world.run(2.5)
    assert ways(bob, "ACK") == ["UDP", "TCP", "UDP"]


def test_what_is_remembered_has_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "MOST_PEERS", 3)
    for port in range(10):
        world.core.large.lost(Flow("TCP", world.socket.address, HostPort("192.0.2.9", port), 1))
    world.core.large.lost(Flow("UDP", world.socket.address, HostPort("192.0.2.9", 99)))
    assert len(world.core.large.refused) == 1


HUGE = b"x" * 66_000


@pytest.mark.rfc("3261", "21.5.14")
@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_what_fits_into_no_datagram_is_refused_and_the_server_not_blocked(world: World, method: str) -> None:
    """It came by a stream, and the callee takes none: nobody is to blame for that."""
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob")
    world.network.refusing.add(bob.socket.address)
    world.names.hosts["one.example"] = (0.0, bob.socket.address)
    call = alice.calls_up("sip:bob@one.example", body=HUGE, method=method)
    world.run(1.0)
    assert call.final.status == 513
    assert bob.requests == []
    assert world.names.failed == []
    small = alice.calls_up("sip:bob@one.example", method=method)
    world.run(2.0)
    assert small.final.status == 200


@pytest.mark.rfc("3263", "4.3")
def test_the_next_server_may_take_what_fits_into_no_datagram(world: World) -> None:
    alice, bob, carol = world.phone("alice", transport="TCP"), world.phone("bob"), world.phone("carol")
    world.network.refusing.add(bob.socket.address)
    world.names.hosts["two.example"] = (0.0, [bob.socket.address, carol.socket.address])
    call = alice.calls_up("sip:bob@two.example", body=HUGE, method="MESSAGE")
    world.run(1.0)
    assert call.final.status == 200
    assert ways(carol, "MESSAGE") == ["TCP"]
    assert world.names.failed == []


def test_an_answer_that_fits_into_no_datagram_becomes_a_500(world: World) -> None:
    """Responses leave the way the request came (18.2.2)."""
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    world.registers(bob)
    bob.answers("INVITE", (0.0, 183, HUGE), (0.1, 486, HUGE))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [500]
    (line,) = world.lines("access")
    assert "status=500 " in line
    assert [line.partition(":")[0] for line in world.lines("warning")] == [
        f"{status} not sent over UDP to 192.0.2.10" for status in (183, 486)
    ]
    assert all(line.endswith(" octets fit into no datagram (alice-1)") for line in world.lines("warning"))


def test_a_script_that_answers_too_much(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", f"SIP/2.0 200 OK\nContent-Type: text/plain\n\n{HUGE.decode()}")
    call = alice.calls_up("sip:bob@example.com")
    world.run(60.0)
    assert call.statuses == [500]
    assert world.left() == []
