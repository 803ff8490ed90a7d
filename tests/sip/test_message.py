import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import CSeq, Message, Request, Response, named
from sipcgi.sip.uri import parse_uri
from sipcgi.sip.via import Via

FIELDS = """\
Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKp, SIP/2.0/UDP pc33.example.com;branch=z9hG4bKa
v: SIP/2.0/UDP first.example.com
To: Bob <sip:bob@biloxi.example.com>
f: Alice <sip:alice@atlanta.example.com>;tag=88sja8x
Call-ID: 987asjd97y7atg
CSeq: 986759 INVITE
Max-Forwards: 70
Route: <sip:p1;lr>, <sip:p2;lr>
Record-Route: <sip:p3;lr>
Contact: <sip:a@b>
m: <sip:c@d>;q=0.1
Content-Length: 4"""


def headers(text: str = FIELDS) -> Headers:
    return Headers.parse(text.split("\n"))


def invite(text: str = FIELDS) -> Request:
    return Request("INVITE", "sip:bob@biloxi.example.com", headers(text), b"body")


def test_octets() -> None:
    request = invite()
    expected = "INVITE sip:bob@biloxi.example.com SIP/2.0\n" + FIELDS + "\n\nbody"
    assert bytes(request) == expected.replace("\n", "\r\n").encode()
    response = Response(200, "Öl\udcff", headers("To: a"))
    assert bytes(response) == b"SIP/2.0 200 \xc3\x96l\xff\r\nTo: a\r\n\r\n"
    assert repr(request) == "<Request INVITE sip:bob@biloxi.example.com SIP/2.0>"
    assert repr(response) == "<Response SIP/2.0 200 Öl\udcff>"


def test_typed_values() -> None:
    request = invite()
    assert request.target == parse_uri("sip:bob@biloxi.example.com")
    assert request.via.branch == "z9hG4bKp"
    assert [via.host for via in request.vias] == ["proxy.example.com", "pc33.example.com", "first.example.com"]
    assert request.from_.tag == "88sja8x"
    assert request.to.display == "Bob"
    assert request.call_id == "987asjd97y7atg"
    assert request.cseq == CSeq(986759, "INVITE")
    assert str(request.cseq) == "986759 INVITE"
    assert request.max_forwards == 70
    assert [str(address) for address in request.contacts] == ["<sip:a@b>", "<sip:c@d>;q=0.1"]
    assert [str(address.uri) for address in request.routes] == ["sip:p1;lr", "sip:p2;lr"]
    assert [str(address.uri) for address in request.record_routes] == ["sip:p3;lr"]


def test_typed_values_are_made_once() -> None:
    request = invite()
    for name in ("target", "via", "from_", "to", "call_id", "cseq", "contacts", "routes"):
        assert getattr(request, name) is getattr(request, name)


def test_fields_that_may_be_missing() -> None:
    request = invite("To: x")
    assert request.max_forwards is None
    assert request.contacts == request.routes == request.record_routes == request.vias == []


@pytest.mark.parametrize(
    ("name", "field", "header"),
    [
        ("via", "To: x", "via"),
        ("via", "Via:", "via"),
        ("via", "Via: ,", "via"),
        ("via", "Via: SIP/2.0/UDP :]", "via"),
        ("via", "Via: SIP/2.0", "via"),
        ("vias", "Via: SIP/2.0/UDP a\nVia: SIP/2.0/UDP b;;", "via"),
        ("from_", "From: Alice", "from"),
        ("from_", "To: x", "from"),
        ("to", 'To: "Mr. J. User <sip:j.user@example.com>', "to"),
        ("call_id", "Call-ID:", "call-id"),
        ("cseq", "CSeq: 1", "cseq"),
        ("cseq", "CSeq: INVITE 1", "cseq"),
        ("cseq", "CSeq: -1 INVITE", "cseq"),
        ("cseq", "CSeq: 4294967296 INVITE", "cseq"),
        ("max_forwards", "Max-Forwards: 256", "max-forwards"),
        ("max_forwards", "Max-Forwards: -1", "max-forwards"),
        ("max_forwards", "Max-Forwards:", "max-forwards"),
        ("contacts", "Contact: *", "contact"),
        ("routes", "Route: sip", "route"),
        ("record_routes", "Record-Route: <sip:a", "record-route"),
    ],
)
def test_wrong_fields_are_named(name: str, field: str, header: str) -> None:
    request = invite(field)
    for _ in range(2):
        with pytest.raises(ParseError) as caught:
            getattr(request, name)
        assert caught.value.header == header
        assert caught.value.status == 400


def test_a_wrong_request_uri() -> None:
    with pytest.raises(ParseError):
        _ = Request("INVITE", "<sip:a@b>", headers()).target


@pytest.mark.rfc("3261", "20.16")
@pytest.mark.parametrize("text", ["0009 INVITE", "9\tINVITE", "9   INVITE", "9 \t INVITE"])
def test_cseq(text: str) -> None:
    assert CSeq.parse(text) == (9, "INVITE")


def test_an_error_keeps_the_first_name() -> None:
    error = ParseError("x", status=505, header="via")
    assert named(error, "to") is error
    renamed = named(ParseError("x", status=505), "to")
    assert (str(renamed), renamed.status, renamed.header) == ("to: x", 505, "to")


@pytest.mark.rfc("3261", "18.2.1")
def test_the_top_via_is_completed_on_arrival() -> None:
    request = invite()
    request.replace_top_via(request.via.with_(received="192.0.2.1"))
    assert request.headers.lines[0] == (
        "Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKp;received=192.0.2.1, "
        "SIP/2.0/UDP pc33.example.com;branch=z9hG4bKa"
    )
    assert request.via.received == "192.0.2.1"
    alone = invite("v:SIP/2.0/UDP a\nVia: SIP/2.0/UDP b")
    alone.replace_top_via(Via.parse("SIP/2.0/UDP c"))
    assert alone.headers.lines == ["v: SIP/2.0/UDP c", "Via: SIP/2.0/UDP b"]


def test_copies_are_their_own() -> None:
    request = invite()
    copy = request.copy()
    assert copy == request
    copy.headers.set("To", "<sip:x@y>")
    assert request.to.display == "Bob"
    assert copy != request
    response = Response(200, "OK", headers(), b"body")
    other = response.copy()
    assert other == response
    other.headers.remove("to")
    assert other != response
    assert response.to.display == "Bob"
    assert response != request
    assert request != response


def test_changed_copies_of_a_request() -> None:
    request = invite()
    assert request.with_() == request
    moved = request.with_(uri="sip:bob@192.0.2.4")
    assert (moved.uri, moved.headers, moved.body) == ("sip:bob@192.0.2.4", request.headers, b"body")
    assert moved.headers is not request.headers
    fields = headers("To: x")
    assert request.with_(headers=fields).headers is fields
    assert request.with_(body=b"12345").headers.get("content-length") == "5"
    assert request.headers.get("content-length") == "4"


def test_a_request_on_another_route_keeps_what_was_parsed() -> None:
    request = invite()
    request.headers.add("Route", "<sip:p1.example.com;lr>")
    values = [request.via, request.from_, request.to, request.call_id, request.cseq, request.max_forwards]
    assert request.routes
    fields = request.headers.copy()
    fields.remove("route")
    moved = request.rerouted(fields, "sip:bob@192.0.2.4")
    assert (moved.method, moved.uri, moved.body) == ("INVITE", "sip:bob@192.0.2.4", b"body")
    assert moved.routes == []
    assert str(moved.target) == moved.uri
    assert values == [moved.via, moved.from_, moved.to, moved.call_id, moved.cseq, moved.max_forwards]
    assert moved.from_ is request.from_
    assert request.rerouted(fields).uri == request.uri


def test_changed_copies_of_a_response() -> None:
    response = Response(200, "OK", headers(), b"body")
    assert response.with_() == response
    busy = response.with_(status=486, reason="Busy Here", headers=headers("To: x"), body=b"")
    assert bytes(busy) == b"SIP/2.0 486 Busy Here\r\nTo: x\r\nContent-Length: 0\r\n\r\n"


def test_the_base_is_no_message() -> None:
    message = Message()
    with pytest.raises(NotImplementedError):
        message.copy()
    with pytest.raises(NotImplementedError):
        _ = message.start_line


@pytest.mark.parametrize(
    ("via", "relayed"), [("SIP/2.0/UDP a", False), ("SIP/2.0/UDP a,", False), ("SIP/2.0/UDP a, SIP/2.0/UDP b", True)]
)
def test_whether_it_came_through_somebody_else(via: str, relayed: bool) -> None:
    assert Request("INVITE", "sip:a", Headers([("Via", via)])).relayed is relayed
