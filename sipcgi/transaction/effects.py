"""What a transaction machine asks to be done: the one vocabulary between the tables and engine/transaction.

The members of a row are performed in order; rows put timers first, then what is sent, then what the user is told, for
both sending (an error) and telling (an answer) may step the machine again. Only SEND_ACK comes after PASS.

A transaction needs two places for timers: one for the retransmissions (A, E, G), always free when they are started, and
one for all others, of which a START ends the one that ran before it. END stops both. How long each lasts, and that A, E
and G do not run on reliable transports, says timers.Timers.
"""

from enum import Enum, auto


class Effect(Enum):
    """One thing to do."""

    __hash__ = object.__hash__  # members are single objects; the hash of Enum itself is Python code

    SEND = auto()
    """Send the message that came with the input, and keep its octets for RESEND."""
    SEND_BESIDE = auto()
    """Send the message that came with the input; RESEND goes on sending the earlier one."""
    RESEND = auto()
    """Send the last message again; nothing, when none was sent yet."""
    SEND_ACK = auto()
    """Send the ACK of a 300-699 to an INVITE: made from the first such response, then its octets again (17.1.1.3)."""
    SEND_TRYING = auto()
    """Make a 100 (Trying), send it, and keep its octets for RESEND."""

    PASS = auto()
    """Hand the message that came with the input to the user."""
    TIMEOUT = auto()
    """Tell the user: no final response came (a client), no ACK came (a server)."""
    UNREACHABLE = auto()
    """Tell the user: the message could not be sent."""
    END = auto()
    """The transaction is terminated: stop its timers and forget it at once."""

    START_A = auto()
    START_B = auto()
    START_D = auto()
    START_E = auto()
    START_F = auto()
    START_G = auto()
    START_H = auto()
    START_I = auto()
    START_J = auto()
    START_K = auto()
    START_L = auto()
    START_M = auto()
    START_TRYING = auto()
    """Start the timer for the 100 to an INVITE (RFC 3261 17.2.1)."""
    START_LATE_TRYING = auto()
    """Start the timer for the 100 to another request (RFC 4320 4.1); it fires the same input."""

    DOUBLE_A = auto()
    """Start A again with twice its interval."""
    DOUBLE_E = auto()
    """Start E again with twice its interval, T2 at most."""
    SLOW_E = auto()
    """Start E again with T2."""
    DOUBLE_G = auto()
    """Start G again with twice its interval, T2 at most."""

    STOP_A = auto()
    STOP_B = auto()
    STOP_E = auto()
    STOP_G = auto()
    STOP_TRYING = auto()
