"""RFC 3261 16.4, 16.6 item 7 and 16.12: whose Route it is, and where the request goes."""

import pytest

from sipcgi.errors import ParseError
from sipcgi.proxy.route import is_loose, next_hop, preprocess, strip_routes
from sipcgi.service import Edits
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse
from sipcgi.sip.uri import SipUri

OURS = {"192.0.2.5", "2001:db8::5", "example.com"}


def is_ours(uri: SipUri) -> bool:
    return (uri.address in OURS and uri.port in (None, 5060)) or (uri.address, uri.port) == ("192.0.2.6", 5080)


def bye(*fields: str, uri: str = "sip:callee@u2.domain.com", transport: str = "UDP") -> Request:
    lines = [
        f"BYE {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} 192.0.2.1;branch=z9hG4bK1",
        "f: <sip:alice@example.com>;tag=1",
        *fields,
        "To: <sip:bob@example.com>;tag=2",
        "Call-ID: a@b",
        "CSeq: 1 BYE",
        "",
        "",
    ]
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return message


def test_without_route_the_request_is_the_same_object() -> None:
    request = bye()
    found = preprocess(request, is_ours)
    assert found.request is request
    assert (found.tokens, found.sent_by) == ((), "")
    tel = bye(uri="tel:+4930123456")
    assert preprocess(tel, is_ours).request is tel


@pytest.mark.rfc("3261", "16.4-6")
def test_the_first_route_is_ours() -> None:
    found = preprocess(bye("Route: <sip:TOKEN@192.0.2.5:5060;lr>,<sip:p2.domain.com;lr>"), is_ours)
    assert found.tokens == ("TOKEN",)
    assert found.request == bye("Route: <sip:p2.domain.com;lr>")


@pytest.mark.rfc("3261", "16.4")
def test_the_only_route_is_ours() -> None:
    assert preprocess(bye("Route: <sip:TOKEN@192.0.2.5:5060;lr>"), is_ours).request == bye()


def test_a_double_record_route_is_taken_out_whole() -> None:
    found = preprocess(
        bye(
            "Route: <sip:one@192.0.2.5;lr>",
            "Route:  <sip:two@[2001:db8::5];lr>\r\n ,<sip:p2.domain.com;lr>",
            "Route: <sip:three@192.0.2.5;lr>",
        ),
        is_ours,
    )
    assert found.tokens == ("one", "two")
    assert found.sent_by == "[2001:db8::5]:5060"
    assert found.request == bye("Route: <sip:p2.domain.com;lr>", "Route: <sip:three@192.0.2.5;lr>")


def test_an_entry_of_ours_without_token() -> None:
    found = preprocess(bye("Route: <sip:example.com;lr>", "Route: <sip:p2.domain.com;lr>"), is_ours)
    assert (found.tokens, found.sent_by) == ((), "example.com:5060")
    assert found.request.headers.all("route") == ["<sip:p2.domain.com;lr>"]


@pytest.mark.parametrize("route", ["<sip:p2.domain.com;lr>", "<tel:+4930>", "<sip:x@192.0.2.5:5070;lr>"])
def test_routes_of_others_stay(route: str) -> None:
    request = bye(f"Route:   {route}", "Route: <sip:TOKEN@192.0.2.5;lr>")
    assert preprocess(request, is_ours).request is request


def test_a_malformed_route() -> None:
    with pytest.raises(ParseError):
        preprocess(bye("Route: <sip:"), is_ours)


@pytest.mark.rfc("3261", "16.4-1", "16.4-2", "16.4-3", "16.12.1.2")
def test_a_strict_router_sent_it() -> None:
    """P3 of the example popped our entry into the Request-URI; the last Route is the remote target."""
    found = preprocess(
        bye(
            "Route: <sip:p1.example.org;lr>",
            "Route: <sip:caller@u1.example.org>",
            uri="sip:TOKEN@192.0.2.5;lr",
        ),
        is_ours,
    )
    assert found.tokens == ("TOKEN",)
    assert found.request == bye("Route: <sip:p1.example.org;lr>", uri="sip:caller@u1.example.org")


def test_a_strict_router_and_then_ourselves_again() -> None:
    found = preprocess(
        bye("Route: <sip:two@192.0.2.5;lr>, <sip:caller@u1.example.org>", uri="sip:one@192.0.2.5;lr"), is_ours
    )
    assert found.tokens == ("one", "two")
    assert found.sent_by == "192.0.2.5:5060"
    assert found.request == bye(uri="sip:caller@u1.example.org")


@pytest.mark.parametrize("uri", ["sip:bob@example.com", "sip:TOKEN@192.0.2.6;lr", "tel:+4930"])
def test_a_request_uri_that_was_no_record_route_of_ours(uri: str) -> None:
    request = bye("Route: <sip:p2.domain.com;lr>", uri=uri)
    assert preprocess(request, is_ours).request is request


@pytest.mark.parametrize("field", ["Route:", "Route: ,"])
def test_a_route_without_values(field: str) -> None:
    request = bye(field, uri="sip:TOKEN@192.0.2.5;lr")
    assert preprocess(request, is_ours).request is request
    assert next_hop(request) == request.target


@pytest.mark.parametrize(
    ("uri", "transport", "becomes"),
    [
        ("sip:bob@foo.example.net;maddr=192.0.2.5", "UDP", "sip:bob@foo.example.net"),
        ("sip:bob@foo.example.net:5060;maddr=192.0.2.5;transport=tcp;x=y", "TCP", "sip:bob@foo.example.net:5060;x=y"),
        ("sip:bob@foo.example.net:5080;maddr=192.0.2.6", "UDP", "sip:bob@foo.example.net"),
        ("sip:bob@foo.example.net;maddr=2001:db8::5", "UDP", "sip:bob@foo.example.net"),
        ("sip:bob@foo.example.net;maddr=[2001:db8::5]", "UDP", "sip:bob@foo.example.net"),
        ("sips:bob@foo.example.net;maddr=192.0.2.5", "TLS", "sips:bob@foo.example.net"),
        ("sip:bob@foo.example.net:5060;maddr=192.0.2.5;transport=TLS", "TLS", "sip:bob@foo.example.net"),
        ("sip:bob@foo.example.net;maddr=192.0.2.5", "TCP", None),
        ("sip:bob@foo.example.net:5070;maddr=192.0.2.5", "UDP", None),
        ("sip:bob@foo.example.net;maddr=192.0.2.6", "UDP", None),
        ("sip:bob@foo.example.net;maddr", "UDP", None),
    ],
)
@pytest.mark.rfc("3261", "16.4-4", "16.4-5")
def test_maddr(uri: str, transport: str, becomes: str | None) -> None:
    request = bye(uri=uri, transport=transport)
    found = preprocess(request, is_ours).request
    assert found.uri == (becomes or uri)
    assert found.headers == request.headers


def test_strip_routes() -> None:
    request = bye("Route: <sip:p1.example.com;lr>", "Route: <sip:p2.domain.com;lr>")
    assert strip_routes(request) == bye()
    assert request.headers.count("route") == 2
    plain = bye()
    assert strip_routes(plain) is plain


@pytest.mark.rfc("3261", "16.6-33", "16.6-34")
def test_next_hop() -> None:
    assert str(next_hop(bye())) == "sip:callee@u2.domain.com"
    assert str(next_hop(bye(), uri="sip:bob@192.0.2.4")) == "sip:bob@192.0.2.4"
    routed = bye("Route: <sip:p1.example.com;lr>, <sip:p2.domain.com;lr>")
    assert str(next_hop(routed, uri="sip:bob@192.0.2.4")) == "sip:p1.example.com;lr"
    strict = bye("Route: <sip:p3.middle.com>")
    assert str(next_hop(strict)) == "sip:p3.middle.com"


def test_next_hop_of_a_script() -> None:
    routed = bye("Route: <sip:p1.example.com;lr>")
    printed = Edits([("Subject", "x"), ("ROUTE", "<sip:gw.example.com;lr>, <sip:p2.domain.com;lr>")])
    assert str(next_hop(routed, edits=printed)) == "sip:gw.example.com;lr"
    assert str(next_hop(routed, edits=Edits([("Subject", "x")]))) == "sip:p1.example.com;lr"
    assert str(next_hop(routed, edits=Edits(remove=frozenset({"route"})))) == "sip:callee@u2.domain.com"
    empty = Edits([("Route", "")])  # which forward will refuse
    assert str(next_hop(routed, edits=empty)) == "sip:p1.example.com;lr"


@pytest.mark.rfc("3261", "16.3")
def test_with_max_forwards_0_there_is_no_next_hop() -> None:
    """What is for the server itself passed validation with it; a script may still want to send it on."""
    with pytest.raises(ParseError) as caught:
        next_hop(bye("Max-Forwards: 0"), uri="sip:bob@192.0.2.4")
    assert (caught.value.status, caught.value.header) == (483, "max-forwards")
    assert next_hop(bye("Max-Forwards: 1"))


@pytest.mark.rfc("3261", "16.6-26", "16.6-35")
def test_a_sips_target_makes_the_hop_a_sips_one() -> None:
    routed = bye("Route: <sip:p1.example.com;lr>", uri="sips:bob@example.net")
    assert str(next_hop(routed)) == "sips:p1.example.com;lr"
    assert str(next_hop(bye("Route: <tel:+4930>", uri="sips:bob@example.net"))) == "tel:+4930"
    assert next_hop(bye(uri="tel:+4930")).scheme == "tel"


def test_is_loose() -> None:
    assert is_loose("<sip:p1.example.com;lr>")
    assert is_loose('"P" <sip:p1.example.com;LR=on>;x')
    assert not is_loose("<sip:p1.example.com>;lr")
    with pytest.raises(ParseError):
        is_loose("<tel:+4930>")
