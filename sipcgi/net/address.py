"""IP addresses as text: one spelling each, so that they can be compared."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

_LONGEST = 64  # an IPv6 address with brackets and a scope; longer text is a name, and must not fill the cache


def numeric(host: str) -> str | None:
    """The usual spelling (RFC 5952) of an IP address, with or without brackets; None for a name.

    An IPv4 address in the clothes of IPv6 (::ffff:192.0.2.1) is the IPv4 address.
    """
    return _numeric(host) if len(host) <= _LONGEST else None


@lru_cache(4096)
def _numeric(host: str) -> str | None:
    try:
        address = ip_address(host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def canonical(host: str) -> str:
    """A host in the spelling that comparisons use: `numeric`, or the name in lower case without a last dot."""
    return numeric(host) or host.lower().removesuffix(".")


def bracketed(host: str) -> str:
    """A host as URIs and Via spell it: IPv6 addresses in brackets, without a scope (RFC 3261 25.1)."""
    return f"[{host.partition('%')[0]}]" if ":" in host and host[0] != "[" else host
