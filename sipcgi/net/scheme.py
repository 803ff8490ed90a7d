"""What is spoken on the sockets of each scheme: sip over TCP, TLS, WebSocket, or WebSocket over TLS."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sipcgi.flow import HostPort
from sipcgi.net.coding import Coding, Framed
from sipcgi.net.endpoint import SECURE, CannotListen, Listener, TlsSettings
from sipcgi.net.tls import Contexts, Tls, contexts
from sipcgi.net.websocket import WebSocket
from sipcgi.threads import in_thread


@dataclass(frozen=True, slots=True)
class Codings:
    """How the connections of an endpoint are to be understood."""

    accepted: Callable[[], Coding]
    opened: Callable[[str], Coding] | None
    """For the name or address that a certificate must be for. None: no connection of this kind is opened."""


# A browser only connects and is never connected to, so RFC 7118 has nothing to open
_CODINGS: dict[str, Callable[[Contexts], Codings]] = {
    "TLS": lambda pair: Codings(lambda: Tls(Framed(), pair.server), lambda name: Tls(Framed(), pair.client, name)),
    "WSS": lambda pair: Codings(lambda: Tls(WebSocket(), pair.server), None),
}
PLAIN = {"TCP": Codings(Framed, lambda name: Framed()), "WS": Codings(WebSocket, None)}


async def codings(wanted: Mapping[tuple[str, HostPort], Listener]) -> dict[tuple[str, HostPort], Codings]:
    """Those of all sockets but UDP's; the certificates are read now. Raises OSError, which names the listener."""
    pairs: dict[TlsSettings | None, Contexts] = {}
    found = {}
    for key, listener in wanted.items():
        transport = key[0]
        if transport in PLAIN:
            found[key] = PLAIN[transport]
        elif transport in SECURE:
            if listener.tls not in pairs:
                try:
                    pairs[listener.tls] = await in_thread(contexts, listener.tls)
                except OSError as error:
                    raise CannotListen(listener, str(error)) from error
            found[key] = _CODINGS[transport](pairs[listener.tls])
    return found
