"""What scripts of Kamailio's and OpenSIPS's exec modules find, and the URIs they print."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.cgi.exec_style import ONE_A_LINE, exec_environment, exec_output
from sipcgi.cgi.metavars import MAX_VARIABLE, Occasion, TooLarge
from sipcgi.errors import ScriptError
from sipcgi.flow import Flow, HostPort
from sipcgi.service import Relay, RequestReceived, Situation
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse

INVITE = """\
INVITE sip:%62ob:pw@example.com;x='a' SIP/2.0
v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2
Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8
t: Bob <sip:bob@example.com>
f: "Alice, who" <sip:alice@example.com>;tag=1
i: a84b4c76e66710
CSeq: 314159 INVITE
Subject: a long
 \tone
Authorization: Digest username="alice"
Proxy-Authorization: Digest username="alice"
X-Foo: one
X-Foo: two
x-foo: three
X_Foo: under
r: <sip:carol@example.com>
Supported:
l: 5

v=0
a"""


def invite(text: str = INVITE) -> Request:
    head, _, content = text.partition("\n\n")
    message = parse(f"{head}\n\n".replace("\n", "\r\n").encode() + content.encode())
    assert isinstance(message, Request)
    return message


def occasion(text: str = INVITE, *, trusted: bool = False) -> Occasion:
    request = invite(text)
    flow = Flow("UDP", HostPort("192.0.2.99", 5060), HostPort("192.0.2.1", 5062))
    made = Occasion(RequestReceived(request, Situation()), request, "0-abc", 1, 3, flow, "example.com", "sipcgi/0.1")
    return replace(made, pass_authorization=trusted)


def test_the_variables_of_a_request() -> None:
    found = exec_environment(occasion())
    assert found.variables == {
        "SIP_HF_VIA": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2,SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8",
        "SIP_HF_TO": "Bob <sip:bob@example.com>",
        "SIP_HF_FROM": '"Alice, who" <sip:alice@example.com>;tag=1',
        "SIP_HF_CALL_ID": "a84b4c76e66710",
        "SIP_HF_CALLID": "a84b4c76e66710",
        "SIP_HF_CSEQ": "314159 INVITE",
        "SIP_HF_SUBJECT": "a long one",
        "SIP_HF_X_FOO": "one,two,three",
        "SIP_HF_REFER_TO": "<sip:carol@example.com>",
        "SIP_HF_SUPPORTED": "",
        "SIP_HF_CONTENT_LENGTH": "5",
        "SIP_RURI": "sip:%62ob:pw@example.com;x='a'",
        "SIP_ORURI": "sip:%62ob:pw@example.com;x='a'",
        "SIP_ORUI": "sip:%62ob:pw@example.com;x='a'",
        "SIP_OURI": "sip:%62ob:pw@example.com;x='a'",
        "SIP_USER": "%62ob",
        "SIP_OUSER": "%62ob",
        "SIP_SRCIP": "192.0.2.1",
        "SIP_TID": "0-abc",
        "SIP_DID": "",
    }
    assert found.dropped == ["x_foo"]


def test_the_dialog_is_that_of_the_to_tag() -> None:
    text = INVITE.replace("t: Bob <sip:bob@example.com>", "t: Bob <sip:bob@example.com>;tag=b1")
    assert exec_environment(occasion(text)).variables["SIP_DID"] == "b1"


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:example.com", ""),
        ("sips:bob;a=b@example.com", "bob;a=b"),
        ("tel:+49-123;phone-context=x", "+49-123"),
        ("urn:service:sos", None),
    ],
)
def test_the_user_part(uri: str, user: str | None) -> None:
    found = exec_environment(occasion(INVITE.replace("sip:%62ob:pw@example.com;x='a'", uri))).variables
    assert found.get("SIP_USER") == found.get("SIP_OUSER") == user


@pytest.mark.parametrize("given", ["Authorization", "Proxy-Authorization", "Authorization Proxy-Authorization", ""])
def test_the_whole_message_is_on_standard_input_but_for_credentials(given: str) -> None:
    lines = INVITE.split("\n")
    names = given.split()
    text = "\n".join(line for line in lines if "Authorization" not in line or line.partition(":")[0] in names)
    without = "\n".join(line for line in lines if "Authorization" not in line)
    assert exec_environment(occasion(text)).stdin == bytes(invite(without))
    assert not any("AUTHORIZATION" in name for name in exec_environment(occasion(text)).variables)


def test_credentials_are_passed_to_a_script_that_may_have_them() -> None:
    trusted = occasion(trusted=True)
    assert exec_environment(trusted).stdin == bytes(invite())
    assert exec_environment(trusted).variables["SIP_HF_AUTHORIZATION"] == 'Digest username="alice"'
    assert exec_environment(trusted).variables["SIP_HF_PROXY_AUTHORIZATION"] == 'Digest username="alice"'


def test_too_large() -> None:
    large = occasion()
    large.initial.headers.set("Subject", "a" * MAX_VARIABLE)
    with pytest.raises(TooLarge, match="SIP_HF_SUBJECT"):
        exec_environment(large)


def test_one_uri_a_line_is_a_fork() -> None:
    output = exec_output(b"\n  \r\nsip:bob@192.0.2.1;x=y \t\r\n\ntel:+49123\nsips:carol@example.com", 3)
    assert output.actions == [
        Relay("sip:bob@192.0.2.1;x=y", line=3),
        Relay("tel:+49123", line=5),
        Relay("sips:carol@example.com", line=6),
    ]
    assert not output.again
    assert output.cookie is None


@pytest.mark.parametrize("output", [b"", b"\n", b" \r\n\t\n"])
def test_nothing_is_the_default_action(output: bytes) -> None:
    assert exec_output(output, 1).actions == []


@pytest.mark.parametrize(
    ("line", "text", "hint"),
    [
        ("hello world", "not a URI: 'hello world'", ONE_A_LINE),
        ("bob@example.com", "not a URI: 'bob@example.com'", ONE_A_LINE),
        ("DEBUG:calling", "neither a SIP nor a tel URI: 'DEBUG:calling'", ONE_A_LINE),
        ("sip:bob@", "bad host ''", ONE_A_LINE),
        ("  sip:bob@example.com", "not a URI: '  sip:bob@example.com'", "the URI begins in the first column"),
        (
            "<sip:bob@example.com>;q=0.5",
            "not a URI: '<sip:bob@example.com>;q=0.5'",
            "write the URI alone, without name, < and >, and what follows them",
        ),
        (
            "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0",
            "not a URI: 'CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0'",
            "the script speaks SIP-CGI: leave `style: exec` out",
        ),
    ],
)
def test_anything_else_is_an_error_with_its_line(line: str, text: str, hint: str) -> None:
    with pytest.raises(ScriptError) as caught:
        exec_output(f"sip:a@example.com\n\n{line}\n".encode(), 64)
    error = caught.value
    assert (error.text, error.line, error.column, error.hint) == (text, 3, 1, hint)


def test_more_than_there_may_be() -> None:
    with pytest.raises(ScriptError) as caught:
        exec_output(b"sip:a@example.com\n" * 3, 2)
    assert (caught.value.text, caught.value.line) == ("more than 2 URIs", 3)


@given(st.binary(max_size=80) | st.text("sip:a@<>;%\r\n\0 ", max_size=40).map(str.encode))
def test_any_output_is_uris_or_an_error(output: bytes) -> None:
    try:
        actions = exec_output(output, 64).actions
    except ScriptError as error:
        actions = [Relay("sip:a", line=error.line)]
    for action in actions:
        assert isinstance(action, Relay)
        assert not set(action.uri) & set("\r\n\0 <>")
        assert 1 <= action.line <= output.count(b"\n") + 1
