#!/usr/bin/perl
# Distinctive ringing: one hears who calls before one looks.
#
# In conf/sipcgi.yaml:  - {script: ringing.pl, method: INVITE}
use strict;
use warnings;

my %sound = (
    'alice@example.com'        => 'http://www.example.com/sounds/moo.wav',
    'carol@example.com'        => 'http://www.example.com/sounds/bell.wav',
    '+12015550123@example.com' => 'http://www.example.com/sounds/chime.wav',
);

# user@host of the caller: the display name is left out, and host names know no case.
my $from = $ENV{SIP_FROM} // '';
$from =~ s/"(?:[^"\\]|\\.)*"//g;
my $caller = $from =~ /<([^>]*)>/ ? $1 : $from;
my ($user, $host) = $caller =~ /^\s*sips?:([^@]+)\@([^:;?\s]+)/i;

if (defined $user and my $wav = $sound{"$user\@" . lc $host}) {
    # The call goes where it would go anyway, with one header field more.
    print "CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\n";
    print "Alert-Info: <$wav>\n\n";
}
