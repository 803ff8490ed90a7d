#!/usr/bin/perl
# Location hiding: callers do not learn where a user is. The server goes after a redirection itself, and of a failure
# it tells nothing but the status: no Contact, no Warning, no Server of the phone.
# In conf/sipcgi.yaml:  - {script: hide.pl, method: INVITE, uri: "bob@example.com"}
# To adapt: the hosts to which a phone may send calls on. The Contact of an answer stays: the call is held over it.
use strict;
use warnings;

my $hosts  = qr/(?:gateway\.)?example\.com/i;
my $again  = "CGI-AGAIN yes SIP/2.0\n\n";
my $status = $ENV{RESPONSE_STATUS} // 0;

# The URIs of a Contact header that may be called; quoted text goes first, for it may hold commas and brackets.
sub contacts {
    my $list = $ENV{SIP_CONTACT} // '';
    $list =~ s/"(?:[^"\\]|\\.)*"//g;
    return grep { /^sips?:(?:[^@]*\@)?$hosts(?:[:;]|\z)/ } $list =~ /<([^<>\s]*)>/g;
}

if (($ENV{REQUEST_METHOD} // '') eq 'INVITE') {
    print "CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\n\nCGI-SET-COOKIE 0 SIP/2.0\n\n$again";
}
elsif ($status =~ /^1/ or $status =~ /^[345]/ and $ENV{SIPCGI_PENDING}) {
    print $again;
}
elsif ($status =~ /^3/ and $ENV{SCRIPT_COOKIE} < 3 and my @uris = contacts()) {    # three times at most
    print "CGI-PROXY-REQUEST $_ SIP/2.0\n\n" for @uris;
    print 'CGI-SET-COOKIE ', $ENV{SCRIPT_COOKIE} + 1, " SIP/2.0\n\n$again";
}
elsif ($status =~ /^[3-6]/ and $status !~ /^40[17]$/) {    # those two ask the caller for a password
    my $best = $ENV{SIPCGI_BEST} // $status;
    print 'SIP/2.0 ', ($best =~ /^3/ ? 480 : $best), "\n\n";
}
