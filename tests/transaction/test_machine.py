"""What holds for all four tables."""

from types import ModuleType

import pytest

from sipcgi.transaction import invite_client, invite_server, noninvite_client, noninvite_server
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_client import INVITE_CLIENT
from sipcgi.transaction.invite_server import INVITE_SERVER
from sipcgi.transaction.machine import Effects, Input, Machine, State, ignored
from sipcgi.transaction.noninvite_client import NONINVITE_CLIENT
from sipcgi.transaction.noninvite_server import NONINVITE_SERVER
from sipcgi.transaction.timers import FIRES

MACHINES: list[tuple[ModuleType, Machine]] = [
    (invite_client, INVITE_CLIENT),
    (invite_server, INVITE_SERVER),
    (noninvite_client, NONINVITE_CLIENT),
    (noninvite_server, NONINVITE_SERVER),
]
every_machine = pytest.mark.parametrize(
    ("room", "kind"), MACHINES, ids=[room.__name__.rpartition(".")[2] for room, _ in MACHINES]
)

RETRANSMISSIONS = {Input.TIMER_A, Input.TIMER_E, Input.TIMER_G}
Running = tuple[Input | None, Input | None]


def run(running: Running, effects: Effects) -> Running:
    """The two timers that run after these effects."""
    retransmission, other = running
    for effect in effects:
        fires = FIRES.get(effect)
        if effect is Effect.END:
            retransmission = other = None
        elif fires in RETRANSMISSIONS:
            assert retransmission is None, "started while it runs"
            retransmission = fires
        elif fires is not None:
            other = fires
        elif effect.name.startswith("STOP_"):
            stopped = Input[effect.name.replace("STOP_", "TIMER_")]
            if stopped in RETRANSMISSIONS:
                assert retransmission in (None, stopped), "a timer is stopped by its own name"
                retransmission = None
            else:
                assert other in (None, stopped), "a timer is stopped by its own name"
                other = None
    return retransmission, other


def situations(kind: Machine) -> set[tuple[State, Running]]:
    """All states that can be reached, with the timers that run there: a timer only fires while it runs."""
    found: set[tuple[State, Running]] = set()
    waiting = [(kind.initial, run((None, None), kind.entry))]
    while waiting:
        state, running = waiting.pop()
        if (state, running) in found:
            continue
        found.add((state, running))
        for happens, (after, effects) in kind.table[state].items():
            retransmission, other = running
            if happens in FIRES.values():
                if happens not in running:
                    continue
                retransmission = None if happens is retransmission else retransmission
                other = None if happens is other else other
            waiting.append((after, run((retransmission, other), effects)))
    return found


@every_machine
def test_there_is_a_row_for_each_state_and_input(room: ModuleType, kind: Machine) -> None:
    assert room.TABLE is kind.table
    assert set(room.TABLE) == set(room.STATES)
    assert len(set(room.STATES)) == len(room.STATES)
    for state in room.STATES:
        assert set(room.TABLE[state]) == set(room.INPUTS), state


@every_machine
def test_every_state_is_reached_and_every_situation_ends(room: ModuleType, kind: Machine) -> None:
    reached = situations(kind)
    assert {state for state, _ in reached} == set(room.STATES)
    for state, (_, other) in reached:
        if state is State.TERMINATED:
            assert other is None
        elif state not in (State.TRYING, State.PROCEEDING):  # where a server waits for its user, a client for its peer
            assert other is not None, f"nothing ends {state}"


@every_machine
def test_no_timer_fires_where_the_table_ignores_it(room: ModuleType, kind: Machine) -> None:
    for state, running in situations(kind):
        for timer in running:
            if timer is not None:
                assert kind.table[state][timer] != (state, ()), (state, timer)


@every_machine
def test_the_end_is_told_once_and_is_final(room: ModuleType, kind: Machine) -> None:
    for state, row in room.TABLE.items():
        for after, effects in row.values():
            assert (Effect.END in effects) == (after is State.TERMINATED and state is not State.TERMINATED)
    assert all(room.TABLE[State.TERMINATED][happens] == (State.TERMINATED, ()) for happens in room.INPUTS)


def test_ignored_rows_keep_the_state_and_do_nothing() -> None:
    assert ignored(State.CALLING, Input.ACK) == {Input.ACK: (State.CALLING, ())}
