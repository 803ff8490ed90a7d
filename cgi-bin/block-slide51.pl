#!/usr/bin/perl
# Call blocking, as slide 51 of the tutorial has it: three lines, with the signs that the slide has lost put back.
#
# In conf/sipcgi.yaml:  - {script: block-slide51.pl, method: [INVITE, MESSAGE]}
# It searches the whole From, so that a display name can match, too: block.pl shows what it takes to look at the URI.
use strict;
use warnings;

if (defined $ENV{SIP_FROM} && $ENV{SIP_FROM} =~ "sip:.*\@vinylsiding.com") {
    print "SIP/2.0 600 I can't talk right now\n\n";
}
