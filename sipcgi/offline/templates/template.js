#!/usr/bin/env node
// What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
//
// For a call:               sipcgi try NAME
// And for what comes next:  sipcgi try NAME --response 486 --cookie rang
const BLOCKED = '@vinylsiding.com';
const VOICEMAIL = 'sip:voicemail@example.net';
const AGAIN = 'CGI-AGAIN yes SIP/2.0\n'; // run me at the next message, too

const env = process.env;
const status = Number(env.RESPONSE_STATUS || 0);
if ((env.SIPCGI_EVENT || 'request') === 'request') { // headers are in SIP_..., the body is on standard input
  if ((env.SIP_FROM || '').includes(BLOCKED)) { // an answer: a status line, header fields, a blank line
    console.log('SIP/2.0 603 Decline\nReason: SIP;text="no, thanks"\n');
  } else { // the call goes where it was going, for 20 seconds; then, or at an answer, run me again
    console.log(`CGI-PROXY-REQUEST ${env.REQUEST_URI} SIP/2.0\nCGI-Timeout: 20\n`);
    console.log(`CGI-SET-COOKIE rang SIP/2.0\n\n${AGAIN}`);
  }
} else if ((status >= 100 && status < 200) || env.SIPCGI_PENDING > 0) { // it rings, or another phone still does
  console.log(AGAIN);
} else if (env.SCRIPT_COOKIE === 'rang' && [408, 480, 486, 503].includes(status)) {
  // no answer, not there, busy, out of reach
  console.log(`CGI-PROXY-REQUEST ${VOICEMAIL} SIP/2.0\n`);
}

// Nothing printed: the server does what it does without a script.
