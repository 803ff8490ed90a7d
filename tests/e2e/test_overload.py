"""A real server that is asked for more than it may do; in virtual time: tests/engine/test_overload."""

import signal
from collections.abc import Callable

from running import Server
from wire_phone import Phone

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

BOB = "sip:bob@example.com"
SLOW = "#!/bin/sh\nsleep 1\nprintf 'SIP/2.0 486 Busy Here\\n\\n'\n"


def test_the_limits_of_the_configuration_hold_and_change_on_sighup(serve: Serve, phones: Phones) -> None:
    server = serve({"invite.sh": SLOW}, "overload: {retry_after: 7s}", max_running="1")
    alice = phones(server, "alice")
    for _ in range(3):
        alice.invite(BOB)
    answers = [alice.expect("SIP/2.0 503") for _ in range(2)]
    assert {answer["retry-after"] for answer in answers} == {"7"}
    alice.expect("SIP/2.0 486")
    assert server.lines("overload: too many runs of invite.sh")
    server.configure("overload: {max_transactions: 1}", max_running="2")
    server.signal(signal.SIGHUP)
    server.wait_for("configuration read again")
    alice.invite(BOB)  # the transactions of the others are still there
    refused = alice.expect("SIP/2.0 503")
    assert "retry-after" not in refused
    assert server.wait_for("overload: too many transactions")
