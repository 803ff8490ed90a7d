"""Listeners, hosts and networks."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.config.place import Listener, advertised, default_listeners, host, listener, network


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("udp://0.0.0.0:5060", Listener("udp", "0.0.0.0", 5060)),
        ("udp://[::]:5062", Listener("udp", "::", 5062)),
        ("TCP://192.0.2.1", Listener("tcp", "192.0.2.1", 5060)),
        ("tcp://sip.Example.com.:5060/", Listener("tcp", "sip.example.com", 5060)),
        ("udp://[2001:DB8:0::1]", Listener("udp", "2001:db8::1", 5060)),
        ("udp://[fe80::1%eth0]:5060", Listener("udp", "fe80::1%eth0", 5060)),
        ("udp://127.0.0.1:0", Listener("udp", "127.0.0.1", 0)),
    ],
)
def test_a_listener_is_a_url_of_scheme_address_and_port(text: str, expected: Listener) -> None:
    assert listener(text) == expected


@pytest.mark.rfc("3261", "18.1.1")
@pytest.mark.rfc("7118", "5")
def test_each_scheme_has_its_default_port() -> None:
    ports = {scheme: listener(f"{scheme}://192.0.2.1").port for scheme in ("udp", "tcp", "tls", "ws", "wss")}
    assert ports == {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("0.0.0.0:5060", "'0.0.0.0:5060' is no listener: write it like udp://0.0.0.0:5060 or tcp://[::]:5060"),
        ("sip:0.0.0.0", "'sip:0.0.0.0' is no listener: write it like udp://0.0.0.0:5060 or tcp://[::]:5060"),
        ("upd://0.0.0.0", "unknown scheme 'upd': there are udp, tcp, tls, ws and wss; did you mean udp://?"),
        ("sip://0.0.0.0", "unknown scheme 'sip': there are udp, tcp, tls, ws and wss"),
        ("udp://", "'udp://' names no address: write 0.0.0.0 or [::] for all"),
        ("udp://:5060", "'udp://:5060' names no address: write 0.0.0.0 or [::] for all"),
        ("udp://::1:5060", "'::1:5060': an IPv6 address is put in brackets: udp://[::]:5060"),
        ("udp://[192.0.2.1]", "'[192.0.2.1]': only an IPv6 address is put in brackets"),
        ("udp://[::1", "'[::1' is neither a host name nor an address"),
        ("udp://192.0.2.1:", "':' is no port: write ':' and a number up to 65535, and nothing after it"),
        ("udp://192.0.2.1:65536", "':65536' is no port: write ':' and a number up to 65535, and nothing after it"),
        ("udp://192.0.2.1:sip", "':sip' is no port: write ':' and a number up to 65535, and nothing after it"),
        ("udp://[::]5060", "'5060' is no port: write ':' and a number up to 65535, and nothing after it"),
        ("udp://192.0.2.1:5060/x", "':5060/x' is no port: write ':' and a number up to 65535, and nothing after it"),
        ("udp://*:5060", "'*' is neither a host name nor an address: wildcards are not for names of hosts"),
        ("udp://192.0.2.300", "'192.0.2.300' is no IPv4 address"),
    ],
)
def test_what_is_wrong_with_a_listener(text: str, wrong: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        listener(text)
    assert str(raised.value) == wrong


@pytest.mark.rfc("3261", "18.2.1-2")
def test_a_listener_is_shown_as_a_url() -> None:
    assert list(map(str, default_listeners())) == [
        "udp://0.0.0.0:5060",
        "udp://[::]:5060",
        "tcp://0.0.0.0:5060",
        "tcp://[::]:5060",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:db8:0::1", "2001:db8::1"),
        ("a_b.example", "a_b.example"),
    ],
)
def test_hosts_have_one_spelling(text: str, expected: str) -> None:
    assert host(text) == expected


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "'' is neither a host name nor an address"),
        ("a b", "'a b' is neither a host name nor an address"),
        ("-a.example", "'-a.example' is neither a host name nor an address"),
        ("a..b", "'a..b' is neither a host name nor an address"),
        ("x" * 64, f"'{'x' * 64}' is neither a host name nor an address"),
        ("sip:example.com", "'sip:example.com' is neither a host name nor an address: leave out the scheme"),
        ("example.com:5060", "'example.com:5060' is neither a host name nor an address: leave out the port"),
        ("bob@example.com", "'bob@example.com' is neither a host name nor an address: leave out what is before '@'"),
        (
            "*.example.com",
            "'*.example.com' is neither a host name nor an address: wildcards are not for names of hosts",
        ),
        ("192.0.2", "'192.0.2' is no IPv4 address"),
        ("fe80::1%eth0", "'fe80::1%eth0': a zone means nothing to others"),
    ],
)
def test_what_is_wrong_with_a_host(text: str, wrong: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        host(text)
    assert str(raised.value) == wrong


@pytest.mark.rfc("3261", "25.1")
def test_an_advertised_ipv6_address_is_in_brackets_as_header_fields_show_it() -> None:
    assert [advertised("2001:DB8::1"), advertised("[::1]"), advertised("SIP.example.com"), advertised("192.0.2.1")] == [
        "[2001:db8::1]",
        "[::1]",
        "sip.example.com",
        "192.0.2.1",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.0/8", "127.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("::1", "::1/128"),
        ("[::1]", "::1/128"),
        ("[2001:db8::]/32", "2001:db8::/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_networks(text: str, expected: str) -> None:
    assert network(text) == ip_network(expected)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("example.com", "'example.com' is no network: write it like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"),
        ("10.0.0.0/33", "'10.0.0.0/33' is no network: write it like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"),
        ("10.0.0.1/8", "'10.0.0.1/8' is an address inside a network; did you mean 10.0.0.0/8?"),
        ("2001:db8::1/32", "'2001:db8::1/32' is an address inside a network; did you mean 2001:db8::/32?"),
        ("fe80::1%eth0", "'fe80::1%eth0': a network has no zone"),
    ],
)
def test_what_is_wrong_with_a_network(text: str, wrong: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        network(text)
    assert str(raised.value) == wrong


@given(st.text(alphabet="udptclsw:/[].%0123456789abcdef-_* @", max_size=40))
def test_any_text_gives_a_place_or_a_reason(text: str) -> None:
    for parse in (listener, host, advertised, network):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)  # noqa: PT017
