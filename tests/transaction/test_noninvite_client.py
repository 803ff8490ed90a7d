"""The non-INVITE client transaction, figure 6 of RFC 3261."""

import pytest

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input, State
from sipcgi.transaction.noninvite_client import NONINVITE_CLIENT
from sipcgi.transaction.timers import Timers

UDP = Timers()
TCP = Timers(reliable=True)
FINALS = [Input.RESPONSE_2XX, Input.RESPONSE_300_699]


@pytest.mark.rfc("3261", "17.1.2.2-1", "17.1.2.2-2", "17.1.2.2-3", "17.1.2.2-4")
def test_a_request_without_answer_is_sent_again_at_intervals_up_to_t2_and_then_given_up(play):
    bye = play(NONINVITE_CLIENT, UDP)
    bye.until(100)
    assert bye.sent[0] == (0, Effect.SEND)
    assert bye.times(Effect.RESEND) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bye.told == [(32, Effect.END), (32, Effect.TIMEOUT)]


@pytest.mark.rfc("3261", "17.1.2.2")
def test_over_tcp_it_is_sent_once(play):
    bye = play(NONINVITE_CLIENT, TCP)
    bye.until(100)
    assert bye.sent == [(0, Effect.SEND)]
    assert bye.told == [(32, Effect.END), (32, Effect.TIMEOUT)]


@pytest.mark.rfc("3261", "17.1.2.2-5", "17.1.2.2-7", "17.1.2.2-8")
def test_after_a_provisional_response_it_is_sent_again_every_t2(play):
    message = play(NONINVITE_CLIENT, UDP)
    message.until(0.6)
    message.step(Input.RESPONSE_1XX)
    assert message.state is State.PROCEEDING
    message.until(12)
    assert message.step(Input.RESPONSE_1XX) == (Effect.PASS,)
    message.until(100)
    assert message.times(Effect.RESEND) == [0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert message.told == [(0.6, Effect.PASS), (12, Effect.PASS), (32, Effect.END), (32, Effect.TIMEOUT)]


@pytest.mark.rfc("3261", "17.1.2.2-6", "17.1.2.2-9", "17.1.2.2-10", "17.1.2.2-11")
@pytest.mark.parametrize("final", FINALS)
@pytest.mark.parametrize("first", [(), (Input.RESPONSE_1XX,)], ids=["trying", "proceeding"])
def test_a_final_response_is_passed_once_and_its_repetitions_are_absorbed_for_t4(play, first, final):
    options = play(NONINVITE_CLIENT, UDP)
    for happens in (*first, final):
        options.step(happens)
    assert options.state is State.COMPLETED
    assert [options.step(late) for late in (*FINALS, Input.RESPONSE_1XX, Input.TRANSPORT_ERROR)] == [()] * 4
    options.until(100)
    assert options.sent == [(0, Effect.SEND)]
    assert options.told[-2:] == [(0, Effect.PASS), (5, Effect.END)]


@pytest.mark.rfc("3261", "17.1.2.2-10")
@pytest.mark.parametrize("final", FINALS)
def test_over_tcp_a_final_response_ends_it_at_once(play, final):
    options = play(NONINVITE_CLIENT, TCP)
    options.step(final)
    options.until(0)
    assert options.told == [(0, Effect.PASS), (0, Effect.END)]


@pytest.mark.rfc("3261", "17.1.4-1")
@pytest.mark.parametrize("first", [(), (Input.RESPONSE_1XX,)], ids=["trying", "proceeding"])
def test_a_request_that_cannot_be_sent_ends_it_and_is_told(play, first):
    options = play(NONINVITE_CLIENT, UDP)
    for happens in first:
        options.step(happens)
    assert options.step(Input.TRANSPORT_ERROR) == (Effect.END, Effect.UNREACHABLE)
    options.until(100)
    assert options.sent == [(0, Effect.SEND)]
