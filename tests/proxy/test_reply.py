"""RFC 3050 5.6.1.1 and RFC 3261 8.2.6: the answers of a script."""

import pytest

from sipcgi.errors import ScriptError
from sipcgi.proxy.reply import edit_response, reply, withheld
from sipcgi.service import Edits, Reply
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse


def request(*fields: str, method: str = "INVITE", to: str = "To: Bob <sip:bob@example.com>") -> Request:
    lines = [
        f"{method} sip:bob@example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "Record-Route: <sip:p1.example.com;lr>",
        "From: Alice <sip:alice@example.com>;tag=1",
        to,
        "Call-ID: a@b",
        f"CSeq: 1 {method}",
        "Subject: lunch",
        *fields,
        "",
        "",
    ]
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.rfc("3050", "5.6.1.1-1", "5.6.1.1-2")
@pytest.mark.rfc("3261", "8.2.6.2", "16.1-1")
def test_a_redirection() -> None:
    action = Reply(302, "Moved Temporarily", Edits([("Contact", "<sip:bob@192.0.2.4>")]))
    assert bytes(reply(request(), action, to_tag="99")).decode().split("\r\n") == [
        "SIP/2.0 302 Moved Temporarily",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "Contact: <sip:bob@192.0.2.4>",
        "From: Alice <sip:alice@example.com>;tag=1",
        "To: Bob <sip:bob@example.com>;tag=99",
        "Call-ID: a@b",
        "CSeq: 1 INVITE",
        "Content-Length: 0",
        "",
        "",
    ]


def test_a_missing_reason_is_the_standard_one() -> None:
    assert reply(request(), Reply(486, ""), to_tag="99").reason == "Busy Here"
    assert reply(request(), Reply(486, "At Lunch"), to_tag="99").reason == "At Lunch"


@pytest.mark.rfc("3050", "5.6-8", "5.6.1.1-2")
@pytest.mark.rfc("3261", "12.1.1")
def test_a_2xx_with_body_and_record_route() -> None:
    action = Reply(200, "OK", Edits([("Content-Type", "application/sdp"), ("Content-Length", "77")], body=b"v=0\r\n"))
    response = reply(request(), action, to_tag="99")
    assert response.headers.all("record-route") == ["<sip:p1.example.com;lr>"]
    assert response.headers.all("content-length") == ["5"]
    assert response.headers.get("content-type") == "application/sdp"
    assert response.body == b"v=0\r\n"
    own = reply(request(), Reply(200, "", Edits([("Record-Route", "<sip:x.example;lr>")])), to_tag="99")
    assert own.headers.all("record-route") == ["<sip:x.example;lr>"]


@pytest.mark.rfc("3261", "8.2.6.2")
@pytest.mark.parametrize(
    ("printed", "received", "sent"),
    [
        ("<sip:bob@example.com>;tag=own", "<sip:bob@example.com>", "<sip:bob@example.com>;tag=own"),
        ("<sip:other@example.com>", "<sip:bob@example.com>", "<sip:bob@example.com>;tag=99"),
        ("<sip:other@example.com>;tag=own", "<sip:bob@example.com>;tag=2", "<sip:bob@example.com>;tag=2"),
    ],
)
def test_a_to_that_the_script_prints(printed: str, received: str, sent: str) -> None:
    action = Reply(200, "OK", Edits([("Subject", "x"), ("t", printed)]))
    assert reply(request(to=f"To: {received}"), action, to_tag="99").headers.all("to") == [sent]


def test_a_from_that_the_script_prints() -> None:
    action = Reply(200, "OK", Edits([("From", "<sip:x@y>")]))
    assert reply(request(), action, to_tag="99").headers.all("from") == ["Alice <sip:alice@example.com>;tag=1"]


@pytest.mark.rfc("3261", "8.2.6.2")
def test_a_100_gets_no_tag() -> None:
    assert reply(request(), Reply(100, ""), to_tag="99").to.tag is None


@pytest.mark.parametrize(
    "header", [("To", "<sip:"), ("Via", "SIP/2.0/UDP 192.0.2.1"), ("CSeq", "2 INVITE"), ("X", "\n")]
)
def test_what_a_script_may_not_print(header: tuple[str, str]) -> None:
    with pytest.raises(ScriptError):
        reply(request(), Reply(200, "", Edits([header])), to_tag="99")


@pytest.mark.rfc("3050", "5.6.1.3")
def test_edit_response() -> None:
    response = reply(request(), Reply(180, ""), to_tag="99")
    assert edit_response(response, Edits()) is response
    changed = edit_response(response, Edits([("Alert-Info", "<http://example.com/ring>")], frozenset({"record-route"})))
    assert (changed.status, changed.reason) == (180, "Ringing")
    assert "record-route" not in changed.headers
    assert changed.headers.get("alert-info") == "<http://example.com/ring>"
    assert "alert-info" not in response.headers


@pytest.mark.rfc("3262", "3")
def test_unreliable_provisional_responses_where_100rel_is_required() -> None:
    assert withheld(request("Require: timer, 100REL"), 183)
    assert not withheld(request("Require: timer, 100rel"), 100)
    assert not withheld(request("Require: timer, 100rel"), 200)
    assert withheld(request('Require: "never closed, 100rel'), 183)
    assert not withheld(request("Require: timer", "Supported: 100rel"), 183)
    assert not withheld(request(), 408)


@pytest.mark.rfc("4320", "4.1")
@pytest.mark.rfc("4320", "4.2")
def test_responses_to_other_methods() -> None:
    assert withheld(request(method="MESSAGE"), 180)
    assert withheld(request(method="MESSAGE"), 408)
    assert not withheld(request(method="MESSAGE"), 100)
    assert not withheld(request(method="MESSAGE"), 200)
