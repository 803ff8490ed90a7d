"""The effects: each is of use, and each timer has all it needs."""

import pytest

from sipcgi.transaction import invite_client, invite_server, noninvite_client, noninvite_server
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Effects, Input
from sipcgi.transaction.timers import FIRES

ROOMS = (invite_client, invite_server, noninvite_client, noninvite_server)
ENTRIES: tuple[Effects, ...] = (
    invite_client.INVITE_CLIENT.entry,
    invite_server.INVITE_SERVER.entry,
    noninvite_client.NONINVITE_CLIENT.entry,
    noninvite_server.NONINVITE_SERVER.entry,
)


def rows() -> list[Effects]:
    return [*ENTRIES, *(effects for room in ROOMS for row in room.TABLE.values() for _, effects in row.values())]


def test_every_effect_is_in_some_row() -> None:
    assert {effect for effects in rows() for effect in effects} == set(Effect)


def test_every_timer_that_is_started_fires_an_input_of_its_name() -> None:
    started = {effect for effect in Effect if effect.name.startswith(("START_", "DOUBLE_", "SLOW_"))}
    assert set(FIRES) == started
    for effect, happens in FIRES.items():
        assert happens.name.removeprefix("TIMER_") == effect.name.rpartition("_")[2]


def test_every_timer_input_is_fired_by_some_effect() -> None:
    assert {one for one in Input if one.name.startswith("TIMER_")} == set(FIRES.values())


@pytest.mark.parametrize("effects", rows(), ids=lambda effects: " ".join(one.name for one in effects) or "ignored")
def test_timers_come_before_what_is_sent_and_that_before_what_the_user_is_told(effects: Effects) -> None:
    def turn(effect: Effect) -> int:
        if effect in (Effect.PASS, Effect.TIMEOUT, Effect.UNREACHABLE):
            return 2
        if effect is Effect.SEND_ACK:
            return 3  # the response is the user's, also when its ACK cannot be sent
        return 1 if effect.name.startswith(("SEND", "RESEND")) else 0

    turns = [turn(effect) for effect in effects]
    assert turns == sorted(turns)


def test_members_hash_without_python_code() -> None:
    assert Effect.__hash__ is object.__hash__
    assert Input.__hash__ is object.__hash__
