#!/usr/bin/perl
# Call prioritization: calls from the boss ring as urgent on every phone.
#
# In conf/sipcgi.yaml:  - {script: boss.pl, method: INVITE, from: "boss@example.com"}
use strict;
use warnings;

# The URIs of the phones that the called user has registered. REGISTRATIONS looks like
#   "Bob, at <home>" <sip:bob@192.0.2.1>;q=0.7;expires=1800, <sip:bob@192.0.2.2>;expires=60
# and is not defined when there is none. Quoted text goes first, for it may hold commas and brackets.
sub get_regs {
    my $list = $ENV{REGISTRATIONS} // '';
    $list =~ s/"(?:[^"\\]|\\.)*"//g;
    my @uris;
    push @uris, $1 // $2 while $list =~ /<([^<>]*)>|(?:^|,)\s*([a-z][a-z0-9+.-]*:[^\s,;<>]+)/gi;
    return grep { /^sips?:/i } @uris;    # a mailto: or tel: cannot be called
}

my $from = $ENV{SIP_FROM} // '';         # without the display name, in which anything may be written
$from =~ s/"(?:[^"\\]|\\.)*"//g;
my $caller = $from =~ /<([^>]*)>/ ? $1 : $from;
if ($caller =~ /^\s*sips?:boss\@example\.com(?:[:;?\s]|\z)/i) {
    foreach my $reg (get_regs()) {       # several at once: all of them ring
        print "CGI-PROXY-REQUEST $reg SIP/2.0\n";
        print "Priority: urgent\n\n";
    }
}
