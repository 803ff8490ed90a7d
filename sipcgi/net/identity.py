"""Which hosts and ports are ours: those we listen on, those we advertise, and the names of this machine."""

import socket
from collections.abc import Iterable
from functools import lru_cache

import trio

from sipcgi.net.address import canonical
from sipcgi.net.endpoint import DEFAULT_PORTS, Endpoint
from sipcgi.threads import in_thread

FQDN_WAIT = 2.0  # seconds for a name server to tell our own full name


async def machine_names() -> set[str]:
    """localhost, the host name and, when a name server tells it in time, the full one."""
    names = {"localhost", socket.gethostname()}
    with trio.move_on_after(FQDN_WAIT):
        names.add(await in_thread(socket.getfqdn, abandon_on_cancel=True))
    return {canonical(name) for name in names}


class Identity:
    """Answers `is_ours`, and `sent_bys` holds every sent-by that we put into a Via (RFC 3261 18.1.2)."""

    def __init__(self) -> None:
        self.sent_bys: set[str] = set()
        self._ours: set[tuple[str, int | None]] = set()
        self.is_ours = lru_cache(maxsize=1024)(self._is_ours)
        """Whether one of our sockets answers to a host and port; no port is the default one of its transport."""

    def learn(self, endpoints: Iterable[Endpoint], names: set[str]) -> None:
        """Forgets everything else."""
        self.sent_bys.clear()
        self._ours.clear()
        for endpoint in endpoints:
            port = endpoint.local.port
            self.sent_bys.add(endpoint.sent_by.lower())
            advertised = canonical(endpoint.sent_by.rpartition(":")[0])
            ports = {port, None} if port == DEFAULT_PORTS[endpoint.transport] else {port}
            self._ours.update((host, p) for host in {endpoint.local.host, advertised, *names} for p in ports)
        self.is_ours.cache_clear()

    def _is_ours(self, host: str, port: int | None) -> bool:
        return (canonical(host), port) in self._ours
