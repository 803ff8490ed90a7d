"""A name server on the loopback, over UDP and TCP, with a zone in the syntax of zone files (RFC 1035 section 5)."""

import socket

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import trio

from sipcgi.flow import HostPort

LARGEST = 512  # octets of a message over UDP (RFC 1035 4.2.1)
MOST_ALIASES = 8


class NameServer:
    """Keeps what it was `asked`; it says nothing about the names in `silent`, and SERVFAIL about those in `failing`."""

    def __init__(self, zone: str, origin: str = "example.com.") -> None:
        self.origin = dns.name.from_text(origin)
        self.write(zone)
        self.asked: list[str] = []
        self.transports: list[str] = []
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self.held: trio.Event | None = None
        """While it is there and not set, nothing is answered."""
        self.address: HostPort

    def write(self, zone: str) -> None:
        self.zone = dns.zone.from_text(zone, self.origin, relativize=False)

    async def serve(self, task_status: trio.TaskStatus[None]) -> None:
        stream = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.address = HostPort(*stream[0].socket.getsockname()[:2])
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            await sock.bind(self.address)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.serve_listeners, self._connection, stream)
                task_status.started()
                while True:
                    data, peer = await sock.recvfrom(65536)
                    nursery.start_soon(self._datagram, data, peer, sock)

    async def _datagram(self, data: bytes, peer: tuple[str, int], sock: trio.socket.SocketType) -> None:
        reply = await self._reply(data, "udp")
        if reply is None:
            return
        octets = reply.to_wire()
        if len(octets) > LARGEST:
            reply.answer.clear()
            reply.authority.clear()
            reply.flags |= dns.flags.TC
            octets = reply.to_wire()
        await sock.sendto(octets, peer)

    async def _connection(self, stream: trio.SocketStream) -> None:
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            some = await stream.receive_some()
            if not some:
                return
            data += some
        reply = await self._reply(data[2:], "tcp")
        if reply is not None:
            octets = reply.to_wire()
            await stream.send_all(len(octets).to_bytes(2, "big") + octets)

    async def _reply(self, data: bytes, transport: str) -> dns.message.Message | None:
        query = dns.message.from_wire(data)
        [question] = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append(f"{dns.rdatatype.to_text(question.rdtype)} {name}")
        self.transports.append(transport)
        if self.held is not None:
            await self.held.wait()
        if name in self.silent:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if name in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply
        self._answer(reply, question.name, question.rdtype)
        return reply

    def _answer(self, reply: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        """RFC 1034 4.3.2: aliases are followed inside the zone."""
        for _ in range(MOST_ALIASES):
            node = self.zone.get_node(name)
            if node is None:
                if not any(one.is_subdomain(name) for one in self.zone.nodes):
                    reply.set_rcode(dns.rcode.NXDOMAIN)
                break
            found = node.get_rdataset(self.zone.rdclass, kind)
            if found is not None:
                reply.answer.append(dns.rrset.from_rdata_list(name, found.ttl, list(found)))
                return
            alias = node.get_rdataset(self.zone.rdclass, dns.rdatatype.CNAME)
            if alias is None:
                break
            reply.answer.append(dns.rrset.from_rdata_list(name, alias.ttl, list(alias)))
            name = alias[0].target
        soa = self.zone.find_rrset(self.origin, dns.rdatatype.SOA)
        reply.authority.append(soa)
