#!/usr/bin/env python3
"""What this script is for: unwanted callers are turned away; who does not answer gets voicemail.

For a call:               sipcgi try NAME
And for what comes next:  sipcgi try NAME --response 486 --cookie rang
"""

import os

BLOCKED = "@vinylsiding.com"
VOICEMAIL = "sip:voicemail@example.net"
AGAIN = "CGI-AGAIN yes SIP/2.0\n"  # run me at the next message, too

event = os.environ.get("SIPCGI_EVENT", "request")
status = int(os.environ.get("RESPONSE_STATUS", 0))
cookie = os.environ.get("SCRIPT_COOKIE")
pending = int(os.environ.get("SIPCGI_PENDING", 0))  # phones that have not answered

if event == "request":  # the call comes in: headers are in SIP_..., the body is on standard input
    if BLOCKED in os.environ.get("SIP_FROM", ""):  # an answer: a status line, header fields, a blank line
        print('SIP/2.0 603 Decline\nReason: SIP;text="no, thanks"\n')
    else:  # the call goes where it was going, for 20 seconds; then, or at an answer, run me again
        print(f"CGI-PROXY-REQUEST {os.environ['REQUEST_URI']} SIP/2.0\nCGI-Timeout: 20\n")
        print(f"CGI-SET-COOKIE rang SIP/2.0\n\n{AGAIN}")
elif 100 <= status < 200 or pending:  # it rings, or another phone still does
    print(AGAIN)
elif cookie == "rang" and status in (408, 480, 486, 503):  # no answer, not there, busy, out of reach
    print(f"CGI-PROXY-REQUEST {VOICEMAIL} SIP/2.0\n")

# Nothing printed: the server does what it does without a script.
