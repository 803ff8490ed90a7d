"""One script at a time in a transaction: what waits, in which order, and what overtakes (RFC 3050 5.3; contract)."""

import pytest
from world import World

PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n"
CAROL = "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n"
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


@pytest.mark.rfc("3050", "5.3")
def test_messages_wait_in_order(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (0.2, 181))
    carol.answers("INVITE", (0.15, 182))
    world.script("invite.sh", PROXY + CAROL + AGAIN, AGAIN, AGAIN, AGAIN, "", takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert world.events() == ["0.000 request", "1.100 response 180", "2.100 response 182", "3.100 response 181"]
    assert call.statuses == [100, 180, 182, 181]
    call.cancel()


def test_a_final_response_overtakes_the_provisional_ones_of_its_branch(world: World) -> None:
    """These take their default action first, and run no script; those of another branch stay where they are."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (0.2, 181), (0.4, 486))
    carol.answers("INVITE", (0.3, 182), (9.0, 480))
    world.script("invite.sh", PROXY + CAROL + AGAIN, AGAIN, AGAIN, "", takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [100, 181, 180, 182]
    assert world.events() == ["0.000 request", "1.100 response 180", "2.100 response 182", "3.100 response 486"]


def test_actions_of_a_run_see_what_came_meanwhile_afterwards(world: World) -> None:
    """A final answer of the running script ends it all; the 486 that waits runs nothing."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.2, 486))
    world.script("invite.sh", PROXY + AGAIN, "SIP/2.0 404 No\n\n" + AGAIN, takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [100, 404]
    assert len(world.runs) == 2


def test_a_2xx_waits_for_the_running_script(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.2, 200))
    world.script("invite.sh", PROXY + AGAIN, "SIP/2.0 404 No\n\n", takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.9)
    assert call.statuses == [100]
    world.run(5.0)
    assert call.statuses[:3] == [100, 404, 200]  # forwarded in any case: RFC 3261 16.7
    assert bob.heard("ACK")


def test_a_wake_up_is_off_when_a_message_already_waits(world: World) -> None:
    """CGI-After: also run at that time, unless a message came first."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (20.0, 486))
    carol.answers("INVITE", (0.5, 183), (20.0, 486))
    later = "CGI-AGAIN yes SIP/2.0\nCGI-After: {}\n\n"
    world.script("invite.sh", PROXY + CAROL + AGAIN, later.format(2), later.format(8), "", takes=1.0)
    alice.calls_up("sip:bob@example.com")
    world.run(19.0)
    assert world.events() == ["0.000 request", "1.100 response 180", "2.100 response 183", "11.100 timer"]


def test_an_unreachable_target_among_others(world: World) -> None:
    """All actions are performed before the script hears of what they set off."""
    alice, carol = world.phone("alice"), world.phone("carol", "192.0.2.30")
    world.network.unreachable.add(carol.socket.address._replace(host="192.0.2.20"))
    carol.answers("INVITE", (0.1, 180), (5.0, 200))
    world.script("invite.sh", PROXY + CAROL + "SIP/2.0 181 Wait\n\n" + AGAIN, "SIP/2.0 182 Queued\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert call.statuses == [181, 182, 180, 200]
    assert world.runs[1].environment["RESPONSE_STATUS"] == "503"
    assert world.runs[1].environment["SIPCGI_PENDING"] == "1"
    assert world.runs[1].environment["SIPCGI_BEST"] == "503"


def test_many_transactions_run_side_by_side(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 486 Busy\n\n", takes=1.0, unlimited=True)
    calls = [alice.calls_up("sip:bob@example.com") for _ in range(50)]
    world.run(1.5)
    assert all(call.statuses == [100, 486] for call in calls)


def test_a_wake_up_never_holds_back_the_answer_to_a_message_that_waited(world: World) -> None:
    """The 486 came while the script said CGI-After; the run for it wants nothing more, so the 486 leaves."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.5, 486))
    world.script("invite.sh", PROXY + AGAIN, "CGI-AGAIN yes SIP/2.0\nCGI-After: 30\n\n", "", takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert world.events() == ["0.000 request", "1.100 response 180", "2.100 response 486"]
    assert call.final.status == 486
    assert "3.100 server > alice 486 INVITE" in world.transcript()


def test_a_cancel_leaves_what_waits_to_its_default_action(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (0.2, 183))
    carol.answers("INVITE", (0.15, 486))
    world.script("invite.sh", PROXY + CAROL + AGAIN, "SIP/2.0 600 Never\n\n", takes=1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.5)
    call.cancel()
    world.run(9.0)
    assert call.statuses == [100, 180, 183, 487]
    assert world.runs[1].ended
    assert len(world.runs) == 2
