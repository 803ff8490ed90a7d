"""The samples that send requests of their own, through the real server: what leaves on the wire."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server
from wire_phone import Message, Phone, between, hang_up

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parents[2] / "cgi-bin"
Serve = Callable[..., Server]
Phones = Callable[..., Phone]


def sample(serve: Serve, name: str, condition: str, more: str = "") -> Server:
    text = (SAMPLES / name).read_text()
    return serve({name: text}, f"routes: [{{script: {name}, {condition}, originate: true}}]\n{more}")


def agrees(phone: Phone, request: Message, status: str = "200 OK") -> None:
    phone.answer(request, status)


def test_an_emergency_call(serve: Serve, phones: Phones) -> None:
    server = sample(serve, "emergency.sh", 'method: INVITE, uri: "112@*"')
    alice, help_, admin = phones(server, "alice"), phones(server, "112"), phones(server, "admin")
    help_.register()
    admin.register()
    invite = alice.invite(help_.aor)
    told = admin.expect("MESSAGE ")
    assert told.body == f"Call to sip:112@example.com from {invite['From']} at 127.0.0.1\n"
    assert (told["Priority"], told["To"], len(told.all("Via"))) == ("emergency", "<sip:admin@example.com>", 1)
    agrees(admin, told)
    help_.answer(help_.expect("INVITE "), "200 OK")
    hang_up(alice, help_, invite)
    server.access("MESSAGE", 200, "route=generated", "script=emergency.sh")
    server.access("INVITE", 200, "runs=1", 'actions="MESSAGE proxy"')


@pytest.mark.parametrize("how", ["486 Busy Here", "CANCEL"])
def test_a_missed_call(serve: Serve, phones: Phones, program: Callable[[str], str], how: str) -> None:
    program("perl")
    server = sample(serve, "missed.pl", "method: INVITE")
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    invite = alice.invite(bob.aor)
    if how == "CANCEL":
        seen = bob.take("180 Ringing")
        alice.expect("SIP/2.0 180")
        alice.cancel(invite)
        bob.answer(bob.expect("CANCEL "), "200 OK")
        bob.answer(seen, "487 Request Terminated")
        bob.expect("ACK ")
    else:
        bob.take(how)
    told = bob.expect("MESSAGE ")
    assert told.body == f"Missed call from {invite['From']}\n"
    agrees(bob, told)
    server.access("MESSAGE", 200, "route=generated")


def dialed(serve: Serve, phones: Phones) -> tuple[Server, Phone, Phone]:
    server = sample(serve, "dial.py", 'method: MESSAGE, uri: "dial@*"')
    alice, bob = phones(server, "alice"), phones(server, "bob")
    alice.register()
    bob.register()
    alice.request("MESSAGE", "sip:dial@example.com", "Content-Type: text/plain", body="bob@example.com")
    return server, alice, bob


def test_click_to_dial(serve: Serve, phones: Phones) -> None:
    """RFC 3725 flow I; then one puts the other on hold, and hangs up."""
    server, alice, bob = dialed(serve, phones)
    came = [alice.expect(""), alice.expect("")]
    (invited,) = [message for message in came if message.start.startswith("INVITE ")]
    assert [message.start for message in came if message is not invited] == ["SIP/2.0 202 Accepted"]
    assert (invited.body, between(invited["From"], "<", ">")) == ("", bob.aor)
    assert re.fullmatch(rf"<sip:127\.0\.0\.1:{server.port}>", invited["Contact"])
    assert "Record-Route" not in invited
    alice.answer(invited, "180 Ringing")
    alice.answer(invited, "200 OK", body="v=0\r\no=alice\r\n")
    called = bob.expect("INVITE ")
    assert (called.body, between(called["From"], "<", ">")) == ("v=0\r\no=alice\r\n", alice.aor)
    bob.answer(called, "200 OK", body="v=0\r\no=bob\r\n")
    assert bob.expect("ACK ").body == ""
    assert alice.expect("ACK ").body == "v=0\r\no=bob\r\n"

    hold = bob.back(called, "INVITE", 5, "Content-Type: application/sdp")
    passed = alice.expect("INVITE ")
    assert passed["Call-ID"] == invited["Call-ID"]
    assert passed["CSeq"] == "2 INVITE"
    alice.answer(passed, "200 OK", body="v=0\r\no=held\r\n")
    held = bob.expect("SIP/2.0 200")
    assert held.body == "v=0\r\no=held\r\n"
    bob.request("ACK", between(held["Contact"], "<", ">"), from_=hold["From"], to=hold["To"],
                call_id=hold["Call-ID"], cseq="5")  # fmt: skip
    assert alice.expect("ACK ")["CSeq"] == "2 ACK"

    bob.back(called, "BYE", 6)
    assert bob.expect("SIP/2.0 200")["CSeq"] == "6 BYE"
    alice.answer(alice.expect("BYE "), "200 OK")
    server.access("BYE", 200, "route=generated")


def test_click_to_dial_to_one_who_is_busy(serve: Serve, phones: Phones) -> None:
    _, alice, bob = dialed(serve, phones)
    came = [alice.expect(""), alice.expect("")]
    (invited,) = [message for message in came if message.start.startswith("INVITE ")]
    alice.answer(invited, "200 OK")
    bob.take("486 Busy Here")
    assert alice.expect("ACK ")["CSeq"] == "1 ACK"
    alice.answer(alice.expect("BYE "), "200 OK")


def test_a_challenge_is_answered_from_the_configuration(serve: Serve, phones: Phones) -> None:
    script = "#!/bin/sh\nprintf 'SIP/2.0 202 Accepted\\n\\nMESSAGE sip:bob@example.com SIP/2.0\\n\\n'\nexit 0\n"
    server = serve(
        {"tell.sh": script},
        "routes: [{script: tell.sh, uri: 'tell@*', originate: true}]\n"
        "credentials: [{realm: gateway, user: server, password: secret}]",
    )
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    alice.request("MESSAGE", "sip:tell@example.com")
    first = bob.expect("MESSAGE ")
    bob.answer(first, "401 Unauthorized", 'WWW-Authenticate: Digest realm="gateway", nonce="n", algorithm=SHA-256')
    second = bob.expect("MESSAGE ")
    assert (second["Call-ID"], second["CSeq"]) == (first["Call-ID"], "2 MESSAGE")
    assert 'Digest username="server", realm="gateway"' in second["Authorization"]
    agrees(bob, second)
    server.access("MESSAGE", 200, "route=generated")
