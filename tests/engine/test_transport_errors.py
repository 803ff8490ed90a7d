"""What cannot be sent, and what was sent in vain (RFC 3261 16.9, 17.1.4, 17.2.4, 18.4; RFC 6026 8.8)."""

import re

import pytest
from world import World

from sipcgi.flow import Flow

PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n"
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


@pytest.mark.rfc("3261", "16.9")
def test_a_callee_that_becomes_unreachable_while_it_is_called(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.network.detach(bob.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.3)
    world.network.unreachable.add(bob.socket.address)
    world.run(2.0)
    assert call.statuses == [100, 500]
    assert "0.500 server > alice 500 INVITE" in world.transcript()


def test_the_log_tells_why_a_call_ended_with_a_500(world: World) -> None:
    """A dead phone, a name that there is not, a server that is busy; of many in a row it tells once how many."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.registers(bob)
    world.network.unreachable.add(bob.socket.address)
    carol.answers("INVITE", (0.1, 503))
    wanted = ["sip:bob@example.com", "sip:bob@nowhere.example", carol.contact, *["sip:bob@example.com"] * 3]
    for seconds, uri in zip((0, 1, 2, 20, 21, 40), wanted, strict=True):
        world.run(seconds)
        call = alice.calls_up(uri)
        world.run(seconds + 0.5)
        assert call.final.status == 500
    dead = f"INVITE to {bob.contact}, for sip:bob@example.com failed: {bob.socket.address}: no route to host"
    lines = world.lines("warning")
    assert [re.sub(r" \([^ ]*@?[^ ]*\)(?=$| \()", "", line) for line in lines] == [
        dead,
        "INVITE to sip:bob@nowhere.example failed: nowhere.example: no such name",
        f"INVITE to {carol.contact} failed: it answers 503 Service Unavailable",
        dead,
        f"{dead} (1 more since the last such line)",
    ]
    assert f"({call.request.call_id})" in lines[-1]


@pytest.mark.rfc("6026", "6-2", "8.8-1")
def test_a_caller_that_becomes_unreachable_gets_its_answer_later(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.3, 180), (1.0, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.25)
    world.network.unreachable.add(alice.socket.address)
    world.run(2.0)
    assert call.statuses == [100]
    world.network.unreachable.clear()
    world.run(5.0)
    assert call.statuses == [100, 486]  # Timer G


def test_a_cancel_that_cannot_be_sent(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.unreachable.add(bob.socket.address)
    call.cancel()
    world.run(34.0)
    assert call.statuses == [180, 487]


def test_an_ack_that_cannot_be_sent(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.05)
    world.network.unreachable.add(bob.socket.address)
    world.run(2.0)
    assert call.statuses == [486]


def test_an_ack_of_a_2xx_that_cannot_be_sent(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.05)
    world.network.unreachable.add(bob.socket.address)
    world.run(2.0)
    assert set(call.statuses) == {200}


@pytest.mark.rfc("3261", "18.4")
def test_a_connection_that_is_lost_is_told_to_those_who_wait_on_it(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    world.registers(bob)
    world.network.detach(bob.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    other = alice.calls_up("sip:nobody@192.0.2.99")
    world.run(1.0)
    world.transactions.lost(Flow("TCP", world.socket.address, bob.socket.address, 1), "reset by peer")
    world.run(2.0)
    assert call.statuses == [100, 500]
    assert other.statuses == [100]


@pytest.mark.rfc("5923", "8.1-13")
def test_a_cancel_over_a_new_connection(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.socket.hangs_up("TCP", bob.socket.address)
    call.cancel()
    world.run(2.0)
    assert len(bob.heard("CANCEL")) == 0  # a transaction took it
    assert call.statuses == [180, 487]
    assert "1.000 server > bob CANCEL" in world.transcript()


@pytest.mark.rfc("5923", "8.1-13")
def test_an_ack_over_a_new_connection(world: World) -> None:
    """The answer came over one that the callee opened."""
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (1.0, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.5)
    world.socket.hangs_up("TCP", bob.socket.address)
    world.run(2.0)
    assert call.statuses == [180, 486]
    assert "1.000 server > bob ACK" in world.transcript()


def test_a_cancel_on_a_registered_flow_that_is_gone(world: World) -> None:
    """Nothing but the flow leads there (RFC 5626 5.3)."""
    alice, bob = world.phone("alice"), world.phone("bob", transport="TCP")
    contact = f'Contact: <{bob.contact}>;reg-id=1;+sip.instance="<urn:uuid:1>"'
    bob.calls_up(
        "sip:example.com", contact, "To: <sip:bob@example.com>", "Supported: path, outbound", method="REGISTER"
    )
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.socket.hangs_up("TCP", bob.socket.address)
    call.cancel()
    world.run(40.0)
    assert "CANCEL" not in "".join(line for line in world.transcript().splitlines() if "> bob" in line)
    assert call.final.status in (480, 487)


@pytest.mark.rfc("3261", "16.9-1")
def test_a_script_hears_of_a_503(world: World) -> None:
    alice, bob, mail = world.phone("alice"), world.phone("bob"), world.phone("mail")
    world.network.unreachable.add(bob.socket.address)
    world.script("invite.sh", PROXY + AGAIN, "CGI-PROXY-REQUEST sip:mail@192.0.2.30 SIP/2.0\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [200]
    assert world.runs[1].environment["RESPONSE_STATUS"] == "503"
    assert world.runs[1].environment["SIPCGI_EVENT"] == "response"
    assert world.runs[1].environment["REMOTE_ADDR"] == "127.0.0.1"
    assert len(mail.heard("INVITE")) == 1


def test_a_script_hears_of_failures_in_their_order(world: World) -> None:
    """The 486 of the first contact, then the 503 of the second, which is off."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob", q=0.9)
    world.registers(mobile, user="bob", q=0.1)
    desk.answers("INVITE", (0.1, 486))
    world.network.unreachable.add(mobile.socket.address)
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n" + AGAIN, AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert world.events() == ["0.000 request", "0.100 response 486", "0.100 response 503"]
    assert [run.environment["SIPCGI_BEST"] for run in world.runs[1:]] == ["486", "486"]
    assert call.final.status == 486


def test_all_contacts_are_off(world: World) -> None:
    alice = world.phone("alice")
    phones = [world.phone(f"bob{number}") for number in range(4)]
    for phone, q in zip(phones, (0.9, 0.9, 0.5, 0.1), strict=True):
        world.registers(phone, user="bob", q=q)
        world.network.unreachable.add(phone.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [500]


@pytest.mark.rfc("3261", "16.7-6")
def test_a_response_that_has_no_via_left_is_no_answer(world: World) -> None:
    """Item 3: it was not meant for our upstream. The caller gets a 500 rather than nothing."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (5.0, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    broken = bob.response(bob.got, "x", 404)
    broken.headers.set("Via", bob.got.headers.all("via")[0])
    bob.throw(bytes(broken))
    world.run(2.0)
    assert call.final.status == 500


@pytest.mark.rfc("3263", "4.3")
def test_the_next_server_of_a_name_is_tried_when_the_first_is_unreachable(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    dead = bob.socket.address._replace(host="192.0.2.99")
    world.network.unreachable.add(dead)
    world.names.hosts["two.example"] = (0.0, [dead, bob.socket.address])
    call = alice.calls_up("sip:bob@two.example")
    world.run(2.0)
    assert call.statuses == [200]


@pytest.mark.rfc("3263", "4.3")
def test_the_next_server_of_a_name_is_tried_when_the_first_is_silent(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    dead = bob.socket.address._replace(host="192.0.2.99")
    world.names.hosts["two.example"] = (0.1, [dead, bob.socket.address])
    call = alice.calls_up("sip:bob@two.example")
    world.run(40.0)
    assert call.statuses == [100, 200]


@pytest.mark.rfc("3261", "18.4")
def test_a_phone_that_is_off_is_told_by_icmp(world: World) -> None:
    """The calls to it alone end, and those that ring there go on (17.1.1.2)."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (5.0, 200))
    ringing = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.detach(bob.socket.address)
    off = alice.calls_up("sip:bob@example.com")
    message = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    other = alice.calls_up("sip:bob@192.0.2.20:5070")
    world.run(1.3)
    world.lost(Flow("UDP", world.socket.address, bob.socket.address))
    world.run(1.5)
    assert ringing.statuses == [180]
    assert off.final.status == 500
    assert message.final.status == 500
    assert other.statuses == [100]


@pytest.mark.rfc("3261", "18.4")
def test_an_error_after_the_answer_changes_nothing(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.2)
    world.lost(Flow("UDP", world.socket.address, bob.socket.address))
    world.run(1.0)
    assert call.statuses == [486]
