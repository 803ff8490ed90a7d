#!/bin/sh
# Call forwarding on busy and on no answer: 15 seconds at the user's own phones, then elsewhere.
#
# In conf/sipcgi.yaml:  - {script: forward.sh, method: INVITE, uri: "bob@example.com"}
elsewhere='sip:voicemail@example.com'

# A run for a request has REQUEST_METHOD, one for a response RESPONSE_STATUS.
case "${RESPONSE_STATUS:-$REQUEST_METHOD} ${SIPCGI_PENDING:-0}" in
"INVITE "*)   # the call comes in: an address of ours means all phones registered under it
    printf 'CGI-PROXY-REQUEST %s SIP/2.0\nCGI-Timeout: 15\n\n' "$REQUEST_URI"
    printf 'CGI-AGAIN yes SIP/2.0\n\n' ;;
1*|[3-6]*" "[1-9]*)    # it rings, or another phone still does: the caller hears it without our help; stay in the call
    printf 'CGI-AGAIN yes SIP/2.0\n\n' ;;
408*|480*|486*|503*)    # no answer in time, nobody registered, busy, not to be reached
    printf 'CGI-PROXY-REQUEST %s SIP/2.0\n\n' "$elsewhere" ;;
esac          # anything else, an answer above all: the server does what it always does

exit 0        # another exit status would mean that the script has failed
