"""Calls between two transports: each side gets its own name of the server (RFC 3261 16.6 item 4, RFC 5658)."""

import pytest
from network import Socket
from world import World

from sipcgi.flow import Flow, HostPort
from sipcgi.sip.message import Request


def routes(request: Request) -> list[str]:
    """The Record-Routes, each without its token."""
    return [str(route.uri.with_(user=None)) for route in request.record_routes]  # type: ignore[union-attr]


@pytest.mark.rfc("3261", "16.6-14", "16.6-15")
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


@pytest.mark.rfc("3261", "16.6-16", "16.6-17")
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
    monkeypatch.setattr(
        world.socket, "flow_to", lambda transport, remote, name=None, sent_by="": Flow(transport, inside, remote)
    )
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com")
    world.run(0.5)
    assert routes(bob.got) == ["sip:192.0.2.1:5060;lr"]


@pytest.mark.rfc("3261", "16.6-18")
def test_a_request_from_tls_that_goes_on_without_sips_gets_a_sip_uri_on_top(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    invite = alice.request("INVITE", "sip:bob@example.com")
    invite.headers.prepend("Via", "SIP/2.0/TLS 192.0.2.10:5060;branch=z9hG4bKtls")
    bob.answers("INVITE", (0.1, 486))
    world.network.send(bytes(invite), alice.socket.address, world.socket.address, "TLS")
    world.run(0.5)
    assert routes(bob.got) == ["sip:192.0.2.1:5060;lr", "sip:192.0.2.1:5060;lr;transport=tls"]


class TwoSockets:
    """Two addresses of one transport, as net/transport has them; `preferred` is the one the kernel would take."""

    def __init__(self, world: World, second: HostPort) -> None:
        self.sockets = {
            world.socket.address: world.socket,
            second: Socket(world.network, second, "inside", world.receive, world.log),
        }
        self.preferred = second
        for socket in self.sockets.values():
            socket.intake.sent_bys = {str(address) for address in self.sockets}
        for user in (world.core, world.transactions, world.core.large):
            user.transport = self  # type: ignore[assignment]
        world.domains.is_ours = self.is_ours

    def flow_to(self, transport: str, remote: HostPort, name: str | None = None, sent_by: str = "") -> Flow:
        named = [socket for socket in self.sockets.values() if str(socket.address) == sent_by]
        return (named or [self.sockets[self.preferred]])[0].flow_to(transport, remote)

    def is_ours(self, host: str, port: int | None) -> bool:
        return any(socket.is_ours(host, port) for socket in self.sockets.values())

    def send(self, data: bytes, flow: Flow) -> None:
        self.sockets[flow.local].send(data, flow)

    def sent_by(self, flow: Flow) -> str:
        return str(flow.local)

    def response_flow(self, request: Request, flow: Flow) -> Flow:
        return self.sockets[flow.local].response_flow(request, flow)

    def is_open(self, flow: Flow) -> bool:
        return True


@pytest.mark.rfc("5658", "3.2")
def test_requests_of_a_dialog_leave_from_the_socket_that_our_record_route_names(world: World) -> None:
    """Whatever the routing table says by then: the other side's firewall knows that address of ours alone."""
    alice, bob = world.phone("alice"), world.phone("bob")
    sockets = TwoSockets(world, HostPort("192.0.2.2", 5060))
    call = alice.calls_up("sip:bob@192.0.2.20")
    world.run(0.5)
    assert routes(bob.got) == ["sip:192.0.2.2:5060;lr", "sip:192.0.2.1:5060;lr"]
    world.transcript()
    sockets.preferred = world.socket.address
    bye = call.then("BYE")
    tag = call.final.to.tag
    assert tag is not None
    world.run(0.6)
    sockets.preferred = HostPort("192.0.2.2", 5060)
    info = bob.calls_back(bob.got, "INFO", tag)
    world.run(1.0)
    assert (bye.statuses, info.statuses) == ([200], [200])
    world.shows("""
        0.500 alice > server BYE
        0.500 inside > bob BYE
        0.500 bob > inside 200 BYE
        0.500 server > alice 200 BYE
        0.600 bob > inside INFO
        0.600 server > alice INFO
        0.600 alice > server 200 INFO
        0.600 inside > bob 200 INFO
    """)


@pytest.mark.rfc("5658", "3.2")
def test_so_does_the_ack_of_a_2xx(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    sockets = TwoSockets(world, HostPort("192.0.2.2", 5060))
    bob.answers("INVITE", (0.1, 200))
    alice.calls_up("sip:bob@192.0.2.20")
    world.run(0.05)
    sockets.preferred = world.socket.address
    world.run(1.0)
    assert [line for line in world.transcript().splitlines() if line.endswith(" ACK")] == [
        "0.100 alice > server ACK",
        "0.100 inside > bob ACK",
    ]


@pytest.mark.rfc("3261", "16.7")
@pytest.mark.parametrize(
    ("caller", "callee", "uri"),
    [
        ("UDP", "TCP", "sip:bob@secure.example"),
        ("TCP", "UDP", "sips:bob@secure.example"),
        ("TCP", "TCP", "sips:bob@secure.example"),
        ("UDP", "UDP", "sip:bob@secure.example"),
    ],
)
def test_the_record_routes_of_a_response_stay_as_the_callee_gives_them_back(
    world: World, caller: str, callee: str, uri: str
) -> None:
    """Item 8 would have us rewrite ours where transports differ; with one for each side there is no need to."""
    alice = world.phone("alice", transport=caller)
    bob = world.phone("bob", transport=callee)
    parameter = "" if callee == "UDP" else ";transport=tcp"
    world.names.hosts["secure.example"] = (0.0, bob.socket.address)
    further = "Record-Route: <sip:edge.example;lr>"
    bob.answers("INVITE", (0.1, 183), (0.2, 200))
    call = alice.calls_up(uri + parameter, further)
    world.run(0.3)
    assert call.statuses == [183, 200]
    for answer in call.responses:
        assert answer.headers.all("record-route") == bob.got.headers.all("record-route")
    schemes = {route.uri.scheme for route in call.final.record_routes[:-1]}
    assert schemes == {uri.partition(":")[0]}
    assert str(call.final.record_routes[-1]) == "<sip:edge.example;lr>"
