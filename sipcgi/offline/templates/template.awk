#!/usr/bin/awk -f
# What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
#
# For a call:               sipcgi try NAME
# And for what comes next:  sipcgi try NAME --response 486 --cookie rang
BEGIN {
    blocked = "@vinylsiding.com"
    voicemail = "sip:voicemail@example.net"
    again = "CGI-AGAIN yes SIP/2.0\n"                  # run me at the next message, too

    status = ENVIRON["RESPONSE_STATUS"] + 0
    if (ENVIRON["SIPCGI_EVENT"] == "request") {        # headers are in SIP_..., the body is on standard input
        if (index(ENVIRON["SIP_FROM"], blocked)) {     # an answer: a status line, header fields, a blank line
            print "SIP/2.0 603 Decline\nReason: SIP;text=\"no, thanks\"\n"
        } else {        # the call goes where it was going, for 20 seconds; then, or at an answer, run me again
            print "CGI-PROXY-REQUEST " ENVIRON["REQUEST_URI"] " SIP/2.0\nCGI-Timeout: 20\n"
            print "CGI-SET-COOKIE rang SIP/2.0\n\n" again
        }
    } else if ((status >= 100 && status < 200) || ENVIRON["SIPCGI_PENDING"] > 0) {   # it rings, or another phone does
        print again
    } else if (ENVIRON["SCRIPT_COOKIE"] == "rang" && status ~ /^(408|480|486|503)$/) {
        print "CGI-PROXY-REQUEST " voicemail " SIP/2.0\n"    # no answer, not there, busy, out of reach
    }
    # nothing printed: the server does what it does without a script
}
