#!/usr/bin/env python3
"""Office hours: from Monday to Friday, 8:30 to 17:30, calls go to the desk, otherwise to the voicemail.

In conf/sipcgi.yaml:  - {script: hours.py, method: INVITE, uri: "office@example.com"}
"""

import os
import time

DESK = "sip:desk@example.com"
VOICEMAIL = "sip:voicemail@example.com"
OPENS, CLOSES = (8, 30), (17, 30)

# The time zone is the server's, unless the script's environment sets TZ (scripts: environment: {TZ: Europe/Berlin}).
# NOW, in seconds since 1970, takes the place of the clock in tests.
now = time.localtime(float(os.environ.get("NOW") or time.time()))
is_open = now.tm_wday < 5 and OPENS <= (now.tm_hour, now.tm_min) < CLOSES

print(f"CGI-PROXY-REQUEST {DESK if is_open else VOICEMAIL} SIP/2.0\n")
