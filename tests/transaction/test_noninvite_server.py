"""The non-INVITE server transaction, figure 8 of RFC 3261, within the limits of RFC 4320."""

import pytest

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input, State
from sipcgi.transaction.noninvite_server import NONINVITE_SERVER
from sipcgi.transaction.timers import Timers

UDP = Timers()
TCP = Timers(reliable=True)
FINALS = [Input.RESPONSE_2XX, Input.RESPONSE_300_699]


@pytest.mark.rfc("3261", "17.2.2")
def test_a_request_is_passed_once(play):
    bye = play(NONINVITE_SERVER, UDP)
    assert bye.told == [(0, Effect.PASS)]
    assert bye.step(Input.REQUEST) == ()
    assert bye.state is State.TRYING


@pytest.mark.rfc("3261", "17.2.2-6", "17.2.2-7", "17.2.2-9")
@pytest.mark.parametrize("final", FINALS)
def test_the_final_response_answers_every_repetition_for_64_t1(play, final):
    bye = play(NONINVITE_SERVER, UDP)
    bye.until(1)
    bye.step(final)
    assert bye.state is State.COMPLETED
    bye.until(2)
    assert bye.step(Input.REQUEST) == (Effect.RESEND,)
    bye.until(100)
    assert bye.sent == [(1, Effect.SEND), (2, Effect.RESEND)]
    assert bye.told == [(0, Effect.PASS), (33, Effect.END)]


@pytest.mark.rfc("3261", "17.2.2-6")
@pytest.mark.parametrize("final", FINALS)
def test_over_tcp_the_final_response_ends_it_at_once(play, final):
    bye = play(NONINVITE_SERVER, TCP)
    bye.step(final)
    bye.until(0)
    assert bye.sent == [(0, Effect.SEND)]
    assert bye.told == [(0, Effect.PASS), (0, Effect.END)]


@pytest.mark.rfc("3261", "17.2.2-8")
@pytest.mark.parametrize("late", [*FINALS, Input.RESPONSE_1XX, Input.ABANDONED])
def test_what_the_user_says_after_the_final_response_is_discarded(play, late):
    bye = play(NONINVITE_SERVER, UDP)
    bye.step(Input.RESPONSE_2XX)
    assert bye.step(late) == ()


@pytest.mark.rfc("3261", "17.2.2-4")
@pytest.mark.rfc("4320", "4.1-2", "4.1-3")
@pytest.mark.parametrize("timers", [UDP, TCP], ids=["udp", "tcp"])
def test_a_100_leaves_when_the_client_has_reset_timer_e_to_t2(play, timers):
    message = play(NONINVITE_SERVER, timers)
    message.until(20)
    assert message.sent == [(3.5, Effect.SEND_TRYING)]
    assert message.state is State.PROCEEDING
    assert message.step(Input.REQUEST) == (Effect.RESEND,)


@pytest.mark.rfc("4320", "4.1")
def test_no_100_leaves_after_a_final_response(play):
    message = play(NONINVITE_SERVER, UDP)
    message.until(3)
    message.step(Input.RESPONSE_2XX)
    message.until(20)
    assert message.sent == [(3, Effect.SEND)]


@pytest.mark.rfc("4320", "4.1-1")
def test_no_provisional_response_of_the_user_ever_leaves(play):
    message = play(NONINVITE_SERVER, UDP)
    assert message.step(Input.RESPONSE_1XX) == ()
    message.until(4)
    assert message.step(Input.RESPONSE_1XX) == ()
    assert message.sent == [(3.5, Effect.SEND_TRYING)]


@pytest.mark.rfc("3261", "17.2.2-5")
@pytest.mark.parametrize("final", FINALS)
def test_a_final_response_after_the_100_completes_it(play, final):
    message = play(NONINVITE_SERVER, UDP)
    message.until(10)
    message.step(final)
    message.until(100)
    assert message.sent == [(3.5, Effect.SEND_TRYING), (10, Effect.SEND)]
    assert message.told[-1] == (42, Effect.END)


@pytest.mark.rfc("4320", "4.2")
def test_a_user_without_an_answer_stays_silent_and_repetitions_are_no_new_requests(play):
    message = play(NONINVITE_SERVER, UDP)
    message.until(2)
    message.step(Input.ABANDONED)
    message.until(30)
    assert message.sent == []
    message.step(Input.REQUEST)  # RESEND, of nothing
    message.until(100)
    assert message.told == [(0, Effect.PASS), (34, Effect.END)]
    assert message.times(Effect.SEND) == []


@pytest.mark.rfc("4320", "4.2")
def test_it_may_give_up_after_the_100_too(play):
    message = play(NONINVITE_SERVER, TCP)
    message.until(32)
    message.step(Input.ABANDONED)
    message.until(32)
    assert message.sent == [(3.5, Effect.SEND_TRYING)]
    assert message.told == [(0, Effect.PASS), (32, Effect.END)]


@pytest.mark.rfc("6026", "8.8")
@pytest.mark.parametrize("trying", [True, False], ids=["proceeding", "completed"])
def test_a_response_that_cannot_be_sent_is_told_and_ends_nothing(play, trying):
    message = play(NONINVITE_SERVER, UDP)
    message.until(4 if trying else 1)
    if not trying:
        message.step(Input.RESPONSE_2XX)
    state = message.state
    assert message.step(Input.TRANSPORT_ERROR) == (Effect.UNREACHABLE,)
    assert message.state is state
