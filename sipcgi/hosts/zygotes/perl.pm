package Sipcgi::Zygote;

# The warm parent of a Perl script: perl has compiled the script and all that it uses, and forks for each run.
#
#     INTERPRETER [options of the #! line] -IFOLDER -Mperl SCRIPT [MODULE...]
#
# INIT is the moment between compilation and the first statement of the program. There orders are taken and reports
# given (hosts/wire), over the SOCK_SEQPACKET socket that is descriptor 3, and from there each child returns, to run the
# script as perl always does. Nothing but perl itself is used: what is loaded here, each run would have, too.

use strict;
use warnings;

my ($ORDER, $ORDER_SIZE, $REPORT) = ('CCSLQ', 16, 'ClQQQ');
my ($START, $END) = (1, 2);                 # else KILL
my ($STDIN, $APART) = (1, 2);
my ($EXITED, $FAILED, $READY, $GROWN) = (1, 2, 4, 5);
my ($MAX_RECORD, $RIGHTS) = (32768, 40);    # octets, the second with its header: six descriptors
my ($CLOEXEC, $MSG_CMSG_CLOEXEC, $MSG_NOSIGNAL, $WNOHANG) = (0x80000, 0x40000000, 0x4000, 1);
my ($GRACE, $TURNS) = (0.8, 8);             # seconds between TERM and KILL, when the server is gone: less than the
                                            # launcher's own, which then kills us
my $RLIMIT_LOCKS = 10;                      # bears the mark of the run (hosts/marks)
my ($LOOK, $GROWTH) = (64, 4096);           # forks between two looks at our memory; pages more than at the start

# What perl has no function for, by the machine that it was made for (e_machine of ELF): Linux has numbers for it.
my %CALLS = (
    62 => { close => 3, dup3 => 292, prlimit64 => 302, recvmsg => 47, setsid => 112, wait4 => 61 },     # x86-64
    21 => { close => 6, dup3 => 316, prlimit64 => 325, recvmsg => 342, setsid => 66, wait4 => 114 },    # PowerPC
    22 => { close => 6, dup3 => 326, prlimit64 => 334, recvmsg => 372, setsid => 66, wait4 => 114 },    # s390x
);
$CALLS{$_} = { close => 57, dup3 => 24, prlimit64 => 261, recvmsg => 212, setsid => 157, wait4 => 260 }
    for 183, 243, 258;    # ARM, RISC-V, LoongArch

our $environment = \%ENV;
our $asked;

# A script that asks for its message while it is compiled, in a BEGIN block or a module that it uses, would get that of
# no run. So %ENV is watched until then.
{
    package Sipcgi::Zygote::Environment;

    my $first = qr/SIP|SIPCGI|REMOTE|REQUEST|RESPONSE|SERVER|SCRIPT|AUTH|CONTENT|GATEWAY/;
    my $of_message = qr/\A(?:(?:$first)_|REGISTRATIONS\z)/;

    sub look     { $Sipcgi::Zygote::asked //= $_[0] if $_[0] =~ $of_message and !exists $environment->{ $_[0] } }
    sub TIEHASH  { bless [], shift }
    sub FETCH    { look($_[1]); $environment->{ $_[1] } }
    sub EXISTS   { look($_[1]); exists $environment->{ $_[1] } }
    sub STORE    { $environment->{ $_[1] } = $_[2] }
    sub DELETE   { look($_[1]); delete $environment->{ $_[1] } }
    sub CLEAR    { look('SIP_*'); %$environment = () }
    sub FIRSTKEY { look('SIP_*'); my $start = keys %$environment; each %$environment }
    sub NEXTKEY  { each %$environment }
    sub SCALAR   { scalar %$environment }
}

# A variable that was meant for the dynamic linker goes from the environment, and from where Linux shows it.
if (($ENV{LD_BIND_NOW} // '') eq 'warm') {
    delete $ENV{LD_BIND_NOW};
    if (open my $stat, '<', '/proc/self/stat' and open my $memory, '+<:raw', '/proc/self/mem') {
        my ($start, $end) = (split ' ', readline($stat) =~ s/.*\)//r)[47, 48];
        sysseek $memory, $start, 0;
        sysread $memory, my $variables, $end - $start;
        my $found = index $variables // '', "LD_BIND_NOW=warm\0";
        syswrite $memory, "\0" x 16 if $found >= 0 and sysseek $memory, $start + $found, 0;
    }
}

my $folder = __FILE__ =~ s{/[^/]*\z}{}r;
@INC = grep { $_ ne $folder } @INC;
delete $INC{'perl.pm'};
my %given = map { $_ => 1 } split /:/, $ENV{PERL5LIB} // '';
my @installed = grep { !$given{$_} } @INC;
for my $module (@ARGV) {
    (my $file = "$module.pm") =~ s{::}{/}g;
    eval { require $file } or print STDERR "preload: $module: ", $@ =~ s/\n.*//sr, "\n";
}
@ARGV = ();
{
    tie my %watched, 'Sipcgi::Zygote::Environment';
    no warnings 'once';
    *main::ENV = \%watched;
}

my ($call, $server, $wakeup, $wake, $pages, @data, $record, $control, $message, $packed, $status, $usage);
my @texts;                    # of a child, which need not give them up when it leaves a sub
my (%process_of, %run_of);    # by run, until reaped; by process id
my $forks = 0;

INIT {
    *main::ENV = $environment;
    unfit("it asks for $asked while it is compiled") if defined $asked;
    prepare();
    my $arguments = serve();
    @texts = split /\0/, $packed, -1;
    if (${^TAINT}) {
        my $taint = substr "$0$^X", 0, 0;
        $_ .= $taint for @texts;
    }
    my $middle = (@texts + 1 + $arguments) / 2;
    @ARGV = @texts[2 .. $arguments];
    if (${^UNICODE} & 32) { utf8::decode($_) for @ARGV }
    # What is there already is the same for all runs, as env and the BEGIN blocks left it.
    @ENV{ @texts[$arguments + 1 .. $middle - 1] } = @texts[$middle .. $#texts];
    $^T = time;
    srand;
}

sub prepare {
    open my $program, '<:raw', '/proc/self/exe' or unfit("/proc/self/exe: $!");
    read $program, my $head, 20;
    my ($class, $machine) = unpack 'x4 C x13 S', $head;
    $call = $CALLS{$machine};
    unfit('there is none on this kind of machine') unless $class == 2 and $call;
    open $server, '+<&=', 3 or unfit("descriptor 3: $!");
    pipe $wakeup, $wake or unfit("pipe: $!");
    allocate($record,  $ORDER_SIZE + $MAX_RECORD);
    allocate($control, $RIGHTS);
    allocate($status,  4);
    allocate($usage,   144);
    data_handles(\%main::);
    { local $| = 1; print STDOUT '' }    # what was printed until now is nobody's
    $SIG{CHLD} = sub { syswrite $wake, "\0" };
    $SIG{TERM} = 'IGNORE';    # from now on only the end of the socket ends us
    $pages = pages();
    my @files = grep { my $file = $_; defined and m{\A/} and !grep { m{\A/} and index($file, "$_/") == 0 } @installed }
        values %INC;
    report($READY, 0, 0, 0, 0, join "\0", @files);
}

# Ends this process without END blocks, which are the script's.
sub unfit {
    print STDERR "$_[0]\n";
    kill 'KILL', $$;
}

# Makes room that is its own: the kernel writes into it.
sub allocate { vec($_[0], $_[1] - 1, 8) = 0 }

# Two processes that read from one open file take each other's lines away. All that a child needs to open its own is
# kept: the handle, the descriptor and how far it has been read.
sub data_handles {
    my ($package) = @_;
    for my $name (keys %$package) {
        if ($name =~ /::\z/) {
            data_handles($package->{$name}{HASH}) if $name ne 'main::' and ref \$package->{$name} eq 'GLOB';
        }
        elsif ($name eq 'DATA' and ref \$package->{$name} eq 'GLOB') {
            my $handle = *{ $package->{$name} }{IO};
            my $number = $handle && fileno $handle;
            push @data, [$handle, $number, tell $handle] if defined $number;
        }
    }
}

# Returns in each child, with the number of arguments of its run.
sub serve {
    my $both = '';
    vec($both, 3, 1) = vec($both, fileno $wakeup, 1) = 1;
    while (1) {
        next if select(my $ready = $both, undef, undef, undef) < 1;
        if (vec $ready, fileno $wakeup, 1) {
            sysread $wakeup, my $octets, 4096;
            reap();
        }
        if (vec $ready, 3, 1) {
            my $arguments = obey();
            return $arguments if defined $arguments;
        }
    }
}

sub obey {
    my $part = pack 'P Q', $record, $ORDER_SIZE + $MAX_RECORD;
    $message = pack 'x8 L x4 P Q P Q l x4', 0, $part, 1, $control, $RIGHTS, 0;
    my $size = syscall $call->{recvmsg}, 3, $message, $MSG_CMSG_CLOEXEC;
    return if $size < 0;    # interrupted
    farewell() if $size == 0;
    my ($kind, $flags, $arguments, $base, $run) = unpack $ORDER, $record;
    if ($kind == $START) {
        my $given = unpack('x40 Q', $message) ? unpack 'Q', $control : 16;    # octets, with the header
        my @descriptors = unpack 'x16 l' . ($given - 16) / 4, $control;
        $packed = substr $record, $ORDER_SIZE, $size - $ORDER_SIZE;
        my $child = start($run, $base, $flags, @descriptors);
        syscall $call->{close}, $_ for @descriptors;
        return $child ? $arguments : undef;
    }
    my $process = $process_of{$run};    # unless it has been reaped
    signal_run($process, $kind == $END ? 'TERM' : 'KILL') if defined $process;
    return;
}

sub start {
    my ($run, $base, $flags, @descriptors) = @_;
    if ($flags & $APART) {
        my $number = $descriptors[-1];
        open my $texts, '<:raw', "/proc/self/fd/$number" or return report($FAILED, $!, $run);
        local $/;
        $packed = <$texts>;
    }
    chdir substr($packed, 0, index $packed, "\0") or return report($FAILED, $!, $run);
    report($GROWN) if ++$forks % $LOOK == 0 and pages() > $pages + $GROWTH;
    my $process = fork;
    return report($FAILED, $!, $run) if !defined $process;
    if ($process) {
        $process_of{$run} = $process;
        $run_of{$process} = $run;
        return;
    }
    $SIG{$_} = undef for qw(CHLD TERM);    # before there is a group to be told to end
    syscall $call->{setsid};
    my $limit = pack 'QQ', $base << 32 | $run, ~0;
    syscall $call->{prlimit64}, 0, $RLIMIT_LOCKS, $limit, 0;
    syscall $call->{dup3}, $descriptors[0], 1, 0;
    syscall $call->{dup3}, $descriptors[1], 2, 0;
    syscall $call->{dup3}, $descriptors[2], 0, 0 if $flags & $STDIN;
    close $_ for $server, $wakeup, $wake;
    for (@data) {
        my ($handle, $number, $at) = @$_;
        open my $own, '<', "/proc/self/fd/$number" or next;
        syscall $call->{dup3}, fileno $own, $number, $CLOEXEC;
        seek $handle, $at, 0;
    }
    return 1;
}

sub reap {
    while (%run_of) {
        my $process = syscall $call->{wait4}, -1, $status, $WNOHANG, $usage;
        return if $process < 1;
        my $run = delete $run_of{$process};
        next if !defined $run;
        delete $process_of{$run};
        my $code = unpack 'l', $status;
        my @times = unpack 'q4 q', $usage;
        my $cpu = ($times[0] + $times[2]) * 1_000_000 + $times[1] + $times[3];
        report($EXITED, $code & 127 ? -($code & 127) : $code >> 8, $run, $cpu, $times[4]);
    }
}

sub report {
    my ($kind, $code, $run, $cpu, $peak, $more) = @_;
    send $server, pack($REPORT, $kind, map $_ // 0, $code, $run, $cpu, $peak) . ($more // ''), $MSG_NOSIGNAL;
    return;
}

# Whether there is anything in a process group; what runs as somebody else (EPERM) is something, too.
sub in_group { kill(0, -$_[0]) or $! == 1 }

# One that is not reaped has a group of its own, or has not begun, and then leaves nothing.
sub signal_run {
    my ($process, $signal) = @_;
    kill $signal, -$process or kill 'KILL', $process;
}

# The server is gone, or needs us no more: ends what runs, and this process.
sub farewell {
    my %groups = map { $_ => 1 } values %process_of;
    signal_run($_, 'TERM') for keys %groups;
    for (1 .. $TURNS) {
        last if !%groups;
        1 while waitpid(-1, $WNOHANG) > 0;
        in_group($_) or delete $groups{$_} for keys %groups;
        select undef, undef, undef, $GRACE / $TURNS if %groups;
    }
    kill 'KILL', -$_ for keys %groups;
    kill 'KILL', $$;    # as unfit
}

# Of our own memory; 0 when that cannot be known.
sub pages {
    open my $file, '<', '/proc/self/statm' or return 0;
    return (split ' ', readline $file)[1];
}

1;
