"""Several targets at once or one after the other, and the best of their answers (RFC 3261 16.7 items 5 to 10)."""

import pytest
from phone import Call, Phone
from world import World

from sipcgi.proxy.loop import loop_hash
from sipcgi.sip.message import Request


def forked(world: World, *answers: tuple[float, int], q: tuple[float, ...] = ()) -> tuple[Call, list[Phone]]:
    """Alice calls bob, who has a phone for each of the answers."""
    alice = world.phone("alice")
    phones = []
    for number, answer in enumerate(answers):
        phone = world.phone(f"bob{number}")
        phone.answers("INVITE", answer)
        world.registers(phone, user="bob", q=q[number] if q else 1.0)
        phones.append(phone)
    return alice.calls_up("sip:bob@example.com"), phones


@pytest.mark.rfc("3261", "16.1-2", "16.7-45")
def test_the_first_2xx_wins_and_the_others_are_cancelled(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 180), (9.0, 200))
    mobile.answers("INVITE", (0.15, 180), (2.0, 200))
    call = alice.calls_up("sip:bob@example.com")
    world.run(3.0)
    world.shows("""
        0.000 alice > server INVITE
        0.000 server > desk INVITE
        0.000 server > mobile INVITE
        0.100 desk > server 180 INVITE
        0.100 server > alice 180 INVITE
        0.150 mobile > server 180 INVITE
        0.150 server > alice 180 INVITE
        2.000 mobile > server 200 INVITE
        2.000 server > alice 200 INVITE
        2.000 server > desk CANCEL
        2.000 alice > server ACK
        2.000 desk > server 200 CANCEL
        2.000 desk > server 487 INVITE
        2.000 server > mobile ACK
        2.000 server > desk ACK
    """)
    assert call.statuses == [180, 180, 200]


@pytest.mark.rfc("3261", "16.7-16", "16.7-19", "16.7-20")
@pytest.mark.parametrize(
    ("first", "second", "best"),
    [
        (486, 404, 486),  # of one class: the first
        (302, 404, 302),  # the lowest class
        (503, 404, 404),
        (404, 603, 603),  # 6xx above all
        (480, 401, 401),  # those that help to send the request again
        (480, 407, 407),
        (486, 415, 415),
        (486, 420, 420),
        (486, 484, 484),
        (503, 503, 500),  # a 503 would speak of the server itself
        (500, 503, 500),
    ],
)
def test_the_best_response(world: World, first: int, second: int, best: int) -> None:
    call, phones = forked(world, (0.1, first), (0.2, second))
    world.run(5.0)
    assert call.final.status == best
    assert all(len(phone.heard("INVITE")) == 1 for phone in phones)


@pytest.mark.rfc("3261", "16.7-14", "16.7-46")
def test_a_6xx_cancels_the_others_and_waits_for_them(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 180), (9.0, 200))
    mobile.answers("INVITE", (1.0, 603))
    desk.obeys_cancel = False
    call = alice.calls_up("sip:bob@example.com")
    world.run(3.0)
    assert "1.000 server > desk CANCEL" in world.transcript()
    assert 603 not in call.statuses
    desk.replies(desk.got, 487)
    world.run(4.0)
    assert call.final.status == 603


@pytest.mark.rfc("3261", "16.7")
def test_a_2xx_that_crosses_the_cancel_after_a_6xx_goes_upstream(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 180), (1.2, 200))
    mobile.answers("INVITE", (1.0, 603))
    desk.obeys_cancel = False
    call = alice.calls_up("sip:bob@example.com")
    world.run(3.0)
    assert call.final.status == 200


@pytest.mark.rfc("3261", "16.7-15", "16.7-44")
def test_both_2xx_of_two_branches_go_upstream(world: World) -> None:
    """Item 5: an element MUST forward each of them."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 180), (1.0, 200))
    mobile.answers("INVITE", (0.1, 180), (1.0, 200))
    mobile.obeys_cancel = False
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 180, 200, 200]
    assert len({response.to.tag for response in call.responses[2:]}) == 2
    assert len(desk.heard("ACK")) == len(mobile.heard("ACK")) == 1


@pytest.mark.rfc("3261", "16.7-33")
def test_challenges_are_collected(world: World) -> None:
    """Item 7."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 401, 'WWW-Authenticate: Digest realm="a", nonce="1"'))
    mobile.answers("INVITE", (0.2, 407, 'Proxy-Authenticate: Digest realm="b", nonce="2"'))
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.final.status == 401
    assert call.final.headers.get("www-authenticate") == 'Digest realm="a", nonce="1"'
    assert call.final.headers.get("proxy-authenticate") == 'Digest realm="b", nonce="2"'


@pytest.mark.rfc("3261", "16.6")
def test_a_branch_without_provisional_response_is_cancelled_after_its_first(world: World) -> None:
    """9.1: no CANCEL before a provisional response."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    world.network.detach(desk.socket.address)
    mobile.answers("INVITE", (0.1, 200))
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert "desk CANCEL" not in world.transcript()
    world.network.attach(desk.socket.address, "desk", desk.socket._arrived)
    desk.answers("INVITE", (0.1, 180), (9.0, 200))
    world.run(2.5)
    world.shows("""
        1.500 server > desk INVITE
        1.600 desk > server 180 INVITE
        1.600 server > desk CANCEL
        1.600 desk > server 200 CANCEL
        1.600 desk > server 487 INVITE
        1.600 server > desk ACK
    """)


@pytest.mark.rfc("3261", "16.6")
def test_contacts_of_lower_q_are_tried_after_a_failure(world: World) -> None:
    call, (first, second) = forked(world, (1.0, 486), (0.5, 200), q=(0.9, 0.1))
    world.run(0.9)
    assert not second.requests
    world.run(3.0)
    assert call.final.status == 200
    assert len(first.heard("INVITE")) == len(second.heard("INVITE")) == 1


@pytest.mark.rfc("3261", "16.6", "16.7-14")
def test_no_further_contact_after_a_6xx(world: World) -> None:
    call, (_, second) = forked(world, (1.0, 603), (0.5, 200), q=(0.9, 0.1))
    world.run(3.0)
    assert call.final.status == 603
    assert not second.requests


@pytest.mark.rfc("3261", "16.7")
def test_the_answer_of_the_first_contact_counts_when_the_second_is_unreachable(world: World) -> None:
    """A 486 is better than the 503 of a phone that is off."""
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob", q=0.9)
    world.registers(mobile, user="bob", q=0.1)
    desk.answers("INVITE", (0.1, 486))
    world.network.unreachable.add(mobile.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.final.status == 486


@pytest.mark.rfc("3261", "16.9-2")
def test_when_one_of_two_is_unreachable_the_other_rings(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(mobile, user="bob")
    world.registers(desk, user="bob")
    desk.answers("INVITE", (0.1, 180), (1.0, 200))
    world.network.unreachable.add(mobile.socket.address)
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 200]


@pytest.mark.rfc("5393", "4.2")
def test_the_loop_hash_is_made_once_for_all_branches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads the whole request, and that is the same for all of them."""
    made: list[str] = []

    def counting(request: Request) -> str:
        made.append(loop_hash(request))
        return made[-1]

    monkeypatch.setattr("sipcgi.engine.upstream.loop_hash", counting)
    alice = world.phone("alice")
    bobs = [world.phone(f"bob{number}") for number in range(3)]
    for bob in bobs:
        world.registers(bob, user="bob")
    alice.calls_up("sip:bob@example.com")
    world.run(0.1)
    assert {(bob.got.via.branch or "").rpartition(".")[2] for bob in bobs} == set(made)
    assert len(made) == 1
