"""RFC 3261 16.3: what is refused, and with what."""

import pytest

from sipcgi.errors import Refused
from sipcgi.proxy.validate import validate
from sipcgi.sip.grammar import MAX_ELEMENT
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse


def request(
    *fields: str, method: str = "INVITE", uri: str = "sip:bob@example.com", to: str = "<sip:bob@example.com>"
) -> Request:
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:alice@example.com>;tag=1",
        f"To: {to}",
        "Call-ID: a@b",
        f"CSeq: 1 {method}",
        *fields,
        "",
        "",
    ]
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return message


def refusal(message: Request) -> Refused:
    with pytest.raises(Refused) as caught:
        validate(message)
    return caught.value


@pytest.mark.rfc("3261", "16.3-6", "16.3-7")
def test_unknown_methods_and_malformed_fields_of_others_pass() -> None:
    validate(request("Date: not a date at all", "X-New: thing", method="FROBNICATE"))
    validate(request("Max-Forwards: 70"))
    validate(request("Max-Forwards: 1"))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (request(to="<sip:bob"), "Bad To"),
        (request("Max-Forwards: many"), "Bad Max-Forwards"),
        (request("Max-Forwards: 256"), "Bad Max-Forwards"),
        (request("Route: <sip:p1.example.com"), "Bad Route"),
        (request('Proxy-Require: "foo, bar'), "Bad Proxy-Require"),
        (request("Proxy-Require: foo bar"), "Bad Proxy-Require"),
        (request(f"Proxy-Require: {'foo, ' * 501}"), "Bad Proxy-Require"),
        (request(uri="sip:bob@"), "Bad Request-URI"),
        (request(uri="<sip:bob@example.com>"), "Bad Request-URI"),
    ],
)
@pytest.mark.rfc("3261", "16.3-1", "16.3-5")
def test_1_reasonable_syntax(message: Request, reason: str) -> None:
    refused = refusal(message)
    assert (refused.status, refused.reason) == (400, reason)


@pytest.mark.rfc("3261", "16.3")
def test_2_uri_scheme() -> None:
    assert refusal(request(uri="http://example.com/")).status == 416
    validate(request(uri="sips:bob@example.com"))
    validate(request(uri="tel:+4930123456"))


@pytest.mark.rfc("3261", "21.4.12")
def test_a_uri_that_is_too_long() -> None:
    refused = refusal(request(uri=f"sip:{'b' * MAX_ELEMENT}@example.com"))
    assert (refused.status, refused.reason) == (414, None)


@pytest.mark.rfc("3261", "16.3")
def test_3_max_forwards() -> None:
    assert refusal(request("Max-Forwards: 0")).status == 483
    assert refusal(request("Max-Forwards: 0", method="OPTIONS")).status == 483


@pytest.mark.rfc("3261", "16.3")
def test_5_proxy_require() -> None:
    refused = refusal(request("Proxy-Require: foo, sec-agree", "Proxy-Require: bar"))
    assert refused.status == 420
    assert refused.headers == (("Unsupported", "foo, sec-agree, bar"),)
    assert refusal(request("Proxy-Require: foo,,bar")).headers == (("Unsupported", "foo, bar"),)
    validate(request("Proxy-Require:"))
    validate(request("Proxy-Require: path, Outbound"))
    assert refusal(request("Proxy-Require: path, foo")).headers == (("Unsupported", "foo"),)


@pytest.mark.rfc("3261", "8.2.2.3")
def test_proxy_require_is_no_reason_to_drop_an_ack() -> None:
    validate(request("Proxy-Require: foo", method="ACK"))
