"""A transaction as a table: what the four machines of RFC 3261 section 17, as RFC 6026 corrects it, have in common.

A table has a row for each state and each input that its machine can meet there, the ignored ones too.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

from sipcgi.transaction.effects import Effect


class State(Enum):
    """The boxes of RFC 3261 figures 5 to 8; ACCEPTED is of RFC 6026."""

    __hash__ = object.__hash__  # members are single objects; the hash of Enum itself is Python code

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(Enum):
    """What can happen to a transaction."""

    __hash__ = object.__hash__

    RESPONSE_1XX = auto()
    """A provisional response: received by a client, given by the user of a server; the next two likewise."""
    RESPONSE_2XX = auto()
    RESPONSE_300_699 = auto()
    REQUEST = auto()
    """A server received its request once more."""
    ACK = auto()
    """A server received an ACK that matches its INVITE."""
    ABANDONED = auto()
    """The user of a server will give no final response (RFC 4320 4.2)."""
    TRANSPORT_ERROR = auto()
    """A message could not be sent (17.1.4, 17.2.4)."""

    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    TIMER_TRYING = auto()


Effects = tuple[Effect, ...]
Row = Mapping[Input, tuple[State, Effects]]
Table = Mapping[State, Row]


def ignored(state: State, *inputs: Input) -> Row:
    """The part of a row that says: in this state these change nothing and do nothing."""
    return dict.fromkeys(inputs, (state, ()))


class Machine(NamedTuple):
    """What all transactions of one kind go by; engine/steps makes it ready to be walked.

    A new transaction performs `entry`, the arrow into its first state, and then, at each input, what the table has for
    it in the state where it is.
    """

    table: Table
    initial: State
    entry: Effects
