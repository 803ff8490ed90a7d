"""Connections that phones keep open (RFC 5626): to the registrar itself, and to an edge proxy in front of it."""

import socket
from collections.abc import Callable

import pytest
from running import HOST, Server, url
from wire_phone import Message, Phone, hang_up

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
BOB = "sip:bob@example.com"


class Connected(Phone):
    """A phone behind a NAT, for all that it says of itself: only its connection leads to it."""

    transport = "TCP"

    def __init__(self, server: Server, user: str, reg_id: int) -> None:
        super().__init__(server.port, user)
        self.socket.close()
        host, _, port = server.place("tcp").partition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.unread = b""
        self.reg_id = reg_id
        self.place = "10.0.0.7:5060"
        self.contact = f"sip:{user}@{self.place};transport=tcp;ob"

    def raw(self, text: str | bytes) -> None:
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def receive(self, within: float = 5.0) -> Message | None:
        self.socket.settimeout(within)
        while b"\r\n\r\n" not in self.unread:
            try:
                octets = self.socket.recv(65536)
            except TimeoutError:
                return None
            assert octets, "the server has ended the connection"
            self.unread += octets
        head, _, rest = self.unread.partition(b"\r\n\r\n")
        length = int(Message(head.decode())["Content-Length"])
        self.unread = rest[length:]  # SDP is never so long that it comes in pieces
        return Message((head + b"\r\n\r\n" + rest[:length]).decode())

    def register_flow(self, uri: str = "sip:example.com") -> Message:
        contact = f"Contact: <{self.contact}>;reg-id={self.reg_id};{INSTANCE}"
        self.request("REGISTER", uri, contact, "Supported: path, outbound", to=f"<{self.aor}>")
        return self.expect("SIP/2.0 200")


def call(alice: Phone, bob: Phone) -> None:
    """Bob answers; both send requests in the dialog."""
    invite = alice.invite(BOB)
    seen = bob.expect("INVITE ")
    assert seen.uri == bob.contact
    bob.answer(seen, "200 OK")
    bob.back(seen, "OPTIONS", 7)
    answers = [alice.receive(), alice.receive()]
    ok, options = sorted(filter(None, answers), key=lambda message: message.start.startswith("OPTIONS"))
    alice.answer(options, "200 OK")
    assert bob.expect("SIP/2.0 200")["CSeq"] == "7 OPTIONS"
    alice.ack(invite, ok)
    assert bob.expect("ACK ")["CSeq"] == "1 ACK"
    alice.within(invite, ok, "BYE", 2)
    bob.answer(bob.expect("BYE "), "200 OK")
    assert alice.expect("SIP/2.0 200")["CSeq"] == "2 BYE"


def refused(alice: Phone, status: int) -> None:
    invite = alice.invite(BOB)
    alice.ack(invite, alice.expect(f"SIP/2.0 {status}"))


@pytest.mark.rfc("5626", "7")
def test_a_phone_with_two_connections(serve: Serve, phones: Phones) -> None:
    server = serve(listen=[url("tcp")])
    alice = phones(server, "alice")
    with Connected(server, "bob", 1) as first:
        first.raw(b"\r\n\r\n")
        assert first.socket.recv(100) == b"\r\n"  # 4.4.1: it is there
        assert first.register_flow()["Require"] == "outbound"
        with Connected(server, "bob", 2) as second:
            assert len(second.register_flow().all("Contact")) == 2
            call(alice, second)
        call(alice, first)
    refused(alice, 480)


@pytest.mark.rfc("5626", "9")
def test_a_phone_behind_an_edge_proxy(serve: Serve, phones: Phones) -> None:
    home = serve()
    relay = f"#!/bin/sh\nprintf 'CGI-PROXY-REQUEST sip:{HOST}:{home.port} SIP/2.0\\n\\n'\n"
    edge = serve({"register.sh": relay}, listen=[url("tcp")], domains="edge.example.com")
    alice = phones(home, "alice")
    with Connected(edge, "bob", 1) as bob:
        registered = bob.register_flow()
        assert registered["Require"] == "outbound"
        path, his = registered.all("Path")  # RFC 3608 6.2: one for each side
        assert path.startswith("<sip:flow.")
        assert path.endswith(f"@{HOST}:{edge.port};lr;ob>")
        assert his.endswith(f"@{edge.place('tcp')};lr;transport=tcp;ob>")
        call(alice, bob)
        stranger = phones(edge, "eve")
        forged = path.replace("<sip:flow.", "<sip:flow.0")
        invite = stranger.invite(bob.contact, f"Route: {forged}")
        stranger.ack(invite, stranger.expect("SIP/2.0 403"))
        bob.hears_nothing()
    refused(alice, 480)
    edge.access("INVITE", 430)
    refused(alice, 480)
    home.access("INVITE", 480, number=2)
    assert len(edge.lines(" access method=INVITE ", " status=430 ")) == 1  # it was not asked again


@pytest.mark.rfc("3261", "12.2")
def test_one_that_registered_nothing_is_reached_too(serve: Serve, phones: Phones) -> None:
    """Carol calls over a connection, and bob, who is elsewhere, hangs up."""
    server = serve(listen=[url("tcp")])
    bob = phones(server, "bob")
    bob.register()
    with Connected(server, "carol", 1) as carol:
        invite = carol.invite(BOB)
        seen = bob.take("200 OK")
        ok = carol.expect("SIP/2.0 200")
        carol.ack(invite, ok)
        bob.expect("ACK ")
        bob.back(seen, "BYE", 7)
        bye = carol.expect("BYE ")
        assert bye.uri == carol.contact
        carol.answer(bye, "200 OK")
        bob.expect("SIP/2.0 200")
        again = carol.invite(BOB)
        bob.answer(bob.expect("INVITE "), "200 OK")
        hang_up(carol, bob, again)
