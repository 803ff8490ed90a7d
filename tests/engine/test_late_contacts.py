"""Contacts that register while a call is pending (RFC 3261 16.5)."""

import pytest
from phone import Phone
from world import World

from sipcgi.engine.late_contacts import MOST_CALLS

BOB = "sip:bob@example.com"
FIRST = "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n"
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'


def registers(world: World, phone: Phone, parameters: str = "", scheme: str = "sip") -> None:
    contact = phone.contact.replace("sip:", f"{scheme}:")
    call = phone.calls_up(
        f"{scheme}:example.com", f"To: <{BOB}>", f"Contact: <{contact}>{parameters}", "Supported: path, outbound",
        method="REGISTER",
    )  # fmt: skip
    world.run(world.network.now + 0.01)
    assert call.final.status == 200


@pytest.fixture
def desk(world: World) -> Phone:
    """It rings, and says no after 5 s."""
    desk = world.phone("desk")
    desk.answers("INVITE", (0.0, 180), (5.0, 486))
    registers(world, desk, ";q=0.5")
    return desk


@pytest.fixture
def mobile(world: World) -> Phone:
    mobile = world.phone("mobile")
    mobile.answers("INVITE", (0.0, 180), (1.0, 200))
    return mobile


@pytest.mark.rfc("3261", "16.5-8", "16.5-9")
@pytest.mark.parametrize("q", ["", ";q=0.5", ";q=0.2"])
def test_it_is_called_when_those_before_it_have_said_no(world: World, desk: Phone, mobile: Phone, q: str) -> None:
    """They have all of the Max-Breadth (RFC 5393 5.3.3)."""
    call = world.phone("alice").calls_up(BOB)
    world.run(1.0)
    registers(world, mobile, q)
    world.run(4.0)
    assert mobile.heard("INVITE") == []
    world.run(7.0)
    assert [status for status in call.statuses if status != 180] == [200]
    assert mobile.got.via.transport == "UDP"
    assert world.lines("access")[-1].count("sip:mobile@192.0.2.20:5060") == 1


@pytest.mark.rfc("3261", "16.5-8", "16.5-9")
@pytest.mark.parametrize(("q", "at_once"), [("", True), (";q=0.5", True), (";q=0.2", False)])
def test_it_rings_at_once_beside_the_others(world: World, desk: Phone, mobile: Phone, q: str, at_once: bool) -> None:
    """Where a script may add branches, there is Max-Breadth left."""
    world.script("invite.sh", FIRST, *["CGI-AGAIN yes SIP/2.0\n\n"] * 9)
    call = world.phone("alice").calls_up(BOB)
    world.run(1.0)
    registers(world, mobile, q)
    world.run(3.0)
    assert call.statuses[-1] == (200 if at_once else 180)
    world.run(8.0)
    assert call.final.status == 200


def test_contacts_of_other_preferences_keep_their_order(world: World, desk: Phone, mobile: Phone) -> None:
    call = world.phone("alice").calls_up(BOB)
    late = [world.phone(name) for name in ("third", "first", "second", "alike")]
    for phone, q in zip(late, (0.1, 0.4, 0.3, 0.3), strict=True):
        phone.answers("INVITE", (0.0, 486))
        registers(world, phone, f";q={q}")
    world.run(20.0)
    assert call.final.status == 486
    lines = world.transcript().splitlines()
    called = [line.split()[3] for line in lines if line.endswith("INVITE") and line.split()[1:3] == ["server", ">"]]
    assert [name for name in dict.fromkeys(called) if name != "alice"] == ["desk", "first", "second", "alike", "third"]


def test_no_contact_is_called_twice(world: World, desk: Phone, mobile: Phone) -> None:
    """A refreshed one; one whose URI is tried already, or waits; another flow of a user agent that is being called."""
    registers(world, mobile, f";q=0.1;reg-id=1;{INSTANCE}")
    call = world.phone("alice").calls_up(BOB)
    world.run(1.0)
    again = world.phone("again")
    again.answers("INVITE", (0.0, 486))
    registers(world, desk, ";q=0.5")
    registers(world, desk, f";{INSTANCE}")
    registers(world, again, f";reg-id=2;{INSTANCE}")
    world.run(20.0)
    assert call.final.status == 200
    assert (len(desk.heard("INVITE")), len(mobile.heard("INVITE")), len(again.heard("INVITE"))) == (1, 1, 0)


@pytest.mark.rfc("5630", "5.3")
def test_a_sips_call_is_joined_by_sips_contacts_only(world: World, mobile: Phone) -> None:
    desk, last = world.phone("desk"), world.phone("last")
    desk.answers("INVITE", (2.0, 486))
    world.registers(desk, user="bob", secure=True)
    call = world.phone("alice").calls_up("sips:bob@example.com")
    world.run(1.0)
    registers(world, mobile)
    registers(world, last, scheme="sips")
    world.run(20.0)
    assert call.final.status == 200
    assert mobile.heard("INVITE") == []
    assert len(last.heard("INVITE")) == 1


def test_nothing_joins_a_call_that_is_over(world: World, desk: Phone, mobile: Phone) -> None:
    call = world.phone("alice").calls_up(BOB)
    world.run(1.0)
    call.cancel()
    registers(world, mobile)
    world.run(20.0)
    assert call.final.status == 487
    assert mobile.heard("INVITE") == []


def test_nobody_joins_a_call_of_others(world: World, desk: Phone, mobile: Phone) -> None:
    world.phone("alice").calls_up("sip:192.0.2.10")
    assert not world.core.locations.late.hunts
    world.run(10.0)


def test_one_contact_joins_only_so_many_calls_at_once(world: World, desk: Phone, mobile: Phone) -> None:
    alice = world.phone("alice")
    calls = [alice.calls_up(BOB) for _ in range(MOST_CALLS + 5)]
    world.run(1.0)
    registers(world, mobile)
    world.run(20.0)
    assert len(mobile.heard("INVITE")) == MOST_CALLS
    assert [call.final.status for call in calls] == [200] * MOST_CALLS + [486] * 5
