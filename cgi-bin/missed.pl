#!/usr/bin/perl
# Missed calls: who did not answer gets a message that tells who has called.
#
# In conf/sipcgi.yaml:  - {script: missed.pl, method: INVITE, uri: "*@example.com", originate: true}
use strict;
use warnings;

my $status = $ENV{RESPONSE_STATUS} // 0;
my $given_up = $ENV{SIPCGI_EVENT} eq 'cancel';
my $failed = $status >= 300 && !$ENV{SIPCGI_PENDING};    # on the last phone

if ($given_up || $failed) {
    print "MESSAGE $ENV{SIPCGI_URI} SIP/2.0\n";
    print "Subject: missed call\n";
    print "Content-Type: text/plain\n\n";
    print "Missed call from $ENV{SIP_FROM}\n";
}
elsif ($status < 200 || $status >= 300) {
    print "CGI-AGAIN yes SIP/2.0\n\n";                   # run me at the next response, too
}
# No other action is printed: the call goes to the phones, and the responses to the caller, as without a script.
