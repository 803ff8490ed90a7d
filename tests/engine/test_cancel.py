"""The caller gives up: RFC 3261 9.2, 16.10, and what the contract adds for scripts."""

import pytest
from world import World


@pytest.mark.rfc("3050", "5.10-3")
@pytest.mark.rfc("3261", "16.10-1", "16.10-2", "16.10-3")
def test_a_cancelled_call(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (9.0, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.transcript()
    call.cancel()
    world.run(8.0)
    world.shows("""
        1.000 alice > server CANCEL
        1.000 server > alice 200 CANCEL
        1.000 server > bob CANCEL
        1.000 bob > server 200 CANCEL
        1.000 bob > server 487 INVITE
        1.000 server > alice 487 INVITE
        1.000 server > bob ACK
        1.000 alice > server ACK
    """)
    assert call.statuses == [180, 487]


@pytest.mark.rfc("3261", "9.1")
def test_the_cancel_downstream_waits_for_a_provisional_response(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.network.detach(bob.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.3)
    call.cancel()
    world.run(1.2)
    assert call.statuses == [100]
    assert [line for line in world.transcript().splitlines() if "CANCEL" in line] == [
        "0.300 alice > server CANCEL",
        "0.300 server > alice 200 CANCEL",
    ]
    world.network.attach(bob.socket.address, "bob", bob.socket._arrived)
    bob.answers("INVITE", (0.1, 180))
    world.run(9.0)
    world.shows("""
        1.500 server > bob INVITE
        1.600 bob > server 180 INVITE
        1.600 server > bob CANCEL
        1.600 server > alice 180 INVITE
        1.600 bob > server 200 CANCEL
        1.600 bob > server 487 INVITE
        1.600 server > alice 487 INVITE
        1.600 server > bob ACK
        1.600 alice > server ACK
    """)


@pytest.mark.rfc("3261", "16.10")
def test_the_487_leaves_when_all_branches_have_ended(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    for phone in (desk, mobile):
        phone.answers("INVITE", (0.1, 180))
    mobile.obeys_cancel = False
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(4.0)
    assert 487 not in call.statuses
    mobile.replies(mobile.got, 486)
    world.run(5.0)
    assert call.final.status == 487


@pytest.mark.rfc("3261", "9.1")
def test_a_2xx_that_crosses_the_cancel_wins(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (1.3, 200))
    bob.obeys_cancel = False
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(5.0)
    assert call.final.status == 200
    assert len(bob.heard("ACK")) == 1


@pytest.mark.rfc("3261", "9.1")
def test_a_callee_that_says_no_more_is_given_up_after_32_s(world: World) -> None:
    """Nothing may be left of it: the fixture looks."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.detach(bob.socket.address)
    call.cancel()
    world.run(32.9)
    assert call.statuses == [180]
    world.run(33.1)
    assert call.statuses == [180, 487]


@pytest.mark.rfc("3261", "9.2")
def test_a_cancel_of_nothing_gets_481(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    cancel = alice.calls_up("sip:bob@example.com", method="CANCEL")
    world.run(1.0)
    assert cancel.statuses == [481]
    assert not bob.requests


@pytest.mark.rfc("3261", "9.2")
def test_a_cancel_after_the_answer_changes_nothing(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 200))
    alice.calls_up("sip:bob@example.com")
    invite = world.network.sent[0].data
    world.run(1.0)
    world.transcript()
    alice.throw(invite.replace(b"INVITE", b"CANCEL"))
    world.run(2.0)
    world.shows("""
        1.000 alice > server CANCEL
        1.000 server > alice 200 CANCEL
    """)


@pytest.mark.rfc("3261", "9.2")
def test_the_200_and_the_487_have_one_to_tag(world: World) -> None:
    """Of our own answers: while a script runs, there is no branch."""
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy\n", takes=4.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(2.0)
    assert call.final.status == 487
    from sipcgi.sip.parser import parse

    answers = [parse(datagram.data) for datagram in world.network.sent if datagram.destination == alice.socket.address]
    tags = {answer.to.tag for answer in answers if answer.status in (200, 487)}  # type: ignore[union-attr]
    assert len(tags) == 1
    assert None not in tags


def test_a_running_script_is_ended_and_what_it_printed_ignored(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy\n", takes=4.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.transcript()
    call.cancel()
    world.run(9.0)
    world.shows("""
        1.000 alice > server CANCEL
        1.000 server > alice 200 CANCEL
        1.000 server > alice 487 INVITE
        1.000 alice > server ACK
    """)
    assert world.runs[0].ended


@pytest.mark.rfc("3050", "5.10-1")
def test_a_script_that_asked_for_it_is_run_with_cancel_and_never_again(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (9.0, 200))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\nCGI-SET-COOKIE c1 SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-FORWARD-RESPONSE this SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "SIP/2.0 200 OK\n\nCGI-AGAIN yes SIP/2.0\n\n",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(9.0)
    assert call.statuses == [180, 487]
    assert world.events() == ["0.000 request", "0.100 response 180", "1.000 cancel"]
    assert world.runs[2].environment["REQUEST_METHOD"] == "CANCEL"
    assert world.runs[2].environment["SCRIPT_COOKIE"] == "c1"


def test_a_2xx_that_crosses_the_cancel_runs_no_script(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.2, 200))
    bob.obeys_cancel = False
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-AGAIN yes SIP/2.0\n\n",
        "CGI-AGAIN yes SIP/2.0\n\n",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(9.0)
    assert call.statuses == [180, 200]
    assert world.events()[-1] == "1.000 cancel"


def test_a_2xx_a_script_ran_for_is_forwarded_unchanged(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    world.script(
        "invite.sh",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Mine: yes\n\n",
        takes=0.3,
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.5)
    assert world.events() == ["0.000 request", "0.400 response 200"]
    call.cancel()
    world.run(9.0)
    assert call.final.status == 200
    assert "x-mine" not in call.final.headers


def test_a_cancel_ends_the_waiting_for_a_timer(world: World) -> None:
    """No branch is pending: the 487 leaves at once."""
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 180 Ringing\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 20\n\n", "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(1.5)
    assert call.statuses == [180, 487]
    world.run(40.0)
    assert world.events() == ["0.000 request", "1.000 cancel"]


@pytest.mark.rfc("3261", "16.6-45")
@pytest.mark.rfc("5393", "4.2.1-7")
def test_the_cancel_and_the_ack_of_the_487_have_the_branch_of_their_invite(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(2.0)
    from sipcgi.sip.parser import parse

    sent = [parse(datagram.data) for datagram in world.network.sent if datagram.destination == bob.socket.address]
    assert [message.method for message in sent] == ["INVITE", "CANCEL", "ACK"]  # type: ignore[union-attr]
    assert {message.via.branch for message in sent} == {bob.got.via.branch}
