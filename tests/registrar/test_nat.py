"""By which way requests go back to a contact."""

import pytest

from sipcgi.flow import Flow, HostPort
from sipcgi.registrar.nat import way_back
from sipcgi.sip.address import Address
from sipcgi.sip.message import Request
from sipcgi.sip.parser import parse

LOCAL = HostPort("198.51.100.1", 5060)
INSTANCE = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'


def goes_back_over_its_flow(via: str, contact: str, source: str, transport: str = "UDP", *fields: str) -> bool:
    request = parse(
        "\r\n".join(
            [
                "REGISTER sip:example.com SIP/2.0",
                f"Via: SIP/2.0/{transport} {via};branch=z9hG4bK1",
                "From: <sip:bob@example.com>;tag=1",
                "To: <sip:bob@example.com>",
                "Call-ID: 1@h",
                "CSeq: 1 REGISTER",
                *fields,
                "",
                "",
            ]
        ).encode()
    )
    assert isinstance(request, Request)
    host, _, port = source.rpartition(":")
    flow = Flow(transport, LOCAL, HostPort(host, int(port)), 0 if transport == "UDP" else 7)
    found = way_back(request, Address.parse(contact), flow)
    assert found in (None, flow)
    return found is not None


@pytest.mark.rfc("3581", "4")
@pytest.mark.parametrize(
    ("via", "contact", "source", "expected"),
    [
        # the client says where it is, and it is there
        ("192.0.2.4:5070", "<sip:bob@192.0.2.4:5070>", "192.0.2.4:5070", False),
        ("192.0.2.4", "<sip:bob@192.0.2.4>", "192.0.2.4:5060", False),
        ("192.0.2.4:5070;rport=5070", "<sip:bob@192.0.2.4:5070>", "192.0.2.4:5070", False),
        # it asks for its flow
        ("192.0.2.4", f"<sip:bob@192.0.2.4>;reg-id=1;{INSTANCE}", "192.0.2.4:5060", True),
        ("192.0.2.4", f"<sip:bob@192.0.2.4;transport=tcp>;reg-id=1;{INSTANCE}", "192.0.2.4:5060", True),
        ("192.0.2.4", "<sip:bob@192.0.2.4;ob>", "192.0.2.4:5060", True),
        ("192.0.2.4", "<sips:bob@192.0.2.4;ob>", "192.0.2.4:5060", False),
        # a NAT has changed its address
        ("10.0.0.4:5070", "<sip:bob@10.0.0.4:5070>", "203.0.113.9:61000", True),
        ("10.0.0.4:5070;rport=61000;received=203.0.113.9", "<sip:bob@10.0.0.4:5070>", "203.0.113.9:61000", True),
        ("10.0.0.4", "<sip:bob@10.0.0.4:5060>", "203.0.113.9:5060", True),
        ("10.0.0.4:5060", "<sip:bob@10.0.0.4;transport=UDP>", "203.0.113.9:5060", True),
        # another port: a NAT if the client wants its answers there, else a client with two sockets
        ("192.0.2.4:5070;rport", "<sip:bob@192.0.2.4:5070>", "192.0.2.4:61000", True),
        ("192.0.2.4:5070", "<sip:bob@192.0.2.4:5070>", "192.0.2.4:61000", False),
        # what a name stands for is not known: only rport tells
        ("phone.lan:5070", "<sip:bob@Phone.LAN:5070>", "192.0.2.4:5070", False),
        ("phone.lan:5070;rport", "<sip:bob@phone.lan:5070>", "192.0.2.4:5070", True),
        # the contact is somewhere else
        ("10.0.0.4:5070", "<sip:bob@10.0.0.5:5070>", "203.0.113.9:61000", False),
        ("10.0.0.4:5070", "<sip:bob@10.0.0.4:5080>", "203.0.113.9:61000", False),
        ("10.0.0.4:5070", "<sip:bob@203.0.113.9:61000>", "203.0.113.9:61000", False),
        ("10.0.0.4:5070", "<sip:bob@10.0.0.4:5070;transport=tcp>", "203.0.113.9:61000", False),
        ("10.0.0.4:5070", "<sips:bob@10.0.0.4:5070>", "203.0.113.9:61000", False),
        ("10.0.0.4:5070", "<tel:+12015550123>", "203.0.113.9:61000", False),
        # IPv6, spelt in different ways
        ("[2001:db8::4]:5070", "<sip:bob@[2001:DB8:0::4]:5070>", "2001:db8::4:5070", False),
        ("[2001:db8::4]:5070", "<sip:bob@[2001:db8:0:0::4]:5070>", "2001:db8::5:5070", True),
    ],
)
def test_over_udp(via: str, contact: str, source: str, expected: bool) -> None:
    assert goes_back_over_its_flow(via, contact, source) is expected


def test_not_where_a_proxy_was_between() -> None:
    between = "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK0"
    path = "Path: <sip:10.0.0.9;lr>"
    assert not goes_back_over_its_flow("10.0.0.4", "<sip:bob@10.0.0.4>", "203.0.113.9:5060", "UDP", between)
    assert not goes_back_over_its_flow("10.0.0.4", "<sip:bob@10.0.0.4>", "203.0.113.9:5060", "UDP", path)
    assert not goes_back_over_its_flow("10.0.0.4", "<sip:bob@10.0.0.4>", "203.0.113.9:5060", "TCP", path)


@pytest.mark.rfc("5626", "6")
def test_a_client_that_keeps_its_flow_open_gets_it() -> None:
    contact = f"<sip:bob@192.0.2.4;ob>;reg-id=1;{INSTANCE}"
    assert goes_back_over_its_flow("192.0.2.4", contact, "192.0.2.4:5060")
    assert not goes_back_over_its_flow("192.0.2.4", f"<sip:bob@192.0.2.4>;{INSTANCE}", "192.0.2.4:5060")
    assert not goes_back_over_its_flow("192.0.2.4", "<sip:bob@192.0.2.4>;reg-id=1", "192.0.2.4:5060")


@pytest.mark.parametrize(
    ("contact", "transport", "expected"),
    [
        ("<sip:bob@192.0.2.4:5070;transport=tcp>", "TCP", True),
        ("<sip:bob@somewhere.invalid>", "WS", True),
        ("<sips:bob@192.0.2.4>", "TLS", True),
        ("<sips:bob@192.0.2.4>", "WSS", True),
        ("<sips:bob@192.0.2.4>", "TCP", False),
        ("<mailto:bob@example.com>", "TCP", False),
    ],
)
def test_over_a_stream_its_connection(contact: str, transport: str, expected: bool) -> None:
    assert goes_back_over_its_flow("10.0.0.4:40000", contact, "203.0.113.9:40000", transport) is expected
