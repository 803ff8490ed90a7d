#!/bin/sh
# Emergency calls: the call goes its way as always, and the administrator gets a message about it.
#
# In conf/sipcgi.yaml:  - {script: emergency.sh, method: INVITE, uri: ["112@*", "911@*"], originate: true}

printf 'MESSAGE sip:admin@example.com SIP/2.0\nSubject: emergency call\nPriority: emergency\n'
printf 'Content-Type: text/plain\n\n'
printf 'Call to %s from %s at %s\n' "$REQUEST_URI" "$SIP_FROM" "$REMOTE_ADDR"
# A request of its own takes no action for the call: without more, the server does what it does without a script.
exit 0
