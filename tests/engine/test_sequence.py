"""Several scripts in a route: one that takes no action hands on to the next (contract; RFC 3050 5.6.1.5, 5.6.1.6)."""

import pytest
from world import World

from sipcgi.cgi.routes import Route
from sipcgi.hosts.base import Outcome

PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n"
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"
CHAIN = Route("screen.pl", then=("forward.pl", "last.pl"))


def ran(world: World) -> list[str]:
    """Script, event and status of each run."""
    return [
        " ".join(
            [run.invocation.name, run.environment["SIPCGI_EVENT"], run.environment.get("RESPONSE_STATUS", "")]
        ).strip()
        for run in world.runs
    ]


def test_one_that_ends_with_no_action_hands_on_and_one_with_an_action_is_the_end(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.routes(CHAIN)
    world.script("screen.pl", "", takes=0.01)
    world.script("forward.pl", PROXY)
    world.script("last.pl")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert ran(world) == ["screen.pl request", "forward.pl request"]
    assert call.statuses == [486]
    (line,) = world.lines("access")
    assert "route=routes.0 script=screen.pl,forward.pl runs=2" in line


def test_the_first_may_answer(world: World) -> None:
    alice = world.phone("alice")
    world.routes(CHAIN)
    world.script("screen.pl", "SIP/2.0 603 Decline\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert ran(world) == ["screen.pl request"]
    assert call.statuses == [603]
    assert "script=screen.pl runs=1" in world.lines("access")[0]


@pytest.mark.rfc("3050", "5.6.1.6")
def test_when_none_acts_the_default_action_follows(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    world.routes(CHAIN)
    for name in CHAIN.scripts:
        world.script(name, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert ran(world) == ["screen.pl request", "forward.pl request", "last.pl request"]
    assert call.statuses == [486]


@pytest.mark.rfc("3050", "5.6.1.4")
@pytest.mark.rfc("3050", "5.6.1.5")
def test_each_has_its_own_cookie_and_is_called_again_if_it_asks(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.2, 486))
    world.routes(CHAIN)
    world.script("screen.pl", "CGI-SET-COOKIE screened SIP/2.0\n\n" + AGAIN, "", takes=0.01)
    world.script("forward.pl", "CGI-SET-COOKIE rang SIP/2.0\n\n" + AGAIN + PROXY, AGAIN, "SIP/2.0 600 No\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert ran(world) == [
        "screen.pl request",
        "forward.pl request",
        "screen.pl response 180",
        "forward.pl response 180",
        "forward.pl response 486",
    ]
    cookies = [run.environment.get("SCRIPT_COOKIE") for run in world.runs]
    assert cookies == [None, None, "screened", "rang", "rang"]
    assert [run.environment["SIPCGI_RUN"] for run in world.runs] == ["1", "1", "2", "2", "3"]
    assert call.statuses == [180, 600]


@pytest.mark.parametrize(
    ("on_error", "statuses"), [("reject", [500]), ("default", [486]), ("spare.pl", [486])], ids=lambda value: str(value)
)
def test_a_failure_ends_the_sequence(world: World, on_error: str, statuses: list[int]) -> None:
    """Fail closed: what on_error says takes the place of all of it, and the next script is no way round."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 486))
    world.routes(Route("screen.pl", then=("forward.pl",), on_error=on_error))
    world.script("screen.pl", Outcome(status=1))
    world.script("spare.pl", "")
    world.script("forward.pl", "SIP/2.0 299 Wide Open\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert "forward.pl request" not in ran(world)
    assert call.statuses == statuses


@pytest.mark.parametrize(
    ("forward", "names"), [("gone.pl", "screen.pl,gone.pl,spare.pl"), ("bad.pl", "screen.pl,bad.pl")]
)
def test_the_access_line_names_what_runs_in_the_place_of_one_that_could_not_start(
    world: World, forward: str, names: str
) -> None:
    alice = world.phone("alice")
    world.routes(Route("screen.pl", then=(forward,), on_error="spare.pl"))
    world.script("screen.pl", "")
    world.script("bad.pl", Outcome(status=1))
    world.script("spare.pl", "SIP/2.0 486 Busy Here\n\n")
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    [line] = world.lines("access")
    assert f" script={names} " in line


def test_a_failure_further_on_leaves_those_before_it_alone(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 180), (0.2, 486))
    world.routes(Route("screen.pl", then=("forward.pl",), on_error="default"))
    world.script("screen.pl", AGAIN, "")
    world.script("forward.pl", Outcome(status=1, stdout=AGAIN.encode()))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert ran(world) == ["screen.pl request", "forward.pl request", "screen.pl response 180"]
    assert call.statuses == [180, 486]


def test_a_failure_at_a_response_is_its_default_action(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.routes(CHAIN)
    world.script("screen.pl", AGAIN, Outcome(status=1))
    world.script("forward.pl", AGAIN + PROXY, "SIP/2.0 299 Wide Open\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert ran(world) == ["screen.pl request", "forward.pl request", "screen.pl response 486"]
    assert call.statuses == [486]


@pytest.mark.rfc("3050", "5.10")
def test_cancel_ends_the_one_that_runs_and_none_follows_it(world: World) -> None:
    alice = world.phone("alice")
    world.routes(CHAIN)
    world.script("screen.pl", AGAIN, "", takes=0.5)
    world.script("forward.pl", PROXY, takes=0.5)
    call = alice.calls_up("sip:bob@example.com")
    world.network.timers.start(0.7, call.cancel)
    world.run(3.0)
    assert ran(world) == ["screen.pl request", "forward.pl request", "screen.pl cancel"]
    assert [run.ended for run in world.runs] == [False, True, False]
    assert call.statuses == [100, 487]


@pytest.mark.rfc("3050", "5.10")
def test_all_that_asked_for_it_hear_of_a_cancel(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.routes(CHAIN)
    world.script("screen.pl", AGAIN, AGAIN, "", takes=0.01)
    world.script("forward.pl", AGAIN + PROXY, AGAIN, "", takes=0.01)
    call = alice.calls_up("sip:bob@example.com")
    world.network.timers.start(0.7, call.cancel)
    world.run(3.0)
    assert ran(world)[-2:] == ["screen.pl cancel", "forward.pl cancel"]
    assert call.statuses == [180, 487]


@pytest.mark.rfc("3050", "3.6")
def test_the_timer_of_a_script_that_handed_on(world: World) -> None:
    """A transaction has one, which goes off for all who wanted one: at the earliest time."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (9.0, 486))
    world.routes(CHAIN)
    world.script("screen.pl", "CGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n", "SIP/2.0 603 Too Late\n\n")
    world.script("forward.pl", AGAIN + PROXY)
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert ran(world) == ["screen.pl request", "forward.pl request", "screen.pl timer"]
    assert world.runs[-1].began == 2.0
    assert call.statuses == [100, 603]


@pytest.mark.rfc("3050", "3.6")
def test_of_two_timers_the_sooner_counts(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (9.0, 486))
    world.routes(CHAIN)
    world.script("screen.pl", "CGI-AGAIN yes SIP/2.0\nCGI-After: 3\n\n", "")
    world.script("forward.pl", PROXY + "CGI-AGAIN yes SIP/2.0\nCGI-After: 1\n\n", "SIP/2.0 603 Too Late\n\n")
    alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert ran(world)[2:] == ["screen.pl timer", "forward.pl timer"]
    assert [run.began for run in world.runs[2:]] == [1.0, 1.0]
