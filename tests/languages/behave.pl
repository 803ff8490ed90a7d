#!/usr/bin/perl
use strict;
use warnings;

sub again  { print "CGI-AGAIN yes SIP/2.0\n\n" }
sub cookie { print "CGI-SET-COOKIE $_[0] SIP/2.0\n\n" }

sub place {
    print "CGI-PROXY-REQUEST sip:place-$_[0]\@example.net SIP/2.0\nCGI-Request-Token: t$_[0]\n\n";
    cookie($_[0]);
    again();
}

sub with_body {
    my ($head, $body) = @_;
    print "$head\nContent-Length: ", length $body, "\n\n$body";
}

my ($user)  = ($ENV{SIPCGI_URI} // '') =~ /^sip:([^@]*)@/;
my $event   = $ENV{SIPCGI_EVENT};
my $status  = $ENV{RESPONSE_STATUS} // '';
my %actions = (
    nothing  => sub { },
    decline  => sub { print "SIP/2.0 603 No, thanks\nRetry-After: 3600\n\n" },
    moved    => sub {
        print "SIP/2.0 302 Moved Temporarily\nContact: <sip:bob\@192.0.2.1>;q=0.9\n";
        print qq{Contact: "Bob, \\"home\\"" <sip:bob\@192.0.2.2;transport=tcp>;q=0.1\n\n};
    },
    echo => sub {
        print "CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\nCGI-Remove: Subject\nX-Seen: $ENV{SIP_SUBJECT}\n\n";
    },
    length => sub { print "SIP/2.0 480 Counted\nX-Octets: ", length $ENV{SIP_SUBJECT}, "\n\n" },
    body   => sub {
        my $octets = '';
        1 while read STDIN, $octets, 4096, length $octets;
        return print "SIP/2.0 200 OK\nContent-Length: 0\n\n" if $octets eq '';
        with_body("SIP/2.0 200 OK\nContent-Type: $ENV{CONTENT_TYPE}", $octets);
    },
    other => sub {
        with_body("CGI-PROXY-REQUEST $ENV{REQUEST_URI} SIP/2.0\nContent-Type: application/json", '{"é": 1}');
    },
    fork => sub {
        print "CGI-PROXY-REQUEST sip:a\@example.net SIP/2.0\nCGI-Timeout: 2.5\n\n";
        print "CGI-PROXY-REQUEST sip:b\@example.net;transport=tcp SIP/2.0\nCGI-Timeout: 30\n\n";
    },
    hunt => sub {
        return place(1) if $status eq '';
        return print("CGI-FORWARD-RESPONSE this SIP/2.0\nX-Place: $ENV{SCRIPT_COOKIE}\n\n"), again() if $status =~ /^1/;
        place($ENV{SCRIPT_COOKIE} + 1) if $status =~ /^[345]/;
    },
    variables => sub {
        my @names = qw(REQUEST_METHOD REQUEST_URI SIPCGI_EVENT SIPCGI_PENDING SIP_X_EMPTY SIP_X_LIST SIP_ACCEPT_CONTACT
            RESPONSE_STATUS SCRIPT_COOKIE REGISTRATIONS SIP_AUTHORIZATION SIP_NOBODY TZ);
        my @lines = map { defined $ENV{$_} ? "$_=$ENV{$_}" : "undefined $_" } @names;
        with_body("SIP/2.0 480 Listed\nContent-Type: text/plain", join "\n", @lines, 'arguments ' . @ARGV);
    },
    bob    => sub { print "SIP/2.0 480 Listed\nX-Phones: $ENV{REGISTRATIONS}\n\n" },
    timer  => sub { print "SIP/2.0 182 Queued\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 5\n\n" },
    answer => sub {
        with_body("SIP/2.0 200 OK\nContent-Type: application/sdp", "v=0\n");
        cookie('answered');
        again();
    },
    fail     => sub { print "SIP/2.0 200 OK\n\n"; print STDERR "no luck\n"; exit 3 },
    complain => sub { print STDERR "a word to the log\n" },
);
if    ($event eq 'cancel') { cookie('cancel') }
elsif ($event eq 'ack')    { cookie('answered') }
elsif ($event eq 'timer')  { print "SIP/2.0 480 Nobody came\n\n" }
else                       { $actions{$user}->() }
