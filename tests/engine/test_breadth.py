"""Max-Breadth: how many branches there may be at once, here and further on (RFC 5393 5.3)."""

import pytest
from world import World

FORK = "".join(f"CGI-PROXY-REQUEST sip:bob@192.0.2.{host} SIP/2.0\n\n" for host in (71, 72, 73))


@pytest.mark.rfc("5393", "5.3.3-5")
def test_parallel_branches_share_it(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (0.1, 486))
    mobile.answers("INVITE", (0.2, 486))
    alice.calls_up("sip:bob@example.com", "Max-Breadth: 5")
    world.run(2.0)
    shares = [phone.requests[0].headers.get("max-breadth") for phone in (desk, mobile)]
    assert shares == ["3", "2"]


@pytest.mark.rfc("5393", "5.3.3.1-1")
def test_what_is_too_wide_is_tried_one_after_the_other(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    desk.answers("INVITE", (1.0, 486))
    mobile.answers("INVITE", (1.0, 200))
    call = alice.calls_up("sip:bob@example.com", "Max-Breadth: 1")
    world.run(0.5)
    assert (len(desk.requests), len(mobile.requests)) == (1, 0)
    world.run(5.0)
    assert call.final.status == 200


@pytest.mark.rfc("5393", "5.3.3-6")
def test_a_fork_of_a_script_beyond_it_is_a_440(world: World) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", FORK)
    call = alice.calls_up("sip:bob@example.com", "Max-Breadth: 2")
    world.run(40.0)
    assert call.final.status == 440


@pytest.mark.rfc("5393", "5.3.3-1")
def test_a_request_without_it_gets_one(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert bob.requests[0].headers.get("max-breadth") == "60"


def test_a_malformed_one_is_refused(world: World) -> None:
    alice = world.phone("alice")
    call = alice.calls_up("sip:bob@example.com", "Max-Breadth: many")
    world.run(1.0)
    assert call.final.status == 400


@pytest.mark.rfc("5393", "5.3.3-7", "5.3.3-8")
def test_one_branch_has_all_of_it(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    alice.calls_up("sip:bob@example.com", "Max-Breadth: 5")
    world.run(1.0)
    assert bob.requests[0].headers.all("max-breadth") == ["5"]


def test_hunts_of_a_script_that_is_gone_leave_each_other_some(world: World) -> None:
    """The next contacts of both users are tried, whoever is the first to have none left."""
    alice = world.phone("alice")
    phones = [world.phone(f"{user}{nth}") for nth in (1, 2) for user in ("bob", "carol")]
    for phone in phones:
        first = phone.name.endswith("1")
        world.registers(phone, user=phone.name[:-1], q=1.0 if first else 0.5)
        phone.answers("INVITE", (0.1, 486 if first else 180))
    forks = "".join(f"CGI-PROXY-REQUEST sip:{user}@example.com SIP/2.0\n\n" for user in ("bob", "carol"))
    world.script("invite.sh", forks)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [100, 180, 180]
    assert [phone.got.headers.get("max-breadth") for phone in phones] == ["7", "6", "6", "6"]
