"""More than the server can do: new requests are refused in time, what was begun goes on (RFC 3261 21.5.4, 8.2.7)."""

import pytest
from world import World

from sipcgi.cgi.routes import Route
from sipcgi.hosts.base import Outcome

BUSY = "SIP/2.0 486 Busy\n\n"
PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n"


def flood(world: World, calls: int, script: str = BUSY, takes: float = 0.2) -> list[int]:
    """How so many calls at once ended, and nothing of them is left."""
    alice = world.phone("alice")
    world.script("invite.sh", script, takes=takes, unlimited=True)
    made = [alice.calls_up("sip:bob@example.com") for _ in range(calls)]
    world.run(10.0)
    return sorted(call.final.status for call in made)


def test_what_is_too_much_is_refused_in_time(world: World) -> None:
    """Three of four places are for one script: in half a second they do 9 runs of 200 ms, and 12 wait at most."""
    world.limited.most = 4
    assert flood(world, 30) == [486] * 9 + [503] * 21
    assert len(world.runs) == 9
    assert max(run.began for run in world.runs) < 0.5
    access = world.lines("access")
    assert sum("status=503" in line and " runs=0 " in line for line in access) == 21
    assert [line for line in world.lines("warning") if "overload" in line] == [
        "overload: too many runs of invite.sh: new requests get 503",
    ]


def test_a_line_that_does_not_move_takes_no_new_ones(world: World) -> None:
    world.limited.most = 4
    alice = world.phone("alice")
    world.script("invite.sh", BUSY, takes=0.4, unlimited=True)
    for _ in range(6):
        alice.calls_up("sip:bob@example.com")
    world.run(0.05)
    early = alice.calls_up("sip:bob@example.com")
    world.run(0.25)
    late = alice.calls_up("sip:bob@example.com")
    world.run(0.26)
    assert (early.statuses, late.statuses) == ([100], [503])
    world.run(10.0)


def test_overload_opens_no_door(world: World) -> None:
    """Not even with `on_error: default`: a script that blocks callers would block nobody."""
    world.limited.most = 1
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    world.script("block.sh", Outcome(status=0, stdout=b""), takes=3.0, unlimited=True)
    world.routes(Route(script="block.sh", on_error="default"))
    first, second = (alice.calls_up("sip:bob@example.com") for _ in range(2))
    world.run(10.0)
    assert (first.final.status, second.final.status) == (200, 503)


def test_one_script_that_hangs_does_not_stop_the_others(world: World) -> None:
    world.limited.most = 8
    alice = world.phone("alice")
    world.script("invite.sh", BUSY, takes=60.0, unlimited=True)
    world.script("message.sh", "SIP/2.0 202 Taken\n\n")
    for _ in range(100):
        alice.calls_up("sip:bob@example.com")
    world.run(0.001)
    message = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    options = alice.calls_up("sip:example.com", method="OPTIONS")
    world.run(0.002)
    assert (message.statuses, options.statuses) == ([202], [200])
    world.run(40.0)


def test_what_was_begun_goes_on(world: World) -> None:
    """The run for a response waits, as long as it takes, and before all that is new."""
    world.limited.most = 1
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.script("invite.sh", PROXY, "SIP/2.0 480 Gone\n\n")
    world.script("message.sh", "SIP/2.0 202 Taken\n\n", takes=2.0, unlimited=True)
    call = alice.calls_up("sip:bob@example.com")
    world.run(0.05)
    alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(0.3)
    other = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(10.0)
    assert call.final.status == 480
    assert world.events() == ["0.000 request", "0.050 request", "2.050 response 486"]
    assert other.final.status == 503


def test_what_comes_in_a_dialog_waits_as_long_as_it_takes(world: World) -> None:
    """Of a script's own 2xx, and of a call that goes through us."""
    world.limited.most = 2
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.sh", "SIP/2.0 200 OK\n\n")
    world.script("bye.sh", "SIP/2.0 200 Bye\n\n", unlimited=True)
    world.script("message.sh", "SIP/2.0 202 Taken\n\n", takes=2.0, unlimited=True)
    world.script("info.sh", "SIP/2.0 202 Taken\n\n", takes=2.0, unlimited=True)
    world.registers(bob, user="robert")
    answered = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.host.programs.pop("invite.sh")
    relayed = alice.calls_up("sip:robert@example.com")
    world.routes(Route(script="bye.sh", method=frozenset({"BYE"}), in_dialog=True))
    world.run(2.0)
    for method in ("MESSAGE", "INFO"):
        alice.calls_up("sip:bob@example.com", method=method)
    byes = [answered.then("BYE"), relayed.then("BYE")]
    world.run(3.9)
    assert [bye.statuses for bye in byes] == [[], []]
    world.run(5.0)
    assert [bye.statuses for bye in byes] == [[200], [200]]


def test_a_caller_who_gives_up_in_line(world: World) -> None:
    world.limited.most = 1
    alice = world.phone("alice")
    world.script("invite.sh", BUSY, takes=0.3, unlimited=True)
    calls = [alice.calls_up("sip:bob@example.com") for _ in range(2)]
    world.run(0.1)
    calls[1].cancel()
    world.run(10.0)
    assert [call.final.status for call in calls] == [486, 487]
    assert len(world.runs) == 1


@pytest.mark.parametrize(("retry_after", "value"), [(None, None), (2.5, "3")])
def test_the_refused_may_be_asked_to_stay_away(world: World, retry_after: float | None, value: str | None) -> None:
    world.limited.most = 1
    world.core.overload.retry_after = retry_after
    world.script("invite.sh", BUSY, takes=2.0, unlimited=True)
    alice = world.phone("alice")
    calls = [alice.calls_up("sip:bob@example.com") for _ in range(6)]
    world.run(10.0)
    refused = [call.final for call in calls if call.final.status == 503]
    assert len(refused) == 5
    assert {answer.headers.get("retry-after") for answer in refused} == {value}


def test_too_many_transactions(world: World) -> None:
    """New requests get a 503 of which nothing is kept; its ACK ends here, even of a phone that may relay."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.registers(bob)
    up = alice.calls_up("sip:bob@example.com")
    ringing = alice.calls_up("sip:bob@example.com")
    bob.answers("INVITE", (0.1, 180))
    world.run(1.0)
    world.core.overload.most = kept = len(world.transactions.servers)
    world.transcript()
    refused = alice.calls_up("sip:bob@192.0.2.20")
    message = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(1.1)
    world.shows("""
        1.000 alice > server INVITE
        1.000 alice > server MESSAGE
        1.000 server > alice 503 INVITE
        1.000 server > alice 503 MESSAGE
        1.000 alice > server ACK
    """)
    assert (refused.statuses, message.statuses) == ([503], [503])
    assert len(world.transactions.servers) == kept
    bye = up.then("BYE")
    ringing.cancel()
    world.run(1.2)
    assert bye.statuses == [200]
    assert ringing.final.status == 487
    world.core.overload.most = 1
    hopeless = up.then("INFO", cseq=3)
    world.run(1.3)
    assert hopeless.statuses == [503]
    assert world.lines("warning") == ["overload: too many transactions: new requests get 503"]


@pytest.mark.rfc("3261", "8.2.7")
def test_a_request_that_comes_again_gets_the_same_refusal(world: World) -> None:
    world.core.overload.most = 0
    alice = world.phone("alice")
    request = alice.request("INVITE", "sip:bob@example.com")
    request.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKsame")
    for _ in range(2):
        alice.throw(bytes(request))
    world.run(1.0)
    answers = [one.data for one in world.network.sent if one.destination == alice.socket.address]
    assert len(answers) == 2
    assert len(set(answers)) == 1
    assert b";tag=" in answers[0].split(b"To: ")[1].split(b"\r\n")[0]


def test_a_request_without_a_to_is_no_reason_to_fall(world: World) -> None:
    world.core.overload.most = 0
    alice = world.phone("alice")
    alice.throw(b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx\r\nTo: <\r\n\r\n")
    world.run(1.0)
    assert world.transactions.servers == {}
