"""Which requests are ours: for our domains, our addresses and our host name (RFC 3261 16.3, 16.4)."""

from collections.abc import Callable, Iterable

from sipcgi.sip.uri import SipUri


class Domains:
    """`names` from the configuration; `is_ours(host, port)` knows the addresses that we listen on."""

    def __init__(self, names: Iterable[str], is_ours: Callable[[str, int | None], bool]) -> None:
        self.is_ours = is_ours
        self.names: frozenset[str] = frozenset()
        self.rename(names)

    def rename(self, names: Iterable[str]) -> None:
        """Other names, when the configuration was read again."""
        self.names = frozenset(name.lower().rstrip(".") for name in names)

    def hold(self, uri: SipUri) -> bool:
        """Whether a Request-URI, or a Route, names this server."""
        address = uri.address
        return (uri.port is None and address in self.names) or self.is_ours(address, uri.port)
