#!/usr/bin/env python3
"""Hunting: three numbers are tried one after another, each for 20 seconds.

In conf/sipcgi.yaml:  - {script: hunt.py, method: INVITE, uri: "support@example.com"}
"""

import os

NUMBERS = ["sip:anna@example.com", "sip:ben@example.com", "sip:+12015550123@gateway.example.com"]


AGAIN = "CGI-AGAIN yes SIP/2.0\n"  # run me at the next response, too


def ring(place):
    print(f"CGI-PROXY-REQUEST {NUMBERS[place]} SIP/2.0\nCGI-Timeout: 20\n")
    print(f"CGI-SET-COOKIE {place} SIP/2.0\n")  # comes back in the next run as SCRIPT_COOKIE
    print(AGAIN)


status = int(os.environ.get("RESPONSE_STATUS", 0))
place = int(os.environ.get("SCRIPT_COOKIE", 0))
if os.environ.get("REQUEST_METHOD") == "INVITE":  # the call comes in
    ring(0)
elif 100 <= status < 200 or (300 <= status < 600 and os.environ.get("SIPCGI_PENDING", "0") != "0"):
    print(AGAIN)  # it rings, or one phone of several has failed: wait
elif 300 <= status < 600 and place + 1 < len(NUMBERS):  # busy, no answer (a 408 after the 20 seconds), unknown
    ring(place + 1)
# Nothing is printed for an answer (200), for 600 and above, which mean "do not try elsewhere", and after the last
# number: then the server sends the caller the best response that there was.
