#!/usr/bin/env php
<?php
// What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
//
// For a call:               sipcgi try NAME
// And for what comes next:  sipcgi try NAME --response 486 --cookie rang
const BLOCKED = '@vinylsiding.com';
const VOICEMAIL = 'sip:voicemail@example.net';
const AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"; // run me at the next message, too

$status = (int) getenv('RESPONSE_STATUS');
if (getenv('SIPCGI_EVENT') === 'request') { // headers are in SIP_..., the body is on standard input
    if (strpos((string) getenv('SIP_FROM'), BLOCKED) !== false) { // an answer: status line, header fields, blank line
        echo "SIP/2.0 603 Decline\nReason: SIP;text=\"no, thanks\"\n\n";
    } else { // the call goes where it was going, for 20 seconds; then, or at an answer, run me again
        echo 'CGI-PROXY-REQUEST ', getenv('REQUEST_URI'), " SIP/2.0\nCGI-Timeout: 20\n\n";
        echo "CGI-SET-COOKIE rang SIP/2.0\n\n", AGAIN;
    }
} elseif (($status >= 100 && $status < 200) || getenv('SIPCGI_PENDING') > 0) { // it rings, or another phone does
    echo AGAIN;
} elseif (getenv('SCRIPT_COOKIE') === 'rang' && in_array($status, [408, 480, 486, 503], true)) {
    // no answer, not there, busy, out of reach
    echo 'CGI-PROXY-REQUEST ', VOICEMAIL, " SIP/2.0\n\n";
}

// Nothing printed: the server does what it does without a script.
