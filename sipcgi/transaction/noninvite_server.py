"""The non-INVITE server transaction: RFC 3261 17.2.2, figure 8, within the limits of RFC 4320 section 4."""

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input, Machine, State, Table, ignored

#                                   |Request received
#                                   |pass to TU
#                                   V
#                             +-----------+
#                             |           |
#                             | Trying    |-------------+
#                             |           |             |
#                             +-----------+             |200-699 from TU
#                                   |                   |send response
#                                   |1xx from TU        |
#                                   |send response      |
#                                   |                   |
#                Request            V      1xx from TU  |
#                send response+-----------+send response|
#                    +--------|           |--------+    |
#                    |        | Proceeding|        |    |
#                    +------->|           |<-------+    |
#             +<--------------|           |             |
#             |Trnsprt Err    +-----------+             |
#             |Inform TU            |                   |
#             |                     |200-699 from TU    |
#             |                     |send response      |
#             |  Request            V                   |
#             |  send response+-----------+             |
#             |      +--------|           |             |
#             |      |        | Completed |<------------+
#             |      +------->|           |
#             +<--------------|           |
#             |Trnsprt Err    +-----------+
#             |Inform TU            |Timer J fires
#             |                     |-
#             |                     V
#             |               +-----------+
#             +-------------->| Terminated|
#                             +-----------+
#
# Where the table differs:
# - RFC 4320 4.1: the user's provisional responses never leave. The only one is the 100 that is due when the client's
#   Timer E has reached T2 (TIMER_TRYING).
# - RFC 4320 4.2: a user that has no answer in time stays silent (ABANDONED). The transaction remains to absorb the
#   request's retransmissions, which would else be new requests.
# - RFC 6026 8.8 (RFC 3261 17.2.4): after a transport error the transaction stays in its state.

STATES = (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED)

INPUTS = (
    Input.REQUEST,
    Input.RESPONSE_1XX,
    Input.RESPONSE_2XX,
    Input.RESPONSE_300_699,
    Input.ABANDONED,
    Input.TRANSPORT_ERROR,
    Input.TIMER_J,
    Input.TIMER_TRYING,
)

TABLE: Table = {
    State.TRYING: {
        Input.TIMER_TRYING: (State.PROCEEDING, (Effect.SEND_TRYING,)),
        Input.RESPONSE_2XX: (State.COMPLETED, (Effect.START_J, Effect.SEND)),
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.START_J, Effect.SEND)),
        Input.ABANDONED: (State.COMPLETED, (Effect.START_J,)),
        **ignored(State.TRYING, Input.REQUEST, Input.RESPONSE_1XX, Input.TRANSPORT_ERROR, Input.TIMER_J),
    },
    State.PROCEEDING: {
        Input.REQUEST: (State.PROCEEDING, (Effect.RESEND,)),
        Input.RESPONSE_2XX: (State.COMPLETED, (Effect.START_J, Effect.SEND)),
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.START_J, Effect.SEND)),
        Input.ABANDONED: (State.COMPLETED, (Effect.START_J,)),
        Input.TRANSPORT_ERROR: (State.PROCEEDING, (Effect.UNREACHABLE,)),
        **ignored(State.PROCEEDING, Input.RESPONSE_1XX, Input.TIMER_J, Input.TIMER_TRYING),
    },
    State.COMPLETED: {
        Input.REQUEST: (State.COMPLETED, (Effect.RESEND,)),
        Input.TRANSPORT_ERROR: (State.COMPLETED, (Effect.UNREACHABLE,)),
        Input.TIMER_J: (State.TERMINATED, (Effect.END,)),
        **ignored(State.COMPLETED, Input.RESPONSE_1XX, Input.RESPONSE_2XX, Input.RESPONSE_300_699),
        **ignored(State.COMPLETED, Input.ABANDONED, Input.TIMER_TRYING),
    },
    State.TERMINATED: ignored(State.TERMINATED, *INPUTS),
}

NONINVITE_SERVER = Machine(TABLE, State.TRYING, (Effect.START_LATE_TRYING, Effect.PASS))
"""Answers a request that is neither INVITE nor ACK once, and again when it comes again (17.2.2)."""
