"""The non-INVITE client transaction: RFC 3261 17.1.2, figure 6."""

from sipcgi.transaction.effects import Effect
from sipcgi.transaction.machine import Input, Machine, State, Table, ignored

#                                    |Request from TU
#                                    |send request
#                Timer E             V
#                send request  +-----------+
#                    +---------|           |-------------------+
#                    |         |  Trying   |  Timer F          |
#                    +-------->|           |  or Transport Err.|
#                              +-----------+  inform TU        |
#                 200-699         |  |                         |
#                 resp. to TU     |  |1xx                      |
#                 +---------------+  |resp. to TU              |
#                 |                  |                         |
#                 |   Timer E        V       Timer F           |
#                 |   send req +-----------+ or Transport Err. |
#                 |  +---------|           | inform TU         |
#                 |  |         |Proceeding |------------------>|
#                 |  +-------->|           |-----+             |
#                 |            +-----------+     |1xx          |
#                 |              |      ^        |resp to TU   |
#                 | 200-699      |      +--------+             |
#                 | resp. to TU  |                             |
#                 |              V                             |
#                 |            +-----------+                   |
#                 |            | Completed |                   |
#                 |            +-----------+                   |
#                 |              ^   | Timer K                 |
#                 +--------------+   | -                       |
#                                    V                         |
#                              +-----------+                   |
#                              | Terminated|<------------------+
#                              +-----------+

STATES = (State.TRYING, State.PROCEEDING, State.COMPLETED, State.TERMINATED)

INPUTS = (
    Input.RESPONSE_1XX,
    Input.RESPONSE_2XX,
    Input.RESPONSE_300_699,
    Input.TRANSPORT_ERROR,
    Input.TIMER_E,
    Input.TIMER_F,
    Input.TIMER_K,
)

TABLE: Table = {
    State.TRYING: {
        Input.TIMER_E: (State.TRYING, (Effect.DOUBLE_E, Effect.RESEND)),
        Input.TIMER_F: (State.TERMINATED, (Effect.END, Effect.TIMEOUT)),
        Input.TRANSPORT_ERROR: (State.TERMINATED, (Effect.END, Effect.UNREACHABLE)),
        Input.RESPONSE_1XX: (State.PROCEEDING, (Effect.PASS,)),
        Input.RESPONSE_2XX: (State.COMPLETED, (Effect.STOP_E, Effect.START_K, Effect.PASS)),
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.STOP_E, Effect.START_K, Effect.PASS)),
        **ignored(State.TRYING, Input.TIMER_K),
    },
    State.PROCEEDING: {
        Input.TIMER_E: (State.PROCEEDING, (Effect.SLOW_E, Effect.RESEND)),
        Input.TIMER_F: (State.TERMINATED, (Effect.END, Effect.TIMEOUT)),
        Input.TRANSPORT_ERROR: (State.TERMINATED, (Effect.END, Effect.UNREACHABLE)),
        Input.RESPONSE_1XX: (State.PROCEEDING, (Effect.PASS,)),
        Input.RESPONSE_2XX: (State.COMPLETED, (Effect.STOP_E, Effect.START_K, Effect.PASS)),
        Input.RESPONSE_300_699: (State.COMPLETED, (Effect.STOP_E, Effect.START_K, Effect.PASS)),
        **ignored(State.PROCEEDING, Input.TIMER_K),
    },
    State.COMPLETED: {
        Input.TIMER_K: (State.TERMINATED, (Effect.END,)),
        **ignored(State.COMPLETED, Input.RESPONSE_1XX, Input.RESPONSE_2XX, Input.RESPONSE_300_699),
        **ignored(State.COMPLETED, Input.TRANSPORT_ERROR, Input.TIMER_E, Input.TIMER_F),
    },
    State.TERMINATED: ignored(State.TERMINATED, *INPUTS),
}

NONINVITE_CLIENT = Machine(TABLE, State.TRYING, (Effect.START_E, Effect.START_F, Effect.SEND))
"""Sends a request that is neither INVITE nor ACK until a final response comes (17.1.2.2)."""
