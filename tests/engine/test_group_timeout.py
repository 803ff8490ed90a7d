"""Contacts of one q that do not answer in the time that their domain gives them (RFC 3261 16.6; `group_timeout`)."""

import pytest
from phone import Call, Phone, Step
from world import World

from sipcgi.engine.domains import DomainSettings

RINGS: list[Step] = [(0.1, 180)]
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def calls_bob(world: World, *phones: tuple[float, list[Step]], method: str = "INVITE") -> tuple[Call, list[Phone]]:
    """Alice calls bob, who has phones with a q and what they do; those of one q have 20 seconds."""
    alice = world.phone("alice")
    made = []
    for number, (q, steps) in enumerate(phones):
        phone = world.phone(f"bob{number}")
        phone.answers(method, *steps)
        world.registers(phone, user="bob", q=q)
        made.append(phone)
    world.domains.configure({"example.com": DomainSettings(group_timeout=20.0)})
    return alice.calls_up("sip:bob@example.com", method=method), made


def test_the_next_group_rings_when_the_first_has_not_answered(world: World) -> None:
    call, _ = calls_bob(world, (0.9, RINGS), (0.9, RINGS), (0.1, [(0.1, 180), (3.0, 200)]))
    world.run(30.0)
    assert call.statuses == [180, 180, 180, 200]
    world.shows("""
        0.000 alice > server INVITE
        0.000 server > bob0 INVITE
        0.000 server > bob1 INVITE
        0.100 bob0 > server 180 INVITE
        0.100 server > alice 180 INVITE
        0.100 bob1 > server 180 INVITE
        0.100 server > alice 180 INVITE
        20.000 server > bob0 CANCEL
        20.000 server > bob1 CANCEL
        20.000 server > bob2 INVITE
        20.000 bob0 > server 200 CANCEL
        20.000 bob0 > server 487 INVITE
        20.000 bob1 > server 200 CANCEL
        20.000 bob1 > server 487 INVITE
        20.000 server > bob0 ACK
        20.000 server > bob1 ACK
        20.100 bob2 > server 180 INVITE
        20.100 server > alice 180 INVITE
        23.000 bob2 > server 200 INVITE
        23.000 server > alice 200 INVITE
        23.000 alice > server ACK
        23.000 server > bob2 ACK
    """)


def test_the_last_group_rings_as_long_as_it_likes(world: World) -> None:
    call, _ = calls_bob(world, (0.9, RINGS), (0.1, [(0.5, 180), (100.0, 200)]))
    world.run(130.0)
    assert call.statuses[-1] == 200


def test_who_is_alone_is_not_hurried(world: World) -> None:
    call, (bob,) = calls_bob(world, (1.0, [(0.1, 180), (100.0, 200)]))
    world.run(130.0)
    assert call.statuses == [180, 200]
    assert not bob.heard("CANCEL")


def test_each_group_has_its_own_time(world: World) -> None:
    call, (_, second, third) = calls_bob(world, (0.9, [(5.0, 486)]), (0.5, RINGS), (0.1, [(0.1, 200)]))
    world.run(24.9)
    assert (len(second.requests), len(third.requests)) == (1, 0)
    world.run(30.0)
    assert call.final.status == 200


def test_a_group_that_fails_before_leaves_no_timer(world: World) -> None:
    call, _ = calls_bob(world, (0.9, [(1.0, 486)]), (0.5, [(1.0, 404)]))
    world.run(3.0)
    assert call.final.status == 486


@pytest.mark.rfc("3261", "16.7")
def test_a_2xx_that_crosses_the_cancel_wins(world: World) -> None:
    call, (first, second) = calls_bob(world, (0.9, [(0.1, 180), (20.5, 200)]), (0.1, RINGS))
    first.obeys_cancel = False
    world.run(30.0)
    assert call.statuses == [180, 180, 200]
    assert "20.500 server > bob1 CANCEL" in world.transcript()
    assert len(second.heard("INVITE")) == 1


@pytest.mark.rfc("3261", "16.7")
def test_nothing_is_tried_after_a_6xx(world: World) -> None:
    call, (_, _, third) = calls_bob(world, (0.9, RINGS), (0.9, [(5.0, 603)]), (0.1, RINGS))
    world.run(60.0)
    assert call.final.status == 603
    assert not third.requests


@pytest.mark.rfc("3261", "9.1")
def test_a_phone_that_is_silent_is_cancelled_when_it_speaks(world: World) -> None:
    call, (first, _) = calls_bob(world, (0.9, RINGS), (0.1, [(0.5, 180), (15.0, 200)]))
    world.network.detach(first.socket.address)
    world.run(21.0)
    assert "bob0 CANCEL" not in world.transcript()
    world.network.attach(first.socket.address, "bob0", first.socket._arrived)
    world.run(40.0)
    assert call.final.status == 200
    assert "31.600 server > bob0 CANCEL" in world.transcript()


def test_nobody_answers_at_all(world: World) -> None:
    """408 of the first group, 480 of the second: what says more of the user is the better one."""
    call, _ = calls_bob(world, (0.9, RINGS), (0.1, [(1.0, 480)]))
    world.run(30.0)
    assert call.final.status == 480


def test_the_caller_gives_up_in_the_second_group(world: World) -> None:
    call, _ = calls_bob(world, (0.9, RINGS), (0.1, RINGS))
    world.run(21.0)
    call.cancel()
    world.run(22.0)
    assert call.final.status == 487


def test_the_caller_gives_up_in_the_first_group(world: World) -> None:
    call, (_, second) = calls_bob(world, (0.9, RINGS), (0.1, RINGS))
    world.run(10.0)
    call.cancel()
    world.run(60.0)
    assert call.final.status == 487
    assert not second.requests


def test_a_script_hears_one_408_and_the_search_goes_on(world: World) -> None:
    world.script(
        "invite.sh",
        f"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Timeout: 30\n\n{AGAIN}",
        AGAIN,
        AGAIN,
        AGAIN,
        "SIP/2.0 480 Nobody\n\n",
    )
    call, (_, _, third) = calls_bob(world, (0.9, RINGS), (0.9, [(0.2, 486)]), (0.1, []))
    world.run(60.0)
    assert call.final.status == 480
    assert len(third.heard("INVITE")) == 1
    assert world.events() == [
        "0.000 request",
        "0.100 response 180",
        "0.200 response 486",
        "20.000 timeout 408",
        "30.000 timeout 408",
    ]


def test_another_method_goes_on_without_cancel(world: World) -> None:
    call, (first, second) = calls_bob(world, (0.9, []), (0.1, [(0.5, 200)]), method="MESSAGE")
    world.run(60.0)
    assert call.final.status == 200
    assert not first.heard("CANCEL")
    assert len(second.heard("MESSAGE")) == 1
