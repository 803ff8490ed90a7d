"""The INVITE client transaction, figure 5 of RFC 6026."""

import pytest

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_client import INVITE_CLIENT
from sipcgi.transaction.machine import Input, State
from sipcgi.transaction.timers import Timers

UDP = Timers()
TCP = Timers(reliable=True)


@pytest.mark.rfc(
    "3261",
    "17.1.1.2-1",
    "17.1.1.2-2",
    "17.1.1.2-3",
    "17.1.1.2-5",
    "17.1.1.2-6",
    "17.1.1.2-7",
    "17.1.1.2-8",
    "17.1.1.2-13",
)
def test_an_invite_without_answer_is_sent_seven_times_and_then_given_up(play):
    invite = play(INVITE_CLIENT, UDP)
    assert invite.state is State.CALLING
    invite.until(100)
    assert invite.sent[0] == (0, Effect.SEND)
    assert invite.times(Effect.RESEND) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert invite.told == [(32, Effect.END), (32, Effect.TIMEOUT)]
    assert invite.state is State.TERMINATED


@pytest.mark.rfc("3261", "17.1.1.2-4", "17.1.1.2-5", "17.1.1.2-14")
def test_over_tcp_it_is_sent_once(play):
    invite = play(INVITE_CLIENT, TCP)
    invite.until(100)
    assert invite.sent == [(0, Effect.SEND)]
    assert invite.told == [(32, Effect.END), (32, Effect.TIMEOUT)]


@pytest.mark.rfc("3261", "17.1.1.2-9", "17.1.1.2-15")
def test_a_provisional_response_stops_the_retransmissions_and_the_timeout(play):
    invite = play(INVITE_CLIENT, UDP)
    invite.until(1)
    invite.step(Input.RESPONSE_1XX)
    invite.until(1000)
    assert invite.state is State.PROCEEDING
    assert invite.times(Effect.RESEND) == [0.5]
    assert invite.told == [(1, Effect.PASS)]


@pytest.mark.rfc("3261", "17.1.1.2-16", "17.1.1.2-17")
def test_every_provisional_response_is_passed(play):
    invite = play(INVITE_CLIENT, UDP)
    for _ in ("100 Trying", "180 Ringing", "183 Session Progress"):
        invite.step(Input.RESPONSE_1XX)
    assert invite.told == [(0, Effect.PASS)] * 3


@pytest.mark.rfc("6026", "8.4-1", "8.4-2", "8.4-4", "8.4-5", "8.4-6")
@pytest.mark.rfc("3261", "17.1.1.2-18", "17.1.1.2-19", "17.1.1.2-21", "17.1.1.2-22", "17.1.1.2-23")
@pytest.mark.parametrize("first", [(), (Input.RESPONSE_1XX,)], ids=["calling", "proceeding"])
def test_a_refusal_is_passed_once_and_acknowledged_each_time(play, first):
    invite = play(INVITE_CLIENT, UDP)
    for happens in first:
        invite.step(happens)
    assert invite.step(Input.RESPONSE_300_699)[-2:] == (Effect.PASS, Effect.SEND_ACK)
    assert invite.state is State.COMPLETED
    invite.until(0.5)
    assert invite.step(Input.RESPONSE_300_699) == (Effect.SEND_ACK,)
    assert invite.step(Input.RESPONSE_1XX) == ()
    invite.until(100)
    assert invite.times(Effect.SEND_ACK) == [0, 0.5]
    assert invite.times(Effect.RESEND) == []
    assert invite.told[-1] == (32, Effect.END)


@pytest.mark.rfc("3261", "17.1.1.2-19", "17.1.1.2-21")
@pytest.mark.rfc("6026", "8.4-2", "8.4-4")
def test_over_tcp_a_refusal_ends_it_at_once(play):
    invite = play(INVITE_CLIENT, TCP)
    invite.step(Input.RESPONSE_300_699)
    invite.until(0)
    assert invite.told == [(0, Effect.PASS), (0, Effect.END)]
    assert invite.sent == [(0, Effect.SEND), (0, Effect.SEND_ACK)]


@pytest.mark.rfc("6026", "7.2-1", "7.2-2", "7.2-3", "7.2-4", "8.4-7", "8.4-8", "8.4-9", "8.4-10", "8.4-11", "8.4-12")
@pytest.mark.parametrize("timers", [UDP, TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize("first", [(), (Input.RESPONSE_1XX,)], ids=["calling", "proceeding"])
def test_every_2xx_is_passed_for_64_t1_and_none_is_acknowledged(play, first, timers):
    invite = play(INVITE_CLIENT, timers)
    for happens in (*first, Input.RESPONSE_2XX):
        invite.step(happens)
    assert invite.state is State.ACCEPTED
    invite.until(10)
    assert invite.step(Input.RESPONSE_2XX) == (Effect.PASS,)
    invite.until(100)
    assert invite.sent == [(0, Effect.SEND)]
    assert invite.told[-3:] == [(0, Effect.PASS), (10, Effect.PASS), (32, Effect.END)]


@pytest.mark.rfc("6026", "8.4")
@pytest.mark.parametrize("late", [Input.RESPONSE_1XX, Input.RESPONSE_300_699])
def test_what_comes_late_after_a_2xx_is_dropped(play, late):
    invite = play(INVITE_CLIENT, UDP)
    invite.step(Input.RESPONSE_2XX)
    assert invite.step(late) == ()
    assert invite.state is State.ACCEPTED


@pytest.mark.rfc("3261", "16.7")
def test_a_2xx_that_crossed_a_refusal_is_passed(play):
    invite = play(INVITE_CLIENT, UDP)
    invite.step(Input.RESPONSE_300_699)
    assert invite.step(Input.RESPONSE_2XX) == (Effect.PASS,)
    assert invite.state is State.COMPLETED


@pytest.mark.rfc("3261", "17.1.4-1")
@pytest.mark.parametrize("first", [(), (Input.RESPONSE_300_699,)], ids=["invite", "ack"])
def test_what_cannot_be_sent_ends_it_and_is_told(play, first):
    invite = play(INVITE_CLIENT, UDP)
    for happens in first:
        invite.step(happens)
    assert invite.step(Input.TRANSPORT_ERROR) == (Effect.END, Effect.UNREACHABLE)
    sent = list(invite.sent)
    invite.until(100)
    assert invite.sent == sent


@pytest.mark.parametrize("answer", [Input.RESPONSE_1XX, Input.RESPONSE_2XX])
def test_an_error_that_is_reported_after_the_answer_changes_nothing(play, answer):
    invite = play(INVITE_CLIENT, UDP)
    invite.step(answer)
    assert invite.step(Input.TRANSPORT_ERROR) == ()
