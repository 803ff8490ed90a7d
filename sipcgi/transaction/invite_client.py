"""The INVITE client transaction: RFC 3261 17.1.1 with figure 5 of RFC 6026."""

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input, Machine, State, Table, ignored

#                                     |INVITE from TU
#                   Timer A fires     |INVITE sent      Timer B fires
#                   Reset A,          V                 or Transport Err.
#                   INVITE sent +-----------+           inform TU
#                     +---------|           |--------------------------+
#                     |         |  Calling  |                          |
#                     +-------->|           |-----------+              |
#    300-699                    +-----------+ 2xx       |              |
#    ACK sent                      |  |       2xx to TU |              |
#    resp. to TU                   |  |1xx              |              |
#    +-----------------------------+  |1xx to TU        |              |
#    |                                |                 |              |
#    |                1xx             V                 |              |
#    |                1xx to TU +-----------+           |              |
#    |                +---------|           |           |              |
#    |                |         |Proceeding |           |              |
#    |                +-------->|           |           |              |
#    |                          +-----------+ 2xx       |              |
#    |         300-699             |    |     2xx to TU |              |
#    |         ACK sent,  +--------+    +---------------+              |
#    |         resp. to TU|                             |              |
#    |                    |                             |              |
#    |                    V                             V              |
#    |              +-----------+                   +----------+       |
#    +------------->|           |Transport Err.     |          |       |
#                   | Completed |Inform TU          | Accepted |       |
#                +--|           |-------+           |          |-+     |
#        300-699 |  +-----------+       |           +----------+ |     |
#        ACK sent|    ^  |              |               |  ^     |     |
#                |    |  |              |               |  |     |     |
#                +----+  |              |               |  +-----+     |
#                        |Timer D fires |  Timer M fires|    2xx       |
#                        |-             |             - |    2xx to TU |
#                        +--------+     |   +-----------+              |
#                                 V     V   V                          |
#                                +------------+                        |
#                                | Terminated |<-----------------------+
#                                +------------+

STATES = (State.CALLING, State.PROCEEDING, State.COMPLETED, State.ACCEPTED, State.TERMINATED)

INPUTS = (
    Input.RESPONSE_1XX,
    Input.RESPONSE_2XX,
    Input.RESPONSE_300_699,
    Input.TRANSPORT_ERROR,
    Input.TIMER_A,
    Input.TIMER_B,
    Input.TIMER_D,
    Input.TIMER_M,
)

TABLE: Table = {
    State.CALLING: {
        Input.TIMER_A: (State.CALLING, (Effect.DOUBLE_A, Effect.RESEND)),
        Input.TIMER_B: (State.TERMINATED, (Effect.END, Effect.TIMEOUT)),
        Input.TRANSPORT_ERROR: (State.TERMINATED, (Effect.END, Effect.UNREACHABLE)),
        Input.RESPONSE_1XX: (State.PROCEEDING, (Effect.STOP_A, Effect.STOP_B, Effect.PASS)),
        Input.RESPONSE_2XX: (State.ACCEPTED, (Effect.STOP_A, Effect.START_M, Effect.PASS)),
        # The response before its ACK, so that the user has it when the ACK cannot be sent.
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.STOP_A, Effect.START_D, Effect.PASS, Effect.SEND_ACK)),
        **ignored(State.CALLING, Input.TIMER_D, Input.TIMER_M),
    },
    State.PROCEEDING: {
        Input.RESPONSE_1XX: (State.PROCEEDING, (Effect.PASS,)),
        Input.RESPONSE_2XX: (State.ACCEPTED, (Effect.START_M, Effect.PASS)),
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.START_D, Effect.PASS, Effect.SEND_ACK)),
        # Nothing is sent here: an error that comes late is of an INVITE that was answered.
        **ignored(State.PROCEEDING, Input.TRANSPORT_ERROR),
        **ignored(State.PROCEEDING, Input.TIMER_A, Input.TIMER_B, Input.TIMER_D, Input.TIMER_M),
    },
    State.COMPLETED: {
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.SEND_ACK,)),
        Input.TRANSPORT_ERROR: (State.TERMINATED, (Effect.END, Effect.UNREACHABLE)),
        Input.TIMER_D: (State.TERMINATED, (Effect.END,)),
        # Not in the figure: a 2xx that crossed the refusal downstream. A proxy forwards every 2xx (16.7 item 5).
        Input.RESPONSE_2XX: (State.COMPLETED, (Effect.PASS,)),
        **ignored(State.COMPLETED, Input.RESPONSE_1XX, Input.TIMER_A, Input.TIMER_B, Input.TIMER_M),
    },
    State.ACCEPTED: {
        Input.RESPONSE_2XX: (State.ACCEPTED, (Effect.PASS,)),
        Input.TIMER_M: (State.TERMINATED, (Effect.END,)),
        **ignored(State.ACCEPTED, Input.RESPONSE_1XX, Input.RESPONSE_300_699, Input.TRANSPORT_ERROR),
        **ignored(State.ACCEPTED, Input.TIMER_A, Input.TIMER_B, Input.TIMER_D),
    },
    State.TERMINATED: ignored(State.TERMINATED, *INPUTS),
}

INVITE_CLIENT = Machine(TABLE, State.CALLING, (Effect.START_A, Effect.START_B, Effect.SEND))
"""Sends an INVITE until it is answered, and ACKs a refusal; the ACK of a 2xx is the user's (17.1.1.2)."""
