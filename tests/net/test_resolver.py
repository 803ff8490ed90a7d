"""RFC 3263 section 4, with a real name server on the loopback."""

import sys
from pathlib import Path

import pytest
import trio

sys.path.insert(0, str(Path(__file__).parent))
from nameserver import NameServer

from sipcgi.errors import Unreachable
from sipcgi.flow import HostPort
from sipcgi.net.dns import Dns
from sipcgi.net.interface import Sources
from sipcgi.net.resolver import Resolver, Target
from sipcgi.sip.uri import SipUri

ZONE = """
@         300 SOA ns admin 1 3600 3600 604800 20
@         300 NS ns
ns        300 A 127.0.0.1

; the example of RFC 3263 4.1
school    60 NAPTR 50  50 "s" "SIPS+D2T" "" _sips._tcp.school
school    60 NAPTR 90  50 "s" "SIP+D2T"  "" _sip._tcp.school
school    60 NAPTR 100 50 "s" "SIP+D2U"  "" _sip._udp.school
_sips._tcp.school 60 SRV 0 1 5061 server1
_sip._tcp.school  60 SRV 0 1 5060 server1
_sip._tcp.school  60 SRV 0 2 5060 server2
_sip._udp.school  60 SRV 0 1 5060 server1
school    60 A 192.0.2.80

; a domain whose NAPTR records point elsewhere, with much that is of no use to us
odd       60 NAPTR 5  1 "s" "SIP+D2S"  "" _sip._sctp.odd
odd       60 NAPTR 6  1 "u" "E2U+sip"  "!^.*$!sip:info@example.com!" .
odd       60 NAPTR 7  1 "s" "SIP+D2U"  "!^.*$!sip:info@example.com!" .
odd       60 NAPTR 8  1 "s" "SIP+D2U"  "" .
odd       60 NAPTR 9  1 "a" "SIP+D2U"  "" server1
odd       60 NAPTR 10 2 "S" "sip+d2u"  "" _sip._udp.hosted
odd       60 NAPTR 10 1 "s" "SIPS+D2W" "" _sips._ws.hosted
odd       60 NAPTR 10 3 "s" "SIP+D2W"  "" _sip._ws.hosted
odd       60 NAPTR 11 1 "s" "SIP+D2T"  "" _sip._tcp.hosted
_sip._udp.hosted  60 SRV 0 0 5070 server1
_sip._tcp.hosted  60 SRV 0 0 5070 server2
_sip._ws.hosted   60 SRV 0 0 8080 server2
_sips._ws.hosted  60 SRV 0 0 8443 server2

; only NAPTR, and what it points to is not there
broken    60 NAPTR 10 1 "s" "SIP+D2T" "" _sip._tcp.broken
broken    60 A 192.0.2.81

; only SRV records: one server that is preferred, two that share the rest
_sip._udp.srv 60 SRV 10 3 5060 server2
_sip._udp.srv 60 SRV 10 1 5080 server3
_sip._udp.srv 60 SRV 1  0 5060 server1
_sip._tcp.srv 60 SRV 0  0 5062 server2
_sips._tcp.srv 60 SRV 0 0 5063 server2
srv       60 A 192.0.2.82

_sip._tcp.tcponly 60 SRV 0 0 5060 server1
_sip._udp.closed  60 SRV 0 0 0 .
closed    60 A 192.0.2.83
_sip._udp.halfclosed 60 SRV 0 0 0 .
_sip._tcp.halfclosed 60 SRV 0 0 5060 server1
_sip._udp.lost    60 SRV 0 0 5060 nowhere
_sip._udp.alias   60 CNAME _sip._udp.srv
_sip._udp.local   60 SRV 0 0 5060 here
_sip._udp.number  60 SRV 0 0 5060 192.0.2.44.

server1   60 A 192.0.2.1
server2   60 A 192.0.2.2
server3   60 CNAME server4
server4   60 A 192.0.2.4
both      60 A 192.0.2.5
both      60 A 192.0.2.6
both      60 AAAA 2001:db8::5
six       60 AAAA 2001:db8::6
@         60 A 192.0.2.9
""" + "".join(
    f"_sip._udp.crowd 60 SRV 0 0 {port} crowd{port}\ncrowd{port} 60 A 198.51.100.1\ncrowd{port} 60 A 198.51.100.2\n"
    for port in range(6000, 6030)
)
HOSTS = "192.0.2.66 pbx here\n2001:db8::66 pbx\n192.0.2.67 school.example.org\n"
UDP, TCP, TLS = ("UDP", False), ("TCP", False), ("TLS", False)


@pytest.fixture
def clock():
    """The time, in a list that tests change."""
    return [1000.0]


@pytest.fixture
async def server(nursery):
    server = NameServer(ZONE)
    await nursery.start(server.serve)
    return server


@pytest.fixture
def hosts(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(HOSTS)
    return str(path)


@pytest.fixture
def unrouted():
    """Addresses that the kernel has no route to."""
    return set()


@pytest.fixture
def resolver_for(server, hosts, clock, unrouted):
    """Makes a resolver of a server that has sockets for these transports; its draws are all 0."""

    def source(host):
        if host in unrouted:
            raise Unreachable(host)
        return "source"

    def make(*supported, attempt=1.0, **options):
        dns = Dns([server.address], attempt=attempt, now=lambda: clock[0])
        sources = Sources(source)
        return Resolver(lambda: set(supported), dns=dns, hosts=hosts, random=lambda: 0.0, sources=sources, **options)

    return make


@pytest.fixture
def resolver(resolver_for):
    return resolver_for(UDP, TCP)


async def found(resolver, uri):
    """The targets, as text."""
    uri = SipUri.parse(uri)
    targets = await resolver.resolve(uri)
    assert all(type(target) is Target for target in targets)
    assert sorted(resolver.resolve_now(uri)) == sorted(targets), "the second time no name server is needed"
    return [f"{transport} {remote}" for transport, remote in targets]


# Addresses


@pytest.mark.rfc("3263", "4.1-1", "4.1-2")
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


async def test_an_address_may_also_be_waited_for():
    assert await Resolver().resolve(SipUri.parse("sip:192.0.2.1")) == [Target("UDP", HostPort("192.0.2.1", 5060))]


@pytest.mark.parametrize("uri", ["sip:192.0.2.1;transport=sctp", "sips:192.0.2.1;transport=udp"])
def test_a_transport_that_there_is_not(uri):
    with pytest.raises(Unreachable, match="is not supported"):
        Resolver().resolve_now(SipUri.parse(uri))


@pytest.mark.parametrize("host", ["LocalHost", "pbx.localhost."])
async def test_localhost_is_known_here(host, resolver_for):
    uri = SipUri.parse(f"sip:{host}:5070")
    assert [str(t.remote) for t in Resolver().resolve_now(uri)] == ["127.0.0.1:5070", "[::1]:5070"]
    assert [str(t.remote) for t in resolver_for(UDP).resolve_now(uri)] == ["127.0.0.1:5070"]


# The transport


@pytest.mark.rfc("3263", "4.1-4", "4.1-6")
async def test_naptr_names_the_transport_that_the_domain_prefers_and_we_have(resolver_for, server):
    """The example of the RFC: the client supports TCP and UDP."""
    assert await found(resolver_for(UDP, TCP), "sip:user@school.example.com") == [
        "TCP 192.0.2.1:5060",
        "TCP 192.0.2.2:5060",
    ]
    assert server.asked[:2] == ["NAPTR school.example.com", "SRV _sip._tcp.school.example.com"]
    assert sorted(server.asked[2:]) == ["A server1.example.com", "A server2.example.com"]
    assert await found(resolver_for(UDP, TCP, TLS), "sip:user@school.example.com") == ["TLS 192.0.2.1:5061"]
    assert await found(resolver_for(UDP), "sip:user@school.example.com") == ["UDP 192.0.2.1:5060"]


@pytest.mark.rfc("3261", "16.6-26")
@pytest.mark.rfc("3263", "4.1-5", "4.1-15")
async def test_sips_takes_only_what_is_sips(resolver_for, resolver):
    assert await found(resolver_for(UDP, TCP, TLS), "sips:school.example.com") == ["TLS 192.0.2.1:5061"]
    assert await found(resolver_for(UDP, TCP, TLS), "sips:srv.example.com") == ["TLS 192.0.2.2:5063"]
    assert await found(resolver_for(UDP, TCP, TLS), "sips:broken.example.com") == ["TLS 192.0.2.81:5061"]
    with pytest.raises(Unreachable, match="no socket of ours for tls"):
        await resolver.resolve(SipUri.parse("sips:school.example.com"))


@pytest.mark.rfc("3263", "7-1", "7-2")
async def test_an_alarm_when_a_domain_offers_sips_no_more(resolver_for, server, clock):
    said = []
    resolver = resolver_for(UDP, TCP, TLS, alarm=said.append)
    assert await found(resolver, "sip:school.example.com") == ["TLS 192.0.2.1:5061"]
    server.write(ZONE.replace('school    60 NAPTR 50  50 "s" "SIPS+D2T" "" _sips._tcp.school', ""))
    assert await found(resolver, "sip:school.example.com") == ["TLS 192.0.2.1:5061"]
    assert said == []
    clock[0] += 61
    assert await found(resolver, "sip:school.example.com") == ["TCP 192.0.2.1:5060", "TCP 192.0.2.2:5060"]
    assert said == ["school.example.com: its NAPTR records offer SIPS no more: an attack on the DNS may be under way"]


@pytest.mark.rfc("3263", "4.1-7")
@pytest.mark.rfc("3403", "4.1")
@pytest.mark.rfc("7118", "5.5", "9.2-1")
async def test_of_several_orders_the_first_that_is_of_use_counts(resolver_for):
    every = [UDP, TCP, ("WS", False), ("WSS", False)]
    assert await found(resolver_for(*every), "sip:odd.example.com") == [
        "WSS 192.0.2.2:8443",
        "UDP 192.0.2.1:5070",
        "WS 192.0.2.2:8080",
    ]
    assert await found(resolver_for(*every), "sips:odd.example.com") == ["WSS 192.0.2.2:8443"]
    assert await found(resolver_for(TCP), "sip:odd.example.com") == ["TCP 192.0.2.2:5070"]


@pytest.mark.rfc("3263", "4.2")
async def test_naptr_without_its_srv_still_names_the_transport(resolver):
    assert await found(resolver, "sip:broken.example.com") == ["TCP 192.0.2.81:5060"]


@pytest.mark.rfc("3263", "4.1")
async def test_without_naptr_each_transport_is_looked_for(resolver, server, resolver_for):
    assert await found(resolver, "sip:tcponly.example.com") == ["TCP 192.0.2.1:5060"]
    assert server.asked[0] == "NAPTR tcponly.example.com"
    assert sorted(server.asked[1:3]) == ["SRV _sip._tcp.tcponly.example.com", "SRV _sip._udp.tcponly.example.com"]
    assert (await found(resolver, "sip:srv.example.com"))[0] == "UDP 192.0.2.1:5060"
    assert await found(resolver_for(TCP), "sip:srv.example.com") == ["TCP 192.0.2.2:5062"]


@pytest.mark.rfc("3263", "4.1-15", "4.2")
async def test_without_any_of_them_it_is_udp_to_the_address_of_the_domain(resolver):
    assert await found(resolver, "sip:example.com") == ["UDP 192.0.2.9:5060"]


@pytest.mark.rfc("3263", "4.1-3", "4.2")
async def test_with_a_port_only_addresses_are_looked_for(resolver, resolver_for, server):
    assert await found(resolver, "sip:srv.example.com:5060") == ["UDP 192.0.2.82:5060"]
    assert await found(resolver, "sip:srv.example.com:5070;transport=tcp") == ["TCP 192.0.2.82:5070"]
    assert await found(resolver_for(UDP, TLS), "sips:srv.example.com:5070") == ["TLS 192.0.2.82:5070"]
    assert {*server.asked} == {"A srv.example.com"}


@pytest.mark.rfc("3263", "4.1-1", "4.2")
async def test_with_a_transport_its_srv_records_are_looked_for(resolver_for, server):
    resolver = resolver_for(UDP, TCP, TLS, ("WS", False))
    assert await found(resolver, "sip:srv.example.com;transport=tcp") == ["TCP 192.0.2.2:5062"]
    assert await found(resolver, "sip:srv.example.com;transport=tls") == ["TLS 192.0.2.2:5063"]
    assert await found(resolver, "sip:hosted.example.com;transport=ws") == ["WS 192.0.2.2:8080"]
    assert await found(resolver, "sip:example.com;transport=ws") == ["WS 192.0.2.9:80"]
    assert not [line for line in server.asked if "NAPTR" in line]


@pytest.mark.rfc("3263", "4")
async def test_maddr_stands_in_for_the_host(resolver):
    assert await found(resolver, "sip:bob@nowhere.example.com;maddr=tcponly.example.com") == ["TCP 192.0.2.1:5060"]


# Servers and addresses


@pytest.mark.rfc("3263", "4.2-1")
@pytest.mark.rfc("2782", "Usage rules")
async def test_servers_by_priority_and_weight(resolver_for, server, hosts):
    draws = iter([0.1, 0.9])
    resolver = Resolver(lambda: {UDP}, dns=Dns([server.address]), hosts=hosts, random=lambda: next(draws))
    uri = SipUri.parse("sip:srv.example.com")
    first, light, heavy = "UDP 192.0.2.1:5060", "UDP 192.0.2.4:5080", "UDP 192.0.2.2:5060"
    assert [f"{t.transport} {t.remote}" for t in await resolver.resolve(uri)] == [first, light, heavy]
    assert [f"{t.transport} {t.remote}" for t in resolver.resolve_now(uri)] == [first, heavy, light]  # drawn anew


async def test_aliases(resolver):
    assert await found(resolver, "sip:server3.example.com:5060") == ["UDP 192.0.2.4:5060"]
    assert (await found(resolver, "sip:alias.example.com"))[0] == "UDP 192.0.2.1:5060"


@pytest.mark.rfc("2782", "Target")
async def test_a_domain_that_offers_no_such_service(resolver):
    for uri in ("sip:closed.example.com", "sip:closed.example.com;transport=udp"):
        with pytest.raises(Unreachable, match=r"closed\.example\.com: its SRV records say that there is no such"):
            await resolver.resolve(SipUri.parse(uri))
    assert await found(resolver, "sip:halfclosed.example.com") == ["TCP 192.0.2.1:5060"]


async def test_no_domain_fills_the_list_with_more_than_32(resolver, server):
    targets = await found(resolver, "sip:crowd.example.com")
    assert len(targets) == len(set(targets)) == 32
    assert len([line for line in server.asked if line.startswith("A ")]) == 16


@pytest.mark.rfc("6724", "6")
async def test_ipv6_first_where_there_is_a_route(resolver_for, unrouted):
    resolver = resolver_for(UDP, ("UDP", True))
    four, six = {"UDP 192.0.2.5:5060", "UDP 192.0.2.6:5060"}, "UDP [2001:db8::5]:5060"
    assert (await found(resolver, "sip:both.example.com:5060"))[0] == six
    unrouted.add("2001:db8::5")
    targets = await found(resolver_for(UDP, ("UDP", True)), "sip:both.example.com:5060")
    assert targets[2] == six
    assert set(targets[:2]) == four  # as the name server has them, which shuffles


async def test_a_family_that_we_have_no_socket_for_is_not_looked_for(resolver_for, server):
    assert len(await found(resolver_for(UDP, ("TCP", True)), "sip:both.example.com:5060")) == 2
    assert server.asked == ["A both.example.com"]
    with pytest.raises(Unreachable, match=r"six\.example\.com: the name has no address"):
        await resolver_for(UDP).resolve(SipUri.parse("sip:six.example.com:5060"))
    with pytest.raises(Unreachable, match="no socket of ours for tcp"):
        await resolver_for(UDP).resolve(SipUri.parse("sip:six.example.com:5060;transport=tcp"))
    assert await found(resolver_for(("UDP", True)), "sip:six.example.com") == ["UDP [2001:db8::6]:5060"]


# The hosts file


async def test_names_of_the_hosts_file_ask_nobody(resolver_for):
    resolver = resolver_for(UDP, ("UDP", True))
    uri = SipUri.parse("sip:bob@PBX")
    assert [str(t.remote) for t in resolver.resolve_now(uri)] == ["[2001:db8::66]:5060", "192.0.2.66:5060"]
    assert [str(t.remote) for t in resolver_for(UDP).resolve_now(uri)] == ["192.0.2.66:5060"]
    uri = SipUri.parse("sip:school.example.org:5070;transport=tcp")
    assert resolver_for(TCP).resolve_now(uri) == [Target("TCP", HostPort("192.0.2.67", 5070))]


async def test_servers_of_srv_records_are_looked_for_there_too(resolver, server):
    server.write(ZONE.replace("5060 here", "5060 pbx."))
    assert await found(resolver, "sip:local.example.com") == ["UDP 192.0.2.66:5060"]
    assert await found(resolver, "sip:number.example.com") == ["UDP 192.0.2.44:5060"]


# Failures


async def test_a_name_that_there_is_not(resolver, server):
    for uri in ("sip:bob@nowhere.example.com", "sip:bob@nowhere.example.com:5060"):
        with pytest.raises(Unreachable, match=r"^nowhere\.example\.com: no such name$"):
            await resolver.resolve(SipUri.parse(uri))
    count = len(server.asked)
    with pytest.raises(Unreachable):
        resolver.resolve_now(SipUri.parse("sip:bob@nowhere.example.com"))
    assert len(server.asked) == count


@pytest.mark.rfc("6761", "6.4")
async def test_nobody_is_asked_for_what_is_invalid_or_cannot_be_sent_to(resolver, server):
    for uri in ("sip:alice@df7jal23ls0d.invalid", "sip:srv.example.com;transport=tls"):
        with pytest.raises(Unreachable, match=r"no such name|no socket of ours for tls"):
            resolver.resolve_now(SipUri.parse(uri))
    assert server.asked == []


async def test_servers_that_have_no_address(resolver):
    with pytest.raises(Unreachable, match=r"^lost\.example\.com: nowhere\.example\.com: no such name$"):
        await resolver.resolve(SipUri.parse("sip:lost.example.com"))


async def test_a_name_server_that_says_nothing_about_a_name(resolver_for, server):
    server.silent.add("example.com")
    with pytest.raises(Unreachable, match=r"^example\.com: no answer from the name servers \(127\.0\.0\.1"):
        await resolver_for(UDP, attempt=0.1).resolve(SipUri.parse("sip:example.com:5060"))


async def test_a_name_server_that_does_not_know_naptr(resolver, server):
    server.failing.add("srv.example.com")
    assert (await found(resolver, "sip:srv.example.com"))[0] == "UDP 192.0.2.1:5060"


class Silent(Dns):
    """Name servers that never answer, and a client that waits for ever."""

    async def ask(self, questions):
        await trio.sleep_forever()


async def test_nobody_waits_for_more_than_10_seconds(autojump_clock):
    start = trio.current_time()
    with pytest.raises(Unreachable, match="no answer from the name servers in 10 s"):
        await Resolver(dns=Silent()).resolve(SipUri.parse("sip:example.com"))
    assert trio.current_time() - start == 10


@pytest.mark.rfc("3263", "4.3")
async def test_a_dead_target_is_left_out_for_a_while(resolver, clock):
    uri = SipUri.parse("sip:srv.example.com")
    first, second, third = await resolver.resolve(uri)
    resolver.note_failed(first)
    resolver.note_failed(second, 5.0)
    assert resolver.resolve_now(uri) == [third]
    assert await resolver.resolve(uri) == [third]
    clock[0] += 5
    assert second in resolver.resolve_now(uri)
    assert first not in resolver.resolve_now(uri)
    clock[0] += 25
    assert first in await resolver.resolve(uri)
    for target in (first, second, third):
        resolver.note_failed(target)
    assert sorted(resolver.resolve_now(uri)) == sorted([first, second, third])


async def test_answers_run_out(resolver, clock):
    uri = SipUri.parse("sip:example.com")
    assert resolver.resolve_now(uri) is None
    await resolver.resolve(uri)
    assert resolver.resolve_now(uri) == [Target("UDP", HostPort("192.0.2.9", 5060))]
    clock[0] += 60
    assert resolver.resolve_now(uri) is None
