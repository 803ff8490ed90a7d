#!/usr/bin/perl
# The RejectServlet of slide 48 of Schulzrinne's tutorial, with Debian's FCGI (apt install libfcgi-perl): it stays, and
# turns each call away with the answer that its route says. A route for it, with which the server starts it:
#
#   - script: reject-slide48.pl
#     processes: 2
#     environment: {STATUS_CODE: "486", REASON_PHRASE: Busy Here}
use strict;
use warnings;
use FCGI;

# init: what getInitParameter gives
my $status_code   = $ENV{STATUS_CODE}   // 603;
my $reason_phrase = $ENV{REASON_PHRASE} // 'Decline';
die "STATUS_CODE is no final answer: $status_code\n" unless $status_code =~ /^[3-6][0-9][0-9]$/;

# doInvite, for one call after the other; %ENV is that of the call
my $request = FCGI::Request();
while ($request->Accept >= 0) {
    next unless ($ENV{SIPCGI_EVENT} // '') eq 'request' && $ENV{REQUEST_METHOD} eq 'INVITE';
    print "SIP/2.0 $status_code $reason_phrase\n\n";
}
