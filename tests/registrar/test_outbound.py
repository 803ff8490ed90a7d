"""What a flow is known by, and through whom it may be registered (RFC 5626 section 6)."""

import pytest

from sipcgi.errors import ParseError, Refused
from sipcgi.registrar.outbound import applies, flow_number, instance, supports
from sipcgi.sip.address import Address
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse

UUID = "urn:uuid:00000000-0000-1000-8000-000a95a0e128"


def register(*fields: str) -> Request:
    via = "Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1"
    start = "REGISTER sip:example.com SIP/2.0"
    ends = ["From: <sip:bob@example.com>;tag=1", "To: <sip:bob@example.com>", "Call-ID: 1@h", "CSeq: 1 REGISTER"]
    request = parse("\r\n".join([start, via, *ends, *fields, "", ""]).encode())
    assert isinstance(request, Request)
    return request


@pytest.mark.rfc("5626", "4.1")
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (f';+sip.instance="<{UUID}>"', UUID),
        (f';+SIP.Instance="<{UUID.upper()}>"', UUID),
        (';+sip.instance="<urn:Example:A>"', "urn:Example:A"),
        (";+sip.instance", ""),
        ("", ""),
    ],
)
def test_an_instance_has_one_spelling(params: str, expected: str) -> None:
    assert instance(Address.parse(f"<sip:bob@h>{params}")) == expected


@pytest.mark.rfc("5626", "10")
@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("2147483647", 2**31 - 1)])
def test_a_number(text: str, number: int) -> None:
    assert flow_number(Address.parse(f'<sip:bob@h>;reg-id={text};+sip.instance="<{UUID}>"')) == number
    assert flow_number(Address.parse(f"<sip:bob@h>;reg-id={text}")) is None
    assert flow_number(Address.parse(f'<sip:bob@h>;+sip.instance="<{UUID}>"')) is None


@pytest.mark.parametrize("text", ["0", "2147483648", "x", "1.5"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ParseError):
        flow_number(Address.parse(f'<sip:bob@h>;reg-id={text};+sip.instance="<{UUID}>"'))


def test_what_a_client_has() -> None:
    assert supports(register("Supported: path, Outbound"), "outbound")
    assert supports(register("k: path", "Require: outbound"), "path")
    assert not supports(register("Supported: pathological"), "path")


@pytest.mark.rfc("5626", "6-2", "6-3")
def test_through_whom() -> None:
    proxy = "Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK2"
    assert applies(register())
    assert applies(register(proxy, "Path: <sip:a@ep;lr>, <sip:b@ep;lr;ob>"))
    assert not applies(register(proxy, "Path: <sip:a@ep;lr;ob>, <sip:b@ep;lr>"))
    assert not applies(register(proxy, "Path: <tel:1>"))
    with pytest.raises(Refused) as caught:
        applies(register(proxy, "Supported: outbound"))
    assert caught.value.status == 439
