#!/bin/sh
# Do not disturb: every call is declined, with the advice to try again in an hour.
#
# In conf/sipcgi.yaml:  - {script: dnd.sh, method: INVITE, uri: "bob@example.com"}
#
# The output is a SIP response without what the server knows itself: To, From, Call-ID, CSeq, Via.
# An empty line ends it, as in SIP.
cat <<'END'
SIP/2.0 603 Decline
Retry-After: 3600

END

exit 0
