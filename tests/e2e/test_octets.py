"""Octets from the wire through real programs and back, in the languages of people who write scripts (RFC 3050 5.6)."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from running import Server, url
from wire_stream import Stream

Serve = Callable[..., Server]

BINARY = os.urandom(60 * 1024)
ALL = bytes(range(256))
ECHO = r"printf 'SIP/2.0 200 OK\nContent-Type: a/b\n\n'; exec head -c $CONTENT_LENGTH"
"""The body is what it gets: head takes the place of the shell."""
SEVERAL = r"""printf 'SIP/2.0 200 Fine\r\nX-A: 1\r\nContent-Type: a/b\r\nContent-Length: 6\r\n\r\na\r\n\r\nb\r\n'
printf 'CGI-AGAIN no SIP/2.0\r\n\r\nCGI-SET-COOKIE x SIP/2.0\r\n'"""
HERE = """#!/usr/bin/perl
my $all = join '', map { chr } 0 .. 255;
print <<"EOT", $all, <<EOT;
SIP/2.0 200 Gr\u00fc\u00dfe
X-A: \u20ac
Content-Type: a/b
Content-Length: 256

EOT

CGI-AGAIN no SIP/2.0
EOT
"""
LATIN = """import sys
sys.stdout.buffer.write(b'SIP/2.0 486 Stra\\xdfe\\r\\nX-A: ' + b'\\xe9\\r\\n\\r\\n')
"""
LEAVES = """import os, sys, time
print('SIP/2.0 486 Busy\\n', flush=True)
for _ in range(2):  # a daemon that keeps all of its descriptors
    if os.fork():
        os._exit(0)
    os.setsid()
time.sleep(2)
"""


@pytest.fixture
def say(serve: Serve) -> Any:
    """Sends a MESSAGE with a body over TCP; the answer, as reason, X-A and body."""
    server = serve(
        {
            "echo.sh": f"#!/bin/sh\n{ECHO}\n",
            "several.sh": f"#!/bin/sh\n{SEVERAL}\n",
            "here.pl": HERE,
            "latin.py": f"#!/usr/bin/env python3\n{LATIN}",
            "deaf.sh": "#!/bin/sh\nexec 0<&-\nprintf 'SIP/2.0 486 Deaf\\n'\n",
            "leaves.py": f"#!/usr/bin/env python3\n{LEAVES}",
            "shouts.pl": "#!/usr/bin/perl\nprint STDERR 'x' x 1_000_000; print qq{SIP/2.0 486 Hoarse\\n};\n",
        },
        "routes:\n"
        + "".join(
            f'  - {{script: {name}, uri: "{name.partition(".")[0]}@example.com"}}\n'
            for name in ("echo.sh", "several.sh", "here.pl", "latin.py", "deaf.sh", "leaves.py", "shouts.pl")
        ),
        listen=[url("tcp")],
    )

    def message(user: str, body: bytes = b"") -> tuple[bytes, bytes, bytes]:
        with Stream(server) as stream:
            answer = stream.ask(f"sip:{user}@example.com".encode(), b"Content-Type: a/b", body=body)
        return b"%d %s" % (answer.status, answer.reason), answer.fields.get(b"X-A", b""), answer.body

    return message


@pytest.mark.rfc("3050", "5.5.2-2", "5.6-8", "5.6.1.1")
def test_octets_come_and_go_as_they_are(say: Any) -> None:
    assert say("echo", BINARY) == (b"200 OK", b"", BINARY)
    assert say("echo", ALL) == (b"200 OK", b"", ALL)
    assert say("several") == (b"200 Fine", b"1", b"a\r\n\r\nb")
    assert say("here") == (b"200 " + "Gr\u00fc\u00dfe".encode(), "\u20ac".encode(), ALL)
    assert say("latin") == (b"486 Stra\xdfe", b"\xe9", b"")


def test_programs_with_manners_of_their_own(say: Any) -> None:
    """One that reads nothing, one that leaves a daemon behind, one that says a million octets on standard error."""
    assert say("deaf", BINARY)[0] == b"486 Deaf"
    assert say("leaves")[0] == b"486 Busy"
    assert say("shouts")[0] == b"486 Hoarse"
