package SipCgi;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(
    event method uri status reason target token request_token pending is_response
    from to header headers addresses get_regs body cookie
    proxy request reply forward again escape quote address
);

# A script is started for each event: what only errors and cookies need (Carp, JSON::PP) is loaded with them.

my $TOKEN = qr/[A-Za-z0-9\-.!%*_+`'~]+/;    # RFC 3261 25.1
my $URI   = qr/[A-Za-z][A-Za-z0-9+.\-]*:[!#-;=?-~]+/;

# What stands for the URI where the dialog has it (RFC 2606: there is no such name).
my $DIALOG = 'sip:dialog.invalid';

# A quoted string is written so that one without an end costs no more than its length.
my $QUOTED     = qr/"([^"\\]*(?:\\.[^"\\]*)*)"/s;
my $ELEMENT    = qr/(?:"[^"\\]*(?:\\.[^"\\]*)*"?|<[^>]*>?|[^,"<]+)+/s;
my $MAX_COOKIE = 4096;
my $PROCESS    = $$;
my $output     = '';
my $body;

# What happened

sub event()         { $ENV{SIPCGI_EVENT} // '' }
sub method()        { $ENV{REQUEST_METHOD} // $ENV{SIPCGI_METHOD} // '' }
sub uri()           { $ENV{REQUEST_URI} // $ENV{SIPCGI_URI} // '' }
sub status()        { $ENV{RESPONSE_STATUS} || 0 }
sub reason()        { $ENV{RESPONSE_REASON} // '' }
sub target()        { $ENV{SIPCGI_TARGET} // '' }
sub token()         { $ENV{RESPONSE_TOKEN} // '' }
sub request_token() { $ENV{REQUEST_TOKEN} // '' }
sub pending()       { $ENV{SIPCGI_PENDING} || 0 }
sub is_response()   { status > 0 }
sub from()          { _parse_address(header('From') // '') }
sub to()            { _parse_address(header('To') // '') }

sub header {
    my ($name) = @_;
    (my $variable = uc $name) =~ s/[^A-Z0-9]/_/g;
    return $ENV{"SIP_$variable"};
}

sub headers   { return _split_list(header($_[0]) // '') }
sub addresses { return grep { defined } map { _parse_address($_) } headers($_[0]) }

sub get_regs {
    my @found = map { _parse_address($_) } _split_list($ENV{REGISTRATIONS} // '');
    return grep { defined && $_->{scheme} =~ /\Asips?\z/ } @found;
}

sub body() {
    if (!defined $body) {
        binmode STDIN;
        local $/;
        $body = <STDIN> // '';
    }
    return $body;
}

sub _json {
    require JSON::PP;
    return JSON::PP->new->ascii->canonical->allow_nonref;
}

# The server keeps it between the runs; no message carries it, and none can set SCRIPT_COOKIE.
sub cookie {
    if (!@_) {
        return defined $ENV{SCRIPT_COOKIE} ? _json()->decode($ENV{SCRIPT_COOKIE}) : undef;
    }
    my $text = _json()->encode($_[0]);    # ASCII; blanks and DEL stand in texts alone
    $text =~ s/([ \x7f])/sprintf '\\u%04x', ord $1/ge;
    my $length = length $text;
    _refuse("cookie: $length octets, and $MAX_COOKIE at most are kept: keep its key only") if $length > $MAX_COOKIE;
    $output .= "CGI-SET-COOKIE $text SIP/2.0\n\n";
    return;
}

# What is to happen

sub proxy {
    my ($uri, %options) = @_;
    return _send('CGI-PROXY-REQUEST ' . _uri($uri) . ' SIP/2.0', %options);
}

# A request of its own, on a route with `originate: true`. Without a URI it goes in the dialog of an earlier INVITE, which
# has the same token.
sub request {
    my ($method, $uri, %options) = @_;
    _refuse('method: not a method: ' . ($method // '')) unless ($method // '') =~ /\A[A-Za-z]+\z/;
    _refuse('no option remove') if exists $options{remove};
    $uri = $DIALOG if defined $options{token} && !length($uri // '');
    return _send("$method " . _uri($uri) . ' SIP/2.0', %options);
}

sub _send {
    my ($line, %options) = @_;
    my @lines = $line;
    my ($timeout, $expires, $token) = delete @options{qw(timeout expires token)};
    push @lines, 'CGI-Timeout: ' . _seconds($timeout, 'timeout') if defined $timeout;
    push @lines, 'Expires: ' . _whole($expires, 'expires', 0, 2**32 - 1) if defined $expires;
    push @lines, 'CGI-Request-Token: ' . _token($token, 'token') if defined $token;
    return _message(\@lines, %options);
}

sub reply {
    my ($status, $reason, %options) = @_;
    my $line = 'SIP/2.0 ' . _whole($status, 'status', 100, 699) . ' ' . _line($reason // '', 'reason');
    return _message([_trimmed($line)], %options);
}

sub forward {
    my ($token, %options) = @_;
    return _message(['CGI-FORWARD-RESPONSE ' . _token($token // 'this', 'token') . ' SIP/2.0'], %options);
}

sub again {
    my (%options) = @_;
    my $after = delete $options{after};
    my @lines = 'CGI-AGAIN yes SIP/2.0';
    push @lines, 'CGI-After: ' . _seconds($after, 'after') if defined $after;
    _refuse("again: no option $_") for sort keys %options;
    return _message(\@lines);
}

sub _message {
    my ($lines, %options) = @_;
    my ($headers, $remove, $type, $body) = delete @options{qw(headers remove content_type body)};
    _refuse("no option $_") for sort keys %options;
    $headers //= [];
    my @pairs = ref $headers eq 'HASH' ? map { ($_, $headers->{$_}) } sort keys %$headers : @$headers;
    while (my ($name, $value) = splice @pairs, 0, 2) {
        push @$lines, _field_name($name) . ': ' . _line($_, "header $name") for ref $value ? @$value : $value;
    }
    my @names = ref $remove ? @$remove : $remove // ();
    push @$lines, 'CGI-Remove: ' . join ', ', map { _token($_, 'remove') } @names if @names;
    my $octets = _octets($body // '');
    my $length = length $octets;
    if ($length) {
        _refuse('content_type: a body needs one') unless length($type // '');
        push @$lines, 'Content-Type: ' . _line($type, 'content_type');
    }
    elsif (defined $type) {
        _refuse('content_type: there is no body of that type');
    }
    push @$lines, "Content-Length: $length" if defined $body;
    $output .= join '', map { "$_\n" } @$lines, $length ? ('', $octets) : '';
    return;
}

# When the script ends, and only when it ends well; not in a child that it has forked
END {
    if ($? == 0 && $$ == $PROCESS) {
        local $| = 1;    # what the script printed itself comes first
        binmode STDOUT;
        print STDOUT $output;
    }
}

# Reading

sub _split_list {
    my ($text) = @_;
    return grep { length } map { _trimmed($_) } $text =~ /$ELEMENT/g;
}

sub _trimmed {
    return $_[0] =~ /\A[ \t]*+(.*[^ \t])/s ? $1 : '';
}

sub _parse_address {
    my $text = _trimmed($_[0]);
    my ($display, $uri, $rest);
    if ($text =~ /\A(?:$QUOTED[ \t]*|([^<>",;]*))<([^<>]*)>(.*)\z/s) {
        ($uri, $rest) = ($3, $4);
        $display = defined $1 ? _unquoted($1) : _trimmed($2);
    }
    elsif ($text =~ /\A([^\s<>",;?]+)[ \t]*(;.*)?\z/s) {    # RFC 3261 20.10: all parameters are the header field's
        ($display, $uri, $rest) = ('', $1, $2 // '');
    }
    return unless defined $uri && $uri =~ /\A$URI\z/;
    my %params;
    while ($rest =~ /\G[ \t]*;[ \t]*([^\s;=",<>]+)(?:[ \t]*=[ \t]*(?:$QUOTED|([^\s;",<>]+)))?[ \t]*/gcs) {
        $params{lc $1} //= defined $2 ? _unquoted($2) : $3 // '';
    }
    return if (pos($rest) // 0) < length $rest;
    return SipCgi::Address->new($display, $uri, \%params);
}

sub _unquoted {
    my ($text) = @_;
    $text =~ s/\\(.)/$1/gs;
    return $text;
}

# Writing

sub escape {
    my $octets = _octets($_[0]);
    $octets =~ s/([^A-Za-z0-9\-_.!~*'()+])/sprintf '%%%02X', ord $1/ge;
    return $octets;
}

sub quote {
    my $text = _line($_[0], 'text');
    $text =~ s/(["\\])/\\$1/g;
    return qq("$text");
}

sub address {
    my ($uri, $display, %params) = @_;
    my $text = (length($display // '') ? quote($display) . ' ' : '') . '<' . _uri($uri) . '>';
    for my $name (sort keys %params) {
        my $value = _line($params{$name} // '', "parameter $name");
        $value = quote($value) unless $value =~ /\A$TOKEN?\z/;
        $text .= ';' . _token($name, 'parameter') . (length $value ? "=$value" : '');
    }
    return $text;
}

sub _refuse {
    require Carp;
    Carp::croak(@_);
}

sub _octets {
    my $text = "$_[0]";
    utf8::encode($text) if utf8::is_utf8($text);
    return $text;
}

sub _line {
    my ($value, $what) = @_;
    _refuse("$what: not defined") unless defined $value;
    my $text = _octets($value);
    _refuse("$what: CR, LF or NUL in it") if $text =~ /[\r\n\0]/;
    return $text;
}

sub _token {
    my $text = _line(@_);
    _refuse("$_[1]: not a token: $text") unless $text =~ /\A$TOKEN\z/;
    return $text;
}

sub _field_name {
    my $name = _token($_[0], 'header');
    _refuse("header $name: use body and content_type") if $name =~ /\A(?:content-length|content-type|l|c)\z/i;
    _refuse("header $name: use the option that means it") if $name =~ /\Acgi-/i;
    return $name;
}

sub _uri {
    my $text = _line($_[0], 'uri');
    _refuse("uri: not a URI: $text") unless $text =~ /\A$URI\z/;
    return $text;
}

sub _seconds {
    my ($value, $what) = @_;
    my $text = $value =~ /\A[0-9]{1,9}\z/ ? $value : $value =~ /\A[0-9.eE+-]+\z/ ? sprintf '%.3f', $value : '';
    _refuse("$what: not a number of seconds above 0: $value") unless $text =~ /\A[0-9]{1,9}(?:\.[0-9]{3})?\z/ && $text > 0;
    return $text;
}

sub _whole {
    my ($value, $what, $least, $most) = @_;
    my $is_one = ($value // '') =~ /\A[0-9]{1,10}\z/ && $value >= $least && $value <= $most;
    _refuse("$what: not a whole number from $least to $most") unless $is_one;
    return $value;
}

package SipCgi::Address;

# As text it is its URI.
use overload '""' => sub { $_[0]{uri} }, fallback => 1;

my $UNRESERVED = qr/[A-Za-z0-9\-_.!~*'()]/;    # RFC 3261 25.1

sub new {
    my ($class, $display, $uri, $params) = @_;
    my ($scheme, $rest) = $uri =~ /\A([^:]+):(.*)\z/s;
    my %parts = (display => $display, uri => $uri, scheme => lc $scheme, params => $params, tag => $params->{tag});
    if ($parts{scheme} eq 'tel') {
        ($parts{user} = $rest) =~ s/;.*|[\-.()]//gs;
    }
    elsif ($parts{scheme} =~ /\Asips?\z/) {
        if ($rest =~ s/\A(.*)\@//s) {
            ($parts{user} = $1) =~ s/:.*//s;
            $parts{user} =~ s/%([0-9A-Fa-f]{2})/_unescape($1)/ge;
        }
        my ($host, $port) = $rest =~ /\A(\[[^\]]*\]|[^:;?]*)(?::([0-9]{1,5})(?![0-9]))?/;
        @parts{qw(host port)} = (lc $host, defined $port ? $port + 0 : undef);
        $parts{host} =~ s/\.\z//;
    }
    $parts{q}       = ($params->{q}       // '') =~ /\A([01](?:\.[0-9]{0,3})?)\z/ ? $1 + 0 : 1;
    $parts{expires} = ($params->{expires} // '') =~ /\A([0-9]{1,10})\z/           ? $1 + 0 : undef;
    return bless \%parts, $class;
}

# What needs no escape is not escaped, the rest still is: fit to be compared and to be put into another URI.
sub _unescape {
    my $character = chr hex $_[0];
    return $character =~ /\A$UNRESERVED\z/ ? $character : '%' . uc $_[0];
}

1;

__END__

=head1 NAME

SipCgi - SIP-CGI for scripts in Perl (RFC 3050 section 5)

=head1 SYNOPSIS

    use SipCgi;

    if (event eq 'request') {
        proxy uri, timeout => 15;
        again;
    }
    elsif (status =~ /^1/ || pending) {
        again;
    }
    elsif (status =~ /^(?:408|480|486|503)$/) {
        proxy 'sip:voicemail@example.com';
    }

=head1 DESCRIPTION

What is asked for is printed when the script ends with status 0, and not at all when it dies or exits with another one.
A value that would break its line or mean something else where it is put makes the call die.

=head2 What happened

C<event> (request, response, timeout, timer, cancel, ack), C<method>, C<uri>, C<status> (0 without a response), C<reason>,
C<is_response>, C<target>, C<token>, C<request_token>, C<pending>, C<body>.

C<from> and C<to> are addresses: references to hashes with C<display>, C<uri>, C<scheme>, C<user>, C<host>, C<port>,
C<params>, C<tag>, C<q> and C<expires>, which in a string are their URI; not defined when there is none. C<user> is escaped
where it has to be, C<host> is in lower case.

C<header NAME> is the whole value of a header field, C<headers NAME> the elements of a list, C<addresses NAME> those that
are addresses. C<get_regs> are the addresses of the phones that the called user has registered.

C<cookie> is what an earlier run of the transaction gave to C<cookie STRUCTURE>: whatever JSON can hold.

=head2 What is to happen

C<proxy URI, OPTIONS>: C<timeout> (seconds), C<expires> (seconds), C<token>. C<request METHOD, URI, OPTIONS> has the same, and
sends a request of its own; with the C<token> of an earlier INVITE and an empty URI it goes in that dialog.
C<reply STATUS, REASON, OPTIONS>.
C<forward TOKEN, OPTIONS>: a response; without a token the one at hand. All of them: C<headers> (a hash or, in order, an
array of names and values; a value may be an array of several), C<body> and C<content_type>; but for C<request> C<remove>
(a name or an array of them), too.

C<again>: run the script at the next message, too; C<< again after => SECONDS >>: or at that time.

=head2 Writing values

C<escape TEXT>: the user part of a URI. C<quote TEXT>: a quoted string. C<address URI, DISPLAY, PARAMETERS>: an address.

=cut
