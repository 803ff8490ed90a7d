"""The idiom of Python: properties and exceptions, `with`, exiting, no server behind it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sipcgi.hosts.kits import KITS

sys.path.insert(0, str(Path(KITS, "python")))
import sipcgi_kit
from sipcgi_kit import Call

BOB = "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n"


def script(lines: str, *options: str) -> tuple[str, int]:
    """What a script of these lines prints, and its exit status."""
    text = f"import os, sys\nfrom sipcgi_kit import Call\n{lines}"
    environment = {"PYTHONPATH": str(Path(KITS, "python")), "LANG": "C.UTF-8"}
    done = subprocess.run([sys.executable, *options, "-c", text], env=environment, capture_output=True, check=False)
    return done.stdout.decode(), done.returncode


def test_it_stands_alone() -> None:
    """A script may run under a Python in which the server is not installed."""
    imported = "import sipcgi_kit\nprint(*sorted(set(sys.modules) & {'sipcgi', 'json', 'typing', 'dataclasses'}))"
    assert script(imported, "-S") == ("\n", 0)


def test_the_end_of_the_with_is_what_counts() -> None:
    proxy = "call.proxy('sip:bob@example.com')"
    assert script(f"with Call() as call: {proxy}") == (BOB, 0)
    assert script(f"with Call() as call:\n {proxy}\n sys.exit()") == (BOB, 0)
    assert script(f"with Call() as call:\n {proxy}\n sys.exit(3)") == ("", 3)
    assert script(f"with Call() as call:\n {proxy}\n 1 / 0") == ("", 1)
    assert script(f"with Call() as call:\n {proxy}\n if os.fork() == 0: sys.exit()\n os.wait()") == (BOB, 0)
    assert script(f"with Call() as call:\n {proxy}\n print('CGI-AGAIN yes SIP/2.0\\n')") == (
        f"CGI-AGAIN yes SIP/2.0\n\n{BOB}",
        0,
    )


def test_a_test_of_a_script_needs_no_environment(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    registrations = "<sip:a@192.0.2.1>;q=0.5;expires=60, <sip:b@192.0.2.2>"
    with Call({"REQUEST_URI": "sip:x@y", "SIP_FROM": "<sip:al@y>;tag=1", "REGISTRATIONS": registrations}) as call:
        assert call.from_ is not None
        assert (call.uri, call.from_.user, call.from_.tag, call.to) == ("sip:x@y", "al", "1", None)
        assert [(str(reg), reg.q, reg.expires) for reg in call.get_regs()] == [
            ("sip:a@192.0.2.1", 0.5, 60),
            ("sip:b@192.0.2.2", 1.0, None),
        ]
        for reg in call.get_regs():
            call.proxy(reg, {"Priority": "urgent", "X-Two": ["a", 2]}, timeout=2.5)
    sys.stdout.flush()
    assert capfdbinary.readouterr().out.decode().split("\n\n")[0].splitlines() == [
        "CGI-PROXY-REQUEST sip:a@192.0.2.1 SIP/2.0",
        "CGI-Timeout: 2.500",
        "Priority: urgent",
        "X-Two: a",
        "X-Two: 2",
    ]


def test_requests_of_its_own() -> None:
    call = Call({"SIP_FROM": "<sip:al@y>;tag=1"})
    call.request("MESSAGE", call.from_, content_type="text/plain", body="hi")
    call.request("ACK", token="callee")
    assert b"".join(call._output).decode() == (
        "MESSAGE sip:al@y SIP/2.0\nContent-Type: text/plain\nContent-Length: 2\n\nhi\n"
        "ACK sip:dialog.invalid SIP/2.0\nCGI-Request-Token: callee\n\n"
    )


@pytest.mark.parametrize("state", [{"a": [1, 2.5, None, True, " \x7fJörg\n"], "b": {}}, [], "x y", 0])
def test_a_structure_comes_back(state: object) -> None:
    call = Call({})
    call.cookie = state
    packed = b"".join(call._output).decode().split(" ")
    assert [packed[0], packed[2]] == ["CGI-SET-COOKIE", "SIP/2.0\n\n"]
    assert Call({"SCRIPT_COOKIE": packed[1]}).cookie == state


def test_what_is_no_cookie_is_refused() -> None:
    assert Call({}).cookie is None
    with pytest.raises(ValueError, match="Expecting value"):
        _ = Call({"SCRIPT_COOKIE": "cos\nsystem\n"}).cookie
    with pytest.raises(ValueError, match="not JSON compliant"):
        Call({}).cookie = float("nan")
    with pytest.raises(TypeError):
        Call({}).cookie = os


def test_errors_name_the_argument() -> None:
    call = Call({})
    with pytest.raises(ValueError, match=r"header Subject: CR, LF or NUL in 'a\\x00b'"):
        call.proxy("sip:a@b", {"Subject": "a\0b"})
    with pytest.raises(ValueError, match="header Subject: None"):
        call.proxy("sip:a@b", {"Subject": None})
    with pytest.raises(ValueError, match="timeout: not a number of seconds above 0: 0"):
        call.proxy("sip:a@b", timeout=0)
    with pytest.raises(ValueError, match="expires: not a whole number from 0 to 4294967295: -1"):
        call.proxy("sip:a@b", expires=-1)
    with pytest.raises(ValueError, match="method: not a method: 'CGI-AGAIN'"):
        call.request("CGI-AGAIN", "yes:")
    with pytest.raises(ValueError, match="uri: not a URI: ''"):
        call.request("BYE")
    with pytest.raises(TypeError, match="remove"):
        call.request("MESSAGE", "sip:a@b", remove="Date")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="parameter a: CR, LF or NUL"):
        sipcgi_kit.address("sip:a@b", params={"a": "\n"})
    assert call._output == []
