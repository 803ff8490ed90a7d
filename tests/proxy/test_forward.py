"""RFC 3261 16.6, item by item, and RFC 3050 5.6.1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.errors import ParseError, ScriptError
from sipcgi.proxy.forward import forward, request_uri
from sipcgi.proxy.route import next_hop, preprocess
from sipcgi.service import Edits
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse

VIA = "SIP/2.0/UDP 192.0.2.5:5060;branch=z9hG4bK0.cafe.beef;rport"
RECORD_ROUTE = "<sip:TOKEN@192.0.2.5:5060;lr>"
TARGET = "sip:bob@192.0.2.4:5062;transport=udp"


def request(*fields: str, uri: str = "sip:bob@example.com", hops: str = "Max-Forwards: 70", body: str = "") -> Request:
    lines = [
        f"INVITE {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2;received=192.0.2.99",
        "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "f: Alice <sip:alice@example.com>;tag=1",
        "to  : <sip:bob@example.com>",
        *([hops] if hops else []),
        "i: a@b",
        *fields,
        "CSeq: 1 INVITE",
        "Contact: <sip:alice@192.0.2.1>",
        "",
        body,
    ]
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return message


def sent(message: Request) -> list[str]:
    return bytes(message).decode().split("\r\n")


@pytest.mark.rfc("5393", "4.2.1-1")
@pytest.mark.rfc(
    "3261", "16.3-6", "16.6-1", "16.6-2", "16.6-3", "16.6-4", "16.6-5", "16.6-6", "16.6-8", "16.6-10", "16.6-39"
)
def test_the_whole_message() -> None:
    received = request(
        "Date: malformed", "Record-Route: <sip:p1.example.com;lr>", "X-Z: 1", "Content-Length: 5", body="hello"
    )
    before = bytes(received)
    assert sent(forward(received, uri=TARGET, via=VIA, record_route=RECORD_ROUTE, edits=Edits())) == [
        f"INVITE {TARGET} SIP/2.0",
        f"Via: {VIA}",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2;received=192.0.2.99",
        "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "f: Alice <sip:alice@example.com>;tag=1",
        "to  : <sip:bob@example.com>",
        "Max-Forwards: 69",
        "i: a@b",
        "Date: malformed",
        f"Record-Route: {RECORD_ROUTE}",
        "Record-Route: <sip:p1.example.com;lr>",
        "X-Z: 1",
        "Content-Length: 5",
        "CSeq: 1 INVITE",
        "Contact: <sip:alice@192.0.2.1>",
        "",
        "hello",
    ]
    assert bytes(received) == before


@pytest.mark.rfc("3261", "16.6-9", "16.6-46")
def test_what_is_missing_is_added() -> None:
    """Items 3, 4 and 9: Max-Forwards 70, Record-Route, Content-Length."""
    assert sent(forward(request(hops="", body="hello"), uri=TARGET, via=VIA, record_route=RECORD_ROUTE)) == [
        f"INVITE {TARGET} SIP/2.0",
        f"Via: {VIA}",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2;received=192.0.2.99",
        "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        f"Record-Route: {RECORD_ROUTE}",
        "Max-Forwards: 70",
        "f: Alice <sip:alice@example.com>;tag=1",
        "to  : <sip:bob@example.com>",
        "i: a@b",
        "CSeq: 1 INVITE",
        "Contact: <sip:alice@192.0.2.1>",
        "Content-Length: 5",
        "",
        "hello",
    ]


@pytest.mark.rfc("4475", "3.1.2.11-1")
@pytest.mark.rfc("3261", "16.6-7")
@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("sip:bob@b.example;method=REGISTER;transport=tcp?Subject=x", "sip:bob@b.example;transport=tcp"),
        ("sip:bob@b.example;METHOD=INVITE", "sip:bob@b.example"),
        ("sip:bob?x@b.example", "sip:bob?x@b.example"),
        ("tel:+4930;method=x", "tel:+4930;method=x"),
        ("sip:b.example;maddr=192.0.2.4;ttl=1;user=phone;lr", "sip:b.example;maddr=192.0.2.4;ttl=1;user=phone;lr"),
    ],
)
def test_2_what_a_request_uri_may_not_have(uri: str, allowed: str) -> None:
    assert forward(request(), uri=uri, via=VIA).uri == allowed
    assert request_uri(uri) == allowed


@pytest.mark.rfc("3261", "16.3")
def test_3_no_hop_is_left() -> None:
    with pytest.raises(ParseError) as caught:
        forward(request(hops="Max-Forwards: 0"), uri=TARGET, via=VIA)
    assert caught.value.status == 483
    assert forward(request(hops="Max-Forwards: 1"), uri=TARGET, via=VIA).headers.get("max-forwards") == "0"


def test_3_a_bad_max_forwards() -> None:
    with pytest.raises(ParseError):
        forward(request(hops="Max-Forwards: x"), uri=TARGET, via=VIA)


@pytest.mark.rfc("3261", "16.6-10", "16.6-16")
@pytest.mark.parametrize(
    ("received", "uri", "expected"),
    [
        (request(), "sips:bob@example.net", "<sips:TOKEN@192.0.2.5:5060;lr>"),
        (request("Route: <sips:p1.example.com;lr>"), TARGET, "<sips:TOKEN@192.0.2.5:5060;lr>"),
        (request("Route: <sip:p1.example.com;lr>"), TARGET, RECORD_ROUTE),
        (request("Route: <sips:strict.example.com>"), TARGET, "<sips:TOKEN@192.0.2.5:5060;lr>"),
        (request("Route:"), TARGET, RECORD_ROUTE),
        (request(uri="sips:bob@example.com"), TARGET, RECORD_ROUTE),
    ],
)
def test_4_the_record_route_is_a_sips_uri_where_the_next_hop_is(received: Request, uri: str, expected: str) -> None:
    forwarded = forward(received, uri=uri, via=VIA, record_route=RECORD_ROUTE)
    assert forwarded.headers.all("record-route") == [expected]


def through(host: str, received: Request, *, uri: str = "") -> Request:
    """`received` as the proxy of that name sends it on, to `uri` if that is what its location service finds."""
    request = preprocess(received, lambda one: one.host == host).request
    return forward(
        request,
        uri=uri or request.uri,
        via=f"SIP/2.0/UDP {host};branch=z9hG4bK{host}",
        record_route=f"<sip:{host};lr>" if request.method == "INVITE" else None,
    )


def of_dialog(line: str, *routes: str) -> Request:
    fields = ["Via: SIP/2.0/UDP u;branch=z9hG4bKu", *routes, "From: <sip:u>;tag=1", "To: <sip:v>", "Call-ID: a@b"]
    message = parse("\r\n".join([f"{line} SIP/2.0", *fields, f"CSeq: 1 {line.split()[0]}", "", ""]).encode())
    assert isinstance(message, Request)
    return message


def shown(message: Request) -> list[str]:
    """What the examples of RFC 3261 16.12.1 show of a request."""
    kept = [line for line in message.headers.lines if line.startswith(("Route", "Record-Route"))]
    return [f"{message.method} {message.uri}", *kept]


@pytest.mark.rfc("3261", "16.12.1.1")
def test_the_basic_trapezoid() -> None:
    invite = through("p1.example.com", of_dialog("INVITE sip:callee@domain.com"))
    assert shown(invite) == ["INVITE sip:callee@domain.com", "Record-Route: <sip:p1.example.com;lr>"]
    assert str(next_hop(invite)) == "sip:callee@domain.com"
    assert shown(through("p2.domain.com", invite, uri="sip:callee@u2.domain.com")) == [
        "INVITE sip:callee@u2.domain.com",
        "Record-Route: <sip:p2.domain.com;lr>",
        "Record-Route: <sip:p1.example.com;lr>",
    ]
    bye = of_dialog("BYE sip:callee@u2.domain.com", "Route: <sip:p1.example.com;lr>,<sip:p2.domain.com;lr>")
    first = through("p1.example.com", bye)
    assert shown(first) == ["BYE sip:callee@u2.domain.com", "Route: <sip:p2.domain.com;lr>"]
    assert str(next_hop(first)) == "sip:p2.domain.com;lr"
    second = through("p2.domain.com", first)
    assert shown(second) == ["BYE sip:callee@u2.domain.com"]
    assert str(next_hop(second)) == "sip:callee@u2.domain.com"


@pytest.mark.rfc("3261", "16.12.1.2")
def test_traversing_a_strict_routing_proxy() -> None:
    p4 = through(
        "p4.domain.com",
        of_dialog(
            "BYE sip:caller@u1.example.com",
            "Route: <sip:p4.domain.com;lr>",
            "Route: <sip:p3.middle.com>",
            "Route: <sip:p2.example.com;lr>",
            "Route: <sip:p1.example.com;lr>",
        ),
    )
    assert shown(p4) == [
        "BYE sip:p3.middle.com",
        "Route: <sip:p2.example.com;lr>",
        "Route: <sip:p1.example.com;lr>",
        "Route: <sip:caller@u1.example.com>",
    ]
    p3 = of_dialog("BYE sip:p2.example.com;lr", *shown(p4)[2:])  # as RFC 2543 had it
    p2 = through("p2.example.com", p3)
    assert shown(p2) == ["BYE sip:caller@u1.example.com", "Route: <sip:p1.example.com;lr>"]
    assert str(next_hop(p2)) == "sip:p1.example.com;lr"
    assert shown(through("p1.example.com", p2)) == ["BYE sip:caller@u1.example.com"]


@pytest.mark.rfc("3261", "16.6-27", "16.6-28", "16.6-29", "16.6-30", "16.12.1.2")
def test_6_a_strict_router_is_next() -> None:
    """P4 of the example, after it took out its own entry."""
    received = request(
        "Route: <sip:p3.middle.com>",
        "X: 1",
        "Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>",
        uri="sip:caller@u1.example.com",
    )
    forwarded = forward(received, uri=received.uri, via=VIA)
    assert forwarded.uri == "sip:p3.middle.com"
    assert forwarded.headers.elements("route") == [
        "<sip:p2.example.com;lr>",
        "<sip:p1.example.com;lr>",
        "<sip:caller@u1.example.com>",
    ]
    assert received.headers.count("route") == 2


@pytest.mark.rfc("3261", "16.6")
def test_6_other_shapes_of_a_strict_route() -> None:
    only = forward(request("Route: <sip:p3.middle.com;method=BYE>"), uri=TARGET, via=VIA)
    assert only.uri == "sip:p3.middle.com"
    assert only.headers.all("route") == [f"<{TARGET}>"]
    folded = forward(request("Route: <sip:p3.middle.com>,\r\n <sip:p2.example.com;lr>"), uri=TARGET, via=VIA)
    assert folded.uri == "sip:p3.middle.com"
    assert folded.headers.all("route") == ["<sip:p2.example.com;lr>", f"<{TARGET}>"]


def test_6_a_route_that_is_none() -> None:
    with pytest.raises(ParseError):
        forward(request("Route: <tel:+4930>"), uri=TARGET, via=VIA)


@pytest.mark.rfc("5393", "5.3.3-4")
def test_max_breadth() -> None:
    assert forward(request(), uri=TARGET, via=VIA, breadth=30).headers.all("max-breadth") == ["30"]
    twice = request("Max-Breadth: 60", "Max-Breadth: 7")
    forwarded = forward(twice, uri=TARGET, via=VIA, breadth=30)
    assert forwarded.headers.all("max-breadth") == ["30"]
    assert forwarded.headers.names.index("max-breadth") == 7
    assert forward(twice, uri=TARGET, via=VIA).headers.count("max-breadth") == 2


@pytest.mark.rfc("3050", "5.6.1.2-4")
def test_what_a_script_prints_takes_the_place_of_ours() -> None:
    edits = Edits(
        [("Record-Route", "<sip:own.example.com;lr>"), ("Max-Forwards", "5"), ("Max-Breadth", "2")],
        frozenset({"contact"}),
    )
    received = request("Record-Route: <sip:p1.example.com;lr>")
    forwarded = forward(received, uri=TARGET, via=VIA, record_route=RECORD_ROUTE, edits=edits, breadth=30)
    assert sent(forwarded) == [
        f"INVITE {TARGET} SIP/2.0",
        f"Via: {VIA}",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK2;received=192.0.2.99",
        "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "Max-Breadth: 2",
        "f: Alice <sip:alice@example.com>;tag=1",
        "to  : <sip:bob@example.com>",
        "Max-Forwards: 5",
        "i: a@b",
        "Record-Route: <sip:own.example.com;lr>",
        "CSeq: 1 INVITE",
        "Content-Length: 0",
        "",
        "",
    ]


def test_ours_stay_where_a_script_removes_them() -> None:
    edits = Edits(remove=frozenset({"record-route", "max-forwards"}))
    received = request("Record-Route: <sip:p1.example.com;lr>")
    forwarded = forward(received, uri=TARGET, via=VIA, record_route=RECORD_ROUTE, edits=edits)
    assert forwarded.headers.all("record-route") == [RECORD_ROUTE]
    assert forwarded.max_forwards == 69


def test_a_route_that_the_script_prints_is_followed() -> None:
    received = request("Route: <sip:p1.example.com;lr>")
    forwarded = forward(received, uri=received.uri, via=VIA, edits=Edits([("Route", "<sip:gw.example.net;lr>")]))
    assert forwarded.uri == "sip:bob@example.com"
    assert forwarded.headers.all("route") == ["<sip:gw.example.net;lr>"]
    strict = forward(received, uri=received.uri, via=VIA, edits=Edits([("Route", "<sip:gw.example.net>")]))
    assert strict.uri == "sip:gw.example.net"
    assert strict.headers.all("route") == ["<sip:bob@example.com>"]


def test_what_a_script_may_not_do() -> None:
    with pytest.raises(ScriptError):
        forward(request(), uri=TARGET, via=VIA, edits=Edits([("Call-ID", "other")]))


def test_another_body() -> None:
    edits = Edits([("Content-Type", "text/plain")], body=b"bye")
    forwarded = forward(request("Content-Length: 5", body="hello"), uri=TARGET, via=VIA, edits=edits)
    assert forwarded.body == b"bye"
    assert forwarded.headers.all("content-length") == ["3"]


FIELDS = st.lists(st.sampled_from(["X-A: 1", "x-b:2", "Supported: a,b", "Subject : \xe4", "Record-Route: <sip:p;lr>"]))


@pytest.mark.rfc("3261", "16.6-2", "16.6-4")
@given(FIELDS, st.booleans())
def test_untouched_lines_stay_as_they_are(fields: list[str], breadth: bool) -> None:
    received = request(*fields)
    forwarded = forward(received, uri=TARGET, via=VIA, record_route=RECORD_ROUTE, breadth=9 if breadth else None)
    made = ("Via: " + VIA, "Max-", "Record-Route: " + RECORD_ROUTE, "Content-Length")
    kept = [line for line in forwarded.headers.lines if not line.startswith(made)]
    assert kept == [line for line in received.headers.lines if not line.startswith("Max-")]


@pytest.mark.rfc("3261", "8.1.1.7")
def test_a_request_of_our_own_has_our_via_alone() -> None:
    own = request()
    own.headers.remove("via")
    made = forward(own, uri=TARGET, via=VIA)
    assert sent(made)[:2] == [f"INVITE {TARGET} SIP/2.0", f"Via: {VIA}"]
    assert made.headers.all("via") == [VIA]
