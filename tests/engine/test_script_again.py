"""Further runs: CGI-AGAIN, cookie, tokens, CGI-FORWARD-RESPONSE (RFC 3050 5.5.1.16, 5.6.1.3 to 5.6.1.5; contract)."""

import pytest
from world import World

from sipcgi.hosts.base import Outcome

PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n"
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"
FORWARD = "CGI-FORWARD-RESPONSE this SIP/2.0\n\n"


@pytest.mark.rfc("3050", "5.6.1.5")
def test_once_for_each_yes(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.2, 183), (0.3, 486))
    world.script("invite.sh", PROXY + AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert world.events() == ["0.000 request", "0.100 response 180"]
    assert call.statuses == [180, 183, 486]


@pytest.mark.rfc("3050", "5.6.1.5")
def test_the_last_of_several_counts(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.3, 486))
    world.script(
        "invite.sh",
        "CGI-SET-COOKIE first SIP/2.0\n\n" + AGAIN + PROXY + "CGI-SET-COOKIE last SIP/2.0\n\n" + AGAIN,
        AGAIN + "CGI-AGAIN no SIP/2.0\n\n",
    )
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert world.events() == ["0.000 request", "0.100 response 180"]
    assert world.runs[1].environment["SCRIPT_COOKIE"] == "last"


def test_a_100_neither_runs_it_nor_uses_that_up(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 100), (0.2, 180), (0.3, 486))
    world.script("invite.sh", PROXY + AGAIN, "")
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert world.events() == ["0.000 request", "0.200 response 180"]


@pytest.mark.rfc("3050", "5.6.1.4")
def test_the_cookie_stays_until_another_one(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.2, 181), (0.3, 486))
    world.script(
        "invite.sh",
        PROXY + AGAIN + "CGI-SET-COOKIE one SIP/2.0\n\n",
        AGAIN,
        AGAIN + "CGI-SET-COOKIE two SIP/2.0\n\n",
        "",
    )
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert [run.environment.get("SCRIPT_COOKIE") for run in world.runs] == [None, "one", "one", "two"]
    assert [run.environment["SIPCGI_RUN"] for run in world.runs] == ["1", "2", "3", "4"]
    assert [run.environment["SIPCGI_ELAPSED_MS"] for run in world.runs] == ["0", "100", "200", "300"]
    assert len({run.environment["SIPCGI_TRANSACTION"] for run in world.runs}) == 1


@pytest.mark.rfc("3050", "5.5")
def test_what_a_run_for_a_response_knows(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.25, 486, "Warning: 399 x no", b"why"))
    world.script("invite.sh", PROXY.replace("SIP/2.0\n", "SIP/2.0\nCGI-Request-Token: tok\n") + AGAIN, "")
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    environment = world.runs[1].environment
    expected = {
        "RESPONSE_STATUS": "486",
        "RESPONSE_REASON": "Busy Here",
        "REQUEST_TOKEN": "tok",
        "REMOTE_ADDR": "192.0.2.20",
        "REMOTE_PORT": "5060",
        "SIP_WARNING": "399 x no",
        "SIPCGI_EVENT": "response",
        "SIPCGI_TARGET": "sip:bob@192.0.2.20",
        "SIPCGI_URI": "sip:bob@example.com",
        "SIPCGI_PENDING": "0",
        "SIPCGI_BEST": "486",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert "REQUEST_METHOD" not in environment
    assert environment["RESPONSE_TOKEN"]
    assert world.runs[1].invocation.stdin == b"why"


@pytest.mark.rfc("3050", "5.6.1.3")
def test_forward_this_with_changes(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180, "X-A: 1"), (0.2, 486, "X-A: 2", "X-B: 3"))
    changed = "CGI-FORWARD-RESPONSE this SIP/2.0\nX-A: changed\nCGI-Remove: X-B\n\n"
    world.script("invite.sh", PROXY + AGAIN, changed + AGAIN, changed)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert [(r.status, r.headers.get("x-a"), r.headers.get("x-b")) for r in call.responses] == [
        (180, "changed", None),
        (486, "changed", None),
    ]


@pytest.mark.rfc("3050", "5.5.1.16-1")
def test_an_earlier_response_can_be_forwarded_by_its_token(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 486))
    carol.answers("INVITE", (0.2, 404))
    tokens: list[str] = []

    def first(environment: dict[str, str]) -> str:
        tokens.append(environment["RESPONSE_TOKEN"])
        return "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n" + AGAIN

    def second(environment: dict[str, str]) -> str:
        assert environment["SIPCGI_BEST"] == "486"
        return f"CGI-FORWARD-RESPONSE {tokens[0]} SIP/2.0\nX-Via-Token: yes\n\n"

    world.script("invite.sh", PROXY + AGAIN, first, second)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.status == 486
    assert call.final.headers.get("x-via-token") == "yes"
    assert world.lines("script") == []


def test_what_follows_an_earlier_response_is_dropped_and_logged(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 486))
    carol.answers("INVITE", (0.2, 404))
    tokens: list[str] = []

    def first(environment: dict[str, str]) -> str:
        tokens.append(environment["RESPONSE_TOKEN"])
        return PROXY.replace("20 ", "30 ") + AGAIN

    def second(_: dict[str, str]) -> str:
        return f"CGI-FORWARD-RESPONSE {tokens[0]} SIP/2.0\n\n{PROXY}"

    world.script("invite.sh", PROXY + AGAIN, first, second)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.status == 486
    assert [request.method for request in bob.requests] == ["INVITE"]
    (line,) = world.lines("warning")
    assert "dropped: the final response of line 1" in line


def test_a_token_of_another_transaction_names_nothing(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    tokens: list[str] = []

    def keep(environment: dict[str, str]) -> str:
        tokens.append(environment["RESPONSE_TOKEN"])
        return ""

    world.script(
        "invite.sh", PROXY + AGAIN, keep, PROXY + AGAIN, lambda _: f"CGI-FORWARD-RESPONSE {tokens[0]} SIP/2.0\n\n"
    )
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.final.status == 486  # it stays a candidate, and nothing is pending
    assert call.final.headers.get("call-id") == "alice-2"


@pytest.mark.rfc("3261", "16.7")
@pytest.mark.parametrize(
    "output", ["", AGAIN, "SIP/2.0 486 No\n\n", "CGI-FORWARD-RESPONSE nonsense SIP/2.0\n\n", Outcome(status=1)]
)
def test_a_2xx_to_an_invite_is_always_forwarded(world: World, output: str | Outcome) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    world.script("invite.sh", PROXY + AGAIN, output)
    call = alice.calls_up("sip:bob@example.com")
    world.run(3.0)
    assert call.statuses == [200]
    assert len(bob.heard("ACK")) == 1


def test_a_2xx_with_the_changes_of_the_script_and_so_its_repetitions(world: World) -> None:
    """A repeated 2xx runs no script, and leaves with the same changes as the first."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    alice.acknowledges = False
    world.script("invite.sh", PROXY + AGAIN, "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Mine: yes\n\n" + AGAIN)
    call = alice.calls_up("sip:bob@example.com")
    world.run(8.0)
    assert [response.headers.get("x-mine") for response in call.responses] == ["yes"] * 5
    assert len(world.runs) == 2


def test_a_2xx_that_is_repeated_while_its_script_runs(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    world.script("invite.sh", PROXY + AGAIN, "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Mine: yes\n\n" + AGAIN, takes=0.8)
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    answers = [response for response in call.responses if response.status == 200]
    assert {response.headers.get("x-mine") for response in answers} == {"yes"}
    assert len(world.runs) == 2


def test_a_further_2xx_runs_the_script_after_the_final_response(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    mark = "CGI-FORWARD-RESPONSE this SIP/2.0\nX-Mine: {}\n\n"
    world.script("invite.sh", PROXY + AGAIN, mark.format("first") + AGAIN, mark.format("second"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    bob.replies(bob.got, 200, tag="second")
    world.run(2.0)
    bob.replies(bob.got, 200, tag="third")
    world.run(3.0)
    assert [response.headers.get("x-mine") for response in call.responses] == ["first", "second", None]
    assert world.events()[1:] == ["0.100 response 200", "1.000 response 200"]


def test_after_a_final_response_no_script_runs_any_more(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180), (9.0, 200))
    carol.answers("INVITE", (0.5, 180), (1.0, 486))
    world.script(
        "invite.sh",
        PROXY + "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n" + AGAIN,
        AGAIN,
        AGAIN,
        "SIP/2.0 600 Enough\n\n" + AGAIN,
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 180, 600]
    assert world.events() == ["0.000 request", "0.100 response 180", "0.500 response 180", "1.000 response 486"]
    assert "1.000 server > bob CANCEL" in world.transcript()


def test_a_2xx_that_crosses_the_final_answer_of_the_script_is_forwarded(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 100), (1.2, 200))
    bob.obeys_cancel = False
    carol.answers("INVITE", (1.0, 486))
    world.script(
        "invite.sh", PROXY + "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n" + AGAIN, "SIP/2.0 404 No\n\n"
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert [status for status in call.statuses if status != 100] == [404, 200]
    assert len(bob.heard("ACK")) == 1


def test_a_401_answered_by_proxying_elsewhere_stays_a_candidate(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 401, 'WWW-Authenticate: Digest realm="a", nonce="1"'))
    carol.answers("INVITE", (0.1, 480))
    world.script("invite.sh", PROXY + AGAIN, "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.status == 401


@pytest.mark.parametrize("carol_says", [404, 603])
def test_a_2xx_to_another_method_stays_a_candidate_too(world: World, carol_says: int) -> None:
    """To another method than INVITE it leaves only if the script forwards it, or in the end."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("MESSAGE", (0.1, 200))
    carol.answers("MESSAGE", (0.1, carol_says))
    world.script("message.sh", PROXY + AGAIN, "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n" + AGAIN, AGAIN)
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(1.0)
    assert call.statuses == [200]
    assert world.runs[2].environment["SIPCGI_BEST"] == "200"


def test_the_best_final_response_so_far_may_be_the_one_that_came(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 486))
    carol.answers("INVITE", (0.2, 180), (0.3, 200))
    world.script("invite.sh", PROXY + PROXY.replace("20 ", "30 ") + AGAIN, AGAIN, AGAIN, "")
    alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert [run.environment.get("SIPCGI_BEST") for run in world.runs] == [None, "486", "486", "200"]


def test_nothing_follows_a_final_response_that_is_forwarded_by_its_token(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 486))
    more = "SIP/2.0 404 Other\n\nCGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n"
    world.script(
        "invite.sh",
        PROXY + AGAIN,
        lambda environment: f"CGI-FORWARD-RESPONSE {environment['RESPONSE_TOKEN']} SIP/2.0\n\n{more}",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [486]
    assert not carol.requests
    assert len(world.lines("warning")) == 2


def test_serial_search_by_a_script(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (1.0, 486))
    carol.answers("INVITE", (1.0, 200))
    world.script("invite.sh", PROXY + AGAIN, "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [100, 200]
    assert next(line for line in world.transcript().splitlines() if "carol" in line) == "1.000 server > carol INVITE"


def test_a_response_that_is_too_large_for_the_environment_takes_its_default_action(world: World) -> None:
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob", transport="TCP")
    bob.answers("INVITE", (0.1, 486, *["X-Large: " + "x" * 1000 for _ in range(125)]))
    world.script("invite.sh", PROXY.replace("192.0.2.20", "192.0.2.20;transport=tcp") + AGAIN)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.status == 486
    assert len(world.runs) == 1


@pytest.mark.rfc("3261", "16.7")
def test_a_6xx_by_default_waits_for_the_cancelled_branches(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180))
    bob.obeys_cancel = False
    carol.answers("INVITE", (1.0, 603))
    world.script("invite.sh", PROXY + "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n" + AGAIN, AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.0)
    assert call.statuses == [180]
    assert "1.000 server > bob CANCEL" in world.transcript()
    bob.replies(bob.got, 487)
    world.run(3.0)
    assert call.statuses == [180, 603]


def test_a_cancelled_branch_that_stays_silent_is_a_local_487(world: World) -> None:
    """Contract, local responses: it runs the script like a received one."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 180))
    carol.answers("INVITE", (1.0, 603))
    world.script("invite.sh", PROXY + "CGI-PROXY-REQUEST sip:carol@192.0.2.30 SIP/2.0\n\n" + AGAIN, AGAIN, AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.9)
    world.network.detach(bob.socket.address)
    world.run(40.0)
    assert world.events()[2:] == ["1.000 response 603", "33.000 response 487"]
    assert world.runs[3].environment["REMOTE_ADDR"] == "127.0.0.1"
    assert call.statuses == [180, 603]


def test_every_transaction_of_a_script_has_one_line_in_the_log(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.5, 180), (2.0, 200))
    world.script("invite.sh", *[PROXY + AGAIN, AGAIN, AGAIN], "SIP/2.0 200 OK\n\n" + AGAIN, AGAIN, takes=0.1)
    alice.calls_up("sip:bob@example.com")
    world.run(50.0)
    call = alice.calls_up("sip:bob@example.com")
    world.run(60.0)
    call.then("BYE")
    world.run()
    lines = world.lines("access")
    assert [line.split()[0] for line in lines] == ["method=INVITE", "method=INVITE", "method=BYE"]
    assert "runs=3 script_seconds=0.3000" in lines[0]


def test_a_408_that_was_received_is_no_timeout(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 408))
    world.script("invite.sh", PROXY + AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.status == 408
    assert world.runs[1].environment["SIPCGI_EVENT"] == "response"
    assert world.runs[1].environment["REMOTE_ADDR"] == "192.0.2.20"


@pytest.mark.rfc("4320", "4.2")
@pytest.mark.parametrize("output", ["", FORWARD, "SIP/2.0 408 Late\n\n"])
def test_no_408_to_another_method_whatever_the_script_says(world: World, output: str) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE", (0.1, 408))
    world.script("message.sh", PROXY + AGAIN, output)
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run()
    assert set(call.statuses) <= {100}
    assert "status=408" in world.lines("access")[0]


def test_a_redirection_is_an_answer_like_any_other(world: World) -> None:
    """3xx are not followed by the server (RFC 3261 16.7 item 4 lets a proxy do so)."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    bob.answers("INVITE", (0.1, 302, "Contact: <sip:carol@192.0.2.30>"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.final.status == 302
    assert call.final.headers.get("contact") == "<sip:carol@192.0.2.30>"


def test_a_script_that_never_gives_up(world: World) -> None:
    """Each target fails at once, and each failure brings the next one: the best response goes back in the end."""
    alice = world.phone("alice")
    world.script("default", *300 * ["CGI-PROXY-REQUEST sip:bob@192.0.2.20;transport=sctp SIP/2.0\n\n" + AGAIN])
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert len(world.runs) == 201
    assert call.statuses == [500]  # for a 503 of our own
    assert "more than 200 targets for one request" in world.lines("script")[0]
