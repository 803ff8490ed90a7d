"""Responses whose client is gone from where its request came from (RFC 3261 18.2.2, RFC 3263 section 5)."""

import pytest
from world import World

from sipcgi.engine.response_failover import MOST
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net.resolver import Target
from sipcgi.sip.uri import SipUri

REQUEST = (
    "INVITE sip:bob@example.com SIP/2.0\r\n"
    "Via: SIP/2.0/{transport} {sent_by};branch=z9hG4bK1;rport\r\n"
    "From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:alice@192.0.2.10>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def calls(world: World, transport: str = "UDP", sent_by: str = "client.example:5070", answer: float = 1.0) -> Flow:
    """Somebody at 192.0.2.10, whose answer is a 486 after so many seconds; the servers of its name are .20 and .30."""
    alice, _, _ = (world.phone(name, port=port) for name, port in (("alice", 6000), ("spare", 5070), ("last", 5070)))
    bob = world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.0, 180), (answer, 486))
    world.names.hosts["client.example"] = (0.2, [HostPort("192.0.2.20", 5070), HostPort("192.0.2.30", 5070)])
    alice.transport = transport
    alice.throw(REQUEST.format(transport=transport, sent_by=sent_by).encode())
    world.run(0.5)
    world.transcript()
    return Flow(transport, world.socket.address, alice.socket.address, 0 if transport == "UDP" else 1)


def responses(world: World) -> list[str]:
    return [line for line in world.transcript().splitlines() if "486" in line and "server >" in line]


@pytest.mark.rfc("3261", "18.2.2-8")
def test_a_response_to_an_unreachable_source_goes_to_the_servers_of_the_sent_by(world: World) -> None:
    flow = calls(world)
    world.network.unreachable |= {flow.remote, HostPort("192.0.2.20", 5070)}
    world.run(1.4)
    assert responses(world) == ["1.200 server > last 486 INVITE"]
    assert world.left()
    world.run(60.0)
    assert world.left() == []
    assert world.dispatch.failover.under_way == 0


@pytest.mark.rfc("3261", "18.2.2-8")
def test_icmp_says_that_a_response_did_not_arrive(world: World) -> None:
    flow = calls(world)
    world.run(1.05)
    world.lost(flow)
    world.run(1.3)
    assert responses(world) == ["1.000 server > alice 486 INVITE", "1.250 server > spare 486 INVITE"]
    world.lost(flow)  # the error of another one, for which nothing is sent again
    world.lost(Flow("UDP", world.socket.address, HostPort("192.0.2.20", 5070)))
    world.run(1.4)
    assert responses(world) == ["1.300 server > last 486 INVITE"]


def test_the_response_goes_to_the_source_again_when_the_request_comes_again(world: World) -> None:
    """Its client is there again; each response finds its way anew."""
    flow = calls(world)
    world.network.unreachable.add(flow.remote)
    world.run(1.3)
    world.network.unreachable.clear()
    assert responses(world) == ["1.200 server > spare 486 INVITE"]
    world.phones[0].throw(REQUEST.format(transport="UDP", sent_by="client.example:5070").encode())
    world.run(1.35)
    assert responses(world) == ["1.300 server > alice 486 INVITE"]


@pytest.mark.rfc("3261", "18.2.2-3")
def test_a_response_over_a_new_connection_to_the_source(world: World) -> None:
    """At the port of the sent-by, for that of the source was the client's own choice."""
    flow = calls(world, "TCP")
    world.socket.hangs_up("TCP", flow.remote)
    world.run(60.0)
    assert responses(world) == ["1.000 server > 192.0.2.10:5070 486 INVITE"]
    assert world.left() == []


@pytest.mark.rfc("3261", "18.2.2-4")
def test_where_no_connection_can_be_opened_to_the_source_the_servers_of_the_sent_by_are_next(world: World) -> None:
    flow = calls(world, "TCP")
    world.network.refusing |= {HostPort("192.0.2.10", 5070), HostPort("192.0.2.20", 5070)}
    world.socket.hangs_up("TCP", flow.remote)
    world.run(60.0)
    assert responses(world) == ["1.300 server > last 486 INVITE"]
    assert world.left() == []
    assert world.dispatch.failover.under_way == 0


def test_nobody_is_asked_for_a_connection_of_a_websocket(world: World) -> None:
    """RFC 7118 section 5."""
    flow = calls(world, "TCP")
    response = REQUEST.format(transport="WS", sent_by="client.example").replace(
        "INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK"
    )
    world.dispatch.undelivered(response.encode(), flow._replace(transport="WS"))
    assert world.dispatch.failover.under_way == 0


def test_no_server_is_tried_twice(world: World) -> None:
    flow = calls(world, sent_by="192.0.2.10:6000")
    world.network.unreachable.add(flow.remote)
    world.run(60.0)
    assert responses(world) == []
    assert world.dispatch.failover.under_way == 0


@pytest.mark.parametrize("sent_by", ["nobody.example:5070", "nobody.example"])
def test_a_sent_by_that_leads_nowhere(world: World, sent_by: str) -> None:
    flow = calls(world, sent_by=sent_by)
    world.network.unreachable.add(flow.remote)
    world.run(60.0)
    assert responses(world) == []
    assert world.dispatch.failover.under_way == 0


def test_a_transport_that_is_not_spoken_any_more(world: World) -> None:
    flow = calls(world, "TCP")
    world.network.refusing.add(HostPort("192.0.2.10", 5070))
    world.socket.hangs_up("TCP", flow.remote)
    world.socket.closed.add("TCP")
    world.run(60.0)
    assert responses(world) == []
    assert world.dispatch.failover.under_way == 0


def test_what_cannot_be_read_stays_lost(world: World) -> None:
    flow = calls(world)
    world.dispatch.undelivered(b"SIP/2.0 200 OK\r\n", flow)
    world.dispatch.undelivered(REQUEST.format(transport="UDP", sent_by="client.example").encode(), flow)
    assert world.dispatch.failover.under_way == 0


def test_only_so_many_are_looked_after_at_once(world: World) -> None:
    flow = calls(world)
    response = REQUEST.format(transport="UDP", sent_by="client.example").replace(
        "INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK"
    )
    for _ in range(MOST + 5):
        world.dispatch.undelivered(response.encode(), flow)
    assert world.dispatch.failover.under_way == MOST
    world.run(60.0)
    assert world.dispatch.failover.under_way == 0


@pytest.mark.parametrize(
    ("transport", "sent_by", "uri"),
    [
        ("UDP", "client.example", "sip:client.example;transport=udp"),  # SRV of _sip._udp
        ("TCP", "client.example:5070", "sip:client.example:5070;transport=tcp"),  # its A and AAAA records
        ("TLS", "[2001:db8::1]", "sip:[2001:db8::1];transport=tls"),
    ],
)
def test_what_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, transport: str, sent_by: str, uri: str
) -> None:
    asked: list[SipUri] = []

    def resolve_now(hop: SipUri) -> list[Target]:
        asked.append(hop)
        raise Unreachable("nobody")

    flow = calls(world)
    monkeypatch.setattr(world.names, "resolve_now", resolve_now)
    monkeypatch.setattr(world.socket, "response_flow", lambda message, flow: flow)
    response = REQUEST.format(transport=transport, sent_by=sent_by).replace(
        "INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK"
    )
    world.dispatch.undelivered(response.encode(), flow._replace(transport=transport))
    assert list(map(str, asked)) == [uri]
