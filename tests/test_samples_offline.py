"""The samples in cgi-bin/, started as the server starts them, without a server: what they see and what they print."""

import os
import subprocess
from pathlib import Path

import pytest

from sipcgi.cgi.output import parse_output

SAMPLES = Path(__file__).parent.parent / "cgi-bin"
NAMES = {"block.pl", "boss.pl", "dnd.sh", "forward.sh", "hours.py", "hunt.py", "redirect.sh", "ringing.pl"}
METHODS = "invite ack bye cancel register options info message notify prack publish refer subscribe update default"
INVITE = {
    "REQUEST_METHOD": "INVITE",
    "REQUEST_URI": "sip:bob@example.com",
    "SIPCGI_EVENT": "request",
    "SIPCGI_PENDING": "0",
}
CANCEL = INVITE | {"REQUEST_METHOD": "CANCEL", "SIPCGI_EVENT": "cancel"}
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def run(name: str, *variables: dict[str, str], **more: str) -> str:
    """What the script prints. It must end with status 0, complain of nothing, and print what is understood."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    for each in (*variables, more):
        environment |= each
    done = subprocess.run(
        [SAMPLES / name],
        env=environment,
        cwd=SAMPLES,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    output = parse_output(done.stdout, method="INVITE")
    assert output.warnings == []
    return done.stdout.decode()


def response(status: int, pending: int = 0, **more: str) -> dict[str, str]:
    return {"RESPONSE_STATUS": str(status), "SIPCGI_EVENT": "response", "SIPCGI_PENDING": str(pending)} | more


def test_each_sample_can_be_started_and_triggers_nothing_by_its_name() -> None:
    files = {path.name: path for path in SAMPLES.iterdir() if not path.name.startswith("_")}
    assert set(files) == NAMES
    for path in files.values():
        assert path.stem not in METHODS.split()
        assert os.access(path, os.X_OK)
        lines = path.read_text("utf-8").splitlines()
        assert lines[0] in ("#!/bin/sh", "#!/usr/bin/perl", "#!/usr/bin/env python3")
        assert 10 <= len(lines) <= 30
        assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    "caller",
    [
        "<sip:sales@vinylsiding.com>;tag=1",
        '"Your aunt <sip:alice@example.com>" <sip:sales@vinylsiding.com>;tag=1',
        "Sales <SIPS:sales@VinylSiding.COM:5061;transport=tls>;tag=1",
        "sip:sales@vinylsiding.com;tag=1",
        "<sip:vinylsiding.com>",
        "<sip:sales@vinylsiding.com.>",
    ],
)
def test_block(caller: str) -> None:
    assert run("block.pl", INVITE, SIP_FROM=caller) == "SIP/2.0 600 I can't talk right now\n\n"


@pytest.mark.parametrize(
    "caller",
    [
        "<sip:alice@example.com>;tag=1",
        '"sip:sales@vinylsiding.com" <sip:alice@example.com>;tag=1',
        '"\\"<sip:sales@vinylsiding.com>" <sip:alice@example.com>',
        "<sip:alice@vinylsiding.com.example.com>",
        "<sip:alice@notvinylsiding.com>",
        "<sip:vinylsiding.com@example.com>",
        "<tel:+12015550123>",
        "",
    ],
)
def test_block_lets_others_through(caller: str) -> None:
    assert run("block.pl", INVITE, SIP_FROM=caller) == ""
    assert run("block.pl", INVITE) == ""


REGISTRATIONS = (
    '"Bob, at <sip:fake@h> \\"home\\"" <sip:bob@192.0.2.1:5070;transport=tcp>;q=0.7;expires=1800, '
    'Desk <sips:bob,2@[2001:db8::1]>;+sip.instance="<urn:uuid:1,2>";expires=60,'
    "<mailto:bob@example.com>;expires=60, sip:bob@192.0.2.3;q=0.1;expires=9"
)
URGENT = "CGI-PROXY-REQUEST {} SIP/2.0\nPriority: urgent\n\n"


def test_boss() -> None:
    uris = ["sip:bob@192.0.2.1:5070;transport=tcp", "sips:bob,2@[2001:db8::1]", "sip:bob@192.0.2.3"]
    for caller in (
        "<sip:boss@example.com>;tag=1",
        '"The <boss>" <sips:boss@EXAMPLE.com:5061>;tag=1',
        "sip:boss@example.com;tag=1",
    ):
        output = run("boss.pl", INVITE, SIP_FROM=caller, REGISTRATIONS=REGISTRATIONS)
        assert output == "".join(URGENT.format(uri) for uri in uris)


@pytest.mark.parametrize(
    "caller",
    [
        "<sip:alice@example.com>;tag=1",
        '"sip:boss@example.com" <sip:alice@example.com>;tag=1',
        "sip:boss@example.com <sip:alice@example.com>;tag=1",
        "<sip:bigboss@example.com>",
        "<sip:boss@example.com.evil.example.net>",
    ],
)
def test_boss_is_nobody_else(caller: str) -> None:
    assert run("boss.pl", INVITE, SIP_FROM=caller, REGISTRATIONS=REGISTRATIONS) == ""


def test_boss_without_registrations_leaves_it_to_the_server() -> None:
    assert run("boss.pl", INVITE, SIP_FROM="<sip:boss@example.com>") == ""
    assert (
        run("boss.pl", INVITE, SIP_FROM="<sip:boss@example.com>", REGISTRATIONS="<tel:+12015550123>;expires=60") == ""
    )


def test_ringing() -> None:
    proxied = "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nAlert-Info: <http://www.example.com/sounds/{}.wav>\n\n"
    assert run("ringing.pl", INVITE, SIP_FROM='"A" <sip:alice@Example.COM>;tag=1') == proxied.format("moo")
    assert run("ringing.pl", INVITE, SIP_FROM="sip:carol@example.com;tag=1") == proxied.format("bell")
    chime = "<sip:+12015550123@example.com:5060;user=phone>;tag=1"
    assert run("ringing.pl", INVITE, SIP_FROM=chime) == proxied.format("chime")
    for other in (
        '"sip:alice@example.com" <sip:x@example.com>',
        "<sip:Alice@example.com>",
        "<sip:example.com>",
        "<tel:123>",
    ):
        assert run("ringing.pl", INVITE, SIP_FROM=other) == ""
    assert run("ringing.pl", INVITE) == ""


def test_dnd() -> None:
    assert run("dnd.sh", INVITE) == "SIP/2.0 603 Decline\nRetry-After: 3600\n\n"


def test_redirect() -> None:
    assert run("redirect.sh", INVITE) == (
        "SIP/2.0 302 Moved Temporarily\n"
        'Contact: "Bob\'s mobile" <sip:+12015550123@gateway.example.com>;expires=600\n\n'
    )  # fmt: skip


def test_forward() -> None:
    assert run("forward.sh", INVITE) == f"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Timeout: 15\n\n{AGAIN}"
    odd = "sip:b$(id)'%25*;x=/id&@example.com"
    assert run("forward.sh", INVITE, REQUEST_URI=odd).startswith(f"CGI-PROXY-REQUEST {odd} SIP/2.0\n")
    for status in (180, 183):
        assert run("forward.sh", response(status, pending=1)) == AGAIN
    for status in (408, 480, 486):
        assert run("forward.sh", response(status)) == "CGI-PROXY-REQUEST sip:voicemail@example.com SIP/2.0\n\n"
        assert run("forward.sh", response(status, pending=1)) == AGAIN  # another phone still rings
    for status in (200, 302, 404, 487, 603):
        assert run("forward.sh", response(status)) == ""
    assert run("forward.sh", CANCEL) == ""


def test_hunt() -> None:
    def rings(uri: str, place: int) -> str:
        return f"CGI-PROXY-REQUEST {uri} SIP/2.0\nCGI-Timeout: 20\n\nCGI-SET-COOKIE {place} SIP/2.0\n\n{AGAIN}"

    assert run("hunt.py", INVITE) == rings("sip:anna@example.com", 0)
    assert run("hunt.py", response(180, pending=1, SCRIPT_COOKIE="0")) == AGAIN
    assert run("hunt.py", response(408, SCRIPT_COOKIE="0")) == rings("sip:ben@example.com", 1)
    assert run("hunt.py", response(486, pending=1, SCRIPT_COOKIE="0")) == AGAIN  # Anna has another phone
    assert run("hunt.py", response(486, SCRIPT_COOKIE="1")) == rings("sip:+12015550123@gateway.example.com", 2)
    assert run("hunt.py", response(480, SCRIPT_COOKIE="2")) == ""  # the last one
    for status in (200, 600, 603):
        assert run("hunt.py", response(status, SCRIPT_COOKIE="0")) == ""
    assert run("hunt.py", CANCEL, SCRIPT_COOKIE="0") == ""


@pytest.mark.parametrize(
    ("weekday", "hour", "minute", "goes_to"),
    [
        (0, 8, 29, "voicemail"),
        (0, 8, 30, "desk"),
        (4, 17, 29, "desk"),
        (4, 17, 30, "voicemail"),
        (2, 0, 45, "voicemail"),
        (5, 12, 0, "voicemail"),
        (6, 12, 0, "voicemail"),
    ],
)
def test_hours(tmp_path: Path, weekday: int, hour: int, minute: int, goes_to: str) -> None:
    # Python reads sitecustomize before the script: a clock that stands still
    moment = (2024, 1, 1 + weekday, hour, minute, 0, weekday, 1 + weekday, 0)
    (tmp_path / "sitecustomize.py").write_text(f"import time\ntime.localtime = lambda: time.struct_time({moment})\n")
    output = run("hours.py", INVITE, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    assert output == f"CGI-PROXY-REQUEST sip:{goes_to}@example.com SIP/2.0\n\n"
