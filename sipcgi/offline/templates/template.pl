#!/usr/bin/perl
# What this script is for: unwanted callers are turned away; who does not answer gets voicemail.
#
# For a call:               sipcgi try NAME
# And for what comes next:  sipcgi try NAME --response 486 --cookie rang
use strict;
use warnings;

my $blocked   = qr/\@vinylsiding\.com/i;
my $voicemail = 'sip:voicemail@example.net';

my $event  = $ENV{SIPCGI_EVENT}    // 'request';
my $status = $ENV{RESPONSE_STATUS} // 0;
my $cookie = $ENV{SCRIPT_COOKIE}   // '';

if ($event eq 'request') {    # the call comes in: headers are in SIP_..., the body is on standard input
    if (($ENV{SIP_FROM} // '') =~ $blocked) {    # an answer: a status line, header fields, a blank line
        print "SIP/2.0 603 Decline\nReason: SIP;text=\"no, thanks\"\n\n";
    } else {    # the call goes where it was going, for 20 seconds; then, or at an answer, run me again
        print "CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\nCGI-Timeout: 20\n\n";
        print "CGI-SET-COOKIE rang SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n";
    }
} elsif ($status >= 100 and $status < 200 or $ENV{SIPCGI_PENDING}) {    # it rings, or another phone still does
    print "CGI-AGAIN yes SIP/2.0\n\n";
} elsif ($cookie eq 'rang' and grep { $_ == $status } 408, 480, 486, 503) {    # no answer, not there, busy, out of reach
    print "CGI-PROXY-REQUEST $voicemail SIP/2.0\n\n";
}

# Nothing printed: the server does what it does without a script.
