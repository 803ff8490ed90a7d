#!/bin/sh
# What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
#
# For a call:               sipcgi try NAME
# And for what comes next:  sipcgi try NAME --response 486 --cookie rang
blocked='*@vinylsiding.com*'
voicemail='sip:voicemail@example.net'

case "${SIPCGI_EVENT:-request}" in
request)                      # the call comes in: headers are in SIP_..., the body is on standard input
    case "$SIP_FROM" in
    $blocked)                 # an answer: a status line, header fields, a blank line
        printf 'SIP/2.0 603 Decline\nReason: SIP;text="no, thanks"\n\n' ;;
    *)                        # the call goes where it was going, for 20 seconds; then, or at an answer, run me again
        printf 'CGI-PROXY-REQUEST %s SIP/2.0\nCGI-Timeout: 20\n\n' "$REQUEST_URI"
        printf 'CGI-SET-COOKIE rang SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n' ;;
    esac ;;
response|timeout)             # SCRIPT_COOKIE is what was set above, RESPONSE_STATUS what came
    case "${SIPCGI_PENDING:-0} $SCRIPT_COOKIE $RESPONSE_STATUS" in
    [!0]*|*" 1"??)                                            # another phone still rings, or this one does
        printf 'CGI-AGAIN yes SIP/2.0\n\n' ;;
    *"rang 408"|*"rang 480"|*"rang 486"|*"rang 503")          # no answer, not there, busy, out of reach
        printf 'CGI-PROXY-REQUEST %s SIP/2.0\n\n' "$voicemail" ;;
    esac ;;
esac                          # nothing printed: the server does what it does without a script

exit 0
