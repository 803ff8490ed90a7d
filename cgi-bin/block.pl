#!/usr/bin/perl
# Call blocking: nobody at vinylsiding.com gets through.
#
# In conf/sipcgi.yaml:  - {script: block.pl, method: [INVITE, MESSAGE]}
use strict;
use warnings;

# The URI of the caller, without the display name, in which anything may be written.
sub caller_uri {
    my $from = $ENV{SIP_FROM} // '';
    $from =~ s/"(?:[^"\\]|\\.)*"//g;
    return $from =~ /<([^>]*)>/ ? $1 : $from =~ /^\s*([^\s;]+)/ ? $1 : '';
}

# Host names know no case, and a port or parameters may follow.
if (caller_uri() =~ /^sips?:(?:[^@]*\@)?vinylsiding\.com\.?(?:[:;?]|\z)/i) {
    print "SIP/2.0 600 I can't talk right now\n\n";
}

# For everybody else nothing is printed: the server does what it does without a script.
