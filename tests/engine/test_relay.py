"""A call through the server without any script: RFC 3261 16 as its section 24.2 plays it."""

import pytest
from world import World


@pytest.mark.rfc("5393", "4.2.1-3")
@pytest.mark.rfc("3581", "3-1")
@pytest.mark.rfc("3261", "16.6-6", "16.6-8", "16.6-41", "16.7-13", "18.1.1-6")
def test_a_call_from_invite_to_bye(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (2.0, 200))
    call = alice.calls_up("sip:bob@example.com", body=b"v=0\r\n")
    world.run(3.0)
    assert b";rport\r\n" in next(one.data for one in world.network.sent if one.destination == bob.socket.address)
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
    assert got.via.branch is not None
    assert got.via.branch.startswith("z9hG4bK")
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


@pytest.mark.rfc("3261", "16.6-12", "16.6-13", "16.6-15")
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


@pytest.mark.rfc("3261", "16.2-1", "16.7-17", "17.2.1-1", "17.2.1-2")
def test_a_100_leaves_after_200_ms_and_never_comes_through(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.05, 100), (1.0, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    sent = world.transcript().splitlines()
    assert "0.200 server > alice 100 INVITE" in sent
    assert call.responses[0].to.tag is None
    assert sum("server > alice 100" in line for line in sent) == 1


@pytest.mark.rfc("6026", "8.4-3")
@pytest.mark.rfc("3050", "5.11.2-1")
@pytest.mark.rfc("3261", "16.7-19", "17.1.1.2-20")
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


@pytest.mark.rfc("3261", "16.7-42", "17.2.1-5")
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


@pytest.mark.rfc("3261", "16.6-47", "16.7-21", "17.1.1.2-13")
def test_a_silent_callee_is_called_until_timer_b(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:nobody@192.0.2.99")
    world.run()
    sent = world.transcript().splitlines()
    times = [float(line.split()[0]) for line in sent if "server > 192.0.2.99:5060 INVITE" in line]
    assert times == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert "32.000 server > alice 408 INVITE" in sent
    assert call.statuses == [100, 408]


@pytest.mark.rfc("3261", "16.7-27", "16.9-1")
def test_an_unreachable_callee_is_a_500(world: World) -> None:
    """16.9: as if a 503 had come; 16.7 item 6: it leaves as a 500."""
    alice = world.phone("alice")
    world.network.unreachable.add(alice.socket.address._replace(host="192.0.2.99"))
    call = alice.calls_up("sip:nobody@192.0.2.99")
    world.run()
    assert call.statuses == [500]


@pytest.mark.rfc("3261", "16.2-2", "17.1.2.2")
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


@pytest.mark.rfc("4320", "4.1-2", "4.1-3", "4.2-1")
def test_no_408_but_silence_for_another_request_than_invite(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:nobody@192.0.2.99", method="OPTIONS")
    world.run()
    assert set(call.statuses) == {100}
    assert call.failure == 408  # its own
    answers = [line for line in world.transcript().splitlines() if "server > alice" in line]
    assert answers[0] == "3.500 server > alice 100 OPTIONS"  # RFC 4320 4.1: when Timer E has reached T2
    assert not [line for line in answers if "408" in line]


@pytest.mark.rfc("4320", "4.1-1")
def test_no_provisional_response_but_100_to_another_request_than_invite(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("MESSAGE", (9.0, 200))
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(0.1)
    bob.replies(bob.requests[0], 183, tag="x")
    world.run()
    assert set(call.statuses) == {100, 200}


@pytest.mark.rfc("3261", "16.6-2", "16.6-5")
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


@pytest.mark.rfc("3261", "18-3", "18.2.2")
def test_a_call_over_tcp_to_a_phone_on_udp(world: World) -> None:
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob")
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert [via.transport for via in bob.got.vias] == ["UDP", "TCP"]
    assert {datagram.transport for datagram in world.network.sent if datagram.source == alice.socket.address} == {"TCP"}


@pytest.mark.rfc("3261", "16.2-3", "16.3-7")
def test_a_method_that_nobody_knows_takes_all_the_steps(world: World) -> None:
    """Route information, targets, forwarding, and the way back; validation stops it as it stops others."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("FROBNICATE", (0.1, 299))
    call = alice.calls_up("sip:bob@example.com", "Route: <sip:192.0.2.1;lr>", "X-New: 1", method="FROBNICATE")
    stopped = alice.calls_up("sip:bob@example.com", "Max-Forwards: 0", method="FROBNICATE")
    world.run(1.0)
    assert (call.statuses, stopped.statuses) == ([299], [483])
    (got,) = bob.heard("FROBNICATE")
    assert (got.uri, got.max_forwards, len(got.vias)) == ("sip:bob@192.0.2.20:5060", 69, 2)
    assert got.headers.get("x-new") == "1"
    assert "route" not in got.headers


@pytest.mark.rfc("3261", "16.1-3")
def test_what_came_over_tcp_is_repeated_over_udp_until_it_arrives(world: World) -> None:
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob")
    world.registers(bob)
    world.network.detach(bob.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.attach(bob.socket.address, "bob", bob.socket._arrived)
    world.run(2.0)
    sent = world.transcript().splitlines()
    assert [line.split()[0] for line in sent if "alice > server INVITE" in line] == ["0.000"]
    assert [line.split()[0] for line in sent if "server > bob INVITE" in line] == ["0.000", "0.500", "1.500"]
    assert call.final.status == 200


@pytest.mark.rfc("3261", "16.7-31")
@pytest.mark.parametrize("status", [302, 404, 500, 603])
def test_the_to_tag_of_a_refusal_is_the_callees(world: World, status: int) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE")
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    bob.replies(bob.got, status, tag="bobs-own")
    world.run(1.0)
    assert (call.final.status, call.final.to.tag) == (status, "bobs-own")


@pytest.mark.rfc("4320", "4.2-2")
def test_no_response_to_another_request_than_invite_after_its_time(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("MESSAGE")
    alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(65.0)
    world.transcript()
    bob.replies(bob.requests[0], 200, tag="late")
    world.run(70.0)
    world.shows("65.000 bob > server 200 MESSAGE")


@pytest.mark.rfc("7118", "5-1")
@pytest.mark.parametrize(("transport", "times"), [("WS", [0.0]), ("WSS", [0.0]), ("UDP", [0.0, 0.5, 1.5])])
def test_over_websocket_nothing_is_repeated(world: World, transport: str, times: list[float]) -> None:
    alice = world.phone("alice")
    invite = alice.request("INVITE", "sip:nobody@example.com")
    invite.headers.prepend("Via", f"SIP/2.0/{transport} df7jal23ls0d.invalid;branch=z9hG4bKws;rport")
    world.network.send(bytes(invite), alice.socket.address, world.socket.address, transport)
    world.run(2.0)
    answers = [one for one in world.network.sent if one.destination == alice.socket.address]
    assert [one.time for one in answers] == times
    assert {one.transport for one in answers} == {transport}


@pytest.mark.rfc("5923", "8.2-3", "9.2-2")
def test_an_alias_is_no_parameter_that_counts(world: World) -> None:
    """The request goes on as without it, and what is for that host later goes to where it listens."""
    alice = world.phone("alice")
    bob = world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    invite = alice.request("INVITE", "sip:bob@example.com")
    invite.headers.prepend("Via", "SIP/2.0/TLS 192.0.2.10:5061;branch=z9hG4bKalias;alias")
    world.network.send(bytes(invite), alice.socket.address, world.socket.address, "TLS")
    world.run(1.0)
    assert "0.100 server > alice 486 INVITE" in world.transcript()
    assert "alias" in bob.got.vias[1].params
    bob.send(bob.request("MESSAGE", "sip:alice@192.0.2.10:5061"), world.socket.address)
    world.run(1.5)
    assert "server > 192.0.2.10:5061 MESSAGE" in world.transcript()
    world.run()
