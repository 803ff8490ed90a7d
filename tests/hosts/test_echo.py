"""What a header field says stays a value: 100,000 of them from the wire, through echo scripts, back to the server.

No value adds a variable, an argument, or an action; script and server get it octet by octet.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from sipcgi.cgi.metavars import Occasion, environment
from sipcgi.cgi.output import parse_output
from sipcgi.engine.cgi_service import passed_on
from sipcgi.errors import ParseError
from sipcgi.flow import Flow, HostPort
from sipcgi.offline.words import canonical_output
from sipcgi.service import RequestReceived, Situation
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse

if TYPE_CHECKING:
    from tests.hosts.conftest import Bench

CASES = 100_000
BATCH = 200
"""Values in one message, and so in one environment."""

# Each prints, for each of the batch: CGI-PROXY-REQUEST sip:NUMBER@example.net SIP/2.0 and X-Echo: VALUE; and in the end
# SIP/2.0 182 Seen with X-Seen: the number of its arguments and the names of all its variables.
SCRIPTS = {
    "sh": r"""
        number=0
        while [ $number -lt BATCH ]; do
            eval "value=\$SIP_X_$number"
            printf 'CGI-PROXY-REQUEST sip:%s@example.net SIP/2.0\nX-Echo: %s\n\n' $number "$value"
            number=$((number + 1))
        done
        unset PWD OLDPWD
        printf 'SIP/2.0 182 Seen\nX-Seen: %s' $#
        env -0 | tr '\n\0' '?\n' | LC_ALL=C cut -d = -f 1 | while read -r name; do printf ' %s' "$name"; done
        printf '\n\n'
        exit 0
    """,
    "perl": r"""
        print "CGI-PROXY-REQUEST sip:$_\@example.net SIP/2.0\nX-Echo: $ENV{qq{SIP_X_$_}}\n\n" for 0 .. BATCH - 1;
        print "SIP/2.0 182 Seen\nX-Seen: @{[scalar @ARGV, keys %ENV]}\n\n";
    """,
    "python3": r"""
        import os, sys
        for number in range(BATCH):
            line = b"CGI-PROXY-REQUEST sip:%d@example.net SIP/2.0\nX-Echo: " % number
            sys.stdout.buffer.write(line + os.environb[b"SIP_X_%d" % number] + b"\n\n")
        print("SIP/2.0 182 Seen\nX-Seen:", len(sys.argv) - 1, *os.environ, end="\n\n")
    """,
    "tclsh": r"""
        for {set number 0} {$number < BATCH} {incr number} {
            puts "CGI-PROXY-REQUEST sip:$number@example.net SIP/2.0\nX-Echo: $env(SIP_X_$number)\n"
        }
        puts "SIP/2.0 182 Seen\nX-Seen: $argc [array names env]\n"
    """,
    "ruby": r"""
        BATCH.times do |number|
          print "CGI-PROXY-REQUEST sip:#{number}@example.net SIP/2.0\nX-Echo: ", ENV["SIP_X_#{number}"], "\n\n"
        end
        print "SIP/2.0 182 Seen\nX-Seen: ", [ARGV.size, *ENV.keys].join(" "), "\n\n"
    """,
    "lua": r"""
        for number = 0, BATCH - 1 do
            print("CGI-PROXY-REQUEST sip:" .. number .. "@example.net SIP/2.0")
            print("X-Echo: " .. os.getenv("SIP_X_" .. number) .. "\n")
        end
        local all = io.popen("env -u PWD -u OLDPWD -u _ -0"):read("a")
        local names = all:gsub("[^%z]*", function(one) return one:match("^[^=]*") end)
        print("SIP/2.0 182 Seen\nX-Seen: " .. #arg .. " " .. names:gsub("%z", " ") .. "\n")
    """,
}
PIECES = [
    b"\r\n ",
    b"\r\n\t",
    b"\n",
    b"\r",
    b"\0",
    b"\n\n",
    b"\\n",
    b"%0a",
    b"=",
    b"\nPATH=/evil",
    b"\r\n SIP_X_1=evil",
    b"SIP/2.0 200 OK",
    b"CGI-PROXY-REQUEST sip:evil@example.org SIP/2.0",
    b"\r\n CGI-AGAIN yes SIP/2.0",
    b"\nCGI-SET-COOKIE evil SIP/2.0\n\n",
    b"CGI-Remove: Via",
    b"Content-Length: 9",
    b"() { :;}; echo evil",
    b"$(id)",
    b"`id`",
    b"${IFS}",
    b"%s%n%d",
    b"*",
    b"~",
    b"-n",
    b"-e",
    b"\\c",
    b"[exit 1]",
    b"#{exit 1}",
    b'"',
    b"'",
    b"\\",
    b"<",
    b">",
    b",",
    b";",
    b"|",
    b"&",
    b"\x1b[2J",
    b"\x7f",
    b"\x0b",
    b"\x0c",
    b"\x1a",
    b"\x85",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xe2\x80\xa8",
    b"\xc0\x8a",
    b"\xf0\x9f\x98\x80",
    b" ",
    b"\t",
]
END_OF_FIELD = re.compile(rb"\r\n(?![ \t])")
HEAD = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\n"
)


def values(chance: random.Random) -> Iterator[bytes]:
    while True:
        pieces = chance.choices(PIECES, k=chance.randrange(5))
        if chance.random() < 0.3:
            pieces.append(chance.randbytes(chance.randrange(20)))
        yield b"".join(pieces)


def request(batch: list[bytes]) -> Request:
    """Raises ParseError."""
    fields = b"".join(b"X-%d: %s\r\n" % (number, value) for number, value in enumerate(batch))
    message = parse(HEAD + fields + b"\r\n")
    assert isinstance(message, Request)
    return message


def accepted(candidates: Iterator[bytes]) -> Iterator[bytes]:
    """Those that the parser takes for the value of one field."""
    for value in candidates:
        if END_OF_FIELD.search(value):  # the end of this field, and the beginning of another or of the body
            continue
        try:
            alone = request([value, b"next"])
        except ParseError:
            continue
        assert alone.headers.names[-2:] == ["x-0", "x-1"], value
        yield value


def variables(message: Request) -> dict[str, str]:
    occasion = Occasion(
        event=RequestReceived(message, Situation()),
        initial=message,
        transaction="0-abc",
        run=1,
        elapsed_ms=0,
        flow=Flow("UDP", HostPort("192.0.2.99", 5060), HostPort("192.0.2.1", 5060)),
        server_name="example.com",
        software="sipcgi",
    )
    return environment(occasion).variables


@pytest.mark.parametrize("language", SCRIPTS)
async def test_a_value_stays_a_value(bench: Bench, program: Callable[[str], str], language: str) -> None:
    interpreter = sys.executable if language == "python3" else program(language)
    indented = SCRIPTS[language].replace("BATCH", str(BATCH)).splitlines()
    text = "\n".join([f"#!{interpreter}", *(line.removeprefix(" " * 8) for line in indented)])
    path = bench.write(text)
    inherited = passed_on({"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})
    chance = random.Random(language)
    candidates = accepted(values(chance))
    for _ in range(CASES // len(SCRIPTS) // BATCH + 1):
        batch = list(islice(candidates, BATCH))
        message = request(batch)
        given = inherited | variables(message)
        outcome = await bench.run(path, environment=given)
        assert (outcome.status, bench.lines) == (0, [])
        output = parse_output(outcome.stdout, method="INVITE", max_messages=BATCH + 1)
        assert output.warnings == []
        *lines, status_line, seen = canonical_output(output.actions, output.cookie, output.again)
        expected = []
        for number in range(BATCH):
            expected += [
                f"CGI-PROXY-REQUEST sip:{number}@example.net SIP/2.0",
                f"X-Echo: {given[f'SIP_X_{number}']}",
                "",
            ]
        if language == "tclsh":  # whose texts are characters: octets that are none change
            lines, expected = ([line for line in some if line[:6] != "X-Echo"] for some in (lines, expected))
        assert lines == expected
        assert status_line == "SIP/2.0 182 Seen"
        arguments, *names = seen.removeprefix("X-Seen: ").split()
        assert arguments == "0"
        assert sorted(names) == sorted(given)
