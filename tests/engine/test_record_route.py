"""Calls between two transports: each side gets its own name of the server (RFC 3261 16.6 item 4, RFC 5658)."""

import pytest
from world import World

from sipcgi.flow import Flow
from sipcgi.sip.message import Request


def routes(request: Request) -> list[str]:
    """The Record-Routes, each without its token."""
    return [str(route.uri.with_(user=None)) for route in request.record_routes]  # type: ignore[union-attr]


@pytest.mark.rfc("5658", "3.2")
@pytest.mark.parametrize(
    ("caller", "callee", "expected"),
    [
        ("UDP", "TCP", ["sip:192.0.2.1:5060;lr;transport=tcp", "sip:192.0.2.1:5060;lr"]),
        ("TCP", "UDP", ["sip:192.0.2.1:5060;lr", "sip:192.0.2.1:5060;lr;transport=tcp"]),
        ("TCP", "TCP", ["sip:192.0.2.1:5060;lr;transport=tcp"]),
        ("UDP", "UDP", ["sip:192.0.2.1:5060;lr"]),
    ],
)
def test_requests_of_both_sides_leave_by_the_transport_of_the_other(
    world: World, caller: str, callee: str, expected: list[str]
) -> None:
    alice = world.phone("alice", "203.0.113.5", transport=caller)
    bob = world.phone("bob", "203.0.113.6", transport=callee)
    world.registers(bob)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert routes(bob.got) == expected
    assert len({route.uri.user for route in bob.got.record_routes}) == 1  # type: ignore[union-attr]
    assert [ack.via.transport for ack in bob.heard("ACK")] == [callee]
    info = call.then("INFO")
    tag = call.final.to.tag
    assert tag is not None
    bye = bob.calls_back(bob.got, "BYE", tag)
    world.run(2.0)
    assert (info.statuses, bye.statuses) == ([200], [200])
    assert [request.via.transport for request in bob.heard("INFO")] == [callee]
    assert [request.via.transport for request in alice.heard("BYE")] == [caller]
    assert "route" not in bob.heard("INFO")[0].headers
    assert "route" not in alice.heard("BYE")[0].headers


@pytest.mark.rfc("3050", "5.6.1.2")
def test_a_record_route_of_the_script_stays_alone(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    world.registers(bob)
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nRecord-Route: <sip:other.example;lr>\n\n")
    alice.calls_up("sip:bob@example.com")
    world.run(0.5)
    assert bob.got.headers.elements("record-route") == ["<sip:other.example;lr>"]
    bob.plans.clear()
    world.run(40.0)


@pytest.mark.rfc("3261", "16.6")
def test_a_caller_that_asked_for_sips_is_given_sips(world: World) -> None:
    alice = world.phone("alice", transport="TCP")
    bob = world.phone("bob")
    world.names.hosts["secure.example"] = (0.0, bob.socket.address)
    alice.calls_up("sips:bob@secure.example")
    world.run(0.5)
    assert routes(bob.got) == ["sips:192.0.2.1:5060;lr", "sips:192.0.2.1:5060;lr;transport=tcp"]


def test_two_sockets_with_one_name_need_one_value(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Advertised as the same address, behind a NAT for one."""
    inside = world.socket.address._replace(host="10.0.0.1")
    monkeypatch.setattr(world.socket, "flow_to", lambda transport, remote, name=None: Flow(transport, inside, remote))
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com")
    world.run(0.5)
    assert routes(bob.got) == ["sip:192.0.2.1:5060;lr"]
