"""RFC 5393 section 4.2: loops are found, spirals go on."""

import pytest

from sipcgi.proxy.forward import forward
from sipcgi.proxy.loop import is_loop, loop_hash
from sipcgi.service import Edits
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse
from sipcgi.sip.via import Via

INVITE = [
    "INVITE sip:bob@example.com SIP/2.0",
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    "Max-Forwards: 70",
    "From: <sip:alice@example.com>;tag=1",
    "To: <sip:bob@example.com>",
    "Call-ID: a@b",
    "CSeq: 1 INVITE",
    "Content-Length: 0",
]


def invite(*more: str, **changed: str) -> Request:
    lines = [changed.get(line.partition(":")[0].replace("-", "_").lower(), line) for line in INVITE[1:]]
    message = parse("\r\n".join([changed.get("start", INVITE[0]), *lines, *more, "", ""]).encode())
    assert isinstance(message, Request)
    return message


def is_ours(via: Via) -> bool:
    return via.sent_by == "192.0.2.5:5060"


def through_us(request: Request, uri: str, edits: Edits | None = None) -> Request:
    via = f"SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK0.feed.{loop_hash(request)};rport"
    return forward(request, uri=uri, via=via, edits=edits)


def through_another(request: Request, uri: str) -> Request:
    return forward(request, uri=uri, via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother")


def test_the_first_time_is_no_loop() -> None:
    assert not is_loop(invite(), is_ours)
    assert not is_loop(through_another(invite(), "sip:bob@example.com"), is_ours)


@pytest.mark.rfc("3261", "16.6-40")
@pytest.mark.rfc("5393", "4.2.1-2", "4.2.2-3")
def test_a_loop_over_another_hop() -> None:
    away = through_us(invite(), "sip:bob@example.org")
    assert not is_loop(away, is_ours)
    assert is_loop(through_another(away, "sip:bob@example.com"), is_ours)


@pytest.mark.rfc("5393", "4.2.2")
def test_a_spiral_has_another_request_uri() -> None:
    away = through_us(invite(), "sip:bob@example.org")
    assert not is_loop(through_another(away, "sip:carol@example.com"), is_ours)


@pytest.mark.rfc("5393", "4.2.2")
def test_a_field_that_a_script_adds_makes_one_spiral_and_then_a_loop() -> None:
    first = through_us(invite(), "sip:bob@example.com", Edits([("X-Seen", "yes")]))
    second = through_another(first, "sip:bob@example.com")
    assert not is_loop(second, is_ours)
    again = through_us(second, "sip:bob@example.com", Edits([("X-Seen", "yes")]))
    assert is_loop(through_another(again, "sip:bob@example.com"), is_ours)


@pytest.mark.rfc("3261", "16.6-42", "16.6-43")
@pytest.mark.rfc("5393", "4.2.1-4", "4.2.1-5", "4.2.4-1")
@pytest.mark.parametrize(
    "changed",
    [
        invite("Route: <sip:p1.example.com;lr>"),
        invite("Proxy-Authorization: Digest x=y"),
        invite("X-Filtered: yes"),
        invite("Proxy-Require: foo"),
        invite(start="INVITE sip:bob@example.org SIP/2.0"),
        invite(to="To: <sip:bob@example.com>;tag=2"),
        invite(**{"from": "From: <sip:carol@example.com>;tag=1"}),
        invite(cseq="CSeq: 2 INVITE"),
        invite(call_id="Call-ID: c@d"),
    ],
)
def test_what_the_second_part_depends_on(changed: Request) -> None:
    assert loop_hash(changed) != loop_hash(invite())


def test_the_order_of_routes_counts() -> None:
    one, two = "Route: <sip:p1.example.com;lr>", "Route: <sip:p2.example.com;lr>"
    assert loop_hash(invite(one, two)) != loop_hash(invite(two, one))


@pytest.mark.rfc("3261", "16.6-44")
@pytest.mark.rfc("5393", "4.2.1-6")
def test_what_it_does_not_depend_on() -> None:
    assert loop_hash(invite(start="ACK sip:bob@example.com SIP/2.0", cseq="CSeq: 1 ACK")) == loop_hash(invite())
    same = invite(
        "Record-Route: <sip:p1.example.com;lr>",
        via="Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK2",
        max_forwards="Max-Forwards: 7",
    )
    assert loop_hash(same) == loop_hash(invite())


def test_a_hop_that_writes_fields_in_its_own_way_makes_one_spiral_and_then_a_loop() -> None:
    def through_a_tidy_hop(request: Request) -> Request:
        away = through_another(request, "sip:bob@example.com")
        fields = sorted((name.title(), value) for name, value in away.headers)
        return Request(away.method, away.uri, Headers(fields), away.body)

    second = through_a_tidy_hop(through_us(invite(), "sip:bob@example.org"))
    assert not is_loop(second, is_ours)
    assert is_loop(through_a_tidy_hop(through_us(second, "sip:bob@example.org")), is_ours)


@pytest.mark.rfc("5393", "4.2.4")
def test_vias_of_others_are_not_looked_into() -> None:
    second = loop_hash(invite())
    ours = f"Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK0.feed.{second}"
    for via in [
        "Via: SIP/2.0/UDP",
        'Via: SIP/2.0/UDP 192.0.2.8;x="never closed',
        f"Via: nonsense .{second}",
        f'Via: SIP/2.0/UDP 192.0.2.8;x="never closed .{second}',
        f"Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK0.feed.{second}",
        f"Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK0.feed.{second}00",
        f"Via: SIP/2.0/UDP 192.0.2.5;x=.{second}",
    ]:
        assert not is_loop(invite(via), is_ours)
        assert is_loop(invite(via, ours), is_ours)


@pytest.mark.rfc("5393", "4.2.2-2")
def test_vias_in_one_field() -> None:
    second = loop_hash(invite())
    field = (
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother, "
        f"SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK0.feed.{second}, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"
    )
    assert is_loop(invite(via=field), is_ours)
