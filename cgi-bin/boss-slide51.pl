#!/usr/bin/perl
# Calls from the boss are urgent, as slide 51 of the tutorial has it, with the signs that the slide has lost put back.
#
# In conf/sipcgi.yaml:  - {script: boss-slide51.pl, method: INVITE}
# The slide does not say where get_regs() comes from: from the kit (docs/kits.md). boss.pl shows it without one.
use strict;
use warnings;
use SipCgi 'get_regs';
our $reg;    # that strict may be used

if (defined $ENV{SIP_FROM} && $ENV{SIP_FROM} =~ /sip:boss\@mycompany.com/) {
    foreach $reg (get_regs()) {
        print "CGI-PROXY-REQUEST $reg SIP/2.0\n";
        print "Priority: urgent\n\n";
    }
}
