"""Kamailio before and behind the server: record-routing, transports that change, dialogs in both directions."""

import time
from collections.abc import Callable

import pytest
from authority import Authority
from kamailio import Kamailio
from running import HOST, Server, url
from wire_phone import Message, Phone

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]
BOB = "sip:bob@example.com"
RELAY = "t_relay();"


def script(bob: Phone, next_hop: str) -> str:
    return f"#!/bin/sh\nprintf 'CGI-PROXY-REQUEST {bob.contact} SIP/2.0\\nRoute: <sip:{next_hop};lr>\\n\\n'\n"


def answered(alice: Phone, bob: Phone, uri: str) -> tuple[Message, Message, Message]:
    """Rings, is answered and acknowledged: the INVITE as sent and as seen, and the 200."""
    invite = alice.invite(uri)
    seen = bob.expect("INVITE ")
    bob.answer(seen, "180 Ringing")
    alice.expect("SIP/2.0 180")
    bob.answer(seen, "200 OK")
    answer = alice.expect("SIP/2.0 200")
    alice.ack(invite, answer)
    assert bob.expect("ACK ")["CSeq"] == "1 ACK"
    return invite, seen, answer


def in_both_directions(alice: Phone, bob: Phone, invite: Message, seen: Message, answer: Message) -> None:
    """An INFO from Bob, a BYE from Alice."""
    bob.back(seen, "INFO", 1)
    info = alice.expect("INFO ")
    assert info.uri == alice.contact
    assert "Route" not in info
    alice.answer(info, "200 OK")
    assert bob.expect("SIP/2.0 200")["CSeq"] == "1 INFO"
    alice.within(invite, answer, "BYE", 2)
    bye = bob.expect("BYE ")
    assert bye.uri == bob.contact
    assert "Route" not in bye
    bob.answer(bye, "200 OK")
    assert alice.expect("SIP/2.0 200")["CSeq"] == "2 BYE"


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_as_the_next_hop(
    serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio], authority: Authority, transport: str
) -> None:
    proxy = kamailio(RELAY, authority)
    listen = [url("tcp"), url("tls")]
    server = serve({}, authority.configuration(HOST), listen=listen)
    alice, bob = phones(server, "alice"), phones(proxy, "bob")
    server.write("invite.sh", script(bob, f"{proxy.places[transport]};transport={transport}"))
    call = _, seen, _ = answered(alice, bob, BOB)
    vias = [via.split()[0] for via in seen.all("Via")]
    assert vias == ["SIP/2.0/UDP", f"SIP/2.0/{transport.upper()}", "SIP/2.0/UDP"]
    # A proxy that changes the transport is in the route set twice (RFC 5658), so is each of the two here
    assert len(seen.all("Record-Route")) == (2 if transport == "udp" else 4)
    in_both_directions(alice, bob, *call)
    for method in ("INVITE", "ACK", "BYE"):
        assert proxy.takes(f"{method} over {transport}") == 1
    assert proxy.takes("INFO over udp") == 1
    server.access("INFO", 200, "route=dialog")
    server.access("BYE", 200, "route=dialog")


def test_its_100_ends_our_repetitions(serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio]) -> None:
    proxy = kamailio(RELAY)
    server = serve({})
    alice, bob = phones(server, "alice"), phones(proxy, "bob")
    server.write("invite.sh", script(bob, proxy.places["udp"]))
    invite = alice.invite(BOB)
    seen = bob.expect("INVITE ")
    time.sleep(0.8)  # longer than T1
    assert proxy.takes("INVITE over udp") == 1
    assert alice.expect("SIP/2.0 100").start == "SIP/2.0 100 Trying"  # ours, not that of Kamailio
    bob.answer(seen, "180 Ringing")
    alice.expect("SIP/2.0 180")
    alice.cancel(invite)
    cancel = bob.expect("CANCEL ")
    bob.answer(cancel, "200 OK")
    bob.answer(seen, "487 Request Terminated")
    assert alice.expect("SIP/2.0 200")["CSeq"] == "1 CANCEL"
    alice.ack(invite, alice.expect("SIP/2.0 487"))
    assert proxy.takes("CANCEL over udp") == 1


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_as_the_previous_hop(
    serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio], authority: Authority, transport: str
) -> None:
    """Alice knows Kamailio only, Bob is registered at the server."""
    server = serve({}, authority.configuration(HOST), listen=[url("tcp"), url("tls")])
    proxy = kamailio(f'$du = "sip:{server.place(transport)};transport={transport}"; t_relay();', authority)
    alice, bob = phones(proxy, "alice"), phones(server, "bob")
    bob.register()
    call = _, seen, _ = answered(alice, bob, BOB)
    assert len(seen.all("Via")) == 3
    in_both_directions(alice, bob, *call)
    assert proxy.takes(f"INFO over {transport}") == 1
    server.access("INVITE", 200, "route=default")
    server.access("INFO", 200, "route=dialog")
    server.access("BYE", 200, "route=dialog")
