"""What the octets of a message may do to a script, and may not: real ones in six languages (docs/threats.md)."""

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server, url
from threats import BOB, by_name, place_of
from wire_phone import Phone
from wire_stream import Answer, Stream

Serve = Callable[..., Server]

# Each answers with X-Seen, as scripts do that hand on a value, and with its whole environment in the body. Of a shell,
# env tells what it hands on to any program.
ECHO = {
    "sh": """#!/bin/sh
printf 'SIP/2.0 480 Seen\\nX-Seen: %s\\nContent-Type: a/b\\n\\n' "$SIP_X_SEEN"
exec env -0
""",
    "bash": """#!/bin/bash
printf 'SIP/2.0 480 Seen\\nX-Seen: %s\\nContent-Type: a/b\\n\\n' "$SIP_X_SEEN"
exec env -0
""",
    "pl": """#!/usr/bin/perl
print "SIP/2.0 480 Seen\\nX-Seen: $ENV{SIP_X_SEEN}\\nContent-Type: a/b\\n\\n";
print map { "$_=$ENV{$_}\\0" } keys %ENV;
""",
    "py": f"""#!{sys.executable} -IS
import os, sys
out = sys.stdout.buffer
out.write(b"SIP/2.0 480 Seen\\nX-Seen: " + os.environb[b"SIP_X_SEEN"] + b"\\nContent-Type: a/b\\n\\n")
out.write(b"".join(b"%s=%s\\0" % pair for pair in os.environb.items()))
""",
    "resident.py": f"""#!{sys.executable}
import os
from sipcgi_fastcgi import serve
def echo(request):
    head = b"SIP/2.0 480 Seen\\nX-Seen: " + os.environb[b"SIP_X_SEEN"] + b"\\nContent-Type: a/b\\n\\n"
    return head + b"".join(b"%s=%s\\0" % pair for pair in os.environb.items())
serve(echo)
""",
    "rb": """#!/usr/bin/env -S ruby --disable-gems
$stdout.binmode
print "SIP/2.0 480 Seen\\nX-Seen: ", ENV["SIP_X_SEEN"].b, "\\nContent-Type: a/b\\n\\n"
ENV.each { |name, value| print name.b, "=", value.b, "\\0" }
""",
    "c": """#include <stdio.h>
#include <stdlib.h>
extern char **environ;
int main(void) {
    printf("SIP/2.0 480 Seen\\nX-Seen: %s\\nContent-Type: a/b\\n\\n", getenv("SIP_X_SEEN"));
    for (char **one = environ; *one; one++) printf("%s%c", *one, 0);
    return 0;
}
""",
}
PROGRAMS = {"sh": "sh", "bash": "bash", "pl": "perl", "rb": "ruby", "c": "cc"}
OF_SHELLS = {b"_", b"SHLVL", b"PWD", b"OLDPWD"}
OF_ONE_RUN = {b"SIPCGI_TRANSACTION", b"SIPCGI_ELAPSED_MS", b"SIP_VIA", b"SIP_FROM", b"SIP_CALL_ID"}

TOKEN = "ABCxyz019-.!%*_+`'~"  # RFC 3261 25.1, shortened
NAMES = (  # between blanks
    "BASH_FUNC_a%% BASH_ENV ENV SHELLOPTS PROMPT_COMMAND PS4 IFS PATH HOME LANG TZ TMPDIR "
    "LD_PRELOAD LD-LIBRARY-PATH LD_AUDIT GCONV_PATH PERL5OPT PERL5LIB PERL5DB PYTHONPATH PYTHONSTARTUP PYTHONINSPECT "
    "RUBYOPT RUBYLIB NODE_OPTIONS LUA_INIT LUA_PATH TCLLIBPATH Proxy HTTP-Proxy http_proxy All-Proxy Domain SIP-Domain "
    "SIP_PROXY Server-Name Gateway-Interface Remote-Addr Remote-User Auth-Type Request-Uri REQUEST_METHOD Request-Token"
    " Script-Cookie Registrations Response-Status Sipcgi-Event SIPCGI_URI SIPCGI-TRANSACTION %00 ' `id` *"
)
VALUES = (
    b"() { :; }; touch CANARY",
    b"() { (a)=>\\' touch CANARY",
    b"() { _; } >_[$($())] { touch CANARY; }",
    b"$(touch CANARY)",
    b"`touch CANARY`",
    b"x; touch CANARY #",
    b"| touch CANARY",
    b"&& touch CANARY",
    b"' || touch CANARY || '",
    b'" ; touch CANARY ; "',
    b"#{`touch CANARY`}",
    b"@{[system('touch CANARY')]}",
    b"__import__('os').system('touch CANARY')",
    b"%s%n%n%n%n%x",
    b"../../../../bin/sh",
    b"-e touch CANARY",
    b"/dev/tcp/127.0.0.1/1",
    b"\\nCGI-PROXY-REQUEST sip:evil@example.net SIP/2.0\\n\\n",
    b"%0d%0aCGI-AGAIN yes SIP/2.0%0d%0a",
    b"\x0bCGI-AGAIN yes SIP/2.0\x0c\x1c\x1d\x1e\x85",
    "\u2028CGI-AGAIN yes SIP/2.0\u2029\x85".encode(),
    bytes(sorted({*range(1, 256)} - {*b"\r\n"})),
    b"\xff\xfe\x80 no UTF-8 \xc0\xaf \xed\xa0\x80",
    b"",
)


def variable(name: str) -> bytes:
    return b"SIP_" + re.sub(rb"[^A-Z0-9]", b"_", name.upper().encode())


def hostile(chance: random.Random, canary: Path) -> Callable[[int], dict[str, bytes]]:
    """Makes header fields, no two of which have the same variable."""
    names = NAMES.split()
    values = [value.replace(b"CANARY", str(canary).encode()) for value in VALUES]

    def fields(number: int) -> dict[str, bytes]:
        found: dict[bytes, tuple[str, bytes]] = {variable("X-Seen"): ("X-Seen", chance.choice(values))}
        while len(found) <= number:
            name = chance.choice(names) if chance.random() < 0.5 else "".join(chance.choices(TOKEN, k=9))
            value = chance.choice(values) if chance.random() < 0.7 else any_octets(chance)
            found.setdefault(variable(name), (name, value))
        return dict(found.values())

    return fields


def any_octets(chance: random.Random) -> bytes:
    octets = chance.randbytes(chance.randrange(40))
    return octets.translate(None, b"\r\n\0")


@pytest.fixture
def echo(request: pytest.FixtureRequest, serve: Serve, program: Callable[[str], str], tmp_path: Path) -> Server:
    """Answers sip:echo.LANGUAGE@example.com with the script in that language, by the host that is the parameter."""
    host = getattr(request, "param", "exec")
    for name in PROGRAMS.values():
        program(name)
    source, made = tmp_path / "echo.c", tmp_path / "echo"
    source.write_text(ECHO["c"])
    subprocess.run(["cc", "-O", "-o", made, source], check=True)
    texts = {f"echo.{language}": text for language, text in ECHO.items()}
    server = serve(
        texts,
        by_name(texts).replace('resident.py@example.com"', 'resident.py@example.com", processes: 1'),
        listen=[url("tcp")],
        timeout="30s",
        host=host,
    )
    made.rename(server.scripts / "echo.c")  # the source has its name until now
    return server


def seen(answer: Answer) -> dict[bytes, bytes]:
    """The environment of a script; without what a shell adds, and what differs from run to run."""
    assert (answer.status, answer.reason) == (480, b"Seen"), answer
    pairs = dict(one.split(b"=", 1) for one in answer.body.split(b"\0")[:-1])
    return {name: value for name, value in pairs.items() if name not in OF_SHELLS | OF_ONE_RUN}


@pytest.mark.parametrize(
    ("echo", "language"),
    [*(("exec", language) for language in ECHO), *(("warm", language) for language in ("pl", "py", "rb"))],
    indirect=["echo"],
)
def test_a_field_is_one_variable_with_its_octets_and_nothing_else(echo: Server, tmp_path: Path, language: str) -> None:
    """2,000 hostile names and values: none makes or changes another variable, an argument, an action or a file."""
    uri, canary = place_of(f"echo.{language}"), tmp_path / "canary"
    fields = hostile(random.Random(3050), canary)
    with Stream(echo) as stream:
        plain = seen(stream.ask(uri, b"X-Seen: x"))
        for _ in range(20):
            sent = fields(100)
            answer = stream.ask(uri, *(b"%s: %s" % (name.encode(), value) for name, value in sent.items()))
            assert seen(answer) == plain | {variable(name): value.strip(b" \t") for name, value in sent.items()}
            assert answer.fields[b"X-Seen"] == sent["X-Seen"].strip(b" \t")
    assert not canary.exists()
    echo.access("MESSAGE", 480, number=21)
    assert len(echo.lines(" access ")) == 21


def test_a_value_never_has_two_lines(echo: Server) -> None:
    """RFC 3050 5.5.1.5: folded lines become one. A bare CR or LF, or a NUL, is no SIP, and runs nothing."""
    action = b"CGI-PROXY-REQUEST sip:evil@example.net SIP/2.0"
    with Stream(echo) as stream:
        for language in ECHO:
            uri = place_of(f"echo.{language}")
            for fold in (b"\r\n ", b"\r\n\t", b" \r\n  \t", b"\r\n \r\n "):
                answer = stream.ask(uri, b"X-Seen: one" + fold + action)
                assert re.fullmatch(b"one +" + action, seen(answer)[b"SIP_X_SEEN"]), answer
                assert re.fullmatch(b"one +" + action, answer.fields[b"X-Seen"])
    echo.access("MESSAGE", 480, number=4 * len(ECHO))
    for inside in (b"\n", b"\r", b"\0", b"\n\n", b"\r\r\n ", b"\n\r"):
        for line in (b"X-Seen: one" + inside + action, b"X-Se" + inside + b"en: one"):
            with Stream(echo) as stream:
                stream.send(place_of("echo.sh"), line)
                assert stream.is_closed()
    with Stream(echo) as stream:
        seen(stream.ask(place_of("echo.sh"), b"X-Seen: x"))
    echo.access("MESSAGE", 480, number=4 * len(ECHO) + 1)
    assert len(echo.lines(" access ")) == 4 * len(ECHO) + 1


def test_names_that_fall_together_give_one_variable(echo: Server) -> None:
    """The spelling with - is kept, whatever comes first; the log names the other."""
    for first, second in (("X-Seen", "X_Seen"), ("X.Seen", "X-Seen"), ("x-seen", "X%Seen")):
        with Stream(echo) as stream:
            fields = [f"{name}: {name}".encode() for name in (first, second)]
            kept = next(name for name in (first, second) if "-" in name)
            assert seen(stream.ask(place_of("echo.sh"), *fields))[b"SIP_X_SEEN"] == kept.encode()
    for name in ("x_seen", "x.seen", "x%seen"):
        echo.wait_for(f"header {name} is not passed, its variable is taken by another")


# Sizes

LENGTH = "#!/bin/sh\nprintf 'SIP/2.0 480 %s\\n\\n' ${#SIP_X_LONG}\n"
ONE, ALL = 120 * 1024, 1024 * 1024  # octets of a variable, of all of them (contract)


@pytest.fixture
def length(serve: Serve) -> Server:
    return serve({"message.sh": LENGTH}, listen=[url("tcp")])


def test_around_the_limit_of_a_variable_a_message_runs_its_script_or_gets_513(length: Server) -> None:
    """Linux takes 131,071 octets (E2BIG): the message never comes to that, and nothing is a 500."""
    room = ONE - len("SIP_X_LONG=")
    sizes = [*range(room - 60, room + 61), *range(131_000, 131_100, 7), 200_000, 500_000, 1_000_000]
    with Stream(length) as stream:
        for size in sizes:
            answer = stream.ask(BOB, b"X-Long: " + b"x" * size)
            assert (answer.status, answer.reason) == ((480, b"%d" % size) if size <= room else (513, answer.reason))


def test_around_the_limit_of_all_variables_a_message_runs_its_script_or_gets_513(length: Server) -> None:
    """The environment has more octets than the fields: its limit comes before that of the header, 1 MiB as well."""
    with Stream(length) as stream:
        most = [b"X%d: " % number + b"x" * 119_000 for number in range(8)]
        found = []
        for size in range(ALL - 8 * 119_010 - 2000, ALL - 8 * 119_010 - 400, 50):
            answer = stream.ask(BOB, *most, b"X-Long: " + b"x" * size)
            assert (answer.status, answer.reason) in ((480, b"%d" % size), (513, b"Message Too Large"))
            found.append(answer.status)
        assert found == sorted(found)
        assert set(found) == {480, 513}


def test_many_fields_and_large_datagrams(length: Server, phones: Callable[..., Phone]) -> None:
    with Stream(length) as stream:
        for number in (600, 1990):
            fields = [b"X-%d: %d" % (one, one) for one in range(number)]
            assert stream.ask(BOB, *fields).reason == b"0"
        assert stream.ask(BOB, *[b"X-Long: 1"] * 2001).status == 513
    alice = phones(length, "alice")
    for size in (20_000, 50_000, 65_000):
        alice.request("MESSAGE", "sip:bob@example.com", "X-Long: " + "x" * size)
        alice.expect(f"SIP/2.0 480 {size}")


# Names of files

EVIL = "#!/bin/sh\ntouch '{canary}'\nprintf 'SIP/2.0 486 Evil\\n\\n'\n"
PIECES = (  # between blanks
    "../evil ../evil.sh ..%2fevil.sh %2e%2e%2fevil.sh %2E%2E/evil.sh ..%252fevil.sh ..\\evil.sh ....//evil.sh "
    "./secret.sh secret.sh sub/evil.sh sub%2fevil.sh /tmp/evil.sh file:///evil.sh secret.sh%00 secret.sh%00.pl "
    "secret.sh\0 ../evil.sh\0 \u2025/evil.sh \uff0e\uff0e\uff0fevil.sh .\u2044./evil.sh \u2024\u2024/evil.sh "
    "%c0%ae%c0%ae/evil.sh %u002e%u002e/evil.sh ..;/evil.sh secret.sh|touch secret.sh;touch $(secret.sh) `secret.sh` "
    "secret.sh# secret.sh?x=y ~/evil.sh ~root/evil.sh -e *.sh ?ecret.sh [a-z]ecret.sh {secret,evil}.sh .secret.sh"
)
FRAMES = (
    "sip:{}@example.com",
    "sip:bob@{}",
    "sip:{}",
    "sip:bob@example.com;script={}",
    "sip:bob@example.com;{}=1",
    "sip:bob:{}@example.com",
    "sip:bob@example.com?script={}",
    "sips:{}@example.com",
    "tel:{}",
    "file:{}",
    "cgi-bin/{}",
    "sip:bob@example.com/{}",
    "sip:example.com/cgi-bin/{}",
)
METHODS = (
    b"SECRET.SH .SECRET %2E%2E%2FEVIL ..%2FEVIL SUB%2FEVIL SECRET%00 SECRET~ SECRET.BAK EVIL ~EVIL *.SH SECRE* .. . %"
)


def test_no_request_names_a_file(serve: Serve, tmp_path: Path) -> None:
    """More than 500 Request-URIs, and methods: the route's script runs, or none."""
    canary = tmp_path / "canary"
    evil = EVIL.format(canary=canary)
    server = serve(
        {"ours.sh": "#!/bin/sh\nprintf 'SIP/2.0 480 Ours\\n\\n'\n", "secret.sh": evil},
        "routes: [{script: ours.sh, method: MESSAGE}]",
        listen=[url("tcp")],
    )
    (server.scripts / "sub").mkdir()
    for place in (server.scripts.parent / "evil.sh", server.scripts.parent / "evil", server.scripts / "sub/evil.sh"):
        place.write_text(evil)
        place.chmod(0o755)
    uris = [frame.format(piece) for frame in FRAMES for piece in PIECES.split(" ")]
    assert len(set(uris)) > 500
    ran = 0
    with Stream(server) as stream:
        for uri in uris:
            if "\0" in uri:
                continue
            answer = stream.ask(uri.encode())
            ran += answer.reason == b"Ours"
            assert answer.reason == b"Ours" or answer.status in (400, 403, 404, 414, 416, 480), (uri, answer)
        for method in METHODS.split():
            answer = stream.ask(BOB, method=method)
            assert answer.reason not in (b"Ours", b"Evil"), (method, answer)
    assert ran > 100
    assert not canary.exists()
