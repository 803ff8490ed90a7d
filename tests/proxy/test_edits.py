"""RFC 3050 5.6.1.2, 5.6.2.2 and the contract: what a script may change, and where it goes."""

import pytest

from sipcgi.errors import ScriptError
from sipcgi.proxy.edits import after_vias, edited, is_empty
from sipcgi.service import Edits
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

INVITE = (
    "INVITE sip:bob@example.com SIP/2.0\r\n"
    "v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2, SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK3\r\n"
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    "Max-Forwards: 70\r\n"
    "f:  Alice   <sip:alice@example.com>;tag=1\r\n"
    "To: <sip:bob@example.com>\r\n"
    "i: a@b\r\n"
    "CSeq: 1  INVITE\r\n"
    "X-Folded: one\r\n\ttwo\r\n"
    "Supported: replaces\r\n"
    "Contact: <sip:alice@192.0.2.1>\r\n"
    "k: timer\r\n"
    "c: text/plain\r\n"
    "l: 5\r\n"
    "\r\n"
    "hello"
)


@pytest.fixture
def invite() -> Request:
    message = parse(INVITE.encode())
    assert isinstance(message, Request)
    return message


def lines(message: Request | Response, edits: Edits) -> list[str]:
    headers, body, _ = edited(message, edits)
    assert len(headers.names) == len(headers.lines)
    return [*headers.lines, "", body.decode()]


ORIGINAL = INVITE.replace("\r\n\t", "\r\n-").split("\r\n")[1:]
ORIGINAL = [line for line in ORIGINAL if not line.startswith("-")]
ORIGINAL[ORIGINAL.index("X-Folded: one")] = "X-Folded: one\r\n\ttwo"


def test_is_empty() -> None:
    assert is_empty(None)
    assert is_empty(Edits())
    assert not is_empty(Edits([("Subject", "x")]))
    assert not is_empty(Edits(remove=frozenset({"subject"})))
    assert not is_empty(Edits(body=b""))


def test_new_fields_come_after_the_vias(invite: Request) -> None:
    got = lines(invite, Edits([("Subject", "lunch"), ("X-Note", "a"), ("x-note", "b")]))
    assert got == [*ORIGINAL[:2], "Subject: lunch", "X-Note: a", "x-note: b", *ORIGINAL[2:]]
    assert invite.headers.lines == ORIGINAL[:-2]


def test_printed_fields_replace_all_of_their_name(invite: Request) -> None:
    got = lines(invite, Edits([("k", "path"), ("Supported", "100rel")]))
    expected = [line for line in ORIGINAL if line != "k: timer"]
    at = expected.index("Supported: replaces")
    expected[at : at + 1] = ["k: path", "Supported: 100rel"]
    assert got == expected


@pytest.mark.rfc("3050", "5.6.2.2-1")
def test_removed_fields(invite: Request) -> None:
    got = lines(invite, Edits(remove=frozenset({"supported", "x-folded", "not-there"})))
    assert got == [line for line in ORIGINAL if not line.startswith(("Supported", "k:", "X-Folded"))]


def test_printed_and_removed_is_printed(invite: Request) -> None:
    headers, _, printed = edited(invite, Edits([("Supported", "path")], frozenset({"supported"})))
    assert headers.all("supported") == ["path"]
    assert printed == {"supported"}


def test_remove_spares_what_makes_a_message(invite: Request) -> None:
    spared = {"via", "call-id", "cseq", "from", "to", "max-forwards", "content-length"}
    assert lines(invite, Edits(remove=frozenset(spared))) == ORIGINAL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Call-ID", "other@b"),
        ("i", "A@b"),
        ("CSeq", "2 INVITE"),
        ("CSeq", "1 BYE"),
        ("CSeq", "one"),
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("v", ""),
        ("Via", 'SIP/2.0/UDP 192.0.2.1;x="'),
    ],
)
def test_fields_that_cannot_be_changed(invite: Request, name: str, value: str) -> None:
    with pytest.raises(ScriptError, match="may not be changed"):
        edited(invite, Edits([(name, value)]))


def test_fields_that_cannot_be_changed_may_be_repeated(invite: Request) -> None:
    via = ", ".join(invite.headers.all("via"))
    assert lines(invite, Edits([("Call-ID", " a@b"), ("CSeq", "1 INVITE"), ("Via", via)])) == ORIGINAL
    assert lines(invite, Edits([("Via", value) for value in invite.headers.all("via")])) == ORIGINAL


@pytest.mark.parametrize(
    ("printed", "sent"),
    [
        (("From", "<sip:anonymous@anonymous.invalid>"), "From: <sip:anonymous@anonymous.invalid>;tag=1"),
        (("from", "sip:a@b.example;x=y;tag=9"), "from: <sip:a@b.example>;x=y;tag=1"),
        (("From", '"A"  <sip:a@b.example>;tag=1'), 'From: "A"  <sip:a@b.example>;tag=1'),
        (("To", "<sip:carol@example.com>;tag=9"), "To: <sip:carol@example.com>"),
        (("t", "<sip:carol@example.com>"), "t: <sip:carol@example.com>"),
    ],
)
def test_the_tags_of_from_and_to_are_kept(invite: Request, printed: tuple[str, str], sent: str) -> None:
    got = lines(invite, Edits([printed]))
    at = 3 if sent[0] in "Ff" else 4
    assert got == [*ORIGINAL[:at], sent, *ORIGINAL[at + 1 :]]


@pytest.mark.parametrize(
    "header",
    [
        ("Subject", "one\r\nInjected: two"),
        ("Subject", "one\ntwo"),
        ("Subject", "one\0two"),
        ("Sub ject", "one"),
        ("", "one"),
        ("From", "<sip:"),
        ("Max-Forwards", "256"),
        ("Max-Forwards", "many"),
        ("Route", "<sip:"),
        ("Route", ""),
        ("Route", "<tel:+4930>"),
    ],
)
def test_errors_of_a_script(invite: Request, header: tuple[str, str]) -> None:
    with pytest.raises(ScriptError):
        edited(invite, Edits([header]))


def test_what_occurs_once(invite: Request) -> None:
    with pytest.raises(ScriptError, match="To more than once"):
        edited(invite, Edits([("t", "<sip:a@b>"), ("To", "<sip:a@b>")]))


def test_good_routes_and_hops(invite: Request) -> None:
    got = lines(invite, Edits([("Route", "<sip:p1.example.com;lr>, <sip:p2>"), ("Max-Forwards", " 5")]))
    expected = [line if not line.startswith("Max-Forwards") else "Max-Forwards:  5" for line in ORIGINAL]
    assert got == [*expected[:2], "Route: <sip:p1.example.com;lr>, <sip:p2>", *expected[2:]]


def test_content_length_is_computed(invite: Request) -> None:
    assert lines(invite, Edits([("Content-Length", "99")])) == ORIGINAL
    got = lines(invite, Edits([("Content-Length", "99"), ("Content-Type", "text/html")], body=b"<p>hi</p>"))
    assert got == [*ORIGINAL[:-4], "Content-Type: text/html", "Content-Length: 9", "", "<p>hi</p>"]


def test_a_deleted_body_takes_its_content_type_with_it(invite: Request) -> None:
    expected = [*ORIGINAL[:-4], "Content-Length: 0", "", ""]
    assert lines(invite, Edits(body=b"")) == expected
    assert lines(invite, Edits([("Content-Type", "text/plain")], body=b"")) == expected


@pytest.mark.rfc("3261", "8.2.6.2")
def test_from_and_to_of_a_response_are_those_of_the_request() -> None:
    text = INVITE.replace("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK")
    response = parse(text.encode())
    assert isinstance(response, Response)
    edits = Edits([("From", "<sip:x@y>;tag=3"), ("To", "<sip:x@y>;tag=4"), ("Subject", "x")])
    assert lines(response, edits) == [*ORIGINAL[:2], "Subject: x", *ORIGINAL[2:]]


def test_after_vias() -> None:
    assert after_vias(["via", "via", "from"]) == 2
    assert after_vias(["from", "via", "to"]) == 2
    assert after_vias(["from"]) == 0
