"""Several scripts in a route, through the real server."""

from collections.abc import Callable

import pytest
from running import Server
from wire_phone import Phone

pytestmark = pytest.mark.e2e

SCREEN = """#!/bin/sh
[ "$SIP_SUBJECT" = crash ] && exit 3
[ "$SIP_SUBJECT" = spam ] && printf 'SIP/2.0 603 Decline\\n\\n'
exit 0
"""
FORWARD = "#!/bin/sh\nprintf 'SIP/2.0 302 Moved Temporarily\\nContact: <sip:bob@192.0.2.7>\\n\\n'\nexit 0\n"


@pytest.mark.parametrize(
    ("subject", "status", "ran"),
    [("lunch", 302, "screen.sh,forward.sh"), ("spam", 603, "screen.sh"), ("crash", 500, "screen.sh")],
)
def test_screening_first_forwarding_after(
    serve: Callable[..., Server], phones: Callable[..., Phone], subject: str, status: int, ran: str
) -> None:
    routes = "routes: [{script: [screen.sh, forward.sh], method: INVITE}]"
    server = serve({"screen.sh": SCREEN, "forward.sh": FORWARD}, routes)
    alice = phones(server, "alice")
    invite = alice.invite("sip:bob@example.com", f"Subject: {subject}")
    alice.ack(invite, alice.expect(f"SIP/2.0 {status}"))
    server.access("INVITE", status, f"script={ran} ")
