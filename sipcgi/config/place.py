"""Where the server listens, what is its own, and networks: the addresses of a configuration.

Every function raises ValueError saying why.
"""

from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sipcgi.config.document import Plain
from sipcgi.config.quantity import FALSE, TRUE, scalar
from sipcgi.net.endpoint import TlsSettings

Network = IPv4Network | IPv6Network

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}
"""Default port of each scheme (RFC 3261 18.1.1, RFC 7118 5)."""

_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket, or for a wildcard address one of each local address, to open."""

    scheme: str
    """udp, tcp, tls, ws or wss."""
    host: str
    """Name or address; IPv6 without brackets."""
    port: int
    """0 takes a free one."""
    advertise: str | None = None
    """What Via, Record-Route and Contact show in place of the address; IPv6 with brackets (RFC 3261 25.1: host)."""
    tls: TlsSettings | None = None
    """The certificate of a tls or wss listener; None for the others."""
    line: int = field(default=0, compare=False)
    """In the configuration file; 0 for one that is not from there."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def host(value: object) -> str:
    """A host name or an address, lower-case; IPv6 with or without brackets gives it without."""
    text = scalar(value).strip()
    if isinstance(value, Plain) and text.lower() in TRUE | FALSE:  # meant as a switch, not as a name
        raise ValueError(f"'{text}' says nothing here: write the name of a host or domain")
    if "%" in text:  # RFC 3261 25.1: IPv6address
        raise ValueError(f"'{text}': a zone means nothing to others")
    return _host(text)


def _host(text: str) -> str:
    """As `host`; an IPv6 address may have a zone."""
    bare = text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(
        0 < len(label) <= 63 and _LABEL.issuperset(label) and "-" not in (label[0], label[-1]) for label in labels
    ):
        raise ValueError(f"'{text}' is neither a host name nor an address{_misplaced(text)}")
    if labels[-1].isdigit():  # RFC 3261 25.1: toplabel begins with a letter; this is a misspelt IPv4 address
        raise ValueError(f"'{text}' is no IPv4 address")
    return name


def _misplaced(text: str) -> str:
    """What is too much in a text that should be a host."""
    if "*" in text:
        return ": wildcards are not for names of hosts"
    if ":" in text and text.partition(":")[0].lower() in ("sip", "sips", *PORTS):
        return ": leave out the scheme"
    if text.count(":") == 1 and text.partition(":")[2].isdigit():
        return ": leave out the port"
    return ": leave out what is before '@'" if "@" in text else ""


def advertised(value: object) -> str:
    """A host as a header field shows it: IPv6 in brackets."""
    address = host(value)
    return f"[{address}]" if ":" in address else address


def listener(value: object) -> Listener:
    """scheme://host[:port]"""
    text = scalar(value).strip()
    scheme, slashes, rest = text.partition("://")
    scheme = scheme.lower()
    if not slashes:
        raise ValueError(f"'{text}' is no listener: write it like udp://0.0.0.0:5060 or tcp://[::]:5060")
    if scheme not in PORTS:
        close = get_close_matches(scheme, PORTS, 1)
        hint = f"; did you mean {close[0]}://?" if close else ""
        raise ValueError(f"unknown scheme '{scheme}': there are udp, tcp, tls, ws and wss{hint}")
    rest = rest.removesuffix("/")
    if rest[:1] == "[":
        name, bracket, after = rest.partition("]")
        name += bracket
    else:
        name, colon, after = rest.partition(":")
        after = colon + after
        if ":" in after[1:]:
            raise ValueError(f"'{rest}': an IPv6 address is put in brackets: {scheme}://[::]:5060")
    if not name:
        raise ValueError(f"'{text}' names no address: write 0.0.0.0 or [::] for all")
    port = PORTS[scheme]
    if after:
        digits = after[1:]
        if after[0] != ":" or not (digits.isascii() and digits.isdigit()) or len(digits) > 5 or int(digits) > 65535:
            raise ValueError(f"'{after}' is no port: write ':' and a number up to 65535, and nothing after it")
        port = int(digits)
    address = _host(name)
    if name[0] == "[" and ":" not in address:
        raise ValueError(f"'{name}': only an IPv6 address is put in brackets")
    return Listener(scheme, address, port)


def default_listeners() -> list[Listener]:
    return [Listener(scheme, address, 5060) for scheme in ("udp", "tcp") for address in ("0.0.0.0", "::")]


def network(value: object) -> Network:
    """An address, or one with /PREFIX; IPv6 with or without brackets."""
    text = scalar(value).strip()
    try:
        loose = ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is no network: write it like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32") from None
    if isinstance(loose.network_address, IPv6Address) and loose.network_address.scope_id:
        raise ValueError(f"'{text}': a network has no zone")
    first = text.replace("[", "").replace("]", "").partition("/")[0]
    if ip_address(first) != loose.network_address:
        raise ValueError(f"'{text}' is an address inside a network; did you mean {loose}?")
    return loose
