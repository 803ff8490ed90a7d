"""Phones that are off: ICMP says so, and nobody waits for a timeout (RFC 3261 18.4)."""

import time
from collections.abc import Callable

from running import HOST, Server, free_port
from wire_phone import Phone

SCRIPT = """#!/bin/sh
case "$SIPCGI_EVENT" in
request) printf 'CGI-PROXY-REQUEST sip:bob@{gone} SIP/2.0\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n';;
*) printf 'SIP/2.0 480 Off-%s\\n\\n' "$RESPONSE_STATUS";;
esac
"""


def test_a_phone_that_is_off_is_a_503_at_once(serve: Callable[..., Server], phones: Callable[..., Phone]) -> None:
    gone = f"{HOST}:{free_port()}"
    server = serve({"invite.sh": SCRIPT.format(gone=gone)})
    alice = phones(server, "alice")
    began = time.monotonic()
    invite = alice.invite("sip:bob@example.com")
    answer = alice.expect("SIP/2.0 480", within=2.0)
    assert time.monotonic() - began < 1.0
    assert answer.start == "SIP/2.0 480 Off-503"
    alice.ack(invite, answer)


def test_without_a_script_the_caller_hears_of_it_at_once(
    serve: Callable[..., Server], phones: Callable[..., Phone]
) -> None:
    server = serve()
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    bob.socket.close()
    began = time.monotonic()
    invite = alice.invite("sip:bob@example.com")
    answer = alice.expect("SIP/2.0 500", within=2.0)
    assert time.monotonic() - began < 1.0
    alice.ack(invite, answer)
