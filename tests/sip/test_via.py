import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_ELEMENT
from sipcgi.sip.remembered import LONGEST
from sipcgi.sip.via import Via, parse_via


@pytest.mark.rfc("3261", "20.42")
@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7", None),
        (
            "SIP/2.0/UDP 192.0.2.1:5060 ;received=192.0.2.207;branch=z9hG4bK77",
            "SIP/2.0/UDP 192.0.2.1:5060;received=192.0.2.207;branch=z9hG4bK77",
        ),
        (
            "SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
            "SIP/2.0/UDP first.example.com:4000;ttl=16;maddr=224.2.0.1;branch=z9hG4bKa7c6a8dlze.1",
        ),
        ("SIP/2.0/TCP\thost", "SIP/2.0/TCP host"),
        ("SIP/2.0/UDP  host : 4000", "SIP/2.0/UDP host:4000"),
        ("SIP/2.0/tls host", "SIP/2.0/TLS host"),
        ("SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en", None),
        ("SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw", None),
        ("SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;rport", None),
        ("SIP / 2.0 / UDP [2001:db8::1]", "SIP/2.0/UDP [2001:db8::1]"),
        ("SIP / 2.0 / UDP [2001:db8::1] : 5062", "SIP/2.0/UDP [2001:db8::1]:5062"),
        ("SIP/2.0/UDP host;branch=x (a comment of RFC 2543)", "SIP/2.0/UDP host;branch=x"),
        ("SIP/2.0/UDP host (a comment)", "SIP/2.0/UDP host"),
        ("SIP/2.0/UDP host(comment)", "SIP/2.0/UDP host"),
    ],
)  # fmt: skip
def test_vias(text: str, printed: str | None) -> None:
    via = Via.parse(text)
    assert str(via) == (printed or text)
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize(
    "text",
    [
        "", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 host", "SIP/2.0/UDP/x host", "/2.0/UDP host", "SIP//UDP host",
        "SIP/2.0/ host", "SIP/2.0/UDP :]", "SIP/2.0/UDP host;", "SIP/2.0/UDP 192.0.2.15;;,;,,", "SIP/2.0/UDP host:",
        "SIP/2.0/UDP host:x", "SIP/2.0/UDP a b", "SIP/2.0/UDP host;branch=a;branch=b", "SIP/2.0/UDP host;branch=",
        "SIP/2.0/UDP ho(st", ")", "SIP/2.0/UDP ho st)", "SIP/2.0/UDP host;branch=" + "a" * MAX_ELEMENT,
    ],
)  # fmt: skip
def test_bad_vias(text: str) -> None:
    with pytest.raises(ParseError):
        Via.parse(text)


def test_parts() -> None:
    via = Via.parse("SIP/2.0/UDP pc33.Atlanta.com:5066;branch=z9hG4bK776;received=192.0.2.1;rport=9")
    assert (via.protocol, via.transport, via.host, via.port) == ("SIP/2.0", "UDP", "pc33.Atlanta.com", 5066)
    assert (via.branch, via.received, via.rport) == ("z9hG4bK776", "192.0.2.1", 9)
    bare = Via.parse("SIP/2.0/UDP host")
    assert (bare.branch, bare.received, bare.rport, bare.port) == (None, None, None, None)


@pytest.mark.rfc("3581", "3")
def test_rport() -> None:
    assert Via.parse("SIP/2.0/UDP host;rport").rport == 0
    assert Via.parse("SIP/2.0/UDP host;rport=65535").rport == 65535
    with pytest.raises(ParseError):
        _ = Via.parse("SIP/2.0/UDP host;rport=65536").rport
    with pytest.raises(ParseError):
        _ = Via.parse("SIP/2.0/UDP host;rport=x").rport


@pytest.mark.rfc("5118", "4.5")
def test_received_comes_with_and_without_brackets() -> None:
    for text in ("2001:db8::9:255", "[2001:db8::9:255]"):
        assert Via.parse(f"SIP/2.0/UDP [2001:db8::9:1];received={text};branch=z9hG4bK1").received == "2001:db8::9:255"


@pytest.mark.rfc("3261", "18.1.2")
@pytest.mark.parametrize(
    ("text", "sent_by"),
    [
        ("SIP/2.0/UDP Host", "host:5060"),
        ("SIP/2.0/TCP host", "host:5060"),
        ("SIP/2.0/TLS host", "host:5061"),
        ("SIP/2.0/WS host", "host:80"),
        ("SIP/2.0/WSS host", "host:443"),
        ("SIP/2.0/UDP host:5066", "host:5066"),
        ("SIP/2.0/UDP [2001:DB8::1]", "[2001:db8::1]:5060"),
    ],
)
def test_sent_by(text: str, sent_by: str) -> None:
    assert Via.parse(text).sent_by == sent_by


@pytest.mark.rfc("3581", "4")
def test_changed_copies() -> None:
    via = Via.parse("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff")
    assert (
        str(via.with_(received="192.0.2.1", rport=9988))
        == "SIP/2.0/UDP 10.1.1.1:4540;rport=9988;branch=z9hG4bKkjshdyff;received=192.0.2.1"
    )
    assert str(via.with_(received="::1")) == "SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff;received=::1"
    assert via.with_() == via


def test_equality() -> None:
    assert Via.parse("SIP/2.0/UDP host") == Via("SIP/2.0", "UDP", "host")
    assert hash(Via.parse("SIP/2.0/UDP host")) == hash(Via("SIP/2.0", "UDP", "host"))
    assert Via.parse("SIP/2.0/UDP host") != "SIP/2.0/UDP host"
    assert repr(Via("SIP/2.0", "UDP", "host", 1)) == "Via('SIP/2.0/UDP host:1')"


def test_parsing_is_remembered() -> None:
    text = "SIP/2.0/UDP host;branch=z9hG4bK1"
    assert parse_via(text) is parse_via(text)
    long = f"SIP/2.0/UDP host;branch={'x' * LONGEST}"
    assert parse_via(long) == parse_via(long)
    assert parse_via(long) is not parse_via(long)
