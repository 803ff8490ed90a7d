"""Resident programs behind the real server: calls on the wire, also when a program does not do its part."""

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from running import Server
from wire_phone import Phone, talk

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]
BOB = "sip:bob@example.com"

PROGRAM = """#!/usr/bin/env python3
import os, sys, time
from sipcgi_fastcgi import serve

number = 0

def answer(request):
    global number
    number += 1
    print("asked", number, file=sys.stderr)
    user = request.environment["SIPCGI_URI"][4:].partition("@")[0]
    if user == "die":
        os._exit(3)
    if user == "hang":
        time.sleep(60)
    if user == "fail":
        sys.exit(5)
    if user == "bob":
        return f"CGI-PROXY-REQUEST {request.environment['REQUEST_URI']} SIP/2.0\\nX-Number: {number}\\n\\n"
    return f"SIP/2.0 480 {os.environ['PLACE']} {number}\\n\\n"

print("ready", file=sys.stderr, flush=True)
serve(answer)
"""
ROUTE = "{script: program.py, processes: 1, method: [INVITE, MESSAGE], environment: {PLACE: here}%s}"


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve({"program.py": PROGRAM}, f"routes: [{ROUTE % ''}]")


def refused(phone: Phone, uri: str) -> str:
    """The answer to a call, acknowledged."""
    invite = phone.invite(uri)
    answer = phone.expect("SIP/2.0 ")
    phone.ack(invite, answer)
    return answer.start.removeprefix("SIP/2.0 ")


def test_call_after_call(server: Server, phones: Phones) -> None:
    """The same process each time, which is shown at the start, and its words are in the log."""
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    assert refused(alice, "sip:carol@example.com") == "480 here 1"
    seen = talk(alice, bob, alice.invite(BOB))
    assert seen["X-Number"] == "2"
    assert server.wait_for("program.py  FastCGI, 1 process of ours  routes.0: INVITE, MESSAGE")
    server.wait_for(" stderr script=program.py call_id=- ", 'text="ready"')
    server.wait_for(" stderr script=program.py call_id=call-", 'text="asked 2"')
    server.access("INVITE", 480, " script=program.py ", " runs=1 ")


def test_a_program_that_dies_fails_its_request_alone(server: Server, phones: Phones) -> None:
    alice = phones(server, "alice")
    assert refused(alice, "sip:die@example.com") == "500 Server Internal Error"
    assert refused(alice, "sip:carol@example.com") == "480 here 1"
    server.wait_for(" script script=program.py ", "the FastCGI program closed the connection before it had answered")
    server.wait_for(" warning program.py: a process of it ended with status 3; it is started again at once")


def test_its_exit_status_counts(server: Server, phones: Phones) -> None:
    alice = phones(server, "alice")
    assert refused(alice, "sip:fail@example.com") == "500 Server Internal Error"
    assert refused(alice, "sip:carol@example.com") == "480 here 2"
    server.wait_for(" script script=program.py ", " status=5 ")


def test_a_program_that_hangs(serve: Serve, phones: Phones) -> None:
    """504, and another process takes its place; a CANCEL ends the waiting at once."""
    server = serve({"program.py": PROGRAM}, f"routes: [{ROUTE % ', timeout: 0.5s'}]")
    alice = phones(server, "alice")
    assert refused(alice, "sip:hang@example.com") == "504 Server Time-out"
    server.wait_for(" warning program.py: a process of it hangs in a request that is over")
    assert refused(alice, "sip:carol@example.com") == "480 here 1"

    server.configure(f"routes: [{ROUTE % ', timeout: 30s'}]")
    server.signal(signal.SIGHUP)
    server.wait_for(" info configuration read again")
    invite = alice.invite("sip:hang@example.com")
    alice.expect("SIP/2.0 100", 2.0)
    alice.cancel(invite)
    answers = [alice.expect("SIP/2.0 "), alice.expect("SIP/2.0 ")]
    assert {answer.start for answer in answers} == {"SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"}
    alice.ack(invite, next(answer for answer in answers if answer.status == 487))
    server.wait_for(" warning program.py: a process of it hangs in a request that is over", number=2)
    assert refused(alice, "sip:carol@example.com") == "480 here 1"


@pytest.mark.parametrize(
    ("on_error", "answer"), [("reject", "500 Server Internal Error"), ("other.sh", "603 Other"), ("default", "480 ")]
)
def test_a_program_that_is_not_there(serve: Serve, phones: Phones, on_error: str, answer: str) -> None:
    """As a script that could not be started."""
    route = f"{{fastcgi: 'unix:///nowhere/socket', method: INVITE, on_error: {on_error}}}"
    server = serve({"other.sh": "#!/bin/sh\necho 'SIP/2.0 603 Other'\necho\n"}, f"routes: [{route}]")
    for _ in range(3):
        assert refused(phones(server, "alice"), "sip:carol@example.com").startswith(answer)
    server.wait_for(" script script=unix:///nowhere/socket ", "cannot be reached: No such file or directory")
    assert len(server.lines(" warning the FastCGI program at unix:///nowhere/socket cannot be reached")) == 1


def test_a_new_file_under_load(server: Server, phones: Phones) -> None:
    """SIGHUP takes it, five times within 500 requests, and each of them is answered."""
    alice = phones(server, "alice")
    versions = set()
    for number in range(500):
        if number % 100 == 50:
            server.write("program.py", PROGRAM.replace("os.environ['PLACE']", f"'version-{number}'"))
            server.signal(signal.SIGHUP)
        request = alice.request("MESSAGE", "sip:carol@example.com")
        answer = alice.expect("SIP/2.0 ")
        assert answer["Call-ID"] == request["Call-ID"]
        assert answer.status == 480, f"{answer}"
        versions.add(answer.start.split()[2])
    server.wait_for(" info configuration read again", number=5)
    assert len(versions) == 6


def test_others_with_libfcgi(
    serve: Serve, phones: Phones, program: Callable[[str], str], missing: Callable[[str], None]
) -> None:
    """Two processes of a Perl program, at a socket that others may use, too."""
    if subprocess.run([program("perl"), "-MFCGI", "-e1"], capture_output=True, check=False).returncode:
        missing("FCGI.pm is not there: apt install libfcgi-perl")
    text = """#!/usr/bin/perl
use strict; use warnings; use FCGI;
my $request = FCGI::Request();
while ($request->Accept >= 0) {
    print STDERR "asked by $ENV{SIP_FROM}\\n";
    print "SIP/2.0 480 $ENV{PLACE} $$\\n\\n";
}
"""
    route = "{script: program.pl, fastcgi: 'unix://%s', processes: 2, environment: {PLACE: here}}"
    server = serve({"program.pl": text}, "")
    path = server.folder / "fastcgi.sock"
    server.configure(f"routes: [{route % path}]")
    server.signal(signal.SIGHUP)
    server.wait_for(" info configuration read again")
    alice = phones(server, "alice")
    answers = {refused(alice, "sip:carol@example.com") for _ in range(10)}
    assert all(answer.startswith("480 here ") for answer in answers)
    server.wait_for(" stderr script=program.pl call_id=call-", 'text="asked by <sip:alice@example.com>')
    assert server.stop() == 0
    assert not path.exists()


def test_php(serve: Serve, phones: Phones, program: Callable[[str], str]) -> None:
    """Its FastCGI is made for the web: it wants the name of the script, and prints headers of HTTP if it may."""
    command = [program("php-cgi"), "-d", "default_mimetype=", "-d", "expose_php=0"]
    route = "{command: %s, method: MESSAGE, environment: {SCRIPT_FILENAME: %s/answer.php, REDIRECT_STATUS: '200'}}"
    text = "<?php echo 'SIP/2.0 480 ', getenv('SIPCGI_METHOD'), ' ', file_get_contents('php://input'), \"\\n\\n\";"
    server = serve({"answer.php": f"#!/usr/bin/env php\n{text}"})
    server.configure(f"routes: [{route % (json.dumps(command), server.scripts)}]")
    server.signal(signal.SIGHUP)
    server.wait_for(" info configuration read again")
    alice = phones(server, "alice")
    for body in ("one", "two"):
        alice.request("MESSAGE", "sip:carol@example.com", "Content-Type: text/plain", body=body)
        assert alice.expect("SIP/2.0 ").start == f"SIP/2.0 480 MESSAGE {body}"


def test_a_stuck_program_is_no_other_scripts_trouble(serve: Serve, phones: Phones) -> None:
    """Requests beyond what its processes can do wait for a moment, then they get 503; other scripts answer at once."""
    other = "{script: other.sh, method: MESSAGE}"
    server = serve(
        {"program.py": PROGRAM, "other.sh": "#!/bin/sh\necho 'SIP/2.0 603 Other'\necho\n"},
        f"routes: [{other}, {ROUTE % ', timeout: 5s'}]",
    )
    alice, carol = phones(server, "alice"), phones(server, "carol")
    alice.invite("sip:hang@example.com")
    alice.expect("SIP/2.0 100")
    start = time.monotonic()
    assert refused(carol, "sip:carol@example.com") == "503 Service Unavailable"
    assert time.monotonic() - start < 2
    carol.request("MESSAGE", "sip:carol@example.com")
    assert carol.expect("SIP/2.0 ").start == "SIP/2.0 603 Other"
    assert time.monotonic() - start < 3
