import pytest

from sipcgi.sip.build import ack, cancel, response
from sipcgi.sip.message import Message, Request
from sipcgi.sip.parser import parse

INVITE = """\
INVITE sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKp, SIP/2.0/UDP pc33.example.com;branch=z9hG4bKa
v: SIP/2.0/UDP first.example.com
Record-Route: <sip:p3;lr>
Route: <sip:p1;lr>
Max-Forwards: 70
t: Bob <sip:bob@biloxi.example.com>
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
Route: <sip:p2;lr>
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
Timestamp: 54
Supported: 100rel
Content-Length: 4

body"""


def request(text: str = INVITE) -> Request:
    message = parse(text.replace("\n", "\r\n").encode())
    assert isinstance(message, Request)
    return message


def printed(message: Message) -> str:
    return bytes(message).decode().replace("\r\n", "\n")


@pytest.mark.rfc("3261", "8.2.6.2")
def test_a_response() -> None:
    answer = response(request(), 486, to_tag="314", headers=[("Retry-After", "18"), ("s", "x")], body=b"no")
    assert (
        printed(answer)
        == """\
SIP/2.0 486 Busy Here
Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKp, SIP/2.0/UDP pc33.example.com;branch=z9hG4bKa
v: SIP/2.0/UDP first.example.com
t: Bob <sip:bob@biloxi.example.com>;tag=314
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
Retry-After: 18
s: x
Content-Length: 2

no"""
    )


@pytest.mark.rfc("3261", "8.2.6.1")
def test_a_100_has_the_timestamp_and_no_tag() -> None:
    answer = response(request(), 100, to_tag="314")
    assert answer.reason == "Trying"
    assert answer.to.tag is None
    assert answer.headers.get("timestamp") == "54"
    assert "record-route" not in answer.headers
    assert "timestamp" not in response(request(), 180).headers


@pytest.mark.rfc("3261", "12.1.1")
@pytest.mark.parametrize(
    ("status", "there"), [(100, False), (180, True), (200, True), (299, True), (302, False), (486, False)]
)
def test_record_routes_go_where_a_dialog_may_be_made(status: int, there: bool) -> None:
    assert ("record-route" in response(request(), status).headers) is there
    options = request(INVITE.replace("INVITE", "OPTIONS"))
    assert "record-route" not in response(options, status).headers


def test_an_own_reason() -> None:
    assert response(request(), 200, "Fine").reason == "Fine"
    assert response(request(), 200, "").reason == ""
    assert response(request(), 299).reason == "OK"


@pytest.mark.rfc("3261", "8.2.6.2")
@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("To: sip:bob@b;tag=1", "To: sip:bob@b;tag=1"),
        ("To: <sip:bob@b> ; TAG = 1", "To: <sip:bob@b> ; TAG = 1"),
        ("To: <sip:bob@b;tag=1>", "To: <sip:bob@b;tag=1>;tag=new"),
        ("To: Tag <sip:bob@b>", "To: Tag <sip:bob@b>;tag=new"),
        ("To: sip:bob@b", "To: sip:bob@b;tag=new"),
        ('To: "Tag <sip:bob@b>', 'To: "Tag <sip:bob@b>'),
    ],
)
def test_the_to_tag(to: str, line: str) -> None:
    answer = response(request(INVITE.replace("t: Bob <sip:bob@biloxi.example.com>", to)), 404, to_tag="new")
    assert answer.headers.lines[2] == line
    assert "tag=new" not in printed(response(request(), 404))


@pytest.mark.rfc("3261", "17.1.1.3-2", "17.1.1.3-3", "17.1.1.3-4", "17.1.1.3-5", "17.1.1.3-6", "17.1.1.3-7")
def test_ack() -> None:
    answer = response(request(), 486, to_tag="314")
    assert (
        printed(ack(request(), answer))
        == """\
ACK sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKp
Route: <sip:p1;lr>
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
Route: <sip:p2;lr>
Call-ID: a84b4c76e66710
t: Bob <sip:bob@biloxi.example.com>;tag=314
CSeq: 314159 ACK
Max-Forwards: 70
Content-Length: 0

"""
    )


@pytest.mark.rfc("3261", "9.1")
def test_cancel() -> None:
    assert (
        printed(cancel(request()))
        == """\
CANCEL sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKp
Route: <sip:p1;lr>
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
Route: <sip:p2;lr>
Call-ID: a84b4c76e66710
t: Bob <sip:bob@biloxi.example.com>
CSeq: 314159 CANCEL
Max-Forwards: 70
Content-Length: 0

"""
    )


def test_what_is_built_parses() -> None:
    for message in (
        response(request(), 200, to_tag="x", body=b"b"),
        ack(request(), response(request(), 404)),
        cancel(request()),
    ):
        assert parse(bytes(message)) == message
