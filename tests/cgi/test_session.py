"""When a script is run again within a transaction."""

import pytest

from sipcgi.cgi.output import Output
from sipcgi.cgi.routes import Route
from sipcgi.cgi.session import Session
from sipcgi.flow import Flow, HostPort
from sipcgi.service import AckReceived, Cancelled, RequestReceived, ResponseReceived, Situation, TimerFired, WakeAfter
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response

FLOW = Flow("UDP", HostPort("192.0.2.9", 5060), HostPort("192.0.2.1", 5060))
REQUEST = RequestReceived(Request("INVITE", "sip:bob@example.com", Headers()), Situation())
CANCEL = Cancelled(Request("CANCEL", "sip:bob@example.com", Headers()), Situation())
ACK = AckReceived(Request("ACK", "sip:bob@example.com", Headers()), FLOW, Situation())
TIMER = TimerFired(Situation())
AGAIN = Output(again=True)
WAKE = Output([WakeAfter(5.0)], again=True)


def response(status: int) -> ResponseReceived:
    return ResponseReceived(Response(status, "", Headers()), "1", None, "sip:a@b", False, FLOW, Situation())


def after(output: Output | None) -> Session:
    """A session after its run for the request; None is a failed one."""
    session = Session(Route("invite.pl"))
    session.begin(REQUEST)
    if output is None:
        session.fail()
    else:
        session.take(output)
    return session


def test_the_request_runs_a_script_once() -> None:
    session = Session(Route("invite.pl"))
    assert session.route.script == "invite.pl"
    assert (session.run, session.cookie, session.listening) == (0, None, False)
    assert session.wants(REQUEST)
    assert not any(session.wants(event) for event in (response(180), TIMER, CANCEL, ACK))
    assert session.begin(REQUEST) == 1
    assert (session.run, session.again, session.listening) == (1, False, True)
    assert not any(session.wants(event) for event in (REQUEST, response(180), TIMER, CANCEL, ACK))
    session.take(Output())
    assert not any(session.wants(event) for event in (REQUEST, response(180), TIMER, CANCEL, ACK))
    assert not session.listening


@pytest.mark.rfc("3050", "5.6.1.5")
def test_again_is_the_next_message_once() -> None:
    session = after(AGAIN)
    assert all(session.wants(event) for event in (response(180), response(200), CANCEL, ACK))
    assert not session.wants(REQUEST)
    assert session.again
    assert session.begin(response(180)) == 2
    assert not session.wants(response(200))
    session.take(Output())
    assert not session.wants(response(200))


def test_a_timer_runs_the_script_that_has_set_it() -> None:
    session = after(WAKE)
    assert all(session.wants(event) for event in (response(180), TIMER, CANCEL))
    session.begin(response(180))
    session.take(AGAIN)
    assert session.wants(response(200))
    assert not session.wants(TIMER)


def test_a_100_neither_runs_a_script_nor_uses_this_up() -> None:
    session = after(AGAIN)
    assert not session.wants(response(100))
    assert session.wants(response(180))


@pytest.mark.rfc("3050", "5.6.1.4")
def test_a_cookie_stays_until_another_one_is_set() -> None:
    session = after(Output(cookie="one", again=True))
    assert session.cookie == "one"
    session.begin(response(180))
    session.take(AGAIN)
    assert session.cookie == "one"
    session.begin(response(200))
    session.take(Output(cookie="two"))
    assert session.cookie == "two"


def test_no_run_after_a_failed_one_not_even_when_the_script_for_errors_asks_for_it() -> None:
    session = after(None)
    assert not session.listening
    session.take(Output(cookie="x", again=True))
    assert session.cookie is None
    assert not any(session.wants(event) for event in (REQUEST, response(180), TIMER, CANCEL, ACK))


@pytest.mark.rfc("3050", "5.10")
def test_the_run_for_a_cancel_is_the_last() -> None:
    session = after(AGAIN)
    session.begin(CANCEL)
    assert not session.listening
    session.take(AGAIN)
    assert not any(session.wants(event) for event in (response(487), TIMER, CANCEL))


@pytest.mark.rfc("3050", "5.11.1")
def test_an_ack_may_ask_again() -> None:
    session = after(AGAIN)
    session.begin(ACK)
    session.take(Output(cookie="x", again=True))
    assert session.wants(ACK)
    assert session.cookie == "x"
