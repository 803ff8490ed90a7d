"""Which script a request triggers."""

from ipaddress import ip_network

import pytest

from sipcgi.cgi.routes import Route, Routes, fallback_names
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request

SOURCE = "192.0.2.1"


def request(
    method: str = "INVITE",
    uri: str = "sip:bob@example.com",
    from_: str = '"A, B" <sip:alice@VinylSiding.com>;tag=1',
    to: str = "Bob <sip:Bob@example.com>",
) -> Request:
    return Request(method, uri, Headers([("From", from_), ("To", to)]))


def matches(route: Route, one: Request | None = None, source: str = SOURCE) -> bool:
    return Routes([route]).choose(one or request(), source) is route


def test_without_routes_none_is_chosen() -> None:
    assert Routes().choose(request(), SOURCE) is None


def test_the_first_match_wins() -> None:
    routes = [
        Route("a", frozenset({"BYE"})),
        Route("b", from_=("*@vinylsiding.com",)),
        Route("c", from_=("a@b",)),
        Route("d"),
    ]
    chosen = Routes(routes)
    assert chosen.choose(request("BYE"), SOURCE) is routes[0]
    assert chosen.choose(request(), SOURCE) is routes[1]
    assert chosen.choose(request(from_="<sip:a@b>"), SOURCE) is routes[2]
    assert chosen.choose(request(from_="<sip:b@b>"), SOURCE) is routes[3]


def test_methods_are_in_capitals() -> None:
    route = Route("a", frozenset({"INVITE", "MESSAGE"}))
    assert matches(route)
    assert matches(route, request("MESSAGE"))
    assert not matches(route, request("invite"))


def test_all_conditions_must_hold() -> None:
    route = Route("a", frozenset({"INVITE"}), ("alice@*",), ("Bob@*",), ("bob@*",), (ip_network("192.0.2.0/24"),))
    assert matches(route)
    assert not matches(route, request("BYE"))
    assert not matches(route, request(from_="<sip:carol@b>"))
    assert not matches(route, request(to="<sip:carol@b>"))
    assert not matches(route, request(uri="sip:carol@b"))
    assert not matches(route, source="198.51.100.1")


@pytest.mark.parametrize(
    ("glob", "uri", "expected"),
    [
        ("*", "sip:bob@example.com", True),
        ("*@*", "sip:example.com", False),
        ("example.com", "sip:Example.COM", True),
        ("bob@example.com", "sip:bob@EXAMPLE.com:5080;transport=tcp", True),
        ("bob@EXAMPLE.com", "sips:bob@example.com", True),
        ("Bob@example.com", "sip:bob@example.com", False),
        ("bob@example.com", "sip:b%6Fb@example.com", True),
        ("bob@example.com", "sip:bob:secret@example.com", True),
        ("bob@example.com", "sip:bob@example.com.evil.example", False),
        ("bob@example.com", "sip:xbob@example.com", False),
        ("b?b@ex[ab]mple.*", "sip:bab@example.org", True),
        ("B*", "sip:bob@example.com", False),
        ("*.EXAMPLE.com", "sip:bob@a.example.com", True),
        ("*ob@example.com", "sip:bob@example.com", True),
        ("bob@[2001:DB8::1]", "sip:bob@[2001:db8:0::1]", True),
        ("bob@[ab].com", "sip:bob@a.com", True),
        ("bob", "sip:bob@example.com", False),
        ("bob*", "sip:bob%0A@example.com", True),
        ("tel:+49*", "tel:+49-(30)-12.34;phone-context=x", True),
        ("TEL:+49-30*", "tel:+49301234", True),
        ("tel:+49[0-3]*", "tel:+4921", True),
        ("tel:+49*", "tel:+1-49", False),
        ("+49*", "tel:+4930", False),
        ("urn:*", "URN:service:sos", True),
        ("*@example.com", "sip:bob@example.com:x", False),
        ("*", "nothing", False),
    ],
)
def test_globs(glob: str, uri: str, expected: bool) -> None:
    assert matches(Route("a", uri=(glob,)), request(uri=uri)) is expected
    assert matches(Route("a", from_=(glob,)), request(from_=f"<{uri}>;tag=1")) is expected
    assert matches(Route("a", to=(glob,)), request(to=f"<{uri}>")) is expected


def test_one_of_several_globs_is_enough() -> None:
    route = Route("a", from_=("carol@*", "*@vinylsiding.com"))
    assert matches(route)
    assert not matches(route, request(from_="<sip:bob@b>"))


def test_a_field_that_does_not_parse_matches_no_glob() -> None:
    one = request(from_="<sip:alice", to="")
    assert not matches(Route("a", from_=("*",)), one)
    assert not matches(Route("a", to=("*",)), one)
    assert matches(Route("a"), one)


@pytest.mark.parametrize(
    ("network", "source", "expected"),
    [
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.2.0/24", "::ffff:192.0.2.1", True),
        ("192.0.2.7", "192.0.2.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "192.0.2.1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "nowhere", False),
    ],
)
def test_sources(network: str, source: str, expected: bool) -> None:
    assert matches(Route("a", source=(ip_network("203.0.113.0/24"), ip_network(network))), source=source) is expected


def test_in_a_dialog_only_routes_that_ask_for_it() -> None:
    quiet, eager = Route("a"), Route("b", in_dialog=True)
    routes = Routes([quiet, eager])
    assert routes.choose(request(), SOURCE) is quiet
    assert routes.choose(request(), SOURCE, in_dialog=True) is eager
    assert Routes([quiet]).choose(request(), SOURCE, in_dialog=True) is None


def test_file_names() -> None:
    assert fallback_names("INVITE") == ("invite", "default")
    assert fallback_names("BYE") == ("bye", "default")
    for method in ("REGISTER", "ACK", "CANCEL", "PRACK"):
        assert fallback_names(method) == (method.lower(),)
    assert fallback_names("OPTIONS") == ("options", "default")
    assert fallback_names("OPTIONS", own_options=True) == ("options",)


def test_the_scripts_of_a_route_in_their_order() -> None:
    assert Route("a.sh").scripts == ("a.sh",)
    assert Route("a.sh", then=("b.sh", "c.sh")).scripts == ("a.sh", "b.sh", "c.sh")
