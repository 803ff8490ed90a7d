"""`sipcgi try`: one script, run for real, and what the server would make of it."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import Result

from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "cgi-bin"
Tried = Callable[..., dict[str, Any]]
Shown = Callable[..., Result]
Script = Callable[..., Path]

INVITE = """\
INVITE sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds
Max-Forwards: 70
To: Bob <sip:bob@biloxi.com>
From: Alice <sip:alice@atlanta.com>;tag=1928301774
Call-ID: a84b4c76e66710@pc33.atlanta.com
CSeq: 314159 INVITE
Contact: <sip:alice@pc33.atlanta.com>
Content-Type: application/sdp
Content-Length: 142

v=0
"""


def messages(document: dict[str, Any]) -> list[Request | Response]:
    return [parse(text.encode()) for text in document["messages"]]


def start_lines(document: dict[str, Any]) -> list[str]:
    return [message.start_line for message in messages(document)]


def test_an_answer(tried: Tried) -> None:
    document = tried(SAMPLES / "block.pl", "--from", "sip:sales@vinylsiding.com")
    assert document["output"] == "SIP/2.0 600 I can't talk right now\n\n"
    (answer,) = messages(document)
    assert answer.start_line == "SIP/2.0 600 I can't talk right now"
    assert answer.to.tag
    assert document["destinations"] == ["udp 127.0.0.1:5070"]
    (action,) = document["actions"]
    assert (action["action"], action["status"], action["line"]) == ("SIP/2.0", 600, 1)
    environment = document["environment"]
    assert environment["SIP_FROM"] == "<sip:sales@vinylsiding.com>;tag=caller"
    assert (environment["REQUEST_METHOD"], environment["SIPCGI_RUN"]) == ("INVITE", "1")


def test_what_is_proxied_leaves_as_the_server_sends_it(tried: Tried, script: Script) -> None:
    path = script("print", "CGI-PROXY-REQUEST sips:bob@example.net SIP/2.0", "CGI-Remove: X-Odd", "Subject: lunch")
    document = tried(path, "--header", "X-Odd: 1", "--header", "Max-Forwards: 9")
    (message,) = messages(document)
    assert isinstance(message, Request)
    assert message.start_line == "INVITE sips:bob@example.net SIP/2.0"
    assert document["destinations"] == ["tls example.net:5061"]
    assert message.headers.get("max-forwards") == "8"
    assert message.headers.get("subject") == "lunch"
    assert "x-odd" not in message.headers
    assert len(message.vias) == 2
    assert "record-route" in message.headers


def test_no_output_is_the_default_action(tried: Tried, script: Script) -> None:
    document = tried(script("#!/bin/sh", "exit 0"), "--uri", "sip:carol@192.0.2.7:5070;transport=tcp")
    assert document["actions"] == []
    assert document["destinations"] == ["tcp 192.0.2.7:5070"]


def test_the_words_of_the_command_line_make_the_request(tried: Tried, script: Script, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"hello")
    path = script("#!/bin/sh", "cat >&2", "exit 0")
    document = tried(
        *(path, "--method", "MESSAGE", "--from", '"A" <sip:a@x.example>', "--to", "sip:b@y.example"),
        *("--uri", "sip:c@z.example", "--header", "Subject: one", "--header", "Subject: two"),
        *("--body", tmp_path / "body"),
    )
    environment = document["environment"]
    assert environment["REQUEST_METHOD"] == "MESSAGE"
    assert environment["SIP_FROM"] == '"A" <sip:a@x.example>;tag=caller'
    assert environment["SIP_TO"] == "<sip:b@y.example>"
    assert environment["REQUEST_URI"] == "sip:c@z.example"
    assert environment["SIP_SUBJECT"] == "one, two"
    assert (environment["CONTENT_LENGTH"], environment["CONTENT_TYPE"]) == ("5", "text/plain")
    assert document["stderr"] == ["hello"]


def test_a_register_is_for_us(tried: Tried, script: Script) -> None:
    document = tried(script("#!/bin/sh", "exit 0"), "--method", "REGISTER")
    (answer,) = messages(document)
    assert answer.start_line == "SIP/2.0 200 OK"
    assert answer.headers.get("contact") == "<sip:alice@127.0.0.1:5070>;expires=3600"
    assert document["environment"]["REQUEST_URI"] == "sip:example.com"


def test_a_raw_request(tried: Tried, script: Script, tmp_path: Path) -> None:
    (tmp_path / "invite.sip").write_text(INVITE)
    document = tried(script("#!/bin/sh", "cat >&2", "exit 0"), "--message", tmp_path / "invite.sip")
    assert document["environment"]["SIP_CALL_ID"] == "a84b4c76e66710@pc33.atlanta.com"
    assert document["stderr"] == ["v=0"]  # with a CR LF that the file need not have
    (message,) = messages(document)
    assert message.body == b"v=0\r\n"


def test_a_raw_response_is_a_later_invocation(tried: Tried, script: Script, tmp_path: Path) -> None:
    response = INVITE.replace("INVITE sip:bob@biloxi.com SIP/2.0", "SIP/2.0 486 Eating").replace(
        "<sip:bob@biloxi.com>", "<sip:bob@biloxi.com>;tag=x"
    )
    (tmp_path / "busy.sip").write_text(response.replace("Contact", "X-Contact"))
    document = tried(script("#!/bin/sh", "exit 0"), "--message", tmp_path / "busy.sip", "--cookie", "one")
    environment = document["environment"]
    assert (environment["RESPONSE_STATUS"], environment["RESPONSE_REASON"]) == ("486", "Eating")
    assert environment["SCRIPT_COOKIE"] == "one"
    assert environment["SIP_X_CONTACT"] == "<sip:alice@pc33.atlanta.com>"
    assert start_lines(document) == ["ACK sip:bob@biloxi.com SIP/2.0", "SIP/2.0 486 Eating"]


def test_a_later_invocation(tried: Tried) -> None:
    document = tried(SAMPLES / "hunt.py", "--response", "486", "--cookie", "1", "--request-token", "ben")
    environment = document["environment"]
    expected = {
        "SIPCGI_EVENT": "response",
        "SIPCGI_RUN": "2",
        "SIPCGI_BEST": "486",
        "SCRIPT_COOKIE": "1",
        "REQUEST_TOKEN": "ben",
        "REMOTE_ADDR": "192.0.2.10",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert "REQUEST_METHOD" not in environment
    assert start_lines(document)[1] == "INVITE sip:+12015550123@gateway.example.com SIP/2.0"
    assert [action["action"] for action in document["actions"]] == [
        *("CGI-PROXY-REQUEST", "CGI-SET-COOKIE", "CGI-AGAIN"),
    ]  # fmt: skip


def test_a_408_is_that_of_a_timeout(tried: Tried) -> None:
    document = tried(SAMPLES / "forward.sh", "--response", "408")
    assert document["environment"]["SIPCGI_EVENT"] == "timeout"
    assert "REMOTE_PORT" not in document["environment"]
    assert start_lines(document) == ["INVITE sip:voicemail@example.com SIP/2.0"]


@pytest.mark.parametrize(("method", "event"), [("CANCEL", "cancel"), ("ACK", "ack")])
def test_what_comes_later_in_a_call(tried: Tried, script: Script, method: str, event: str) -> None:
    document = tried(script("#!/bin/sh", "exit 0"), "--method", method, "--cookie", "c")
    environment = document["environment"]
    assert (environment["SIPCGI_EVENT"], environment["REQUEST_METHOD"]) == (event, method)
    assert environment["SCRIPT_COOKIE"] == "c"


@pytest.mark.parametrize(
    ("lines", "line", "column", "text", "hint"),
    [
        (["CGI-PROXY sip:b@h SIP/2.0"], 1, 1, "unknown action", "did you mean CGI-PROXY-REQUEST?"),
        (["PROXY sip:b@h SIP/2.0"], 1, 1, "unknown action", "did you mean CGI-PROXY-REQUEST?"),
        (["SIP/2.0 200 OK", "", "Subject: x"], 3, 1, "header field without an action line", "a blank line too much"),
        (["SIP/2.0 90 Low"], 1, 9, "status code from 100 to 699 expected", "SIP/2.0 486 Busy Here"),
        (
            ["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Call-ID: other"],
            2,
            10,
            "cannot change Via, Call-ID",
            "leave the field",
        ),
        (["SIP/2.0 180 Ringing"], 1, 1, "only provisional responses", "print a final response"),
        (["CGI-FORWARD-RESPONSE this SIP/2.0"], 1, 22, "where no response came", "RESPONSE_TOKEN"),
    ],
)
def test_an_error_has_its_place_and_a_hint(
    tried: Tried, shown: Shown, script: Script, lines: list[str], line: int, column: int, text: str, hint: str
) -> None:
    path = script("print", *lines)
    document = tried(path)
    (error,) = document["errors"]
    assert (error["line"], error["column"]) == (line, column)
    assert text in error["text"]
    assert hint in error["hint"]
    assert document["actions"] == []
    assert start_lines(document) == ["SIP/2.0 500 Server Internal Error"]
    told = shown(path).stdout.splitlines()
    at = next(
        number for number, each in enumerate(told) if each.startswith(f"a.sh: output line {line}, column {column}: ")
    )
    assert told[at + 1] == f"{line:4} | {lines[line - 1]}"
    assert told[at + 2] == "     | " + " " * (column - 1) + "^"
    assert told[at + 3].startswith("     hint: ")
    assert told[-1] == "not valid"


@pytest.mark.parametrize(
    ("text", "mode", "error", "hint"),
    [
        ("#!/bin/sh\nexit 3", 0o755, "exit status 3", "counts only with exit status 0"),
        ("#!/bin/sh\nfalse", 0o755, "exit status 1", "end a shell script with exit 0"),
        ("#!/bin/sh\nkill -SEGV $$", 0o755, "killed by a signal (SIGSEGV)", ""),
        ("#!/bin/sh\r\nexit 0\r", 0o755, "could not be started", "dos2unix"),
        ("#!/usr/bin/env sh\r\nexit 0\r", 0o755, "exit status 127", "dos2unix"),
        ("#!/usr/bin/env no-such-program\n", 0o755, "exit status 127", "asks env for no-such-program"),
        ("#!/usr/bin/no-such-program\n", 0o755, "could not be started", "which is not there"),
        ("#!/bin/sh", 0o644, "is not executable and has none of the endings", ""),
    ],
)
def test_a_script_that_fails(tried: Tried, script: Script, text: str, mode: int, error: str, hint: str) -> None:
    document = tried(script(text, name="b", mode=mode))
    (told,) = document["errors"]
    assert error in told["text"]
    assert hint in told["hint"]
    assert start_lines(document) == ["SIP/2.0 500 Server Internal Error"]


def test_a_script_that_is_not_there(tried: Tried, tmp_path: Path) -> None:
    assert tried(tmp_path / "gone.pl")["errors"][0]["text"].startswith("gone.pl is missing")


def test_a_timeout_is_played_at_its_time(tried: Tried, script: Script, tmp_path: Path) -> None:
    path = script("#!/bin/sh", "echo begun >&2", "sleep 30")
    (tmp_path / "x.yaml").write_text(f"scripts: {{directory: {tmp_path}, timeout: 400ms}}\n")
    document = tried(path, "--config", tmp_path / "x.yaml")
    assert document["errors"][0]["text"] == "ended at its timeout of 0.4 s"
    assert document["stderr"] == ["begun"]
    assert start_lines(document) == ["SIP/2.0 100 Trying", "SIP/2.0 504 Server Time-out"]


def test_a_configuration_says_domains_listeners_and_settings(tried: Tried, script: Script, tmp_path: Path) -> None:
    path = script("#!/bin/sh", 'printf "CGI-PROXY-REQUEST sip:$WHOM@ours.example SIP/2.0\\n\\n"', "exit 0")
    (tmp_path / "x.yaml").write_text(
        "listen: [{url: 'udp://0.0.0.0:5080', advertise: sip.ours.example}]\n"
        "domains: [ours.example]\n"
        f"scripts: {{directory: {tmp_path}}}\n"
        "routes: [{script: a.sh, method: MESSAGE, environment: {WHOM: carol}}]\n"
    )
    document = tried("a.sh", "--config", tmp_path / "x.yaml")
    assert document["environment"]["SERVER_NAME"] == "ours.example"
    (warning,) = document["warnings"]
    assert (
        warning["text"]
        == "ours.example is a domain of ours, and carol@ours.example has registered nothing here: a local 480"
    )
    document = tried(
        path, "--config", tmp_path / "x.yaml", "--uri", "sip:carol@ours.example", "--registered", "sip:c@h.example"
    )
    assert document["warnings"] == []
    (message,) = messages(document)
    assert message.start_line == "INVITE sip:c@h.example SIP/2.0"
    assert str(message.via).startswith("SIP/2.0/UDP sip.ours.example:5080;")
    assert document["environment"]["REGISTRATIONS"] == "<sip:c@h.example>;expires=3600"


def test_a_wrong_configuration_is_exit_status_78(shown: Shown, script: Script, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("domain: x\n")
    result = shown(script("print"), "--config", tmp_path / "x.yaml")
    assert result.exit_code == 78
    assert "x.yaml:1: domain: unknown key" in result.stderr


def test_registered_phones(tried: Tried) -> None:
    phones = ["--registered", "sip:bob@192.0.2.5", "--registered", "<sip:bob@192.0.2.6>;q=0.5"]
    document = tried(SAMPLES / "boss.pl", "--from", "sip:boss@example.com", *phones)
    assert document["destinations"] == ["udp 192.0.2.5:5060", "udp 192.0.2.6:5060"]
    assert all(message.headers.get("priority") == "urgent" for message in messages(document))


def test_the_script_is_run_once(tried: Tried, script: Script, tmp_path: Path) -> None:
    path = script(
        *("#!/bin/sh", f"echo x >> {tmp_path}/runs"),
        *('printf "CGI-PROXY-REQUEST $REQUEST_URI SIP/2.0\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n"', "exit 0"),
    )
    document = tried(path, "--domain", "example.com")
    assert (tmp_path / "runs").read_text() == "x\n"
    assert document["messages"] == []
    assert any("would be run again at once, for a local 480" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("lines", "line", "text"),
    [
        (["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Contact: <sip:x@y>"], 2, "a proxied INVITE with another Contact"),
        (["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Subject: x", "CGI-Remove: X-Y, subject"], 3, "subject is both removed"),
        (["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Content-Type: text/plain"], 2, "Content-Type, but no body follows"),
        (
            [
                "CGI-PROXY-REQUEST sip:b@h SIP/2.0",
                "Content-Type: text/plain",
                "X: y",
                "",
                "hi",
                "",
                "cgi-again yes SIP/2.0",
            ],
            7,
            "CGI-AGAIN is a part of the body",
        ),
        (["SIP/2.0 486 Busy Here", "", "SIP/2.0 603 Decline"], 3, "dropped: the final response of line 1"),
        (["SIP/2.0 486 Busy Here", "", "CGI-AGAIN yes SIP/2.0"], 3, "CGI-AGAIN yes has no effect"),
        (["SIP/2.0 302 Moved"], 1, "302 without Contact"),
        (["SIP/2.0 401 Unauthorized"], 1, "401 without WWW-Authenticate"),
        (["SIP/2.0 200 OK"], 1, "200 answers the call, but has no session description"),
    ],
)
def test_what_is_legal_but_surely_wrong(tried: Tried, script: Script, lines: list[str], line: int, text: str) -> None:
    document = tried(script("print", *lines))
    assert document["valid"]
    (warning,) = document["warnings"]
    assert warning["line"] == line
    assert warning["text"].startswith(text)


@pytest.mark.parametrize(
    "lines",
    [
        ["SIP/2.0 302 Moved", "Contact: <sip:x@y>"],
        ["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Content-Length: 0"],
        ["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Content-Type: text/plain", "", "hello"],
        ["SIP/2.0 200 OK", "Content-Type: application/sdp", "", "v=0"],
        ["CGI-PROXY-REQUEST sip:b@h SIP/2.0", "Content-Type: message/sipfrag", "", "SIP/2.0 100 Trying"],
        [
            "CGI-PROXY-REQUEST sip:b@h SIP/2.0",
            "Content-Type: a/b",
            "Content-Length: 3",
            "",
            "hi",
            "CGI-AGAIN yes SIP/2.0",
        ],
    ],
)
def test_what_is_right(tried: Tried, script: Script, lines: list[str]) -> None:
    assert tried(script("print", *lines))["warnings"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cookie", "x"], "belong to a later invocation"),
        (["--response", "100"], "from 101 to 699"),
        (["--response", "busy"], "from 101 to 699"),
        (["--response", "486", "--cookie", "a b"], "visible ASCII"),
        (["--response", "486", "--method", "CANCEL"], "--response beside --method CANCEL"),
        (["--header", "Subject"], "not of the form"),
        (["--header", "Subject: a\nb"], "CR, LF or NUL"),
        (["--from", "bob"], "not a URI"),
        (["--uri", "bob"], "not a URI"),
        (["--method", "IN VITE"], "no method"),
        (["--message", str(SAMPLES / "dnd.sh")], "bad start line"),
        (["--registered", "x"], "not a URI"),
        (["--method", "ACK", "--header", "Max-Forwards: 0"], "answered 483 Too Many Hops before any script runs"),
    ],
)  # fmt: skip
def test_a_question_without_sense_is_exit_status_2(
    shown: Shown, script: Script, arguments: list[str], said: str
) -> None:
    result = shown(script("print"), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_request_that_the_server_refuses_itself(tried: Tried, script: Script) -> None:
    document = tried(script("print"), "--header", "Max-Forwards: 0")
    assert "no script is run for this request: the server answers 483" in document["errors"][0]["text"]
    document = tried(script("print"), "--header", "X-Long: " + "x" * 130_000)
    assert document["errors"] != []


def test_another_script_for_errors_is_not_run(tried: Tried, script: Script, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"scripts: {{directory: {tmp_path}, on_error: sorry.sh}}\n")
    script("#!/bin/sh", f"touch {tmp_path}/ran", name="sorry.sh")
    document = tried(script("#!/bin/sh", "exit 1"), "--config", tmp_path / "x.yaml")
    assert document["notes"] == ["on_error: sorry.sh would run now"]
    assert not (tmp_path / "ran").exists()


EXEC = ("#!/bin/sh", 'echo "sip:$SIP_USER@192.0.2.7"', "echo", 'echo "$1;saw=$(head -c 6)"', 'echo "$#" >&2')


def test_a_script_of_style_exec(tried: Tried, shown: Shown, script: Script) -> None:
    path = script(*EXEC)
    document = tried(path, "--style", "exec", "--uri", "sip:bob@192.0.2.8")
    assert document["output"] == "sip:bob@192.0.2.7\n\nsip:bob@192.0.2.8;saw=INVITE\n"
    assert start_lines(document) == [
        "INVITE sip:bob@192.0.2.7 SIP/2.0",
        "INVITE sip:bob@192.0.2.8;saw=INVITE SIP/2.0",
    ]
    assert [action["line"] for action in document["actions"]] == [1, 3]
    assert (document["environment"]["SIP_ORURI"], document["stderr"]) == ("sip:bob@192.0.2.8", ["1"])
    text = shown(path, "--style", "exec", "--uri", "sip:bob@192.0.2.8").stdout
    assert "  (its argument is sip:bob@192.0.2.8)" in text
    assert "octets on standard input" in text
    assert "its argument" not in shown(path).stdout


def test_an_output_of_style_exec_that_is_wrong(shown: Shown, script: Script) -> None:
    result = shown(script("print", "sip:bob@192.0.2.7", "<sip:carol@192.0.2.8>"), "--style", "exec")
    assert result.exit_code == 1
    assert "a.sh: output line 2, column 1: error: not a URI: '<sip:carol@192.0.2.8>'\n   2 | <sip:" in result.stdout
    assert "hint: write the URI alone" in result.stdout


def test_the_style_is_that_of_the_route(tried: Tried, shown: Shown, script: Script, tmp_path: Path) -> None:
    path = script(*EXEC)
    config = tmp_path / "sipcgi.yaml"
    config.write_text(
        "scripts: {directory: .}\nroutes: [{script: a.sh, style: exec, reroute: true}]\ndomains: [b.example]\n"
    )
    document = tried(path, "--config", config, "--uri", "sip:bob@b.example")
    assert document["valid"]
    assert document["notes"] == ["for sip:bob@b.example;saw=INVITE, a.sh would run now"]
    assert not tried(path, "--config", config, "--style", "cgi")["valid"]


@pytest.mark.parametrize("later", [("--response", "486"), ("--method", "CANCEL"), ("--method", "ACK")])
def test_a_script_of_style_exec_has_no_later_run(shown: Shown, script: Script, later: tuple[str, str]) -> None:
    result = shown(script(*EXEC), "--style", "exec", *later)
    assert result.exit_code == 2
    assert "is run for the request alone" in result.stderr


def test_the_next_script_of_a_route_is_said_not_run(tried: Tried, shown: Shown, script: Script, tmp_path: Path) -> None:
    path = script("#!/bin/sh", "exit 0")
    (tmp_path / "b.sh").write_text("#!/bin/sh\ntouch $(dirname $0)/ran\n")
    (tmp_path / "b.sh").chmod(0o755)
    (tmp_path / "x.yaml").write_text(
        f"scripts: {{directory: {tmp_path}}}\nroutes: [{{script: [b.sh, {path.name}, b.sh]}}]\n"
    )
    document = tried(path, "--config", tmp_path / "x.yaml")
    assert document["notes"] == ["b.sh would run now, for the script takes no action"]
    assert not (tmp_path / "ran").exists()
    assert "  none: b.sh is next" in shown(path, "--config", tmp_path / "x.yaml").stdout.splitlines()


def test_a_request_of_its_own(tried: Tried, shown: Shown, script: Script, tmp_path: Path) -> None:
    path = script("print", "MESSAGE sip:admin@example.com SIP/2.0", "Subject: look", "", "SIP/2.0 486 Busy Here")
    document = tried(path)
    assert document["valid"]
    assert start_lines(document) == ["MESSAGE sip:admin@example.com SIP/2.0", "SIP/2.0 486 Busy Here"]
    assert document["notes"] == ["it generates requests: on a route without `originate: true` the server answers 500"]
    first = document["actions"][0]
    assert (first["action"], first["uri"], first["headers"]) == (
        "MESSAGE",
        "sip:admin@example.com",
        [["Subject", "look"]],
    )
    assert "  line 1: sends MESSAGE to sip:admin@example.com; Subject: look" in shown(path).stdout.splitlines()
    (tmp_path / "x.yaml").write_text(f"scripts: {{directory: {tmp_path}}}\nroutes: [{{script: {path.name}}}]\n")
    (error,) = tried(path, "--config", tmp_path / "x.yaml")["errors"]
    assert "which this route does not allow" in error["text"]
    assert "originate: true" in error["hint"]


def test_the_dialog_of_a_request_of_its_own_is_not_there(tried: Tried, script: Script) -> None:
    path = script("print", "BYE sip:dialog SIP/2.0", "CGI-Request-Token: t", "", "SIP/2.0 486 Busy Here")
    document = tried(path, "--response", "486")
    assert start_lines(document) == ["ACK sip:bob@example.com SIP/2.0", "SIP/2.0 486 Busy Here"]
    assert "no dialog of a generated request is there" in document["notes"][-1]


def test_a_perl_string_that_lost_its_user(tried: Tried, script: Script) -> None:
    path = script("#!/usr/bin/perl", r'print "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n";', name="a.pl")
    (warning,) = tried(path)["warnings"]
    assert (warning["line"], warning["text"]) == (1, "sip:bob.com names no user")
    assert warning["hint"].endswith(r"write \@, or single quotes")
    path = script("#!/usr/bin/perl", r'print "CGI-PROXY-REQUEST sip:bob\@example.com SIP/2.0\n\n";', name="a.pl")
    assert tried(path)["warnings"] == []
    assert tried(script("print", "CGI-PROXY-REQUEST sip:gateway.example.com SIP/2.0"))["warnings"] == []


def test_a_message_that_fits_into_no_datagram_comes_over_a_stream(
    tried: Tried, shown: Shown, script: Script, tmp_path: Path
) -> None:
    path = script("#!/bin/sh", 'echo "SIP/2.0 486 $SERVER_TRANSPORT $(wc -c)"', "echo", "exit 0")
    body = tmp_path / "body.txt"
    body.write_bytes(b"x" * 200_000)
    assert start_lines(tried(path, "--method", "MESSAGE", "--body", body)) == ["SIP/2.0 486 tcp 200000"]
    raw = tmp_path / "raw.sip"
    head = "MESSAGE sip:b@h SIP/2.0\nVia: SIP/2.0/{} h;branch=z9hG4bK1\nFrom: <sip:a@h>;tag=a\nTo: <sip:b@h>\n"
    head += "Call-ID: c\nCSeq: 1 MESSAGE\nMax-Forwards: 70\nContent-Type: text/plain\n\n"
    raw.write_bytes(head.format("TCP").encode() + b"x" * 200_000)
    assert start_lines(tried(path, "--message", raw)) == ["SIP/2.0 486 tcp 200000"]
    again = script("print", "CGI-PROXY-REQUEST sip:carol@h SIP/2.0", name="again.sh")
    document = tried(again, "--message", raw, "--response", "486")
    assert (document["valid"], document["destinations"]) == (True, ["tcp h:5060"])
    raw.write_bytes(head.format("UDP").encode() + b"x" * 200_000)
    result = shown(path, "--message", raw)
    assert (result.exit_code, "let its Via say TCP" in result.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [(), ("--response", "486")])
def test_an_address_of_our_own_is_ours_without_a_domain(
    tried: Tried, script: Script, arguments: tuple[str, ...]
) -> None:
    document = tried(script("print", "CGI-PROXY-REQUEST sip:bob@127.0.0.1 SIP/2.0"), *arguments)
    assert [warning["text"] for warning in document["warnings"]] == [
        "127.0.0.1 is an address of ours, and bob@127.0.0.1 has registered nothing here: a local 480"
    ]
    assert tried(script("print", "CGI-PROXY-REQUEST sip:bob@127.0.0.1:5070 SIP/2.0"), *arguments)["warnings"] == []


def test_what_people_read(shown: Shown, script: Script) -> None:
    path = script("#!/bin/sh", "echo 'a\033[31mb' >&2", r"printf 'SIP/2.0 486 Busy Here\nRetry-After: 9\n\n'", "exit 0")
    lines = shown(path).stdout.splitlines()
    assert "  REQUEST_METHOD=INVITE" in lines
    assert "   1 | SIP/2.0 486 Busy Here" in lines
    assert r"     | a\x1b[31mb" in lines
    assert "  line 1: answers 486 Busy Here; Retry-After: 9" in lines
    assert "message  to udp 127.0.0.1:5070" in lines
    assert lines[-1] == "valid"


def test_colours_are_for_terminals(script: Script) -> None:
    path = script("print", "SIP/2.0 486 Busy Here")
    command = [sys.executable, "-m", "sipcgi", "try", str(path)]

    def on_terminal(**variables: str) -> bytes:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **variables}
        environment = {name: value for name, value in environment.items() if value or name not in ("NO_COLOR", "CI")}
        with subprocess.Popen(command, stdout=theirs, env=environment) as process:
            os.close(theirs)
            seen = b""
            while True:
                try:
                    octets = os.read(ours, 65536)
                except OSError:  # the other end is closed
                    break
                if not octets:
                    break
                seen += octets
            os.close(ours)
        assert process.returncode == 0
        return seen

    assert b"\x1b[1;32mvalid" in on_terminal(NO_COLOR="")
    assert b"\x1b" not in on_terminal(NO_COLOR="1")
    piped = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True).stdout
    assert b"\x1b" not in piped
    assert piped.endswith(b"\nvalid\n")


def test_nothing_is_loaded_that_is_not_needed() -> None:
    """An event loop, DNS, YAML and colours take longer to load than the script to run."""
    heavy = "{'trio', 'asyncio', 'dns', 'ssl', 'pydantic', 'yaml', 'rich', 'psutil', 'subprocess', 'sqlite3'}"
    code = f"import sys, sipcgi.offline.question, sipcgi.offline.show; sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stderr == b"set()\n"
    code = f"import sys, sipcgi.cli; sys.exit(str(({heavy} | {{'json', 'sipcgi.offline'}}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.stderr == b"set()\n"


def test_no_process_stays_behind(script: Script, tmp_path: Path) -> None:
    path = script("#!/bin/sh", f"echo $PPID > {tmp_path}/launcher", "exit 0")
    subprocess.run([sys.executable, "-m", "sipcgi", "try", path], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    assert not Path(f"/proc/{(tmp_path / 'launcher').read_text().strip()}").exists()


def test_what_goes_through_the_routes_again_is_said(tried: Tried, script: Script, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        f"scripts: {{directory: {tmp_path}}}\ndomains: [ours.example]\n"
        "routes: [{script: a.sh, uri: '*@x.example', reroute: true}, {script: b.sh, uri: carol@ours.example}]\n"
    )
    script("#!/bin/sh", f"touch {tmp_path}/ran", name="b.sh")
    path = script("print", "CGI-PROXY-REQUEST sip:carol@ours.example SIP/2.0")
    document = tried(path, "--config", tmp_path / "x.yaml")
    assert document["notes"] == ["for sip:carol@ours.example, b.sh would run now"]
    assert document["warnings"] == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("scheme", ["tcp", "tls", "ws"])
def test_a_later_invocation_needs_a_way_out(shown: Shown, script: Script, tmp_path: Path, scheme: str) -> None:
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "x.pem")
    (tmp_path / "x.yaml").write_text(f"listen: {scheme}://127.0.0.1\ntls: {{certificate: x.pem}}\n")
    result = shown(script("print"), "--response", "486", "--config", tmp_path / "x.yaml")
    if scheme == "ws":
        assert result.exit_code == 2
        assert "no listener has a transport for that" in result.stderr
    else:
        assert f"message  to {scheme} 192.0.2.10:506" in result.stdout
        assert "  RESPONSE_STATUS=486" in result.stdout


def test_every_action_is_told(tried: Tried, shown: Shown, script: Script) -> None:
    text = (
        "CGI-FORWARD-RESPONSE 0-0.1 SIP/2.0\nCGI-Remove: Server\n\n"
        "CGI-PROXY-REQUEST sip:c@h SIP/2.0\nCGI-Request-Token: c\nCGI-Timeout: 2.5\nContent-Type: text/plain\n"
        "Content-Length: 2\n\nhi"
        "CGI-PROXY-REQUEST sip:d@h SIP/2.0\nContent-Length: 0\n\n"
        "CGI-SET-COOKIE x SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 30\n"
    )
    path = script("print", text)
    document = tried(path, "--response", "180")
    forward, first, second, wake, cookie, again = document["actions"]
    assert forward == {
        "action": "CGI-FORWARD-RESPONSE", "token": "0-0.1", "line": 1, "headers": [], "remove": ["server"], "body": None
    }  # fmt: skip
    assert (first["uri"], first["request_token"], first["timeout"], first["body"]) == ("sip:c@h", "c", 2.5, "hi")
    assert (first["headers"], first["line"]) == ([["Content-Type", "text/plain"]], 4)
    assert (second["body"], second["line"]) == ("", 10)
    assert wake == {"action": "CGI-After", "line": 16, "seconds": 30.0}
    assert cookie == {"action": "CGI-SET-COOKIE", "cookie": "x"}
    assert again == {"action": "CGI-AGAIN", "again": True}
    assert "response token '0-0.1' names nothing in this transaction" in document["notes"]
    lines = shown(path, "--response", "180").stdout.splitlines()
    actions = lines[lines.index("actions") + 1 :]
    assert actions[:6] == [
        "  line 1: sends the response 0-0.1 to the caller; without server",
        "  line 4: proxies the request to sip:c@h for 2.5 s, as c; Content-Type: text/plain; a body of 2 octets",
        "  line 10: proxies the request to sip:d@h; without body",
        "  line 16: runs again in 30 s, unless a message comes first",
        "  the next run gets SCRIPT_COOKIE=x",
        "  runs again at the next message",
    ]
