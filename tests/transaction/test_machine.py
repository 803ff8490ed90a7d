"""What holds for all four tables."""

from types import ModuleType

import pytest

from sipcgi.transaction import invite_client, invite_server, noninvite_client, noninvite_server
from sipcgi.transaction.effects import Effect
from sipcgi.transaction.invite_client import InviteClient
from sipcgi.transaction.invite_server import InviteServer
from sipcgi.transaction.machine import Effects, Input, Machine, State, ignored, response_input
from sipcgi.transaction.noninvite_client import NonInviteClient
from sipcgi.transaction.noninvite_server import NonInviteServer
from sipcgi.transaction.timers import FIRES

MACHINES: list[tuple[ModuleType, type[Machine]]] = [
    (invite_client, InviteClient),
    (invite_server, InviteServer),
    (noninvite_client, NonInviteClient),
    (noninvite_server, NonInviteServer),
]
every_machine = pytest.mark.parametrize(("room", "kind"), MACHINES, ids=[kind.__name__ for _, kind in MACHINES])

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


def situations(kind: type[Machine]) -> set[tuple[State, Running]]:
    """All states that can be reached, with the timers that run there: a timer only fires while it runs."""
    found: set[tuple[State, Running]] = set()
    waiting = [(kind.INITIAL, run((None, None), kind.ENTRY))]
    while waiting:
        state, running = waiting.pop()
        if (state, running) in found:
            continue
        found.add((state, running))
        for happens, (after, effects) in kind.TABLE[state].items():
            retransmission, other = running
            if happens in FIRES.values():
                if happens not in running:
                    continue
                retransmission = None if happens is retransmission else retransmission
                other = None if happens is other else other
            waiting.append((after, run((retransmission, other), effects)))
    return found


@every_machine
def test_there_is_a_row_for_each_state_and_input(room: ModuleType, kind: type[Machine]) -> None:
    assert room.TABLE is kind.TABLE
    assert set(room.TABLE) == set(room.STATES)
    assert len(set(room.STATES)) == len(room.STATES)
    for state in room.STATES:
        assert set(room.TABLE[state]) == set(room.INPUTS), state


@every_machine
def test_every_state_is_reached_and_every_situation_ends(room: ModuleType, kind: type[Machine]) -> None:
    reached = situations(kind)
    assert {state for state, _ in reached} == set(room.STATES)
    for state, (_, other) in reached:
        if state is State.TERMINATED:
            assert other is None
        elif state not in (State.TRYING, State.PROCEEDING):  # where a server waits for its user, a client for its peer
            assert other is not None, f"nothing ends {state}"


@every_machine
def test_no_timer_fires_where_the_table_ignores_it(room: ModuleType, kind: type[Machine]) -> None:
    for state, running in situations(kind):
        for timer in running:
            if timer is not None:
                assert kind.TABLE[state][timer] != (state, ()), (state, timer)


@every_machine
def test_the_end_is_told_once_and_is_final(room: ModuleType, kind: type[Machine]) -> None:
    for state, row in room.TABLE.items():
        for after, effects in row.values():
            assert (Effect.END in effects) == (after is State.TERMINATED and state is not State.TERMINATED)
    assert all(room.TABLE[State.TERMINATED][happens] == (State.TERMINATED, ()) for happens in room.INPUTS)


@every_machine
def test_a_machine_is_one_slot(room: ModuleType, kind: type[Machine]) -> None:
    machine = kind()
    assert machine.state is kind.INITIAL
    assert not hasattr(machine, "__dict__")


def test_a_step_takes_the_machine_on_and_returns_what_is_to_be_done() -> None:
    machine = InviteClient()
    assert machine.step(Input.RESPONSE_1XX) == (Effect.STOP_A, Effect.STOP_B, Effect.PASS)
    assert machine.state is State.PROCEEDING


def test_an_input_of_another_machine_is_a_bug() -> None:
    with pytest.raises(KeyError):
        InviteClient().step(Input.ACK)


@pytest.mark.parametrize(
    ("status", "happens"),
    [
        (100, Input.RESPONSE_1XX),
        (199, Input.RESPONSE_1XX),
        (200, Input.RESPONSE_2XX),
        (299, Input.RESPONSE_2XX),
        (300, Input.RESPONSE_300_699),
        (699, Input.RESPONSE_300_699),
    ],
)
def test_the_status_says_which_input_a_response_is(status: int, happens: Input) -> None:
    assert response_input(status) is happens


def test_ignored_rows_keep_the_state_and_do_nothing() -> None:
    assert ignored(State.CALLING, Input.ACK) == {Input.ACK: (State.CALLING, ())}
