"""A call through the server without any script: RFC 3261 16 as its section 24.2 plays it."""

import pytest
from world import World


@pytest.mark.rfc("3261", "16.6")
def test_a_call_from_invite_to_bye(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (2.0, 200))
    call = alice.calls_up("sip:bob@example.com", body=b"v=0\r\n")
    world.run(3.0)
    world.shows("""
        0.000 alice > server INVITE
        0.000 server > bob INVITE
        0.100 bob > server 180 INVITE
        0.100 server > alice 180 INVITE
        2.000 bob > server 200 INVITE
        2.000 server > alice 200 INVITE
        2.000 alice > server ACK
        2.000 server > bob ACK
    """)
    got = bob.got
    assert got.uri == "sip:bob@192.0.2.20:5060"
    assert got.max_forwards == 69
    assert [via.sent_by for via in got.vias] == ["192.0.2.1:5060", "192.0.2.10:5060"]
    assert got.body == b"v=0\r\n"
    assert call.responses[-1].headers.count("via") == 1
    bye = call.then("BYE")
    world.run(4.0)
    world.shows("""
        3.000 alice > server BYE
        3.000 server > bob BYE
        3.000 bob > server 200 BYE
        3.000 server > alice 200 BYE
    """)
    assert bye.statuses == [200]
    assert "record-route" not in bob.heard("BYE")[0].headers


@pytest.mark.rfc("3261", "16.6")
def test_record_route_brings_the_callee_back_through_the_server(world: World) -> None:
    """16.6 item 4: loose routing, and the token that makes later requests ones in a dialog."""
    alice, bob = world.phone("alice", "203.0.113.5"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    (route,) = bob.got.record_routes
    assert "lr" in route.uri.params  # type: ignore[union-attr]
    assert route.uri.user == world.core.token_key.mint("alice-1", call.request.from_.tag or "")  # type: ignore[union-attr]
    assert call.final.record_routes == bob.got.record_routes
    world.transcript()
    bye = bob.calls_back(bob.got, "BYE", call.final.to.tag or "")
    world.run(2.0)
    world.shows("""
        1.000 bob > server BYE
        1.000 server > alice BYE
        1.000 alice > server 200 BYE
        1.000 server > bob 200 BYE
    """)
    assert bye.statuses == [200]


@pytest.mark.rfc("3261", "17.2.1")
def test_a_100_leaves_after_200_ms_and_never_comes_through(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.05, 100), (1.0, 486))
    alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    sent = world.transcript().splitlines()
    assert "0.200 server > alice 100 INVITE" in sent
    assert sum("server > alice 100" in line for line in sent) == 1


@pytest.mark.rfc("3261", "16.7")
def test_a_refusal_is_acknowledged_hop_by_hop(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(20.0)
    assert sorted(world.transcript().splitlines()) == sorted(
        """\
0.000 alice > server INVITE
0.000 server > bob INVITE
0.100 bob > server 486 INVITE
0.100 server > alice 486 INVITE
0.100 server > bob ACK
0.100 alice > server ACK""".splitlines()
    )
    assert call.statuses == [486]
    assert bob.heard("ACK") == []  # its transaction took it


@pytest.mark.rfc("3261", "17.2.1")
def test_retransmissions_of_the_invite_are_absorbed(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (9.0, 486))
    alice.calls_up("sip:bob@example.com")
    invite = world.network.sent[0].data
    world.run(0.05)
    world.transcript()
    alice.throw(invite)  # nothing was sent yet that could be sent again
    world.run(0.15)
    alice.throw(invite)  # 17.2.1: the last provisional response again
    world.run(1.0)
    world.shows("""
        0.050 alice > server INVITE
        0.100 bob > server 180 INVITE
        0.100 server > alice 180 INVITE
        0.150 alice > server INVITE
        0.150 server > alice 180 INVITE
    """)
    world.run(10.0)
    world.transcript()
    alice.throw(invite)  # it is confirmed: nothing any more
    world.run(11.0)
    world.shows("10.000 alice > server INVITE")


@pytest.mark.rfc("3261", "17.1.1.2")
def test_a_silent_callee_is_called_until_timer_b(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:nobody@192.0.2.99")
    world.run()
    sent = world.transcript().splitlines()
    times = [float(line.split()[0]) for line in sent if "server > 192.0.2.99:5060 INVITE" in line]
    assert times == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert "32.000 server > alice 408 INVITE" in sent
    assert call.statuses == [100, 408]


@pytest.mark.rfc("3261", "16.9")
def test_an_unreachable_callee_is_a_500(world: World) -> None:
    """16.9: as if a 503 had come; 16.7 item 6: it leaves as a 500."""
    alice = world.phone("alice")
    world.network.unreachable.add(alice.socket.address._replace(host="192.0.2.99"))
    call = alice.calls_up("sip:nobody@192.0.2.99")
    world.run()
    assert call.statuses == [500]


@pytest.mark.rfc("3261", "17.1.2.2")
def test_another_request_than_invite(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("MESSAGE", (0.1, 202))
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE", body=b"Hello")
    world.run(1.0)
    alice.throw(world.network.sent[0].data)
    world.run(2.0)
    world.shows("""
        0.000 alice > server MESSAGE
        0.000 server > bob MESSAGE
        0.100 bob > server 202 MESSAGE
        0.100 server > alice 202 MESSAGE
        1.000 alice > server MESSAGE
        1.000 server > alice 202 MESSAGE
    """)
    assert call.statuses == [202]
    assert "record-route" not in bob.requests[0].headers


@pytest.mark.rfc("4320", "4.2")
def test_no_408_but_silence_for_another_request_than_invite(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:nobody@192.0.2.99", method="OPTIONS")
    world.run()
    assert set(call.statuses) == {100}
    assert call.failure == 408  # its own
    first = next(line for line in world.transcript().splitlines() if "100 OPTIONS" in line)
    assert first == "3.500 server > alice 100 OPTIONS"  # RFC 4320 4.1: when Timer E has reached T2


@pytest.mark.rfc("4320", "4.1")
def test_no_provisional_response_but_100_to_another_request_than_invite(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("MESSAGE", (9.0, 200))
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(0.1)
    bob.replies(bob.requests[0], 183, tag="x")
    world.run()
    assert set(call.statuses) == {100, 200}


def test_octets_that_are_no_utf_8_and_unknown_fields_pass_as_they_are(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    request = alice.request(
        "MESSAGE", "sip:bob@example.com", "X-Odd:  a\udce4b ;;\x7f", "subJECT: \udcff", body=bytes(range(256))
    )
    alice.send(request, world.socket.address)
    world.run(1.0)
    (got,) = bob.requests
    assert "subJECT: \udcff" in got.headers.lines
    assert got.body == bytes(range(256))


@pytest.mark.rfc("3261", "18.2.2")
def test_a_call_over_tcp_to_a_phone_on_udp(world: World) -> None:
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert [via.transport for via in bob.got.vias] == ["UDP", "TCP"]
    assert {datagram.transport for datagram in world.network.sent if datagram.source == alice.socket.address} == {"TCP"}
