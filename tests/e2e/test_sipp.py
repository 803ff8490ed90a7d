"""SIPp calls SIPp through the server: whole calls by the thousand, none of which may fail."""

import json
import os
import sys
from collections.abc import Callable

import pytest
from running import HOST, Server, free_port
from sipp import PYTHON_RATE, RATE, Load

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
OURS = "sip:bob@example.com"  # nobody has registered there: only a script leads anywhere
CALLS = 1000

PROXY = {
    "sh": '#!/bin/sh\necho "CGI-PROXY-REQUEST sip:bob@$CALLEE SIP/2.0"\necho\nexit 0\n',
    "pl": '#!/usr/bin/perl\nprint "CGI-PROXY-REQUEST sip:bob\\@$ENV{CALLEE} SIP/2.0\\n\\n";\n',
    "py": (
        f"#!{os.path.realpath(sys.executable)} -IS\nimport os\n\n"
        "print(f\"CGI-PROXY-REQUEST sip:bob@{os.environ['CALLEE']} SIP/2.0\\n\")\n"
    ),
}
FORK = """#!/bin/sh
for phone in $CALLEE $OTHER; do
    printf 'CGI-PROXY-REQUEST sip:bob@%s SIP/2.0\\n\\n' "$phone"
done
exit 0
"""


def environment(**variables: str) -> str:
    return json.dumps(variables)  # YAML, too


@pytest.mark.parametrize("ending", PROXY)
def test_a_script_decides_each_call(load: Load, serve: Serve, program: Callable[[str], str], ending: str) -> None:
    if ending == "pl":
        program("perl")
    callee, place = load.callee("callee", CALLS)
    server = serve({f"invite.{ending}": PROXY[ending]}, timeout="20s", environment=environment(CALLEE=place))
    rate = PYTHON_RATE if ending == "py" else RATE
    load.caller("caller", server, OURS, CALLS, rate).has_made(CALLS)
    callee.has_made(CALLS)
    script = f"script=invite.{ending}"
    server.access("INVITE", 200, script, "runs=1", f"targets=sip:bob@{place}", number=CALLS)
    server.access("BYE", 200, "route=dialog", number=CALLS)
    assert len(server.lines(" access ")) == 2 * CALLS


def test_plain_relay(load: Load, serve: Serve) -> None:
    callee, place = load.callee("callee", CALLS)
    server = serve()
    load.caller("caller", server, f"sip:bob@{place}", CALLS).has_made(CALLS)
    callee.has_made(CALLS)
    server.access("INVITE", 200, "route=default", number=CALLS)
    server.access("BYE", 200, "route=dialog", number=CALLS)


def test_forking_to_one_who_is_busy_and_one_who_answers(load: Load, serve: Serve) -> None:
    calls = 200
    answers, place = load.callee("callee", calls)
    is_busy, other = load.callee("busy-callee", calls)
    server = serve({"invite.sh": FORK}, environment=environment(CALLEE=place, OTHER=other))
    load.caller("caller", server, OURS, calls).has_made(calls)
    answers.has_made(calls)
    is_busy.has_made(calls)


def test_forking_to_two_who_ring_of_which_one_answers(load: Load, serve: Serve) -> None:
    calls = 200
    answers, place = load.callee("callee", calls)
    rings, other = load.callee("cancel-callee", calls)
    server = serve({"invite.sh": FORK}, environment=environment(CALLEE=place, OTHER=other))
    load.caller("caller", server, OURS, calls).has_made(calls)
    answers.has_made(calls)
    rings.has_made(calls)


def test_cancel(load: Load, serve: Serve) -> None:
    calls = 200
    callee, place = load.callee("cancel-callee", calls)
    server = serve({"invite.sh": PROXY["sh"]}, environment=environment(CALLEE=place))
    load.caller("cancel-caller", server, OURS, calls).has_made(calls)
    callee.has_made(calls)
    server.access("INVITE", 487, "script=invite.sh", number=calls)


def test_busy(load: Load, serve: Serve) -> None:
    calls = 200
    callee, place = load.callee("busy-callee", calls)
    server = serve({"invite.sh": PROXY["sh"]}, environment=environment(CALLEE=place))
    load.caller("busy-caller", server, OURS, calls).has_made(calls)
    callee.has_made(calls)
    server.access("INVITE", 486, "script=invite.sh", number=calls)


@pytest.mark.parametrize("scenario", ["uac", "regexp"])
def test_scenarios_of_its_own(load: Load, serve: Serve, scenario: str) -> None:
    """They know no Record-Route: ACK and BYE come without Route, to be relayed like an INVITE (RFC 3261 16.4)."""
    calls = 100
    callee, place = load.callee("uas", calls)
    server = serve()
    caller = load.start(
        scenario, "-p", free_port(), "-m", calls, "-r", RATE, "-l", calls, "-rsa", f"{HOST}:{server.port}", place
    )
    caller.has_made(calls)
    callee.has_made(calls)
    server.access("INVITE", 200, "route=default", number=calls)
    server.access("BYE", 200, "route=default", number=calls)
