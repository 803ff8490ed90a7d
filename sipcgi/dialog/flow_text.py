"""A flow as a text that fits into the user part of a SIP URI (RFC 5626 5.2). Whoever puts it there signs it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from sipcgi.flow import Flow, HostPort

_TRANSPORTS = ("UDP", "TCP", "TLS", "WS", "WSS")
_IPV6 = 16  # a bit of the first octet; the transport is in those below
_CONNECTION = 8  # octets
_MOST = 4096  # flows whose texts are remembered: a connection has many messages


@lru_cache(maxsize=_MOST)
def flow_text(flow: Flow) -> str:
    """28 letters, digits, "-" and "_" for IPv4, 60 for IPv6. Raises ValueError for what is no address."""
    wide = ":" in flow.local.host
    octets = bytearray([_TRANSPORTS.index(flow.transport) | (_IPV6 if wide else 0)])
    zones = []
    for host, port in (flow.local, flow.remote):
        address, _, zone = host.partition("%")
        octets += (IPv6Address(address) if wide else IPv4Address(address)).packed + port.to_bytes(2, "big")
        zones.append(zone)
    octets += flow.connection.to_bytes(_CONNECTION, "big")
    if any(zones):  # RFC 4007 11: of addresses that hold on one link only
        octets += "%".join(zones).encode()
    return urlsafe_b64encode(octets).decode().rstrip("=")


@lru_cache(maxsize=_MOST)
def read_flow(text: str) -> Flow:
    """The flow that became `text`. Raises ValueError for what is none."""
    octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    wide = bool(octets[:1] and octets[0] & _IPV6)
    size = 16 if wide else 4
    end = 1 + 2 * (size + 2) + _CONNECTION
    if len(octets) < end or octets[0] & ~_IPV6 >= len(_TRANSPORTS):
        raise ValueError("no flow")
    zones = octets[end:].decode().partition("%")
    ends = []
    for at, zone in ((1, zones[0]), (3 + size, zones[2])):
        packed = octets[at : at + size]
        host = str(IPv6Address(packed) if wide else IPv4Address(packed))
        port = int.from_bytes(octets[at + size : at + size + 2], "big")
        ends.append(HostPort(f"{host}%{zone}" if zone else host, port))
    connection = int.from_bytes(octets[end - _CONNECTION : end], "big")
    return Flow(_TRANSPORTS[octets[0] & ~_IPV6], ends[0], ends[1], connection)
