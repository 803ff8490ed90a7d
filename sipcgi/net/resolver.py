"""From a URI to addresses (RFC 3263 section 4)."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import NamedTuple

import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import HostPort
from sipcgi.net.address import canonical, numeric
from sipcgi.net.blocklist import BLOCK, Blocklist
from sipcgi.net.dns import Answer, Dns, Naptr, Question
from sipcgi.net.downgrade import Downgrades
from sipcgi.net.endpoint import DEFAULT_PORTS
from sipcgi.net.interface import Sources
from sipcgi.net.srv import in_order
from sipcgi.net.system_file import SystemFile, parse_hosts
from sipcgi.sip.remembered import Remembered
from sipcgi.sip.uri import SipUri, parse_uri

WAIT = 10.0  # seconds for the name servers, well below the 32 s of a transaction
MOST_SERVERS = 16  # of one domain, which somebody else fills
MOST_TARGETS = 32
_TRANSPORTS = {"udp": "UDP", "tcp": "TCP", "tls": "TLS", "ws": "WS", "wss": "WSS"}
_SECURE = {"tcp": "TLS", "tls": "TLS", "ws": "WSS", "wss": "WSS"}
# RFC 3263 4.1: by preference, where the domain has none
_WANTED = {"sip": ("UDP", "TCP"), "sips": ("TLS",)}
# RFC 3263 4.1, RFC 7118 5.5
_NAPTR = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS", "SIP+D2W": "WS", "SIPS+D2W": "WSS"}
# RFC 3263 4.2; for WS no RFC names one, so it is made alike
_SRV = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp.", "WS": "_sip._ws.", "WSS": "_sips._ws."}
_LOOPBACK = ["127.0.0.1", "::1"]
ANY = frozenset((transport, ipv6) for transport in DEFAULT_PORTS for ipv6 in (False, True))


class Target(NamedTuple):
    """Where a request may be sent."""

    transport: str
    """As Via spells it."""
    remote: HostPort


def _of_address(text: str) -> Target | None:
    uri = parse_uri(text)
    if type(uri) is not SipUri:
        return None
    params = uri.params
    return _direct(uri.scheme, params.get("maddr") or uri.host, uri.port, params.get("transport"))


Supported = Callable[[], AbstractSet[tuple[str, bool]]]
"""The transports that we have sockets for, each with False for IPv4, True for IPv6."""
Steps = Generator[Sequence[Question], list[Answer], list[Target]]
"""Gives questions, takes their answers, and returns the targets; so it is the same with and without waiting."""


class Resolver:
    """Both ways raise Unreachable where nothing can be sent to, and never return an empty list.

    A target that `note_failed` was told of is left out for a while, as long as there are others. `alarm` hears of
    domains that offer SIPS no more.
    """

    def __init__(
        self,
        supported: Supported = lambda: ANY,
        *,
        dns: Dns | None = None,
        hosts: str = "/etc/hosts",
        random: Callable[[], float] = random.random,
        sources: Sources | None = None,
        alarm: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.blocklist = Blocklist()
        self._supported = supported
        self._dns = dns or Dns()
        self._hosts = SystemFile(hosts, parse_hosts, self._dns.now)
        self._random = random
        self._sources = sources or Sources()
        self._downgrades = Downgrades(alarm)

    def note_failed(self, target: Target, seconds: float = BLOCK) -> None:
        """RFC 3263 4.3: a timeout, a transport failure, or a 503 with its Retry-After in `seconds`."""
        self.blocklist.note_failed(target, self._dns.now(), seconds)

    direct: Callable[[str], Target | None] = staticmethod(Remembered(_of_address).__getitem__)
    """Where the URI of an address leads, for which nobody is asked; None for any other. Raises ParseError too."""

    def resolve_now(self, uri: SipUri) -> list[Target] | None:
        """The targets of an address or a name whose records are remembered; None for one that takes `resolve`."""
        params = uri.params
        direct = _direct(uri.scheme, params.get("maddr") or uri.host, uri.port, params.get("transport"))
        if direct is not None:
            return [direct]
        steps = self._locate(uri)
        try:
            questions = next(steps)
            while (answers := self._dns.known(questions)) is not None:
                questions = steps.send(answers)
        except StopIteration as end:
            return self._unblocked(end.value)
        return None

    async def resolve(self, uri: SipUri) -> list[Target]:
        """The targets in the order in which they are to be tried (RFC 3263 4.2, RFC 2782, RFC 6724)."""
        steps = self._locate(uri)
        with trio.move_on_after(WAIT):
            try:
                questions = next(steps)
                while True:
                    questions = steps.send(await self._dns.ask(questions))
            except StopIteration as end:
                return self._unblocked(end.value)
        raise Unreachable(f"{uri.host}: no answer from the name servers in {WAIT:g} s")

    def _unblocked(self, targets: list[Target]) -> list[Target]:
        return self.blocklist.order(targets, self._dns.now())

    # RFC 3263 4.1: the transport

    def _locate(self, uri: SipUri) -> Steps:
        host = canonical(uri.params.get("maddr") or uri.host)  # RFC 3263 section 4: TARGET
        transport, wanted = _asked(uri.scheme, uri.params.get("transport")), _WANTED[uri.scheme]
        supported = self._transports()
        if transport is not None and transport not in supported:
            raise Unreachable(f"{host}: no socket of ours for {transport.lower()}")
        if host.endswith(".invalid"):  # RFC 6761 6.4; the Contact of a browser has it (RFC 7118 section 8)
            raise Unreachable(f"{host}: no such name")
        here = self._here(host)
        if here or uri.port is not None:
            transport = transport or wanted[0]
            # 4.2: the port of the URI, else the default one; a name takes A and AAAA
            server = (transport, host, uri.port or DEFAULT_PORTS[transport])
            return (yield from self._addresses(host, [server]))
        if transport is not None:
            return (yield from self._servers(host, [(transport, Question("SRV", host, _SRV[transport]))]))
        [answer] = yield [Question("NAPTR", host)]
        self._downgrades.look(host, answer)
        services = self._services(answer.records, uri.scheme)
        if services:
            return (yield from self._servers(host, services))
        # 4.1: without NAPTR records, SRV for each of our transports; one that has records is what the domain speaks
        services = [(one, Question("SRV", host, _SRV[one])) for one in wanted if one in supported]
        return (yield from self._servers(host, services or [(wanted[0], Question("SRV", host, _SRV[wanted[0]]))], 1))

    def _transports(self) -> set[str]:
        return {transport for transport, _ in self._supported()}

    def _services(self, records: Sequence[Naptr], scheme: str) -> list[tuple[str, Question]]:
        """The transports that a domain offers and we have, by its preference, each with where its servers are told."""
        transports = self._transports()
        usable = []
        for record in records:
            transport = _NAPTR.get(record.service)
            if transport not in transports or transport is None or record.flags != "s" or record.regexp:
                continue
            # 4.1: for a SIPS URI only services of SIPS
            if record.replacement != "." and (scheme == "sip" or record.service.startswith("SIPS")):
                usable.append((record.order, record.preference, transport, Question("SRV", record.replacement)))
        # RFC 3403 4.1: of several orders the lowest alone counts, within it the preference
        return [(transport, question) for order, _, transport, question in sorted(usable) if order == min(usable)[0]]

    # RFC 3263 4.2: port and address

    def _servers(self, host: str, services: list[tuple[str, Question]], most: int = MOST_SERVERS) -> Steps:
        """The targets by SRV records, of the first `most` transports that have any."""
        answers = yield [question for _, question in services]
        found = [(service[0], answer.records) for service, answer in zip(services, answers, strict=True)]
        offered = [(one, records) for one, records in found if any(record.target != "." for record in records)]
        if not offered:
            if any(records for _, records in found):  # RFC 2782, Target
                raise Unreachable(f'{host}: its SRV records say that there is no such service (".")')
            transport = services[0][0]
            return (yield from self._addresses(host, [(transport, host, DEFAULT_PORTS[transport])]))
        servers = [
            (transport, record.target, record.port)
            for transport, records in offered[:most]
            for record in in_order(records, self._random)
            if record.target != "."
        ]
        return (yield from self._addresses(host, servers[:MOST_SERVERS]))

    def _addresses(self, host: str, servers: list[tuple[str, str, int]]) -> Steps:
        """The targets by A and AAAA records of servers: transport, name, port."""
        here = {name: self._here(name) for _, name, _ in servers}
        asked = {
            (transport, name): [] if here[name] else [Question(kind, name) for kind in self._kinds(transport)]
            for transport, name, _ in servers
        }
        questions = list(dict.fromkeys(question for some in asked.values() for question in some))
        answers = dict(zip(questions, (yield questions) if questions else [], strict=True))
        targets: dict[Target, None] = {}
        for transport, name, port in servers:
            records = [answers[question].records for question in asked[transport, name]]
            for address in self._preferred(transport, here[name] or [one for some in records for one in some]):
                targets[Target(transport, HostPort(address, port))] = None
        if not targets:
            raise Unreachable(f"{host}: {_trouble(host, answers) or f'no socket of ours for {servers[0][0].lower()}'}")
        return list(targets)[:MOST_TARGETS]

    def _kinds(self, transport: str) -> list[str]:
        """Of the address records that are of use: we have a socket of their family."""
        supported = self._supported()
        return [kind for kind, ipv6 in (("AAAA", True), ("A", False)) if (transport, ipv6) in supported]

    def _here(self, host: str) -> list[str]:
        """The addresses of a host for which no name server is asked."""
        address = numeric(host)
        if address is not None:
            return [address]
        if host == "localhost" or host.endswith(".localhost"):  # RFC 6761 6.3
            return _LOOPBACK
        return self._hosts.value().get(host, [])

    def _preferred(self, transport: str, addresses: list[str]) -> list[str]:
        """Those of the families that we have; with a route to them first, then IPv6 (RFC 6724 section 6)."""
        if len(addresses) < 2:
            return addresses
        supported = self._supported()
        usable = [address for address in addresses if (transport, ":" in address) in supported] or addresses
        if addresses is _LOOPBACK or len({":" in address for address in usable}) == 1:
            return usable
        return sorted(usable, key=lambda address: (not self._has_route(address), ":" not in address))

    def _has_route(self, address: str) -> bool:
        try:
            return bool(self._sources.towards(HostPort(address, 0)))
        except Unreachable:
            return False


@lru_cache(maxsize=1024)
def _direct(scheme: str, host: str, port: int | None, transport: str | None) -> Target | None:
    """Where an address leads; None for a name. Raises Unreachable."""
    address = numeric(host)
    if address is None:
        return None
    spoken = _asked(scheme, transport) or _WANTED[scheme][0]
    return Target(spoken, HostPort(address, port or DEFAULT_PORTS[spoken]))


def _asked(scheme: str, transport: str | None) -> str | None:
    """The transport that a URI names. RFC 3261 26.2.2: sips is TLS on whatever reliable transport."""
    if not transport:
        return None
    spoken = (_SECURE if scheme == "sips" else _TRANSPORTS).get(transport.lower())
    if spoken is None:
        raise Unreachable(f"{scheme} over {transport.lower()} is not supported")
    return spoken


def _trouble(host: str, answers: dict[Question, Answer]) -> str:
    """Why there are no addresses: that the name servers failed says more than that one record is missing."""
    for question, answer in sorted(answers.items(), key=lambda item: not item[1].failed):
        return answer.trouble if question.name == host else f"{question.name}: {answer.trouble}"
    return ""
