#!/usr/bin/env python3
"""Click to dial: who sends an address to dial@example.com is called, and then connected with it.

Third party call control (RFC 3725, flow I): the caller's phone is called without a session description, its offer goes
to the other phone, and the answer comes back in the ACK. What one of them changes later, a call on hold for one, is
passed on to the other; when one hangs up the server ends the other call.

In conf/sipcgi.yaml:
  - {script: dial.py, method: MESSAGE, uri: "dial@example.com", from: "*@example.com", originate: true}
"""

import os
import re
import sys

OTHER = {"caller": "callee", "callee": "caller"}
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"  # run me at the next message, too

event = os.environ["SIPCGI_EVENT"]
method = os.environ["SIPCGI_METHOD"]  # of the request that this is about
leg = os.environ.get("REQUEST_TOKEN", "")  # whose message it is
status = int(os.environ.get("RESPONSE_STATUS", 0))
body = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="")


def send(line, *fields, description=""):
    print(line, *fields, sep="\n", end="\n")
    if description:
        print(f"Content-Type: application/sdp\nContent-Length: {len(description.encode('utf-8', 'surrogateescape'))}")
    print(f"\n{description}")


def to_leg(method, leg, *fields, uri="sip:dialog", description=""):
    """In a dialog the server knows the way: the URI says nothing then."""
    send(f"{method} {uri} SIP/2.0", f"CGI-Request-Token: {leg}", *fields, description=description)


def begin():
    """The message with the address."""
    wanted = re.search(r"[\w.+-]+@[\w.-]+", body, re.ASCII)
    sender = re.search(r"<?(sips?:[^<>\s;?|]+)", os.environ["SIP_FROM"])
    if wanted is None or sender is None:
        send("SIP/2.0 400 No Address")
        return
    caller, callee = sender[1], f"sip:{wanted[0]}"
    send("SIP/2.0 202 Accepted")
    to_leg("INVITE", "caller", f"From: <{callee}>", "CGI-Timeout: 60", uri=caller)
    send(f"CGI-SET-COOKIE {caller}|{callee} SIP/2.0")
    print(AGAIN)


def called():
    """A response of one of the two phones."""
    if status < 200:
        print(AGAIN)
    elif leg == "caller" and status < 300:
        caller, callee = os.environ["SCRIPT_COOKIE"].split("|")
        # the caller's phone waits 32 seconds for its ACK
        to_leg("INVITE", "callee", f"From: <{caller}>", "CGI-Timeout: 25", uri=callee, description=body)
        print(AGAIN)
    elif leg == "callee" and status < 300:
        to_leg("ACK", "callee")
        to_leg("ACK", "caller", description=body)
    elif leg == "callee":
        to_leg("BYE", "caller")


def changed():
    """An INVITE within the call of one of them, and what comes of it at the other."""
    if event == "request":
        send("SIP/2.0 100 Trying")  # instead of the default action
        to_leg("INVITE", OTHER[leg], description=body)
        print(AGAIN)
    elif event == "ack":
        to_leg("ACK", OTHER[leg], description=body)
    elif event == "response" and status >= 200:
        send(f"SIP/2.0 {status}", description=body)
        print(AGAIN)  # for the ACK
    else:
        print(AGAIN)


if method == "MESSAGE":
    begin() if event == "request" else called()
elif method == "INVITE" and leg in OTHER:  # any other INVITE is none of its calls
    changed()
