"""Scripts that print anything that is allowed, at random, for callees that do anything: the rules hold all the same."""

from random import Random

import pytest
from phone import Call, Phone, Step
from world import DOMAIN, World

from sipcgi.cgi.routes import Route
from sipcgi.engine.domains import DomainSettings
from sipcgi.hosts.base import Outcome

CALLS = 60
URIS = [
    "sip:one@192.0.2.20",
    "sip:two@192.0.2.30",
    "sip:three@192.0.2.40",
    "sip:all@example.com",
    "sip:nobody@example.com",
    "sip:off@192.0.2.99",
    "sip:dead@192.0.2.98",
    "sip:slow@slow.example",
    "sip:gone@gone.example",
    "tel:+4912345",
]
STATUSES = [181, 183, 200, 302, 404, 486, 603]


class Chance:
    """What a script prints and what a phone does, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tokens: list[str] = ["nonsense"]

    def script(self, environment: dict[str, str]) -> str | Outcome:
        random = self.random
        if "RESPONSE_TOKEN" in environment:
            self.tokens.append(environment["RESPONSE_TOKEN"])
        kind = random.random()
        if kind < 0.04:
            return Outcome(status=1)
        if kind < 0.08:
            return "garbage\n"
        output = "".join([self.action(environment) for _ in range(random.choice([0, 1, 1, 1, 2, 3]))])
        return output + "CGI-AGAIN yes SIP/2.0\n\n" * (random.random() < 0.7 and "AGAIN" not in output)

    def action(self, environment: dict[str, str]) -> str:
        random = self.random
        kind = random.randrange(12)
        if kind < 4 or (kind < 7 and "RESPONSE_TOKEN" not in environment):
            fields = f"CGI-Timeout: {random.uniform(0.1, 40):.2f}\n" if random.random() < 0.4 else ""
            return f"CGI-PROXY-REQUEST {random.choice(URIS)} SIP/2.0\n{fields}\n"
        if kind < 6 and "RESPONSE_TOKEN" in environment:
            return "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Seen: yes\n\n"
        if kind < 7:
            return f"CGI-FORWARD-RESPONSE {random.choice(self.tokens[-5:])} SIP/2.0\n\n"
        if kind < 8:
            return f"SIP/2.0 {random.choice(STATUSES)} Chance\n\n"
        after = f"CGI-After: {random.uniform(0.1, 40):.2f}\n" if random.random() < 0.4 else ""
        return f"CGI-AGAIN yes SIP/2.0\n{after}\n"

    def plan(self) -> list[Step]:
        """Of a phone."""
        random, steps = self.random, []
        time = 0.0
        for _ in range(random.randrange(3)):
            time += random.choice([0.0, 0.1, 1.0, 20.0])
            steps.append((time, random.choice([100, 180, 183])))
        if random.random() < 0.8:
            time += random.choice([0.0, 0.1, 1.0, 20.0])
            status = random.choice([200, 200, 302, 404, 486, 500, 503, 603])
            steps.append((time, status, *([f"Contact: <{random.choice(URIS)}>"] if status == 302 else [])))
        return steps  # type: ignore[return-value]


class Moody(Phone):
    """Has another plan for each call."""

    chance: Chance

    def request_received(self, request: object, server: object) -> None:
        self.plans["INVITE"] = self.plans["MESSAGE"] = self.chance.plan()
        self.obeys_cancel = self.chance.random.random() < 0.8
        super().request_received(request, server)  # type: ignore[arg-type]


def play(seed: int, loss: float, takes: float, *, all_of_it: bool = False) -> tuple[World, list[Call], list[Call]]:
    """`all_of_it`: the domain has a time for each group and follows redirections, scripts proxy through the routes."""
    world = World(seed)
    if all_of_it:
        world.domains.configure({DOMAIN: DomainSettings(recurse=True, group_timeout=5.0)})
        world.routes(fallback=Route(script="", reroute=True))
    network = world.network
    network.loss, network.doubling = loss, loss
    network.delay, network.jitter = 0.01, 0.05
    chance = Chance(seed)
    alice = world.phone("alice")
    for name, host in (("one", "192.0.2.20"), ("two", "192.0.2.30"), ("three", "192.0.2.40")):
        phone = Moody(network, name, host)
        phone.chance = chance
        world.registers(phone, user="all", q=chance.random.choice([0.5, 1.0]))
    network.unreachable.add(alice.socket.address._replace(host="192.0.2.98"))
    world.names.hosts["slow.example"] = (1.7, alice.socket.address._replace(host="192.0.2.20"))
    world.names.hosts["gone.example"] = (0.7, None)
    world.script("invite.sh", chance.script, takes=takes, unlimited=True)
    world.script("message.sh", chance.script, takes=takes, unlimited=True)
    invites: list[Call] = []
    messages: list[Call] = []
    for number in range(CALLS):
        network.run(number * 1.0)
        if chance.random.random() < 0.3:
            messages.append(alice.calls_up("sip:all@example.com", method="MESSAGE"))
            continue
        call = alice.calls_up("sip:all@example.com")
        invites.append(call)
        if chance.random.random() < 0.3:
            network.timers.start(chance.random.choice([0.3, 3.0, 30.0]), cancel, call)
    world.run()
    for call in invites:
        for answer in {response.to.tag: response for response in call.responses if response.status == 200}.values():
            alice.send(alice.in_dialog(call, answer, "BYE", 2))
    world.run()
    return world, invites, messages


def cancel(call: Call) -> None:
    """RFC 3261 9.1: only after a provisional response, and before a final one."""
    if call.responses and max(call.statuses) < 200:
        call.cancel()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_scripts_and_phones_do(seed: int) -> None:
    takes = (0.0, 0.05, 0.6, 3.0)[seed % 4]
    world, invites, messages = play(seed, 0.0 if seed % 2 else 0.1, takes)
    holds(world, invites, messages)
    requests = len(invites) + len(messages)
    assert len([line for line in world.lines("access") if "method=BYE" not in line]) == requests


@pytest.mark.parametrize("seed", range(20, 40))
def test_with_all_that_a_domain_and_a_route_may_ask_for(seed: int) -> None:
    takes = (0.0, 0.05, 0.6, 3.0)[seed % 4]
    holds(*play(seed, 0.0 if seed % 2 else 0.1, takes, all_of_it=True))


def holds(world: World, invites: list[Call], messages: list[Call]) -> None:
    """Whatever happened: one answer to each request, and nothing left."""
    for call in invites:
        finals = [status for status in call.statuses if status >= 200]
        assert finals, (call.request.call_id, call.statuses, call.failure)
        others = [status for status in finals if status >= 300]
        # one refusal at most, and only before a 2xx that crossed it
        assert len(others) <= 1, (call.request.call_id, call.statuses)
        assert call.failure is None, (call.request.call_id, call.statuses)
    for call in messages:
        finals = [status for status in call.statuses if status >= 200]
        assert len(finals) <= 1, (call.request.call_id, call.statuses)
        assert 408 not in finals
    assert world.left() == []
    assert world.transactions.waiting() == 0
