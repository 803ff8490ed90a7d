"""The seam inside net: what each transport protocol offers to net/transport, and what it is asked to listen on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sipcgi.flow import Flow, HostPort
from sipcgi.net.address import bracketed

DEFAULT_PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443}
"""By transport: RFC 3261 18.1.1 and 19.1.2, RFC 7118 section 5."""
SECURE = frozenset({"TLS", "WSS"})
"""Those that need a certificate."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files of TLS, in PEM form."""

    certificate: Path | None = None
    """What we show to others, with the certificates between it and an authority."""
    key: Path | None = None
    """Of the certificate; None: it is in the same file."""
    ca: Path | None = None
    """The authorities that vouch for those we connect to; None: those of the system."""


class Listener(Protocol):
    """One line of `listen` in the configuration."""

    @property
    def scheme(self) -> str:
        """udp, tcp, tls, ws or wss."""

    @property
    def host(self) -> str:
        """An address, a name, or a wildcard: 0.0.0.0 or ::, with or without brackets."""

    @property
    def port(self) -> int: ...

    @property
    def advertise(self) -> str | None:
        """The name or address that Via and Record-Route show instead of the socket's."""

    @property
    def tls(self) -> TlsSettings | None:
        """For tls and wss, which need a certificate."""


def url(listener: Listener) -> str:
    """As the configuration writes it."""
    return f"{listener.scheme}://{bracketed(listener.host)}:{listener.port}"


class CannotListen(OSError):
    """A listener that cannot be opened, which the text names, and why."""

    def __init__(self, listener: Listener, why: str) -> None:
        super().__init__(f"{url(listener)}: {why}")
        self.listener = listener
        self.why = why


class Endpoint(Protocol):
    """One of our addresses on one transport protocol, and the flows that end there."""

    transport: str
    """As Via spells it: UDP, TCP, ..."""
    local: HostPort
    sent_by: str
    """host:port for Via and Record-Route."""

    async def serve(self) -> None:
        """Receives until `close`."""

    def flow(self, remote: HostPort, name: str | None = None) -> Flow:
        """The flow to a peer; a stream transport begins to connect when there is none. Raises Unreachable.

        `name` is what a certificate must be for; None: for the address.
        """

    def send(self, data: bytes, flow: Flow) -> None:
        """Never waits. Raises Unreachable."""

    def is_open(self, flow: Flow) -> bool: ...

    def close(self) -> None: ...
