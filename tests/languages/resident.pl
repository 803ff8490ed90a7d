#!/usr/bin/perl
# behave.pl as a FastCGI program, with Debian's libfcgi-perl. That knows no exit status: what fails ends the process.
use strict;
use warnings;
use FCGI;
use POSIX ();

my $request = FCGI::Request();

BEGIN {
    *CORE::GLOBAL::exit = sub { $request->Flush; POSIX::_exit($_[0] // 0) }
}

open my $file, '<', 'behave.pl' or die "behave.pl: $!\n";
my $behave = eval 'sub {' . join('', <$file>) . '}' or die;
$behave->() while $request->Accept >= 0;
