#!/usr/bin/env python3
# Turns each call away with the answer that its route says: reject-slide48.pl in Python, with nothing but the kit for
# resident scripts. A route for it, with which the server starts it; without `processes`, it is an ordinary script:
#
#   - script: reject.py
#     processes: 2
#     environment: {STATUS_CODE: "486", REASON_PHRASE: Busy Here}
import os

from sipcgi_fastcgi import serve

# once, when the program starts
STATUS_CODE = int(os.environ.get("STATUS_CODE", 603))
REASON_PHRASE = os.environ.get("REASON_PHRASE", "Decline")


def reject(request):
    if request.environment.get("REQUEST_METHOD") == "INVITE":
        print(f"SIP/2.0 {STATUS_CODE} {REASON_PHRASE}\n")


serve(reject)
