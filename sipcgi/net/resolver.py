"""From a URI to addresses (RFC 3263 section 4)."""

import socket
from typing import NamedTuple

import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import HostPort
from sipcgi.net.address import canonical, numeric
from sipcgi.net.endpoint import DEFAULT_PORTS
from sipcgi.sip.uri import SipUri

WAIT = 10.0  # seconds for the name servers, well below the 32 s of a transaction
_TRANSPORTS = {"": "UDP", "udp": "UDP", "tcp": "TCP", "tls": "TLS", "ws": "WS", "wss": "WSS"}
_SECURE = {"": "TLS", "tcp": "TLS", "tls": "TLS", "ws": "WSS", "wss": "WSS"}
_LOOPBACK = ["127.0.0.1", "::1"]


class Target(NamedTuple):
    """Where a request may be sent."""

    transport: str
    """As Via spells it."""
    remote: HostPort


class Resolver:
    """Both ways raise Unreachable where nothing can be sent to, and never return an empty list."""

    def resolve_now(self, uri: SipUri) -> list[Target] | None:
        """The targets of an address, at once; None for a name, which takes `resolve`."""
        transport, host, port = _destination(uri)
        address = numeric(host)
        if address is not None:
            return [Target(transport, HostPort(address, port))]
        if canonical(host) == "localhost":  # RFC 6761 6.3: no name server is asked for it
            return [Target(transport, HostPort(address, port)) for address in _LOOPBACK]
        return None

    async def resolve(self, uri: SipUri) -> list[Target]:
        """The targets in the order in which they are to be tried (RFC 3263 4.2, RFC 6724)."""
        now = self.resolve_now(uri)
        if now is not None:
            return now
        transport, host, port = _destination(uri)
        found = []
        with trio.move_on_after(WAIT):
            try:
                found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            except (OSError, UnicodeError) as error:
                raise Unreachable(f"{host}: {error}") from error
        if not found:
            raise Unreachable(f"{host}: no answer from the name servers")
        return [Target(transport, HostPort(str(entry[4][0]), port)) for entry in found]


def _destination(uri: SipUri) -> tuple[str, str, int]:
    """Transport, host and port (RFC 3263 4.1, 4.2); maddr stands in for the host (RFC 3261 19.1.1)."""
    params = uri.params
    asked = (params.get("transport") or "").lower()
    # RFC 3261 26.2.2: sips is TLS on whatever reliable transport
    transport = (_SECURE if uri.scheme == "sips" else _TRANSPORTS).get(asked)
    if transport is None:
        raise Unreachable(f"{uri.scheme} over {asked} is not supported")
    port = DEFAULT_PORTS[transport] if uri.port is None else uri.port
    return transport, params.get("maddr") or uri.host, port
