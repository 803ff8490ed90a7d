"""Time that a script sets: CGI-Timeout and Expires (RFC 3050 5.7), CGI-After (3.6); contract."""

import pytest
from world import World

from sipcgi.hosts.base import Outcome

AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def proxy(*fields: str, to: str = "sip:bob@192.0.2.20") -> str:
    return "\n".join([f"CGI-PROXY-REQUEST {to} SIP/2.0", *fields, "", ""])


@pytest.mark.rfc("3050", "5.7-3", "5.8-1")
def test_cgi_timeout_cancels_and_makes_a_local_408(world: World) -> None:
    """The 487 that follows is absorbed."""
    alice, bob, mail = world.phone("alice"), world.phone("bob"), world.phone("mail")
    bob.answers("INVITE", (0.1, 180))
    world.script(
        "invite.sh",
        proxy("CGI-Timeout: 2.5", "CGI-Request-Token: one") + AGAIN,
        AGAIN,
        "CGI-PROXY-REQUEST sip:mail@192.0.2.30 SIP/2.0\n\n" + AGAIN,
        "",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.4)
    world.transcript()
    world.run(5.0)
    world.shows("""
        2.500 server > bob CANCEL
        2.500 bob > server 200 CANCEL
        2.500 bob > server 487 INVITE
        2.500 server > bob ACK
        2.500 server > mail INVITE
        2.500 mail > server 200 INVITE
        2.500 server > alice 200 INVITE
        2.500 alice > server ACK
        2.500 server > mail ACK
    """)
    assert world.events() == ["0.000 request", "0.100 response 180", "2.500 timeout 408", "2.500 response 200"]
    environment = world.runs[2].environment
    assert environment["REQUEST_TOKEN"] == "one"
    assert environment["REMOTE_ADDR"] == "127.0.0.1"
    assert "REMOTE_PORT" not in environment
    assert environment["SIPCGI_PENDING"] == "0"
    assert call.statuses == [180, 200]
    assert len(mail.heard("ACK")) == 1


def test_a_timeout_without_cgi_again_is_a_408(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.script("invite.sh", proxy("CGI-Timeout: 1"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 408]
    assert "expires" not in bob.got.headers


def test_a_timeout_before_any_provisional_response(world: World) -> None:
    """RFC 3261 9.1: the CANCEL follows the first one; the call goes on meanwhile."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.network.detach(bob.socket.address)
    world.script("invite.sh", proxy("CGI-Timeout: 1"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.2)
    assert call.statuses == [100, 408]
    world.network.attach(bob.socket.address, "bob", bob.socket._arrived)
    bob.answers("INVITE", (0.1, 180))
    world.run(3.0)
    assert "1.600 server > bob CANCEL" in world.transcript()


def test_a_2xx_that_crosses_the_timeout_is_forwarded(world: World) -> None:
    alice, bob, mail = world.phone("alice"), world.phone("bob"), world.phone("mail")
    bob.answers("INVITE", (0.1, 180), (1.2, 200))
    bob.obeys_cancel = False
    mail.answers("INVITE", (0.1, 180), (3.0, 200))
    world.script("invite.sh", proxy("CGI-Timeout: 1") + AGAIN, AGAIN, proxy(to="sip:mail@192.0.2.30"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 180, 200]
    assert len(bob.heard("ACK")) == 1
    assert "1.200 server > mail CANCEL" in world.transcript()


@pytest.mark.rfc("3050", "5.7-1", "5.7-2", "5.7-4")
def test_expires_of_an_invite_is_also_kept_by_the_server(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.script("invite.sh", proxy("Expires: 3", "CGI-Timeout: 9"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(2.9)
    assert call.statuses == [180]
    world.transcript()
    world.run(3.1)
    assert call.statuses == [180, 408]
    assert bob.got.headers.get("expires") == "3"
    assert "3.000 server > bob CANCEL" in world.transcript()


def test_a_timeout_of_another_method_is_a_408_for_the_script_and_silence_for_the_caller(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE")
    world.script("message.sh", proxy("CGI-Timeout: 1") + AGAIN, "")
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(50.0)
    assert world.events() == ["0.000 request", "1.000 timeout 408"]
    assert set(call.statuses) <= {100}
    assert "CANCEL" not in world.transcript()


def test_a_408_of_another_method_can_be_answered_otherwise(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("MESSAGE")
    world.script("message.sh", proxy("CGI-Timeout: 1") + AGAIN, "SIP/2.0 202 Stored\n\n")
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(3.0)
    assert call.statuses == [202]


def test_one_408_for_all_contacts_of_a_proxied_uri(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob")
    world.registers(mobile, user="bob")
    for phone in (desk, mobile):
        phone.answers("INVITE", (0.1, 100))
    world.script("invite.sh", proxy("CGI-Timeout: 1", to="sip:bob@example.com") + AGAIN, AGAIN)
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert world.events() == ["0.000 request", "1.000 timeout 408"]
    assert call.statuses == [100, 408]


def test_no_further_contacts_after_the_timeout(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob", q=0.9)
    world.registers(mobile, user="bob", q=0.1)
    desk.answers("INVITE", (0.1, 180))
    world.script("invite.sh", proxy("CGI-Timeout: 1", to="sip:bob@example.com"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert call.statuses == [180, 408]
    assert not mobile.requests


def test_a_timeout_covers_the_contacts_that_follow(world: World) -> None:
    alice, desk, mobile = world.phone("alice"), world.phone("desk"), world.phone("mobile")
    world.registers(desk, user="bob", q=0.9)
    world.registers(mobile, user="bob", q=0.1)
    desk.answers("INVITE", (0.8, 486))
    mobile.answers("INVITE", (0.1, 180))
    world.script("invite.sh", proxy("CGI-Timeout: 1", to="sip:bob@example.com"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert "1.000 server > mobile CANCEL" in world.transcript()
    assert call.final.status == 486  # a better candidate than the 408


def test_a_timeout_that_is_over_before_does_nothing(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.script("invite.sh", proxy("CGI-Timeout: 9") + AGAIN, "")
    alice.calls_up("sip:bob@example.com")
    world.run(20.0)
    assert len(world.runs) == 2


@pytest.mark.rfc("3050", "3.6")
def test_cgi_after(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("invite.sh", "SIP/2.0 180 Ringing\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 2.5\n\n", proxy())
    call = alice.calls_up("sip:bob@example.com", "Subject: x", body=b"v=0")
    world.run(5.0)
    assert call.statuses == [180, 200]
    assert world.events() == ["0.000 request", "2.500 timer"]
    environment = world.runs[1].environment
    assert environment["SIP_SUBJECT"] == "x"
    assert {"REQUEST_METHOD", "RESPONSE_STATUS", "CONTENT_LENGTH"}.isdisjoint(environment)
    assert world.runs[1].invocation.stdin == b""
    assert len(bob.heard("INVITE")) == 1


def test_cgi_after_unless_a_message_comes_first(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (1.0, 180), (9.0, 486))
    world.script("invite.sh", proxy() + "CGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n", "")
    alice.calls_up("sip:bob@example.com")
    world.run(10.0)
    assert world.events() == ["0.000 request", "1.000 response 180"]


@pytest.mark.parametrize("output", ["", Outcome(status=1), Outcome(signal=11)])
def test_a_timer_run_that_does_nothing_while_nothing_is_pending(world: World, output: str | Outcome) -> None:
    alice = world.phone("alice")
    world.script("invite.sh", "SIP/2.0 180 Ringing\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n", output)
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.statuses == [180, 500]
    assert "2.000 server > alice 500 INVITE" in world.transcript()


@pytest.mark.rfc("3050", "3.6", "5.6.1.2")
def test_a_100_is_no_message_that_comes_first(world: World) -> None:
    """What a timer run proxies is the initial request, as it came."""
    alice, bob, carol = world.phone("alice"), world.phone("bob"), world.phone("carol")
    bob.answers("INVITE", (0.1, 100), (9.0, 200))
    first = proxy("Subject: for bob", "Content-Length: 0") + "CGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n"
    world.script("invite.sh", first, proxy("X-New: 1", to="sip:carol@192.0.2.30"))
    call = alice.calls_up("sip:bob@example.com", "Subject: original", "Content-Type: a/b", body=b"offer")
    world.run(3.0)
    assert world.events() == ["0.000 request", "2.000 timer"]
    assert call.statuses == [100, 200]
    assert (bob.got.headers.get("subject"), bob.got.body) == ("for bob", b"")
    assert (carol.got.headers.get("subject"), carol.got.body) == ("original", b"offer")
    names = {"REQUEST_METHOD", "REQUEST_URI", "RESPONSE_STATUS", "RESPONSE_TOKEN", "CONTENT_LENGTH", "CONTENT_TYPE"}
    assert names.isdisjoint(world.runs[1].environment)
    assert world.runs[1].environment["SIP_SUBJECT"] == "original"


def test_a_timer_run_that_does_nothing_while_a_branch_is_pending(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 100), (3.0, 486))
    world.script("invite.sh", proxy() + "CGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n", Outcome(status=1))
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.final.status == 486


def test_a_wake_up_after_the_last_failure_delays_the_answer(world: World) -> None:
    """`busy, try again in two seconds`."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486))
    world.script("invite.sh", proxy() + AGAIN, "CGI-AGAIN yes SIP/2.0\nCGI-After: 2\n\n", proxy() + AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(5.0)
    assert call.final.status == 486
    assert world.events() == ["0.000 request", "0.100 response 486", "2.100 timer", "2.200 response 486"]


def test_a_final_answer_ends_the_waiting(world: World) -> None:
    """The 2xx crosses; there is nothing left to wake for."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180), (1.0, 200))
    world.script(
        "invite.sh",
        proxy() + AGAIN,
        "CGI-AGAIN yes SIP/2.0\nCGI-After: 9\n\n",
        "CGI-AGAIN yes SIP/2.0\nCGI-After: 9\n\n",
    )
    call = alice.calls_up("sip:bob@example.com")
    world.run(30.0)
    assert call.statuses == [180, 200]
    assert world.events() == ["0.000 request", "0.100 response 180", "1.000 response 200"]


def test_a_timeout_while_the_name_is_looked_for(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    world.names.hosts["slow.example"] = (3.0, bob.socket.address)
    world.script("invite.sh", proxy("CGI-Timeout: 1", to="sip:bob@slow.example") + AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(9.0)
    assert call.statuses == [100, 408]
    assert not bob.requests
    assert world.events() == ["0.000 request", "1.000 timeout 408"]


def test_a_timeout_after_the_cancel_of_the_caller_changes_nothing(world: World) -> None:
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    bob.obeys_cancel = False
    world.script("invite.sh", proxy("CGI-Timeout: 3") + AGAIN, AGAIN, "")
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    call.cancel()
    world.run(5.0)
    bob.replies(bob.got, 487)
    world.run(6.0)
    assert call.statuses == [180, 487]
    assert world.events()[-1] == "1.000 cancel"


def test_a_cancelled_branch_of_a_timeout_that_stays_silent_leaves_nothing(world: World) -> None:
    """The fixture looks, 32 s after the CANCEL."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 180))
    world.script("invite.sh", proxy("CGI-Timeout: 2"))
    call = alice.calls_up("sip:bob@example.com")
    world.run(1.0)
    world.network.detach(bob.socket.address)
    world.run(70.0)
    assert call.statuses == [180, 408]
    assert not world.transactions.clients


def test_a_wake_up_for_another_method(world: World) -> None:
    """Polling: `nothing yet`, then an answer; no provisional response leaves (RFC 4320)."""
    alice = world.phone("alice")
    later = "SIP/2.0 100 Trying\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 1\n\n"
    world.script("message.sh", later, later, "SIP/2.0 202 Accepted\n\n")
    call = alice.calls_up("sip:bob@example.com", method="MESSAGE")
    world.run(9.0)
    assert [status for status in call.statuses if status != 100] == [202]
    assert world.events() == ["0.000 request", "1.000 timer", "2.000 timer"]
