"""What a script proxies to us goes through the routes once more, where its route says so (contract: `reroute`)."""

import pytest
from world import World

from sipcgi.cgi.routes import Route
from sipcgi.engine.domains import DomainSettings
from sipcgi.engine.rerouted import MOST_TURNS

SECOND = "CGI-PROXY-REQUEST sip:second@example.com SIP/2.0\n\n"
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def two(world: World, **settings: object) -> None:
    world.routes(
        Route(script="first.sh", uri=("first@example.com",), reroute=True, **settings),  # type: ignore[arg-type]
        Route(script="second.sh", uri=("second@example.com",)),
    )


def names(world: World) -> list[str]:
    """The runs of all scripts: which, what for, and the status of the response."""
    events = [event.split(" ", 1)[1] for event in world.events()]
    return [f"{run.invocation.name} {event}" for run, event in zip(world.runs, events, strict=True)]


def test_a_uri_of_ours_goes_through_the_routes(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("first.sh", SECOND)
    world.script("second.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert names(world) == ["first.sh request", "second.sh request"]
    assert bob.got.uri == bob.contact
    assert len(bob.got.vias) == 2
    assert len(bob.got.headers.elements("record-route")) == 1
    assert [run.environment["REQUEST_URI"] for run in world.runs] == ["sip:first@example.com", "sip:second@example.com"]
    assert world.runs[0].environment["SIPCGI_TRANSACTION"] != world.runs[1].environment["SIPCGI_TRANSACTION"]
    bye = call.then("BYE")
    world.run(2.0)
    assert bye.statuses == [200]


def test_without_it_the_contacts_are_called(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob, user="second")
    world.script("first.sh", SECOND)
    world.script("second.sh", "")
    world.routes(Route(script="first.sh", uri=("first@*",)), Route(script="second.sh", uri=("second@*",)))
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert names(world) == ["first.sh request"]


def test_it_ends_after_ten_turns(world: World) -> None:
    alice = world.phone("alice")
    world.script("first.sh", "CGI-PROXY-REQUEST sip:first@example.com SIP/2.0\n\n", unlimited=True)
    world.routes(Route(script="first.sh", reroute=True))
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [482]
    assert len(world.runs) == 11


def test_scripts_that_fork_to_each_other_end_before_the_server_does(world: World) -> None:
    """Three at each turn would be 59,049 at the tenth, all of one request."""
    alice = world.phone("alice")
    world.script("first.sh", "CGI-PROXY-REQUEST sip:first@example.com SIP/2.0\n\n" * 3, unlimited=True)
    world.routes(Route(script="first.sh", reroute=True))
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [482]
    assert len(world.runs) == MOST_TURNS + 1


def test_what_no_route_takes_is_the_default_action(world: World) -> None:
    """The registered contacts, the domain's redirection, or 480."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    proxies = lambda environment: f"CGI-PROXY-REQUEST {environment['SIP_SUBJECT']} SIP/2.0\n\n"  # noqa: E731
    world.script("first.sh", proxies, unlimited=True)
    world.routes(Route(script="first.sh", uri=("first@*",), reroute=True))
    calls = [alice.calls_up("sip:first@example.com", f"Subject: sip:{user}@example.com") for user in ("bob", "carol")]
    world.run(1.0)
    world.domains.configure({"example.com": DomainSettings(redirect=True)})
    calls.append(alice.calls_up("sip:first@example.com", "Subject: sip:bob@example.com"))
    world.run(2.0)
    assert [call.statuses for call in calls] == [[200], [480], [302]]


def test_a_uri_of_others_and_a_route_of_the_script_do_not_come_back(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script(
        "first.sh",
        "CGI-PROXY-REQUEST sip:first@192.0.2.20 SIP/2.0\n\n",
        "CGI-PROXY-REQUEST sip:first@example.com SIP/2.0\nRoute: <sip:192.0.2.20;lr>\n\n",
    )
    world.routes(Route(script="first.sh", reroute=True))
    calls = [alice.calls_up("sip:first@example.com") for _ in range(2)]
    world.run(1.0)
    assert [call.statuses for call in calls] == [[200], [200]]
    assert [invite.uri for invite in bob.heard("INVITE")] == ["sip:first@192.0.2.20", "sip:first@example.com"]


def test_the_default_action_never_comes_back(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob, user="first")
    world.script("first.sh", "")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert names(world) == ["first.sh request"]


def test_responses_come_to_the_inner_script_first(world: World) -> None:
    """Each has its cookie, its tokens and its turns."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (0.5, 486))
    world.script(
        "first.sh",
        f"CGI-SET-COOKIE outer SIP/2.0\n\n{AGAIN}"
        "CGI-PROXY-REQUEST sip:second@example.com SIP/2.0\nCGI-Request-Token: t1\n\n",
        AGAIN,
        f"CGI-PROXY-REQUEST {carol.contact} SIP/2.0\n\n",
    )
    world.script(
        "second.sh",
        f"CGI-SET-COOKIE inner SIP/2.0\n\n{AGAIN}CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n",
        AGAIN,
        "SIP/2.0 480 Not Here\n\n",
    )
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(2.0)
    assert call.statuses == [180, 200]
    assert names(world) == [
        "first.sh request",
        "second.sh request",
        "second.sh response 180",
        "first.sh response 180",
        "second.sh response 486",
        "first.sh response 480",
    ]
    cookies = [run.environment.get("SCRIPT_COOKIE") for run in world.runs]
    assert cookies == [None, None, "inner", "outer", "inner", "outer"]
    outer = world.runs[5].environment
    assert outer["SIPCGI_TARGET"] == "sip:second@example.com"
    assert outer["REQUEST_TOKEN"] == "t1"
    assert outer["REMOTE_ADDR"] == "127.0.0.1"
    assert outer["RESPONSE_TOKEN"] != world.runs[4].environment["RESPONSE_TOKEN"]


def test_the_edits_of_the_outer_script_are_what_the_inner_one_sees(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script(
        "first.sh",
        'CGI-PROXY-REQUEST sip:second@example.com SIP/2.0\nTo: "Second" <sip:second@example.com>\n'
        "Subject: changed\nCGI-Remove: X-Secret\n\n",
    )
    world.script("second.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    two(world)
    call = alice.calls_up("sip:first@example.com", "Subject: first", "X-Secret: yes")
    world.run(1.0)
    inner = world.runs[1].environment
    assert (inner["SIP_SUBJECT"], "SIP_X_SECRET" in inner) == ("changed", False)
    assert bob.got.headers.get("to") == '"Second" <sip:second@example.com>'
    assert (call.final.headers.get("to") or "").startswith("<sip:first@example.com>;tag=")


@pytest.mark.rfc("3261", "16.10")
def test_a_cancel_ends_what_is_inside(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.script("first.sh", AGAIN + SECOND, AGAIN, "")
    world.script("second.sh", f"{AGAIN}CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n", AGAIN, "")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    call.cancel()
    world.run(2.0)
    assert call.statuses == [180, 487]
    assert bob.heard("CANCEL") or "server > bob CANCEL" in world.transcript()
    assert sorted(names(world)[4:]) == ["first.sh cancel", "second.sh cancel"]


def test_a_cancel_ends_a_running_inner_script(world: World) -> None:
    alice = world.phone("alice")
    world.script("first.sh", SECOND)
    world.script("second.sh", "SIP/2.0 200 OK\n", takes=3.0)
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    call.cancel()
    world.run(2.0)
    assert call.statuses == [100, 487]
    assert world.runs[1].ended


@pytest.mark.rfc("3261", "16.7")
def test_a_2xx_that_crosses_the_cancel_wins(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.1, 200))
    bob.obeys_cancel = False
    world.script("first.sh", SECOND)
    world.script("second.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    call.cancel()
    world.run(2.0)
    assert call.statuses == [180, 200]


def test_a_fork_of_two_inner_calls(world: World) -> None:
    """The first to answer wins, the other one is cancelled; each has a dialog of its own."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.script("first.sh", f"{SECOND}CGI-PROXY-REQUEST sip:third@example.com SIP/2.0\nCGI-Request-Token: three\n\n")
    world.script("second.sh", "SIP/2.0 183 Wait\n\nSIP/2.0 200 Here\n\n", takes=1.0)
    world.script("third.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    world.routes(
        Route(script="first.sh", uri=("first@*",), reroute=True),
        Route(script="second.sh", uri=("second@*",)),
        Route(script="third.sh", uri=("third@*",)),
    )
    call = alice.calls_up("sip:first@example.com")
    world.run(2.0)
    assert call.statuses == [180, 183, 200]
    assert len({response.to.tag for response in call.responses}) == 2
    assert "1.000 server > bob CANCEL" in world.transcript()
    call.then("BYE")
    world.run(3.0)


def test_an_inner_script_that_answers_the_call(world: World) -> None:
    """The server sends its 2xx again until the ACK, runs the script for it, and answers the BYE."""
    alice = world.phone("alice")
    alice.acknowledges = False
    world.script("first.sh", SECOND)
    world.script("second.sh", f"SIP/2.0 200 OK\n\n{AGAIN}", "")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [200, 200]
    alice.acknowledges = True
    alice.acknowledge(call, call.responses[0])
    world.run(2.0)
    assert call.statuses == [200, 200]
    assert names(world)[2:] == ["second.sh ack"]
    bye = call.then("BYE")
    world.run(3.0)
    assert bye.statuses == [200]


def test_a_repeated_2xx_leaves_as_the_first_did(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.acknowledges = False
    world.script("first.sh", AGAIN + SECOND, "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Outer: yes\n\n")
    world.script("second.sh", f"{AGAIN}CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n", "")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.2)
    assert call.statuses == [200, 200]
    assert [response.headers.get("x-outer") for response in call.responses] == ["yes", "yes"]
    assert len(world.runs) == 4
    alice.acknowledges = True
    alice.acknowledge(call, call.responses[0])
    world.run(2.0)


def test_a_timeout_of_the_outer_script_ends_the_inner_call(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.script(
        "first.sh",
        f"{AGAIN}CGI-PROXY-REQUEST sip:second@example.com SIP/2.0\nCGI-Timeout: 1\n\n",
        AGAIN,
        "SIP/2.0 480 Enough\n\n",
    )
    world.script("second.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(2.0)
    assert call.statuses == [180, 480]
    assert names(world)[2:] == ["first.sh response 180", "first.sh timeout 408"]
    assert "1.000 server > bob CANCEL" in world.transcript()


@pytest.mark.rfc("4320", "4.2")
def test_no_answer_inside_to_another_method_is_silence(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.network.detach(bob.socket.address)
    world.script("first.sh", SECOND)
    world.script("second.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    two(world)
    call = alice.calls_up("sip:first@example.com", method="MESSAGE")
    world.run(40.0)
    assert [status for status in call.statuses if status >= 200] == []
    assert call.failure == 408


def test_an_inner_script_that_fails_is_a_500_of_that_branch(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("first.sh", AGAIN + SECOND, f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    world.script("second.sh", "nonsense\n")
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [200]
    assert names(world)[2:] == ["first.sh response 500"]


@pytest.mark.rfc("5393", "4.2")
def test_what_comes_back_to_us_is_a_loop(world: World) -> None:
    """A contact that names us: the request that comes back is the one that came, whatever turns it took inside."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.script("first.sh", SECOND, unlimited=True)
    back = "CGI-PROXY-REQUEST sip:first@example.com SIP/2.0\nRoute: <sip:192.0.2.1;lr>\n\n"
    world.script("second.sh", back, unlimited=True)
    two(world)
    call = alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert call.statuses == [482]
    assert len(world.runs) == 2


def test_each_turn_has_its_access_line(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("first.sh", SECOND)
    world.script("second.sh", f"CGI-PROXY-REQUEST {bob.contact} SIP/2.0\n\n")
    two(world)
    alice.calls_up("sip:first@example.com")
    world.run(1.0)
    outer, inner = world.lines("access")
    assert "uri=sip:second@example.com" in inner
    assert "route=routes.1 script=second.sh" in inner
    assert "uri=sip:first@example.com" in outer
    assert "route=routes.0 script=first.sh" in outer


@pytest.mark.rfc("5393", "5.3")
def test_all_turns_share_one_breadth(world: World) -> None:
    """However deep it is, the phones of a user ring together."""
    alice, *phones = (world.phone(name) for name in ("alice", "desk", "mobile", "mail"))
    for phone in phones:
        world.registers(phone, user="bob")
        phone.answers("INVITE", (0.1, 180), (1.0, 486))
    turns = iter(["first", "second", "third", "bob"])
    world.script("first.sh", lambda _: f"CGI-PROXY-REQUEST sip:{next(turns)}@example.com SIP/2.0\n\n", unlimited=True)
    world.routes(Route(script="first.sh", uri=("first@*", "second@*", "third@*"), reroute=True))
    call = alice.calls_up("sip:first@example.com", "Max-Breadth: 7")
    world.run(0.5)
    assert call.statuses == [180, 180, 180]
    assert [phone.got.headers.get("max-breadth") for phone in phones] == ["3", "2", "2"]
    world.run(2.0)
    assert call.final.status == 486


def test_the_time_is_that_of_the_request(world: World) -> None:
    alice = world.phone("alice")
    world.script("first.sh", SECOND, takes=0.4)
    world.script("second.sh", "SIP/2.0 480 No\n\n")
    two(world)
    alice.calls_up("sip:first@example.com")
    world.run(1.0)
    assert [run.environment["SIPCGI_ELAPSED_MS"] for run in world.runs] == ["0", "400"]
