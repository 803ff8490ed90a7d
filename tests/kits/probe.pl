# As probe.py.
use strict;
use warnings;
use SipCgi;

sub show { print join("\t", map { $_ // '-' } @_), "\n" }

if (event eq 'ack') {
    request INFO => '', token => 't', content_type => 'a/b', body => body;
}
elsif (is_response) {
    show(event, method, uri, status, reason, pending, target, token);
    show(header('subject'), header('X-None'));
    show($_) for headers 'X-List';
    show(@$_{qw(display uri scheme user host port tag)}, $_->{params}{n}) for addresses 'X-List';
    show("$_", sprintf('%g', $_->{q}), $_->{expires}) for get_regs;
    show(cookie->{n}) if cookie;
}
else {
    proxy uri,
        headers      => { $ENV{NAME} => $ENV{VALUE} },
        timeout      => $ENV{SECONDS},
        expires      => 30,
        token        => $ENV{TOKEN},
        remove       => ['Subject', $ENV{REMOVE}],
        content_type => $ENV{TYPE},
        body         => $ENV{BODY};
    my $contact = address('sip:' . escape($ENV{USER}) . '@example.com', $ENV{DISPLAY}, p => $ENV{PARAM});
    reply $ENV{STATUS}, $ENV{REASON}, headers => [Contact => $contact], body => '';
    request $ENV{METHOD}, $ENV{URI},
        headers      => { Subject => $ENV{VALUE} },
        timeout      => $ENV{SECONDS},
        expires      => 60,
        token        => $ENV{TOKEN},
        content_type => $ENV{TYPE},
        body         => $ENV{BODY};
    request BYE => '', token => $ENV{TOKEN};
    forward $ENV{TOKEN};
    forward;
    again after => $ENV{SECONDS};
    cookie { n => $ENV{COOKIE} };
}
