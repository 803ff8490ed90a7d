"""Other domains are found in the DNS, from a real name server (RFC 3263): NAPTR, SRV with weights, dead servers."""

import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kamailio import Kamailio
from names import Names
from running import HOST, PATIENCE, Server, free_port, url
from sipp import Load
from wire_phone import Phone, talk

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
BOB = "sip:bob@example.net"
ZONE = "@ 300 SOA ns admin 1 3600 3600 604800 20\n@ 300 NS ns\nns 300 A 127.0.0.1\n"
ONE = f"one 60 A {HOST}\n"


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Callable[[str], Names]]:
    """A name server for example.net: `names("pbx 60 A 127.0.0.1")`."""
    with ExitStack() as stack:
        yield lambda records: stack.enter_context(Names(tmp_path, ZONE + ONE + records, "example.net."))


def srv(service: str, *servers: tuple[int, int, int]) -> str:
    """Records for the host one: priority, weight and port of each."""
    return "".join(f"{service} 60 SRV {priority} {weight} {port} one\n" for priority, weight, port in servers)


def port(place: str) -> int:
    return int(place.rpartition(":")[2])


def test_naptr_prefers_tcp_and_the_dead_server_is_passed_over(
    serve: Serve, load: Load, names: Callable[[str], Names]
) -> None:
    """Bob's domain speaks UDP, too, where nobody is; of its two servers for TCP the first is off."""
    calls = 20
    callee, place = load.callee("callee", calls, "-t", "t1")
    records = '@ 60 NAPTR 10 2 "s" "SIP+D2U" "" _sip._udp\n@ 60 NAPTR 10 1 "s" "SIP+D2T" "" _sip._tcp\n'
    records += srv("_sip._udp", (1, 1, free_port()))
    dns = names(records + srv("_sip._tcp", (1, 1, port(url("tcp"))), (2, 1, port(place))))
    server = serve({}, listen=[url("tcp")], program=dns.program)
    load.caller("caller", server, BOB, calls).has_made(calls)
    callee.has_made(calls)
    server.access("INVITE", 200, "route=default", number=calls)
    server.access("BYE", 200, "route=dialog", number=calls)
    assert dns.asked("NAPTR") == ["example.net"]  # once: the answer is remembered
    assert set(dns.asked("SRV")) == {"_sip._tcp.example.net", "_sip._udp.example.net"}
    assert dns.asked("A") == ["one.example.net"]


def test_srv_without_naptr_and_a_phone_that_is_off(serve: Serve, names: Callable[[str], Names]) -> None:
    with Phone(0, "bob", "example.net") as bob:
        dns = names(srv("_sip._udp", (1, 1, free_port()), (2, 1, port(bob.place))))
        server = serve({}, program=dns.program)
        bob.server = (HOST, server.port)
        with Phone(server.port, "alice") as alice:
            for _ in range(2):
                assert talk(alice, bob, alice.invite(BOB)).uri == BOB
    assert dns.asked("NAPTR") == ["example.net"]


def test_weights(serve: Serve, names: Callable[[str], Names]) -> None:
    """Three to one: of 200 requests 150, and six standard deviations are 37."""
    with Phone(0, "heavy") as heavy, Phone(0, "light") as light:
        dns = names(srv("_sip._udp", (1, 30, port(heavy.place)), (1, 10, port(light.place))))
        server = serve({}, program=dns.program)
        heavy.server = light.server = (HOST, server.port)
        had = {heavy: 0, light: 0}
        with Phone(server.port, "alice") as alice:
            for _ in range(200):
                alice.request("OPTIONS", BOB)
                [readable], _, _ = select.select([heavy.socket, light.socket], [], [], PATIENCE)
                phone = heavy if readable is heavy.socket else light
                phone.answer(phone.expect("OPTIONS "), "200 OK")
                alice.expect("SIP/2.0 200")
                had[phone] += 1
    assert 113 < had[heavy] < 187


def test_the_503_of_kamailio_leads_to_the_next_server(
    serve: Serve, kamailio: Callable[..., Kamailio], names: Callable[[str], Names]
) -> None:
    overloaded = kamailio(r'append_to_reply("Retry-After: 20\r\n"); sl_send_reply("503", "Overloaded"); exit;')
    with Phone(0, "bob", "example.net") as bob:
        works = kamailio(f'$du = "{bob.contact}"; t_relay();')
        bob.server = (HOST, works.port)
        dns = names(srv("_sip._udp", (1, 1, overloaded.port), (2, 1, works.port)))
        server = serve({}, program=dns.program)
        with Phone(server.port, "alice") as alice:
            for _ in range(2):
                assert len(talk(alice, bob, alice.invite(BOB)).all("Via")) == 3
    # The second call goes past the server that wants to be left alone (RFC 3261 21.5.4)
    assert (overloaded.takes("INVITE over udp"), works.takes("INVITE over udp")) == (1, 2)
