"""Requests that scripts generate: the server as user agent client (RFC 3050 3.1, 5.6.2.1, 5.11.2; contract)."""

import gc
from collections.abc import Callable

import pytest
from phone import SERVER, Phone
from world import World

from sipcgi.auth.digest import Account
from sipcgi.cgi.routes import Route
from sipcgi.engine.context import RequestContext
from sipcgi.engine.leg import Leg
from sipcgi.engine.originated import Caller, Calls
from sipcgi.engine.outgoing import Outgoing

AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"
ACCEPTED = "SIP/2.0 202 Accepted\n\n"
TEXT = "Content-Type: text/plain\nContent-Length: 5\n\nhello"


def may(script: str = "a.py", **settings: object) -> Route:
    return Route(script, originate=True, **settings)  # type: ignore[arg-type]


def heard(world: World) -> list[str]:
    """Event, method or status, and request token of each run."""
    names = ("SIPCGI_EVENT", "REQUEST_METHOD", "RESPONSE_STATUS", "REQUEST_TOKEN")
    return [" ".join(run.environment[name] for name in names if name in run.environment) for run in world.runs]


@pytest.mark.rfc("3050", "3.1")
@pytest.mark.rfc("3261", "8.1.1")
def test_a_message_beside_the_call_which_takes_its_default_action(world: World) -> None:
    alice, bob, admin = world.phone("alice"), world.phone("bob"), world.phone("admin")
    world.registers(bob)
    world.registers(admin)
    bob.answers("INVITE", (0.1, 486))
    world.routes(may(method=frozenset({"INVITE"})))
    world.script("a.py", f"MESSAGE sip:admin@example.com SIP/2.0\nSubject: look\n{TEXT}\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [486]
    (message,) = admin.requests
    headers = message.headers
    assert (message.method, message.uri, message.body) == ("MESSAGE", admin.contact, b"hello")
    assert [str(via).partition(";")[0] for via in message.vias] == ["SIP/2.0/UDP 192.0.2.1:5060"]
    assert (headers.get("from") or "").partition(";")[0] == "<sip:example.com>"
    assert message.from_.tag
    assert headers.get("to") == "<sip:admin@example.com>"
    assert headers.get("cseq") == "1 MESSAGE"
    assert headers.get("max-forwards") == "69"
    assert headers.get("subject") == "look"
    assert "contact" not in headers
    assert "record-route" not in headers
    lines = world.lines("access")
    assert any(
        "method=MESSAGE" in line and "route=generated script=a.py" in line and "status=200" in line for line in lines
    )
    assert any('actions="MESSAGE proxy"' in line for line in lines)


def test_a_route_that_does_not_allow_it(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.py", "MESSAGE sip:bob@192.0.2.20 SIP/2.0\n\n")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [500]
    assert bob.requests == []
    assert "originate: true" in world.lines("script")[0]


@pytest.mark.rfc("3050", "5.6.2.1")
def test_responses_run_the_script_with_their_token_after_the_final_answer_too(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("OPTIONS", (0.3, 200))
    world.routes(may())
    world.script(
        "a.py",
        ACCEPTED
        + "OPTIONS sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: probe\n\nCGI-SET-COOKIE c SIP/2.0\n\n"
        + AGAIN,
        "MESSAGE sip:alice@192.0.2.10 SIP/2.0\n\n",
    )
    call = alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert call.statuses == [202]
    assert heard(world) == ["request MESSAGE", "response 200 probe"]
    environment = world.runs[1].environment
    assert (environment["SCRIPT_COOKIE"], environment["REMOTE_ADDR"]) == ("c", "192.0.2.20")
    assert environment["SIPCGI_TARGET"] == "sip:bob@192.0.2.20"
    assert [request.method for request in alice.requests] == ["MESSAGE"]


def test_without_asking_again_nobody_is_told(world: World) -> None:
    alice = world.phone("alice")
    world.phone("bob")
    world.routes(may())
    world.script("a.py", ACCEPTED + "OPTIONS sip:bob@192.0.2.20 SIP/2.0\n\n")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert heard(world) == ["request MESSAGE"]


def test_the_caller_may_wait_for_what_comes_of_it(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("OPTIONS", (0.3, 503))
    world.routes(may())
    world.script(
        "a.py", "SIP/2.0 183 Asking\n\nOPTIONS sip:bob@192.0.2.20 SIP/2.0\n\n" + AGAIN, "SIP/2.0 486 Busy Here\n\n"
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [183, 486]
    assert world.runs[1].environment["SIPCGI_PENDING"] == "0"


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("output", ["", AGAIN], ids=["silent", "again"])
def test_and_gets_500_when_nothing_does(world: World, status: int, output: str) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("OPTIONS", (0.3, status))
    world.routes(may())
    world.script("a.py", "SIP/2.0 183 Asking\n\nOPTIONS sip:bob@192.0.2.20 SIP/2.0\n\n" + AGAIN, output)
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    assert call.statuses == [183, 500]


@pytest.mark.parametrize(("uri", "status"), [("sip:nobody@example.com", "480"), ("sip:x@nowhere.test", "503")])
def test_what_cannot_be_sent_is_a_local_response(world: World, uri: str, status: str) -> None:
    alice = world.phone("alice")
    world.routes(may())
    world.script("a.py", ACCEPTED + f"MESSAGE {uri} SIP/2.0\nCGI-Request-Token: t\n\n" + AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert heard(world) == ["request MESSAGE", f"response {status} t"]
    assert world.runs[1].environment["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.rfc("4320", "4.2")
def test_a_timeout_is_a_local_408(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE")
    world.routes(may())
    world.script("a.py", ACCEPTED + "MESSAGE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: t\n\n" + AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(40.0)
    assert heard(world) == ["request MESSAGE", "timeout 408 t"]


def test_too_many(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.routes(may())
    world.script("a.py", ACCEPTED + 20 * "MESSAGE sip:bob@192.0.2.20 SIP/2.0\n\n")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert len(bob.requests) == 16
    assert len([line for line in world.lines("warning") if "more than 16 requests" in line]) == 4


def test_one_that_comes_back_brings_about_no_further_one(world: World) -> None:
    """A message that a script generates for every message: it goes round once."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.routes(may())
    world.script(
        "a.py", ACCEPTED + "MESSAGE sip:bob@192.0.2.20 SIP/2.0\n\n", ACCEPTED + "MESSAGE sip:bob@192.0.2.20 SIP/2.0\n\n"
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    (message,) = bob.requests
    message.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK-back")
    bob.throw(bytes(message.with_(uri="sip:dial@example.com")))
    world.run(2.0)
    assert len(bob.requests) == 1
    assert heard(world) == ["request MESSAGE", "request MESSAGE"]
    assert "came back" in world.lines("warning")[0]


def test_the_hops_of_the_request_that_runs_the_script_count(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.routes(may())
    message = "MESSAGE sip:bob@192.0.2.20 SIP/2.0\n"
    world.script("a.py", f"{ACCEPTED}{message}\n{message}Max-Forwards: 3\n\n{message}Max-Forwards: 200\n\n")
    alice.calls_up("sip:dial@example.com", "Max-Forwards: 10", method="MESSAGE")
    world.run(1.0)
    assert [request.headers.get("max-forwards") for request in bob.requests] == ["9", "3", "9"]


@pytest.mark.rfc("3050", "5.10")
def test_a_missed_call_is_told_when_the_caller_gives_up(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.routes(may(method=frozenset({"INVITE"})))
    world.script(
        "a.py",
        "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n" + AGAIN,
        AGAIN,
        "MESSAGE sip:bob@192.0.2.20 SIP/2.0\nSubject: missed\n\nSIP/2.0 600 No\n\n",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.network.timers.start(5.0, call.cancel)
    world.run(6.0)
    assert call.statuses == [180, 487]
    assert heard(world)[2] == "cancel CANCEL"
    assert bob.heard("MESSAGE")[0].headers.get("subject") == "missed"


# Dialogs


CALL = "INVITE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: b\n\n"


def dials(world: World, *outputs: str) -> None:
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script("a.py", ACCEPTED + CALL + AGAIN, *outputs)


@pytest.mark.rfc("3050", "5.11.2-2")
@pytest.mark.rfc("3261", "13.2.2.4")
def test_the_script_acknowledges_and_hangs_up(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (0.2, 200, "Record-Route: <sip:192.0.2.20;lr;x=1>"))
    dials(
        world,
        AGAIN,
        "ACK sip:who@ever SIP/2.0\nCGI-Request-Token: b\nContent-Type: text/plain\nContent-Length: 3\n\nsdp\n"
        "INFO sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "BYE sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "",
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(5.0)
    assert heard(world) == ["request MESSAGE", "response 180 b", "response 200 b", "response 200 b", "response 200 b"]
    invite, ack, info, bye = bob.requests
    assert invite.headers.get("contact") == "<sip:192.0.2.1:5060>"
    assert "record-route" not in invite.headers
    assert (ack.method, ack.uri, ack.body) == ("ACK", bob.contact, b"sdp")
    assert [str(request.cseq) for request in bob.requests] == ["1 INVITE", "1 ACK", "2 INFO", "3 BYE"]
    for request in (ack, info, bye):
        assert request.headers.get("route") == "<sip:192.0.2.20;lr;x=1>"
        assert request.from_.tag == invite.from_.tag
        assert request.to.tag
        assert request.call_id == invite.call_id


@pytest.mark.rfc("3261", "12.1.2", "12.2.1.1")
def test_a_request_in_an_early_dialog(world: World) -> None:
    """It goes where the provisional response says; another INVITE has to wait (14.1)."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180, "Contact: <sip:early@192.0.2.20>"), (1.0, 200))
    dials(
        world,
        "INFO sip:x SIP/2.0\nCGI-Request-Token: b\n\nINVITE sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        AGAIN,
        AGAIN,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\nBYE sip:x SIP/2.0\nCGI-Request-Token: b\n\n",
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(5.0)
    assert heard(world)[1:] == ["response 180 b", "response 491 b", "response 200 b", "response 200 b"]
    (info,) = bob.heard("INFO")
    (bye,) = bob.heard("BYE")
    assert (info.uri, info.to.tag, info.cseq.number) == ("sip:early@192.0.2.20", bye.to.tag, 2)
    assert (bye.uri, bye.cseq.number) == (bob.contact, 3)


@pytest.mark.rfc("3261", "12.2.1.2")
def test_the_answer_to_a_change_says_where_the_peer_is_now(world: World) -> None:
    """That to an INVITE does, that to an INFO does not."""
    alice, bob = world.phone("alice"), world.phone("bob")
    dials(
        world,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\nINFO sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "INVITE sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\nBYE sip:x SIP/2.0\nCGI-Request-Token: b\n\n",
    )
    bob.answers("INFO", (0.1, 200, "Contact: <sip:lost@192.0.2.99>"))
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.network.timers.start(0.05, bob.answers, "INVITE", (0.1, 200, "Contact: <sip:moved@192.0.2.20>"))
    world.run(5.0)
    assert [(request.method, request.uri) for request in bob.requests[1:]] == [
        ("ACK", bob.contact),
        ("INFO", bob.contact),
        ("INVITE", bob.contact),
        ("ACK", "sip:moved@192.0.2.20"),
        ("BYE", "sip:moved@192.0.2.20"),
    ]


@pytest.mark.rfc("3261", "13.2.2.4")
def test_a_repeated_2xx_gets_the_ack_again(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\n")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    bob.replies(bob.got, 200, tag=bob.heard("ACK")[0].to.tag or "")
    world.run(2.0)
    assert len(bob.heard("ACK")) == 2
    bob.calls_back(bob.got, "BYE", bob.heard("ACK")[0].to.tag or "")
    world.script("a.py", "")
    world.run(3.0)


def ends(phone_requests: list[str]) -> bool:
    return phone_requests == ["INVITE", "ACK", "BYE"]


def test_nobody_acknowledges_in_time(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, "CGI-AGAIN yes SIP/2.0\nCGI-After: 100\n\n", "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(32.0)
    assert [request.method for request in bob.requests] == ["INVITE"]
    world.run(33.0)
    assert ends([request.method for request in bob.requests])


@pytest.mark.parametrize("output", ["", "no output of a script\n"])
def test_nobody_is_left_to_acknowledge(world: World, output: str) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, output)
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert ends([request.method for request in bob.requests])


def test_nobody_is_left_while_it_rings(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (9.0, 200))
    dials(world, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(2.0)
    world.shows("""
        0.000 alice > server MESSAGE
        0.000 server > alice 202 MESSAGE
        0.000 server > bob INVITE
        0.100 bob > server 180 INVITE
        0.100 server > bob CANCEL
        0.100 bob > server 200 CANCEL
        0.100 bob > server 487 INVITE
        0.100 server > bob ACK
    """)


def test_a_2xx_that_crosses_the_cancel_is_ended(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.obeys_cancel = False
    bob.answers("INVITE", (0.1, 180), (1.0, 200))
    dials(world, "CANCEL sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(2.0)
    assert heard(world) == ["request MESSAGE", "response 180 b", "response 200 b"]
    assert ends([request.method for request in bob.requests])


def test_a_script_that_gives_up_after_some_time(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.routes(may(method=frozenset({"MESSAGE"})))
    invite = CALL.replace("Token: b\n", "Token: b\nCGI-Timeout: 3\n")
    world.script("a.py", ACCEPTED + invite + AGAIN, AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(5.0)
    assert heard(world) == ["request MESSAGE", "response 180 b", "timeout 408 b"]
    assert world.runs[2].began == 3.0


@pytest.mark.rfc("3261", "13.2.2.4")
def test_a_second_2xx_of_a_fork_is_ended(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN)
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    bob.replies(bob.got, 200, tag="fork")
    bob.replies(bob.got, 200, tag="fork")
    world.run(2.0)
    assert [(request.method, request.to.tag == "fork") for request in bob.requests] == [
        ("INVITE", False),
        ("ACK", False),
        ("ACK", True),
        ("BYE", True),
    ]
    assert heard(world) == ["request MESSAGE", "response 200 b"]
    world.script("a.py", "")
    bob.calls_back(bob.got, "BYE", bob.requests[1].to.tag or "")
    world.run(3.0)


def test_two_phones_that_answer_at_once(world: World) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.registers(bob)
    world.registers(carol, user="bob")
    for phone in (bob, carol):
        phone.answers("INVITE", (0.1, 200))
        phone.obeys_cancel = False
    world.routes(may(method=frozenset({"MESSAGE"})))
    call = CALL.replace("bob@192.0.2.20", "bob@example.com")
    world.script("a.py", ACCEPTED + call + AGAIN, ACKNOWLEDGED, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert heard(world) == ["request MESSAGE", "response 200 b"]
    (first, second) = sorted((bob, carol), key=lambda phone: len(phone.requests))
    assert [request.method for request in first.requests] == ["INVITE", "ACK"]
    assert [request.method for request in second.requests if request.method != "CANCEL"] == ["INVITE", "ACK", "BYE"]
    first.calls_back(first.got, "BYE", first.heard("ACK")[0].to.tag or "")
    world.run(2.0)


@pytest.mark.rfc("5626", "5.3")
def test_a_phone_behind_a_nat_is_reached_over_its_flow(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob", "203.0.113.7", says="10.0.0.7")
    world.registers(bob, flow=True)
    bob.answers("INVITE", (0.1, 200))
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script("a.py", ACCEPTED + CALL.replace("bob@192.0.2.20", "bob@example.com") + AGAIN,
                 ACKNOWLEDGED + "BYE sip:x SIP/2.0\nCGI-Request-Token: b\n\n")  # fmt: skip
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert [(request.method, request.uri) for request in bob.requests] == [
        ("INVITE", "sip:bob@10.0.0.7:5060"),
        ("ACK", "sip:bob@10.0.0.7:5060"),
        ("BYE", "sip:bob@10.0.0.7:5060"),
    ]


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_stands_for_nothing_is_said(world: World, method: str) -> None:
    alice = world.phone("alice")
    world.routes(may())
    world.script("a.py", ACCEPTED + f"{method} sip:x@y SIP/2.0\nCGI-Request-Token: gone\n\n")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert f"{method} not sent" in world.lines("warning")[0]


def test_a_request_in_a_dialog_that_is_over_gets_481(world: World) -> None:
    alice = world.phone("alice")
    world.routes(may())
    world.script("a.py", ACCEPTED + "BYE sip:x@y SIP/2.0\nCGI-Request-Token: gone\n\n" + AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert heard(world) == ["request MESSAGE", "response 481 gone"]


@pytest.mark.rfc("3261", "15.1.2")
@pytest.mark.parametrize("output", ["", "no output of a script\n"])
def test_when_the_peer_hangs_up_the_other_call_ends_as_well(world: World, output: str) -> None:
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    world.routes(may(method=frozenset({"MESSAGE"})))
    other = CALL.replace("bob@192.0.2.20", "carol@192.0.2.30").replace("Token: b", "Token: c")
    world.script(
        "a.py",
        ACCEPTED + CALL + other + AGAIN,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\nCGI-SET-COOKIE last SIP/2.0\n\n" + AGAIN,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: c\n\n",
        output,
    )
    bob.answers("INVITE", (0.1, 200))
    carol.answers("INVITE", (0.2, 200))
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(10.0)
    bye = bob.calls_back(bob.got, "BYE", bob.heard("ACK")[0].to.tag or "")
    world.run(11.0)
    assert bye.statuses == [200]
    assert heard(world)[-1] == "request BYE b"
    assert world.runs[-1].environment["SCRIPT_COOKIE"] == "last"
    assert [request.method for request in carol.requests] == ["INVITE", "ACK", "BYE"]


def test_a_stranger_in_the_dialog(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\n", "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    wrong = bob.calls_back(bob.got, "BYE", "another")
    world.run(2.0)
    assert wrong.statuses == [481]
    right = bob.calls_back(bob.got, "BYE", bob.heard("ACK")[0].to.tag or "")
    world.run(3.0)
    assert right.statuses == [200]
    again = bob.calls_back(bob.got, "BYE", bob.heard("ACK")[0].to.tag or "")
    world.run(4.0)
    assert again.statuses == [481]


@pytest.mark.parametrize(
    ("method", "status"), [("OPTIONS", 200), ("NOTIFY", 200), ("INVITE", 488), ("UPDATE", 488), ("FOO", 405)]
)
def test_what_the_server_says_in_the_dialog_without_the_script(world: World, method: str, status: int) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\n", "", "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    tag = bob.heard("ACK")[0].to.tag or ""
    asked = bob.calls_back(bob.got, method, tag)
    world.run(2.0)
    assert asked.statuses == [status]
    bob.calls_back(bob.got, "BYE", tag)
    world.run(3.0)


def test_a_transfer_is_told_by_notify(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    bob.answers("REFER", (0.1, 202))
    dials(
        world,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\n"
        "REFER sip:x SIP/2.0\nCGI-Request-Token: b\nRefer-To: <sip:carol@example.com>\n\n" + AGAIN,
        "",
        "SIP/2.0 200 OK\n\nBYE sip:x SIP/2.0\nCGI-Request-Token: b\n\n",
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    bob.calls_back(bob.got, "NOTIFY", bob.heard("ACK")[0].to.tag or "")
    world.run(2.0)
    assert heard(world)[2:] == ["response 202 b", "request NOTIFY b"]
    assert [request.method for request in bob.requests] == ["INVITE", "ACK", "REFER", "BYE"]


@pytest.mark.rfc("6665", "4.4.1")
def test_a_subscription_lasts_until_its_last_notify(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script(
        "a.py",
        ACCEPTED + "SUBSCRIBE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: s\nEvent: presence\n\n" + AGAIN,
        "",
        "",
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    (subscribe,) = bob.requests
    (leg,) = world.core.originated.legs.values()
    assert leg.dialog is not None
    notify = bob.request(
        "NOTIFY",
        str(subscribe.contacts[0].uri),
        f"From: {leg.dialog.remote}",
        f"To: {subscribe.headers.get('from')}",
        "Subscription-State: terminated;reason=timeout",
        call_id=subscribe.call_id,
    )
    answered = bob.send(notify, SERVER)
    world.run(2.0)
    assert answered.statuses == [200]
    assert heard(world)[-1] == "request NOTIFY s"
    assert not world.core.originated.legs


# Third party call control (RFC 3725 4.1: flow I), and what follows (section 9)


def controller(environment: dict[str, str]) -> str:
    """Alice first; her offer to Bob; his answer to her. A re-INVITE of one goes to the other."""
    event, token = environment["SIPCGI_EVENT"], environment.get("REQUEST_TOKEN", "")
    status = environment.get("RESPONSE_STATUS", "")
    method, final = environment["SIPCGI_METHOD"], status[:1] > "1"
    other = {"alice": "bob", "bob": "alice"}.get(token, "")
    sdp = "Content-Type: application/sdp\nContent-Length: 6\n\noffer\n\n"
    answer = sdp.replace("offer\n", "answer")
    if event == "request" and method == "MESSAGE":
        return ACCEPTED + "INVITE sip:alice@192.0.2.10 SIP/2.0\nCGI-Request-Token: alice\n\n" + AGAIN
    if event == "request" and method == "INVITE":
        return f"SIP/2.0 100 Trying\n\nINVITE sip:x SIP/2.0\nCGI-Request-Token: {other}\n{sdp}" + AGAIN
    if event == "request":
        return ""
    if not final:
        return AGAIN
    if method == "INVITE":
        return f"SIP/2.0 200 OK\n{answer}ACK sip:x SIP/2.0\nCGI-Request-Token: {token}\n\n"
    if token == "alice":
        return f"INVITE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: bob\nCGI-Timeout: 20\n{sdp}" + AGAIN
    if status != "200":
        return "BYE sip:x SIP/2.0\nCGI-Request-Token: alice\n\n"
    return f"ACK sip:x SIP/2.0\nCGI-Request-Token: bob\n\nACK sip:x SIP/2.0\nCGI-Request-Token: alice\n{answer}"


@pytest.mark.rfc("3725", "4.1")
@pytest.mark.rfc("3725", "9")
def test_third_party_call_control(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.answers("INVITE", (0.1, 180), (0.2, 200, "Content-Type: application/sdp", b"offer\n"))
    bob.answers("INVITE", (0.1, 180), (0.2, 200, "Content-Type: application/sdp", b"answer"))
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script("a.py", controller, unlimited=True)
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(5.0)
    world.shows("""
        0.000 alice > server MESSAGE
        0.000 server > alice 202 MESSAGE
        0.000 server > alice INVITE
        0.100 alice > server 180 INVITE
        0.200 alice > server 200 INVITE
        0.200 server > bob INVITE
        0.300 bob > server 180 INVITE
        0.400 bob > server 200 INVITE
        0.400 server > bob ACK
        0.400 server > alice ACK
    """)
    assert (bob.got.body, alice.heard("ACK")[0].body) == (b"offer\n", b"answer")
    assert bob.heard("ACK")[0].body == b""

    world.phones[0].answers("INVITE")
    hold = alice.calls_back(alice.got, "INVITE", alice.heard("ACK")[0].to.tag or "")
    world.run(10.0)
    world.shows("""
        5.000 alice > server INVITE
        5.000 server > alice 100 INVITE
        5.000 server > bob INVITE
        5.100 bob > server 180 INVITE
        5.200 bob > server 200 INVITE
        5.200 server > alice 200 INVITE
        5.200 server > bob ACK
        5.200 alice > server ACK
    """)
    assert hold.final.body == b"answer"
    assert str(bob.heard("INVITE")[1].cseq) == "2 INVITE"
    assert not world.answered.dialogs

    alice.calls_back(alice.got, "BYE", alice.heard("ACK")[0].to.tag or "")
    world.run(20.0)
    assert bob.requests[-1].method == "BYE"
    world.shows("""
        10.000 alice > server BYE
        10.000 server > bob BYE
        10.000 server > alice 200 BYE
        10.000 bob > server 200 BYE
    """)


@pytest.mark.rfc("3725", "4.1")
def test_the_second_party_does_not_answer(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.answers("INVITE", (0.2, 200, "Content-Type: application/sdp", b"offer\n"))
    bob.answers("INVITE", (0.1, 486))
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script("a.py", controller, unlimited=True)
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(5.0)
    assert [request.method for request in alice.requests] == ["INVITE", "ACK", "BYE"]
    assert not world.core.originated.legs


# Digest


CHALLENGE = 'Digest realm="gateway", nonce="84a4cc6f", qop="auth", algorithm=MD5'


@pytest.mark.rfc("3261", "22.2")
def test_a_challenge_is_answered(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE", (0.1, 401, f"WWW-Authenticate: {CHALLENGE}"))
    world.core.originated.accounts = (Account("gateway", "server", "secret"),)
    world.routes(may())
    world.script("a.py", ACCEPTED + "MESSAGE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: t\n\n" + AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.network.timers.start(0.05, bob.answers, "MESSAGE", (0.0, 200))
    world.run(1.0)
    first, second = bob.requests
    assert first.headers.get("authorization") is None
    assert 'username="server", realm="gateway"' in (second.headers.get("authorization") or "")
    assert (second.call_id, second.from_, str(second.cseq)) == (first.call_id, first.from_, "2 MESSAGE")
    assert heard(world) == ["request MESSAGE", "response 200 t"]


@pytest.mark.rfc("3261", "22.2")
@pytest.mark.parametrize(("realm", "times"), [("elsewhere", 1), ("gateway", 2)])
def test_never_for_another_realm_and_a_wrong_password_once(world: World, realm: str, times: int) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE", (0.1, 401, f"WWW-Authenticate: {CHALLENGE.replace('gateway', realm)}"))
    world.core.originated.accounts = (Account("gateway", "server", "secret"),)
    world.routes(may())
    world.script("a.py", ACCEPTED + "MESSAGE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: t\n\n" + AGAIN, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert len(bob.requests) == times
    assert heard(world) == ["request MESSAGE", "response 401 t"]


@pytest.mark.rfc("3261", "13.2.2.4")
@pytest.mark.rfc("3261", "22.1")
def test_a_call_through_a_proxy_that_asks_for_a_password(world: World) -> None:
    """Its ACK has the credentials of the INVITE, and its BYE is challenged anew."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 407, f"Proxy-Authenticate: {CHALLENGE}"))
    bob.answers("BYE", (0.1, 407, f"Proxy-Authenticate: {CHALLENGE}"))
    world.core.originated.accounts = (Account("gateway", "server", "secret"),)
    dials(
        world,
        "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\nBYE sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "",
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.network.timers.start(0.05, bob.answers, "INVITE", (0.1, 200))
    world.network.timers.start(0.25, bob.answers, "BYE", (0.1, 200))
    world.run(5.0)
    assert [str(request.cseq) for request in bob.requests] == ["1 INVITE", "2 INVITE", "2 ACK", "3 BYE", "4 BYE"]
    invite, ack = bob.requests[1:3]
    assert invite.headers.get("proxy-authorization")
    assert ack.headers.get("proxy-authorization") == invite.headers.get("proxy-authorization")
    assert heard(world) == ["request MESSAGE", "response 200 b", "response 200 b"]


# What goes wrong in a dialog


ACKNOWLEDGED = "ACK sip:x SIP/2.0\nCGI-Request-Token: b\n\n"


def up(world: World, *outputs: str) -> tuple[Phone, str]:
    """A call with bob, and his tag."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, *outputs)
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    return bob, bob.heard("ACK")[0].to.tag or ""


@pytest.mark.rfc("3261", "12.2.2")
def test_a_request_out_of_order(world: World) -> None:
    bob, tag = up(world, ACKNOWLEDGED, "", "")
    ends = [f"From: {bob.got.headers.get('to')};tag={tag}", f"To: {bob.got.headers.get('from')}"]
    uri, call_id = str(bob.got.contacts[0].uri), bob.got.call_id
    first = bob.send(bob.request("OPTIONS", uri, *ends, cseq=9, call_id=call_id), SERVER)
    second = bob.send(bob.request("OPTIONS", uri, *ends, cseq=8, call_id=call_id), SERVER)
    third = bob.send(bob.request("INVITE", uri, *ends, "Contact: <nothing", cseq=10, call_id=call_id), SERVER)
    bob.send(bob.request("BYE", uri, *ends, cseq=11, call_id=call_id), SERVER)
    world.run(2.0)
    assert (first.statuses, second.statuses, third.statuses) == ([200], [500], [400])
    assert not world.core.originated.legs


@pytest.mark.rfc("3261", "14.1")
@pytest.mark.rfc("3261", "14.2")
def test_one_change_at_a_time(world: World) -> None:
    again = "INVITE sip:x SIP/2.0\nCGI-Request-Token: b\n\n"
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    dials(world, ACKNOWLEDGED + again + again + AGAIN, AGAIN, ACKNOWLEDGED, "")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.network.timers.start(0.05, bob.answers, "INVITE", (2.0, 200))
    world.run(1.0)
    assert heard(world)[1:] == ["response 200 b", "response 491 b"]
    assert [str(request.cseq) for request in bob.heard("INVITE")] == ["1 INVITE", "2 INVITE"]
    tag = bob.heard("ACK")[0].to.tag or ""
    glare = bob.calls_back(bob.requests[0], "INVITE", tag)
    world.run(3.0)
    assert glare.statuses == [491]
    assert [str(request.cseq) for request in bob.heard("ACK")] == ["1 ACK", "2 ACK"]
    bob.calls_back(bob.requests[0], "BYE", tag)
    world.run(4.0)


def test_a_change_may_be_called_off(world: World) -> None:
    bob, tag = up(world, ACKNOWLEDGED)
    world.script(
        "a.py",
        "SIP/2.0 183 Wait\n\nINVITE sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "CANCEL sip:x SIP/2.0\nCGI-Request-Token: b\n\n" + AGAIN,
        "SIP/2.0 488 No\n\n",
        "",
    )
    bob.answers("INVITE", (0.1, 180))
    changed = bob.calls_back(bob.got, "INVITE", tag)
    world.run(3.0)
    assert heard(world)[2:] == ["request INVITE b", "response 180 b", "response 487 b"]
    assert changed.statuses == [183, 488]
    bob.calls_back(bob.requests[0], "BYE", tag)
    world.run(4.0)


@pytest.mark.rfc("3261", "12.2.1.2")
@pytest.mark.parametrize(("status", "after"), [(481, []), (408, ["BYE"])])
def test_a_peer_that_knows_nothing_of_it(world: World, status: int, after: list[str]) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    bob.answers("INFO", (0.1, status))
    dials(world, ACKNOWLEDGED + "INFO sip:x SIP/2.0\nCGI-Request-Token: b\n\n")
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert [request.method for request in bob.requests] == ["INVITE", "ACK", "INFO", *after]
    assert not world.core.originated.legs


def test_too_much_to_do(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.core.overload.most = 1
    world.routes(may())
    world.script(
        "a.py", ACCEPTED + 2 * "MESSAGE sip:bob@192.0.2.20 SIP/2.0\nCGI-Request-Token: t\n\n" + AGAIN, AGAIN, ""
    )
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(1.0)
    assert len(bob.requests) == 1
    assert heard(world)[1] == "response 503 t"


def test_the_oldest_call_ends_when_there_are_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipcgi.engine.originated.MOST_LEGS", 1)
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 200))
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script("a.py", ACCEPTED + CALL + AGAIN, ACKNOWLEDGED, ACCEPTED + CALL + AGAIN, ACKNOWLEDGED, "")
    for _ in range(2):
        alice.calls_up("sip:dial@example.com", method="MESSAGE")
        world.run(world.network.now + 1.0)
    assert [request.method for request in bob.requests] == ["INVITE", "ACK", "BYE", "INVITE", "ACK"]
    bob.calls_back(bob.heard("INVITE")[1], "BYE", bob.heard("ACK")[1].to.tag or "")
    world.run(5.0)


@pytest.mark.parametrize("answer", [(0.2, 200, b"answer"), (0.2, 486)])
def test_a_story_that_is_over_leaves_no_cycles(answer: tuple[float | int | bytes, ...]) -> None:
    """What lives long must be gone when it is over, without a collection (docs/architecture.md: Much state)."""
    gc.collect()
    gc.disable()
    try:
        world = World()
        alice, bob = world.phone("alice"), world.phone("bob")
        alice.answers("INVITE", (0.1, 180), (0.2, 200, b"offer\n"))
        bob.answers("INVITE", answer)
        world.routes(may(method=frozenset({"MESSAGE"})))
        world.script("a.py", controller, unlimited=True)
        alice.calls_up("sip:dial@example.com", method="MESSAGE")
        world.run(5.0)
        if world.core.originated.legs:
            alice.calls_back(alice.got, "BYE", alice.heard("ACK")[0].to.tag or "")
        world.run()
        world.host.runs.clear()
        kinds = (Leg, Calls, Caller, Outgoing, RequestContext)
        assert [type(one) for one in gc.get_objects() if isinstance(one, kinds)] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(20))
def test_no_call_is_left_up_however_bad_the_network_is(lossy: Callable[[int], World], seed: int) -> None:
    world = lossy(seed)
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.answers("INVITE", (0.1, 180), (0.2, 200, "Content-Type: application/sdp", b"offer\n"))
    bob.answers("INVITE", (0.1, 180), (0.2, 200, "Content-Type: application/sdp", b"answer"))
    world.routes(may(method=frozenset({"MESSAGE"})))
    world.script("a.py", controller, unlimited=True, takes=0.03)
    alice.calls_up("sip:dial@example.com", method="MESSAGE")
    world.run(20.0)
    if acks := alice.heard("ACK"):
        tag = acks[0].to.tag or ""
        alice.calls_back(alice.got, "INVITE", tag)
        world.run(60.0)
        ends = [f"From: {alice.got.headers.get('to')};tag={tag}", f"To: {alice.got.headers.get('from')}"]
        uri, call_id = str(alice.got.contacts[0].uri), alice.got.call_id
        alice.send(alice.request("BYE", uri, *ends, cseq=20, call_id=call_id))
    world.run()
    assert world.left() == []
    assert world.lines("error") == []
    assert not bob.heard("ACK") or bob.heard("BYE")
