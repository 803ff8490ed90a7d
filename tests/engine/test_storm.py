"""Two hundred calls over a network that loses, doubles and reorders: each has its end, and nothing is left of them."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from phone import Call, Phone
from world import World

CALLS = 200
OVER = 64 * 0.5
"""Seconds after which no transaction is left: Timers H, J, L and M."""

SCRIPT = {
    "request": "CGI-PROXY-REQUEST {target} SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
    "response": "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Seen: yes\n\nCGI-AGAIN yes SIP/2.0\n\n",
    "timeout": "",
    "cancel": "",
}


def callees(world: World) -> list[Phone]:
    """One that answers, one that is busy, one that rings, and one who has two phones."""
    plans = [
        ("answers", ((0.1, 180), (2.0, 200))),
        ("busy", ((0.3, 486),)),
        ("rings", ((0.2, 180),)),
        ("desk", ((0.1, 180), (4.0, 200))),
        ("mobile", ((0.2, 180), (1.5, 200))),
    ]
    phones = []
    for name, steps in plans:
        phone = world.phone(name)
        phone.answers("INVITE", *steps)
        world.registers(phone, user="two" if name in ("desk", "mobile") else name)
        phones.append(phone)
    return phones


def storm(world: World, targets: list[str]) -> list[Call]:
    """The calls of one caller, ten in a second; those that only ring are cancelled, those that talk end with BYE."""
    alice = world.phone("alice")
    calls: list[Call] = []

    def call(number: int) -> None:
        made = alice.calls_up(f"sip:{targets[number % len(targets)]}@example.com")
        calls.append(made)
        if "rings" in made.request.uri:
            world.network.timers.start(5.0, made.cancel)
        world.network.timers.start(10.0, hang_up, made)

    def hang_up(made: Call) -> None:
        if any(200 <= status < 300 for status in made.statuses):
            byes.append(made.then("BYE"))

    byes: list[Call] = []
    for number in range(CALLS):
        world.network.timers.start(number / 10, call, number)
    world.run()
    assert all(bye.statuses[-1] in (200, 481) for bye in byes if bye.failure is None)
    return calls


def check(world: World, calls: list[Call]) -> Counter[int]:
    """One final answer each: of a 2xx any number of copies, of a refusal one."""
    counted: Counter[int] = Counter()
    assert len(calls) == CALLS
    for call in calls:
        assert call.failure is None, call.statuses
        finals = [response for response in call.responses if response.status >= 200]
        assert finals, call.statuses
        assert all(a.status < 200 or b.status >= 200 for a, b in pairwise(call.responses)), call.statuses
        if finals[0].status >= 300:
            assert len(finals) == 1, call.statuses
        else:
            assert {response.status for response in finals} == {200}, call.statuses
        counted[finals[0].status] += 1
    assert world.left() == []
    assert world.transactions.waiting() == 0
    return counted


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_calls(lossy: Callable[[int], World], seed: int) -> None:
    world = lossy(seed)
    callees(world)
    counted = check(world, storm(world, ["answers", "busy", "rings", "two", "nobody"]))
    assert counted[480] == CALLS / 5
    assert counted[486] == CALLS / 5
    assert counted[487] + counted[200] == 3 * CALLS / 5
    assert len(world.lines("access")) >= CALLS


@pytest.mark.parametrize("seed", range(5, 8))
def test_a_storm_of_calls_through_scripts(lossy: Callable[[int], World], seed: int) -> None:
    world = lossy(seed)
    callees(world)

    def script(environment: dict[str, str]) -> str:
        return SCRIPT[environment["SIPCGI_EVENT"]].format(target=environment["SIPCGI_URI"])

    world.script("invite.sh", script, takes=0.05, unlimited=True)
    calls = storm(world, ["answers", "busy", "rings", "two", "nobody"])
    counted = check(world, calls)
    assert counted[480] == CALLS / 5
    assert counted[486] == CALLS / 5
    for call in calls:
        for response in call.responses:
            own = response.status in (100, 487)
            assert own or response.headers.get("x-seen") == "yes" or response.status < 200, response.start_line


@pytest.mark.parametrize("seed", range(10, 12))
def test_a_storm_of_calls_that_a_script_answers(lossy: Callable[[int], World], seed: int) -> None:
    world = lossy(seed)
    world.script("invite.sh", "SIP/2.0 180 Ringing\n\nSIP/2.0 200 OK\n\n", takes=0.05, unlimited=True)
    counted = check(world, storm(world, ["anybody"]))
    assert counted == {200: CALLS}


@pytest.mark.parametrize("seed", range(13, 15))
def test_a_storm_of_other_requests(lossy: Callable[[int], World], seed: int) -> None:
    world = lossy(seed)
    bob, alice = world.phone("bob"), world.phone("alice")
    world.registers(bob)
    calls: list[Call] = []
    for number in range(CALLS):
        request = alice.request("MESSAGE", "sip:bob@example.com")
        world.network.timers.start(number / 20, lambda r: calls.append(alice.send(r, world.socket.address)), request)
    world.run()
    assert all(call.statuses and call.statuses[-1] == 200 for call in calls)
    assert world.left() == []
    assert len(bob.requests) == CALLS


@pytest.mark.rfc("3261", "17.1.1.2-25", "17.1.2.2-12", "17.2.1-14", "17.2.2-10")
@pytest.mark.rfc("6026", "7.1-6", "7.2-5", "8.4-13", "8.7-4")
def test_nothing_is_left_64_t1_after_the_last_answer(lossy: Callable[[int], World]) -> None:
    world = lossy(99)
    callees(world)
    alice = world.phone("alice")
    for number in range(20):
        alice.calls_up(f"sip:{['busy', 'answers'][number % 2]}@example.com")
    world.run(4.0)
    answered = max(datagram.time for datagram in world.network.sent if b" 200 " in datagram.data[:20])
    world.run(answered + OVER + 4.0)
    assert not world.transactions.servers
    assert not world.transactions.clients
