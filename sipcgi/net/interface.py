"""The addresses of this machine: which there are, and which one the kernel would use towards a peer."""

import socket
from collections.abc import Callable
from time import monotonic

import psutil
import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import HostPort
from sipcgi.net.address import numeric

WILDCARDS = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}
KEEP = 60.0  # seconds that the kernel's choice is believed: routes change
MOST = 4096


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def local_addresses(wanted: socket.AddressFamily) -> tuple[list[str], list[str]]:
    """All addresses of one family, and those left out: link-local IPv6, which is no address without its interface."""
    found = dict.fromkeys(
        entry.address for entries in psutil.net_if_addrs().values() for entry in entries if entry.family == wanted
    )
    left_out = [host for host in found if "%" in host or host.startswith("fe80:")]
    return [host for host in found if host not in left_out], left_out


async def addresses(host: str) -> tuple[list[str], list[str]]:
    """The addresses that a host to listen on stands for, and those left out. Raises OSError for an unknown name."""
    address = numeric(host)
    if address in WILDCARDS:
        return local_addresses(WILDCARDS[address])
    if address is not None:
        return [address], []
    found = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found)), []


def kernel_source(host: str) -> str:
    """The address that packets to `host` would leave from. Raises Unreachable."""
    with socket.socket(family(host), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # sends nothing: it only looks up the route
        except OSError as error:
            raise Unreachable(f"{host}: {error.strerror}") from error
        return str(probe.getsockname()[0])


class Sources:
    """`kernel_source`, remembered for a minute."""

    def __init__(self, ask: Callable[[str], str] = kernel_source, now: Callable[[], float] = monotonic) -> None:
        self._ask = ask
        self._now = now
        self._known: dict[str, str] = {}
        self._until = 0.0

    def towards(self, remote: HostPort) -> str:
        """Raises Unreachable."""
        now = self._now()
        if now > self._until or len(self._known) >= MOST:
            self._known.clear()
            self._until = now + KEEP
        source = self._known.get(remote.host)
        if source is None:
            source = self._known[remote.host] = self._ask(remote.host)
        return source
