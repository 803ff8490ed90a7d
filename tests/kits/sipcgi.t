# The idiom of Perl: what both contexts give, strings and hashes, dying, exiting, layers of STDOUT, Unicode.
use strict;
use warnings;
use utf8;
use Test::More;

BEGIN {
    %ENV = (
        %ENV,
        SIPCGI_EVENT  => 'request',
        REQUEST_URI   => 'sip:bob@example.com',
        SIP_FROM      => '"Alice" <sip:alice@example.com>;tag=1',
        REGISTRATIONS => '<sip:a@192.0.2.1>;q=0.5;expires=60, <sip:b@192.0.2.2>;expires=9',
    );
}
use SipCgi;

# What a script of these lines prints, and its exit status.
sub script {
    my ($lines) = @_;
    open my $pipe, '-|', $^X, '-e', "use strict; use warnings; use utf8; use SipCgi;\n$lines" or die $!;
    local $/;
    my $printed = <$pipe>;
    close $pipe;
    return wantarray ? ($printed, $? >> 8) : $printed;
}

is(from->{user}, 'alice', 'a function without arguments needs no parentheses');
ok(event eq 'request' && status == 0 && !is_response, 'nor in a condition');
is(from . '', 'sip:alice@example.com', 'an address in a string is its URI');
ok(from eq 'sip:alice@example.com', 'and is compared as one');
is(to, undef, 'an address that is not there is not defined');
is(join(' ', get_regs), 'sip:a@192.0.2.1 sip:b@192.0.2.2', 'registrations in a string');
is_deeply([map { [@$_{qw(q expires)}] } get_regs], [[0.5, 60], [1, 9]], 'and as hashes');
is(header('subject'), undef, 'a header field that is not there is not defined');
is(scalar(my @none = headers 'Subject'), 0, 'nor has it elements');

is(script('foreach my $reg (get_regs()) { proxy $reg, headers => {Priority => "urgent"} }'),
    join('', map { "CGI-PROXY-REQUEST $_ SIP/2.0\nPriority: urgent\n\n" } get_regs), 'for each registration');
is_deeply([script('reply 486; die "no\n"')], ['', 255], 'nothing from a script that dies') if open STDERR, '>', '/dev/null';
is_deeply([script('reply 486; exit 3')],     ['', 3],   'nor from one that exits with another status');
is_deeply([script('reply 486; exit')], ["SIP/2.0 486\n\n", 0], 'all from one that just exits');
is(script('reply 486; if (!(my $pid = fork)) { exit } else { waitpid $pid, 0 }'), "SIP/2.0 486\n\n", 'a child prints nothing');
is(script('binmode STDOUT, ":utf8"; print "CGI-AGAIN yes SIP/2.0\n\n"; reply 486, "Jörg ☎"'),
    "CGI-AGAIN yes SIP/2.0\n\nSIP/2.0 486 J\xc3\xb6rg \xe2\x98\x8e\n\n", 'after what the script prints itself, in UTF-8');
is(script('reply 200, "OK", headers => [A => [1, 2], B => "", A => 3], remove => "Date"'),
    "SIP/2.0 200 OK\nA: 1\nA: 2\nB: \nA: 3\nCGI-Remove: Date\n\n", 'an array keeps the order');
is(script('again after => 2.5'), "CGI-AGAIN yes SIP/2.0\nCGI-After: 2.500\n\n", 'parts of seconds');

is(script('request MESSAGE => from, body => "hi", content_type => "text/plain"; request ACK => "", token => "callee"'),
    "MESSAGE sip:alice\@example.com SIP/2.0\nContent-Type: text/plain\nContent-Length: 2\n\nhi\n"
    . "ACK sip:dialog.invalid SIP/2.0\nCGI-Request-Token: callee\n\n", 'requests of its own');

for my $wrong ('request "BYE"', 'request BYE => undef, headers => {}', 'request "CGI-AGAIN", "yes:"',
    'request MESSAGE => uri, remove => "Date"', 'reply 486, headers => {}', 'again later => 1', 'proxy uri, timeuot => 1', 'reply 486, "x", headers => {A => undef}') {
    is_deeply([script($wrong)], ['', 255], "$wrong dies");
}

my $state = {tried => ['sip:a@b', undef], 'name of' => {"J\x{f6}rg" => "\x{263a} \x7f"}, n => 3};
my ($packed) = script('cookie {tried => ["sip:a\@b", undef], "name of" => {"J\x{f6}rg" => "\x{263a} \x7f"}, n => 3}')
    =~ /\ACGI-SET-COOKIE ([!-~]+) SIP\/2.0\n\n\z/;
{
    local $ENV{SCRIPT_COOKIE} = $packed;
    is_deeply(cookie, $state, 'a structure comes back');
    local $ENV{SCRIPT_COOKIE} = 'bless';
    ok(!eval { cookie; 1 }, 'what is no JSON is refused');
}
is(cookie, undef, 'no cookie in the first run');

done_testing;
