"""How long a branch may take: Timer C (RFC 3261 16.8), and what a silent callee leaves behind."""

import pytest
from world import World


@pytest.mark.rfc("3261", "16.6-48", "16.6-49", "16.8-1", "16.8-2")
def test_timer_c_cancels_a_call_that_rings_for_ever(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(181.0)
    assert "CANCEL" not in world.transcript()
    world.run(190.0)
    world.shows("""
        181.100 server > bob CANCEL
        181.100 bob > server 200 CANCEL
        181.100 bob > server 487 INVITE
        181.100 server > alice 487 INVITE
        181.100 server > bob ACK
        181.100 alice > server ACK
    """)
    assert call.statuses == [180, 487]


@pytest.mark.rfc("3261", "16.7-4", "16.7-5")
def test_every_provisional_response_starts_timer_c_again_but_a_100(world: World) -> None:
    """16.7 item 2."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (100.0, 183), (250.0, 100))
    alice.calls_up("sip:bob@example.com")
    world.run(280.9)
    assert "CANCEL" not in world.transcript()
    world.run(281.1)
    assert world.transcript().startswith("281.000 server > bob CANCEL")


@pytest.mark.rfc("3261", "16.8")
def test_a_callee_that_rang_and_vanished(world: World) -> None:
    """64*T1 after the CANCEL it is given up; the fixture looks that nothing is left of it."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.detach(bob.socket.address)
    world.run(213.0)
    assert call.statuses == [180]
    world.run(213.2)
    assert call.statuses == [180, 487]


def test_a_branch_that_was_beaten_and_vanished(world: World) -> None:
    """The other phone answered; this one rang and has said nothing since. Nothing may be left of it."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 180))
    mobile.answers("INVITE", (2.0, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.detach(desk.socket.address)
    world.run()
    assert call.final.status == 200


@pytest.mark.rfc("3261", "16.7")
def test_a_timeout_of_one_branch_waits_for_the_other(world: World) -> None:
    """16.7: the 408 of a silent phone is a candidate, and one of the worst."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    world.network.detach(desk.socket.address)
    mobile.answers("INVITE", (0.1, 180), (1.0, 480))
    call = alice.calls_up("sip:bob@example.com")
    world.run(31.9)
    assert call.statuses == [180]
    world.run(32.1)
    assert call.statuses == [180, 480]


@pytest.mark.rfc("4320", "4.2")
def test_another_request_with_a_silent_branch_takes_the_answer_of_the_other(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    world.network.detach(desk.socket.address)
    mobile.answers("MESSAGE", (1.0, 200))
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(2.0)
    assert call.statuses == [200]


@pytest.mark.rfc("3261", "16.8-3")
def test_timer_c_without_any_provisional_response_is_a_408(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Timer B would come first, with the timers as they are."""
    monkeypatch.setattr("sipcgi.engine.branch.TIMER_C", 10.0)
    monkeypatch.setattr("sipcgi.engine.passage.TIMER_C", 10.0)
    alice = world.phone("alice")
    call = alice.calls_up("sip:nobody@192.0.2.99")
    world.run(60.0)
    sent = world.transcript().splitlines()
    assert call.final.status == 408
    assert "10.000 server > alice 408 INVITE" in sent
    assert not [line for line in sent if "CANCEL" in line]
