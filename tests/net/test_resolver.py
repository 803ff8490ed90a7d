import socket

import pytest
import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import HostPort
from sipcgi.net.resolver import Resolver, Target
from sipcgi.sip.uri import SipUri


class Names(trio.abc.HostnameResolver):
    """A name server that knows one name."""

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # noqa: A002
        if host == b"slow.example.com":
            await trio.sleep(60)
        if host != b"example.com":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6, type, 17, "", ("2001:db8::9", port, 0, 0)),
            (socket.AF_INET, type, 17, "", ("192.0.2.9", port)),
        ]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


@pytest.mark.rfc("3263", "4.1")
@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("sip:bob@192.0.2.1", ("UDP", "192.0.2.1", 5060)),
        ("sip:bob@192.0.2.1:5080", ("UDP", "192.0.2.1", 5080)),
        ("sip:192.0.2.1;transport=TCP", ("TCP", "192.0.2.1", 5060)),
        ("sip:192.0.2.1;transport=tls", ("TLS", "192.0.2.1", 5061)),
        ("sips:[2001:DB8::1]", ("TLS", "2001:db8::1", 5061)),
        ("sips:192.0.2.1;transport=tcp", ("TLS", "192.0.2.1", 5061)),
        ("sips:192.0.2.1;transport=ws", ("WSS", "192.0.2.1", 443)),
        ("sip:192.0.2.1;transport=ws", ("WS", "192.0.2.1", 80)),
        ("sip:example.com:5070;maddr=192.0.2.7", ("UDP", "192.0.2.7", 5070)),
    ],
)
def test_an_address_needs_no_waiting(uri, target):
    transport, host, port = target
    assert Resolver().resolve_now(SipUri.parse(uri)) == [Target(transport, HostPort(host, port))]


@pytest.mark.parametrize("uri", ["sip:192.0.2.1;transport=sctp", "sips:192.0.2.1;transport=udp"])
def test_what_cannot_be_reached(uri):
    with pytest.raises(Unreachable):
        Resolver().resolve_now(SipUri.parse(uri))


def test_localhost_is_known_here():
    assert [str(t.remote) for t in Resolver().resolve_now(SipUri.parse("sip:LocalHost:5070"))] == [
        "127.0.0.1:5070",
        "[::1]:5070",
    ]


async def test_a_name_waits_for_a_name_server():
    trio.socket.set_custom_hostname_resolver(Names())
    resolver = Resolver()
    assert resolver.resolve_now(SipUri.parse("sip:bob@example.com")) is None
    assert await resolver.resolve(SipUri.parse("sip:bob@example.com")) == [
        Target("UDP", HostPort("2001:db8::9", 5060)),
        Target("UDP", HostPort("192.0.2.9", 5060)),
    ]
    assert await resolver.resolve(SipUri.parse("sip:192.0.2.1")) == [Target("UDP", HostPort("192.0.2.1", 5060))]
    with pytest.raises(Unreachable, match="not known"):
        await resolver.resolve(SipUri.parse("sip:bob@example.org"))


async def test_a_name_server_that_is_silent(autojump_clock):
    trio.socket.set_custom_hostname_resolver(Names())
    start = trio.current_time()
    with pytest.raises(Unreachable, match="no answer"):
        await Resolver().resolve(SipUri.parse("sip:slow.example.com"))
    assert trio.current_time() - start == 10
