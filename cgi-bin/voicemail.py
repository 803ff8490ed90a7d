#!/usr/bin/env python3
"""Voicemail by service URIs (RFC 3087): the URI tells the voicemail system whose mailbox, and what to do with it.

In conf/sipcgi.yaml:  - {script: voicemail.py, method: INVITE, uri: "*@example.com"}
To adapt: the system and its modes. A call to oneself, or to voicemail@, is for one's own messages.
"""

import os
import re

SYSTEM, SECONDS = "vm.example.com", 20
environment = os.environ.get
AGAIN = "CGI-AGAIN yes SIP/2.0\n"


def user_and_host(uri):
    found = re.match(r"\s*sips?:([^@;?\s]+)@([^:;?>\s]+)", uri)
    return (found[1], found[2].lower()) if found else ("", "")


address = re.sub(r'"(?:[^"\\]|\\.)*"', "", environment("SIP_FROM", ""))  # in a display name anything may be written
caller = user_and_host(address.partition("<")[2] or address)
called = user_and_host(environment("SIPCGI_URI", ""))
status = environment("RESPONSE_STATUS", "")

if environment("REQUEST_METHOD") == "INVITE" and (called == caller or called[0] == "voicemail"):
    if environment("REMOTE_USER", "") == caller[0] != "":  # the server has checked who it is
        print(f"CGI-PROXY-REQUEST sip:{caller[0]}@{SYSTEM};mode=retrieve SIP/2.0\n")
    else:  # the voicemail system asks for mailbox and PIN
        print(f"CGI-PROXY-REQUEST sip:retrieve@{SYSTEM};mode=inband SIP/2.0\n")
elif environment("REQUEST_METHOD") == "INVITE":
    print(f"CGI-PROXY-REQUEST {environment('REQUEST_URI')} SIP/2.0\nCGI-Timeout: {SECONDS}\n\n{AGAIN}")
elif status.startswith("1") or (status >= "3" and environment("SIPCGI_PENDING", "0") != "0"):
    print(AGAIN)  # it rings, or another phone still does
elif status in ("408", "480", "486", "503") and called[0]:  # no answer, nobody there, busy, not to be reached
    print(f"CGI-PROXY-REQUEST sip:{called[0]}@{SYSTEM};mode=deposit SIP/2.0\n")
