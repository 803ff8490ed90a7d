"""The INVITE server transaction: RFC 3261 17.2.1 with figure 7 of RFC 6026."""

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input, Machine, State, Table, ignored

#                                       |INVITE
#                                       |pass INV to TU
#                    INVITE             V send 100 if TU won't in 200 ms
#                    send response+------------+
#                        +--------|            |--------+ 101-199 from TU
#                        |        |            |        | send response
#                        +------->|            |<-------+
#                                 | Proceeding |
#                                 |            |--------+ Transport Err.
#                                 |            |        | Inform TU
#                                 |            |<-------+
#                                 +------------+
#                    300-699 from TU |    |2xx from TU
#                    send response   |    |send response
#                     +--------------+    +------------+
#                     |                                |
#    INVITE           V          Timer G fires         |
#    send response +-----------+ send response         |
#         +--------|           |--------+              |
#         |        |           |        |              |
#         +------->| Completed |<-------+      INVITE  |  Transport Err.
#                  |           |               -       |  Inform TU
#         +--------|           |----+          +-----+ |  +---+
#         |        +-----------+    | ACK      |     | v  |   v
#         |          ^   |          | -        |  +------------+
#         |          |   |          |          |  |            |---+ ACK
#         +----------+   |          |          +->|  Accepted  |   | to TU
#         Transport Err. |          |             |            |<--+
#         Inform TU      |          V             +------------+
#                        |      +-----------+        |  ^     |
#                        |      |           |        |  |     |
#                        |      | Confirmed |        |  +-----+
#                        |      |           |        |  2xx from TU
#          Timer H fires |      +-----------+        |  send response
#          -             |          |                |
#                        |          | Timer I fires  |
#                        |          | -              | Timer L fires
#                        |          V                | -
#                        |        +------------+     |
#                        |        |            |<----+
#                        +------->| Terminated |
#                                 |            |
#                                 +------------+

STATES = (State.PROCEEDING, State.COMPLETED, State.CONFIRMED, State.ACCEPTED, State.TERMINATED)

INPUTS = (
    Input.REQUEST,
    Input.ACK,
    Input.RESPONSE_1XX,
    Input.RESPONSE_2XX,
    Input.RESPONSE_300_699,
    Input.TRANSPORT_ERROR,
    Input.TIMER_G,
    Input.TIMER_H,
    Input.TIMER_I,
    Input.TIMER_L,
    Input.TIMER_TRYING,
)

TABLE: Table = {
    State.PROCEEDING: {
        Input.TIMER_TRYING: (State.PROCEEDING, (Effect.SEND_TRYING,)),
        Input.REQUEST: (State.PROCEEDING, (Effect.RESEND,)),
        Input.RESPONSE_1XX: (State.PROCEEDING, (Effect.STOP_TRYING, Effect.SEND)),
        Input.RESPONSE_2XX: (State.ACCEPTED, (Effect.START_L, Effect.SEND)),
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.START_G, Effect.START_H, Effect.SEND)),
        Input.TRANSPORT_ERROR: (State.PROCEEDING, (Effect.UNREACHABLE,)),
        **ignored(State.PROCEEDING, Input.ACK, Input.TIMER_G, Input.TIMER_H, Input.TIMER_I, Input.TIMER_L),
    },
    State.COMPLETED: {
        Input.REQUEST: (State.COMPLETED, (Effect.RESEND,)),
        Input.ACK: (State.CONFIRMED, (Effect.STOP_G, Effect.START_I)),
        Input.TIMER_G: (State.COMPLETED, (Effect.DOUBLE_G, Effect.RESEND)),
        # The figure of RFC 6026 tells nobody, but the sentence of RFC 3261 17.2.1 stands: the user MUST be told.
        Input.TIMER_H: (State.TERMINATED, (Effect.END, Effect.TIMEOUT)),
        Input.TRANSPORT_ERROR: (State.COMPLETED, (Effect.UNREACHABLE,)),
        # Not in the figure: a proxy forwards a 2xx also after another final response (16.7 item 5).
        Input.RESPONSE_2XX: (State.COMPLETED, (Effect.SEND_BESIDE,)),
        **ignored(State.COMPLETED, Input.RESPONSE_1XX, Input.RESPONSE_300_699),
        **ignored(State.COMPLETED, Input.TIMER_I, Input.TIMER_L, Input.TIMER_TRYING),
    },
    State.CONFIRMED: {
        Input.TIMER_I: (State.TERMINATED, (Effect.END,)),
        Input.RESPONSE_2XX: (State.CONFIRMED, (Effect.SEND_BESIDE,)),  # as in Completed
        # Additional ACKs are absorbed, and a late INVITE is older than the ACK that was seen.
        **ignored(State.CONFIRMED, Input.ACK, Input.REQUEST, Input.RESPONSE_1XX, Input.RESPONSE_300_699),
        **ignored(State.CONFIRMED, Input.TRANSPORT_ERROR, Input.TIMER_G, Input.TIMER_H, Input.TIMER_L),
        **ignored(State.CONFIRMED, Input.TIMER_TRYING),
    },
    State.ACCEPTED: {
        Input.ACK: (State.ACCEPTED, (Effect.PASS,)),
        Input.RESPONSE_2XX: (State.ACCEPTED, (Effect.SEND,)),
        Input.TIMER_L: (State.TERMINATED, (Effect.END,)),
        Input.TRANSPORT_ERROR: (State.ACCEPTED, (Effect.UNREACHABLE,)),
        # The 2xx is sent again by the core of the UAS, never here (RFC 6026 7.1).
        **ignored(State.ACCEPTED, Input.REQUEST, Input.RESPONSE_1XX, Input.RESPONSE_300_699),
        **ignored(State.ACCEPTED, Input.TIMER_G, Input.TIMER_H, Input.TIMER_I, Input.TIMER_TRYING),
    },
    State.TERMINATED: ignored(State.TERMINATED, *INPUTS),
}

INVITE_SERVER = Machine(TABLE, State.PROCEEDING, (Effect.START_TRYING, Effect.PASS))
"""Answers an INVITE and, when it is refused, waits for the ACK; a transport error ends nothing (RFC 6026 7.1)."""
