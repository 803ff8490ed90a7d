"""The INVITE server transaction, figure 7 of RFC 6026."""

import pytest

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_server import INVITE_SERVER
from sipcgi.transaction.machine import Input, State
from sipcgi.transaction.timers import Timers

UDP = Timers()
TCP = Timers(reliable=True)
BOTH = pytest.mark.parametrize("timers", [UDP, TCP], ids=["udp", "tcp"])


@pytest.mark.rfc("3261", "17.2.1-1", "17.2.1-3")
@BOTH
def test_an_invite_is_passed_and_a_100_leaves_after_200_ms(play, timers):
    invite = play(INVITE_SERVER, timers)
    invite.until(100)
    assert invite.told == [(0, Effect.PASS)]
    assert invite.sent == [(0.2, Effect.SEND_TRYING)]
    assert invite.state is State.PROCEEDING


@pytest.mark.rfc("3261", "17.2.1-1")
@pytest.mark.parametrize("answer", [Input.RESPONSE_1XX, Input.RESPONSE_2XX])
def test_no_100_leaves_when_the_user_was_faster(play, answer):
    invite = play(INVITE_SERVER, UDP)
    invite.until(0.1)
    invite.step(answer)
    invite.until(30)
    assert invite.sent == [(0.1, Effect.SEND)]


@pytest.mark.rfc("3261", "17.2.1-4", "17.2.1-5")
def test_a_repeated_invite_gets_the_last_provisional_response_and_is_not_passed(play):
    invite = play(INVITE_SERVER, UDP)
    assert invite.step(Input.RESPONSE_1XX)[-1] is Effect.SEND
    assert invite.step(Input.REQUEST) == (Effect.RESEND,)
    assert invite.step(Input.RESPONSE_1XX)[-1] is Effect.SEND
    assert invite.state is State.PROCEEDING
    assert invite.told == [(0, Effect.PASS)]


@pytest.mark.rfc("3261", "17.2.1-8", "17.2.1-9", "17.2.1-12")
def test_a_refusal_is_repeated_up_to_every_t2_until_timer_h_tells_that_no_ack_came(play):
    invite = play(INVITE_SERVER, UDP)
    invite.step(Input.RESPONSE_300_699)
    assert invite.state is State.COMPLETED
    invite.until(100)
    assert invite.times(Effect.RESEND) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert invite.told == [(0, Effect.PASS), (32, Effect.END), (32, Effect.TIMEOUT)]


@pytest.mark.rfc("3261", "17.2.1-8", "17.2.1-9")
def test_over_tcp_a_refusal_is_sent_once_and_waits_for_its_ack_all_the_same(play):
    invite = play(INVITE_SERVER, TCP)
    invite.step(Input.RESPONSE_300_699)
    invite.until(100)
    assert invite.sent == [(0, Effect.SEND)]
    assert invite.told[1:] == [(32, Effect.END), (32, Effect.TIMEOUT)]


@pytest.mark.rfc("3261", "17.2.1-10")
def test_a_repeated_invite_gets_the_refusal_again(play):
    invite = play(INVITE_SERVER, UDP)
    invite.step(Input.RESPONSE_300_699)
    assert invite.step(Input.REQUEST) == (Effect.RESEND,)


@pytest.mark.rfc("3261", "17.2.1-11", "17.2.1-13")
def test_the_ack_of_a_refusal_is_absorbed_and_ends_the_repetitions(play):
    invite = play(INVITE_SERVER, UDP)
    invite.step(Input.RESPONSE_300_699)
    invite.until(1)
    invite.step(Input.ACK)
    assert invite.state is State.CONFIRMED
    assert [invite.step(late) for late in (Input.ACK, Input.REQUEST)] == [(), ()]
    invite.until(100)
    assert invite.times(Effect.RESEND) == [0.5]
    assert invite.told == [(0, Effect.PASS), (6, Effect.END)]


@pytest.mark.rfc("3261", "17.2.1")
def test_over_tcp_the_ack_of_a_refusal_ends_it(play):
    invite = play(INVITE_SERVER, TCP)
    invite.step(Input.RESPONSE_300_699)
    invite.until(1)
    invite.step(Input.ACK)
    invite.until(1)
    assert invite.told == [(0, Effect.PASS), (1, Effect.END)]


@pytest.mark.rfc("3261", "17.2.1-6")
@pytest.mark.rfc("6026", "7.1-1", "7.1-2", "7.1-3", "7.1-4", "7.1-5", "8.5-1", "8.5-2", "8.7-1", "8.7-2", "8.7-3")
@BOTH
def test_after_a_2xx_repeated_invites_are_absorbed_and_every_2xx_and_ack_goes_through(play, timers):
    invite = play(INVITE_SERVER, timers)
    assert invite.step(Input.RESPONSE_2XX)[-1] is Effect.SEND
    assert invite.state is State.ACCEPTED
    assert invite.step(Input.REQUEST) == ()
    assert invite.step(Input.RESPONSE_2XX) == (Effect.SEND,)
    assert invite.step(Input.ACK) == (Effect.PASS,)
    assert invite.step(Input.ACK) == (Effect.PASS,)
    invite.until(100)
    assert invite.sent == [(0, Effect.SEND), (0, Effect.SEND)], "the 2xx is repeated by the user, not here"
    assert invite.told[-1] == (32, Effect.END)


@pytest.mark.rfc("3261", "17.2.1")
@pytest.mark.parametrize("first", [Input.RESPONSE_2XX, Input.RESPONSE_300_699])
@pytest.mark.parametrize("second", [Input.RESPONSE_1XX, Input.RESPONSE_300_699])
def test_what_the_user_says_after_a_final_response_is_dropped(play, first, second):
    invite = play(INVITE_SERVER, UDP)
    invite.step(first)
    assert invite.step(second) == ()


@pytest.mark.rfc("3261", "16.7")
@pytest.mark.parametrize(("acknowledged", "state"), [((), State.COMPLETED), ((Input.ACK,), State.CONFIRMED)])
def test_a_2xx_that_crossed_a_refusal_leaves_while_the_refusal_remains_the_one_to_repeat(play, acknowledged, state):
    invite = play(INVITE_SERVER, UDP)
    for happens in (Input.RESPONSE_300_699, *acknowledged):
        invite.step(happens)
    assert invite.step(Input.RESPONSE_2XX) == (Effect.SEND_BESIDE,)
    assert invite.state is state


@pytest.mark.rfc("6026", "7.1-7", "7.1-8", "8.8-1")
@pytest.mark.parametrize(
    ("first", "state"),
    [
        ((), State.PROCEEDING),
        ((Input.RESPONSE_300_699,), State.COMPLETED),
        ((Input.RESPONSE_2XX,), State.ACCEPTED),
    ],
)
def test_a_response_that_cannot_be_sent_is_told_and_ends_nothing(play, first, state):
    invite = play(INVITE_SERVER, UDP)
    for happens in first:
        invite.step(happens)
    assert invite.step(Input.TRANSPORT_ERROR) == (Effect.UNREACHABLE,)
    assert invite.state is state


def test_an_ack_before_any_final_response_is_nothing(play):
    assert play(INVITE_SERVER, UDP).step(Input.ACK) == ()
