"""Where a message came from or goes to: values that every layer above may hold."""

from typing import NamedTuple

from sipcgi.compiled.quick import quick

WEBSOCKETS = frozenset({"WS", "WSS"})
"""Transports by which a peer is reached over its own connection only (RFC 7118 5)."""


@quick
class HostPort(NamedTuple):
    """An IP address (IPv6 without brackets) and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@quick
class Flow(NamedTuple):
    """A way between one of our sockets and a peer (RFC 5626 section 3: flow).

    `transport` is in the spelling of Via (UDP, TCP, TLS, WS, WSS); `connection` numbers the connection of a stream
    transport, 0 for datagrams.
    """

    transport: str
    local: HostPort
    remote: HostPort
    connection: int = 0
