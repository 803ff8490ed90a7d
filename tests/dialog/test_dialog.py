"""Dialogs of the server's own, and the requests that it makes itself (RFC 3261 8.1.1, 12.1.2, 12.2)."""

import pytest

from sipcgi.dialog.dialog import Dialog, new_request
from sipcgi.errors import ParseError
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response

INVITE = Request(
    "INVITE",
    "sip:bob@example.com",
    Headers(
        [
            ("From", "<sip:example.com>;tag=ours"),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", "c@example.com"),
            ("CSeq", "7 INVITE"),
        ]
    ),
)


def answered(*fields: tuple[str, str], contact: str = "<sip:bob@192.0.2.20>") -> Dialog:
    headers = [("To", "<sip:bob@example.com>;tag=theirs"), *fields]
    return Dialog.calling(
        INVITE, Response(200, "OK", Headers([*headers, ("Contact", contact)] if contact else headers))
    )


def bye(contact: str = "<sip:new@192.0.2.21>", method: str = "INVITE", number: int = 1) -> Request:
    return Request(method, "sip:192.0.2.1", Headers([("CSeq", f"{number} {method}"), ("Contact", contact)]))


@pytest.mark.rfc("3261", "12.1.2")
@pytest.mark.rfc("3261", "12.2.1.1")
def test_a_request_in_the_dialog() -> None:
    dialog = answered(("Record-Route", "<sip:p2;lr>"), ("Record-Route", "<sip:p1;lr>"))
    made = dialog.request("INFO", [("Content-Type", "text/plain")], b"hi")
    assert bytes(made).decode().replace("\r\n", "\n") == (
        "INFO sip:bob@192.0.2.20 SIP/2.0\nRoute: <sip:p1;lr>\nRoute: <sip:p2;lr>\nFrom: <sip:example.com>;tag=ours\n"
        "To: <sip:bob@example.com>;tag=theirs\nCall-ID: c@example.com\nCSeq: 8 INFO\nContent-Type: text/plain\n"
        "Content-Length: 2\n\nhi"
    )
    assert str(dialog.request("BYE").cseq) == "9 BYE"
    assert dialog.remote_tag == "theirs"


@pytest.mark.rfc("3261", "12.2.1.1")
def test_a_strict_router_gets_itself() -> None:
    made = answered(("Record-Route", "<sip:p2;lr>, <sip:p1>")).request("BYE")
    assert (made.uri, made.headers.all("route")) == ("sip:p1", ["<sip:p2;lr>", "<sip:bob@192.0.2.20>"])
    assert answered(("Record-Route", "<<<")).request("BYE").headers.all("route") == ["<<<"]


@pytest.mark.rfc("3261", "13.2.2.4")
def test_the_ack_has_number_and_credentials_of_its_invite() -> None:
    dialog = answered()
    dialog.credentials = [("Authorization", "Digest x=y")]
    dialog.request("INFO")
    made = dialog.ack(7, [("Content-Type", "application/sdp")], b"v=0")
    assert (str(made.cseq), made.headers.get("authorization"), made.body) == ("7 ACK", "Digest x=y", b"v=0")


def test_a_contact_that_leads_nowhere() -> None:
    assert answered(contact="").target == "sip:bob@example.com"
    assert answered(contact="<nothing").target == "sip:bob@example.com"


@pytest.mark.rfc("3261", "12.2.2")
def test_requests_of_the_peer() -> None:
    dialog = answered()
    assert dialog.accepts(bye(number=5))
    assert dialog.target == "sip:new@192.0.2.21"
    assert not dialog.accepts(bye("<sip:old@192.0.2.22>", number=4))
    assert dialog.accepts(bye("<sip:old@192.0.2.22>", "BYE", 6))
    assert dialog.target == "sip:new@192.0.2.21"
    with pytest.raises(ParseError):
        dialog.accepts(bye("<nothing", number=7))


def new(method: str = "MESSAGE", uri: str = "sip:bob@example.com", *fields: tuple[str, str]) -> Request:
    return new_request(method, uri, fields, host="example.org", tag="t", call_id="c")


@pytest.mark.rfc("3261", "8.1.1")
def test_what_is_left_out_is_made() -> None:
    assert bytes(new()).decode().replace("\r\n", "\n") == (
        "MESSAGE sip:bob@example.com SIP/2.0\nFrom: <sip:example.org>;tag=t\nTo: <sip:bob@example.com>\nCall-ID: c\n"
        "CSeq: 1 MESSAGE\nContent-Length: 0\n\n"
    )
    assert new("MESSAGE", "sips:b@h").headers.get("from") == "<sips:example.org>;tag=t"
    assert "INVITE" in (new("INVITE").headers.get("allow") or "")
    assert new("INVITE", "sip:b@h", ("Allow", "BYE")).headers.all("allow") == ["BYE"]


@pytest.mark.rfc("3261", "8.1.1.2")
def test_the_to_of_a_uri_with_more_than_a_name() -> None:
    made = new("MESSAGE", "sip:bob@example.com:5070;transport=tcp;user=phone?Subject=x")
    assert made.headers.get("to") == "<sip:bob@example.com;user=phone>"
    assert new("MESSAGE", "tel:+49").headers.get("to") == "<tel:+49>"


def test_what_is_printed_counts() -> None:
    made = new(
        "MESSAGE",
        "sip:b@h",
        ("f", "Boss <sip:boss@example.com>"),
        ("To", "<sip:all@example.com>"),
        ("i", "mine"),
        ("CSeq", "9 MESSAGE"),
        ("Subject", "x"),
    )
    assert [*made.headers][:5] == [
        ("From", "Boss <sip:boss@example.com>;tag=t"),
        ("To", "<sip:all@example.com>"),
        ("Call-ID", "mine"),
        ("CSeq", "9 MESSAGE"),
        ("Subject", "x"),
    ]
    assert new("MESSAGE", "sip:b@h", ("From", "<sip:a@h>;tag=own")).from_.tag == "own"


@pytest.mark.rfc("3261", "12.1.1")
def test_the_side_that_was_called() -> None:
    asked = Request("INVITE", "sip:192.0.2.1", Headers([*INVITE.headers, ("Record-Route", "<sip:p1;lr>, <sip:p2;lr>")]))
    answer = Response(200, "OK", Headers([("To", "<sip:bob@example.com>;tag=us")]))
    made = Dialog.called(asked, answer).request("BYE", [("Max-Forwards", "70")])
    assert (made.uri, str(made.cseq), made.headers.get("from")) == (
        "sip:example.com",
        "1 BYE",
        answer.headers.get("to"),
    )
    assert made.headers.all("route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    asked.headers.add("Contact", "<sip:alice@192.0.2.10>")
    assert Dialog.called(asked.copy(), answer).target == "sip:alice@192.0.2.10"
