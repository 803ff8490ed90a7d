"""The network of a stage: no socket and no name server. What would leave is noted, with where it would go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.logs import Log
from sipcgi.net.address import canonical, numeric
from sipcgi.net.complaint import Complaints
from sipcgi.net.endpoint import DEFAULT_PORTS
from sipcgi.net.intake import Intake, Receive
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri

FICTIVE = [f"{net}.{host}" for net in ("192.0.2", "198.51.100", "203.0.113") for host in range(20, 255)]
"""Addresses for documentation (RFC 5737): names get one after the other, as they are asked for."""


class Sent(NamedTuple):
    """A message that would leave."""

    time: float
    data: bytes
    flow: Flow


class Socket(NamedTuple):
    """Where one transport listens, and what Via, Record-Route and Contact show of it."""

    local: HostPort
    sent_by: str


class Names:
    """What the engine uses of net/resolver: every name is known, and has an address that no machine has."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        """Name -> address."""

    def direct(self, text: str) -> None:
        """Addresses are found like names."""

    def resolve_now(self, uri: SipUri) -> list[tuple[str, HostPort]]:
        """RFC 3263 4.1 and 4.2 for a domain without records. Raises Unreachable."""
        host = canonical(uri.params.get("maddr") or uri.host)
        asked = (uri.params.get("transport") or ("tls" if uri.scheme == "sips" else "udp")).upper()
        transport = {"TCP": "TLS", "WS": "WSS"}.get(asked, asked) if uri.scheme == "sips" else asked
        if transport not in DEFAULT_PORTS:
            raise Unreachable(f"{uri.scheme} over {asked.lower()} is not supported")
        return [(transport, HostPort(self.address(host), uri.port or DEFAULT_PORTS[transport]))]

    def address(self, host: str) -> str:
        if numeric(host) is None and host not in self.found:
            self.found[host] = FICTIVE[len(self.found) % len(FICTIVE)]
        return self.found.get(host, host)

    def shown(self, remote: HostPort) -> str:
        """A peer by its name, if it has one."""
        name = next((name for name, address in self.found.items() if address == remote.host), None)
        return f"{name}:{remote.port}" if name else str(remote)

    def note_failed(self, target: object, seconds: float = 0.0) -> None:
        """Nothing fails here for longer than a case lasts."""


class Wire:
    """What the engine uses of net/transport."""

    def __init__(self, sockets: Mapping[str, Socket], now: Callable[[], float], receive: Receive, log: Log) -> None:
        self.sockets = sockets
        self.now = now
        self.sent: list[Sent] = []
        self._ours = {
            (host, socket.local.port)
            for socket in sockets.values()
            for host in (socket.local.host, canonical(socket.sent_by.rpartition(":")[0]))
        }
        sent_bys = {socket.sent_by for socket in sockets.values()}
        self.intake = Intake(receive, self._answer, sent_bys, Complaints(log), guard=False)

    def send(self, data: bytes, flow: Flow) -> None:
        self.sent.append(Sent(self.now(), data, flow))

    def flow_to(self, transport: str, remote: HostPort, name: str | None = None, sent_by: str = "") -> Flow:
        """Raises Unreachable, as the real one, where the configuration does not listen with that transport."""
        if transport not in self.sockets:
            raise Unreachable(f"{transport.lower()} {remote}: no socket of ours for it")
        local = self.sockets[transport].local
        if ":" in remote.host and ":" not in local.host:
            local = HostPort("::1", local.port)
        return Flow(transport, local, remote, 0 if transport == "UDP" else 1)

    def is_open(self, flow: Flow) -> bool:
        return True

    def sent_by(self, flow: Flow) -> str:
        socket = self.sockets[flow.transport]
        return socket.sent_by if flow.local == socket.local else str(flow.local)

    def is_ours(self, host: str, port: int | None) -> bool:
        return any(host == ours and port in (at, None if at == 5060 else at) for ours, at in self._ours)

    def response_flow(self, request: Request, flow: Flow) -> Flow:
        """Back to where it came from: Stage.caller has callers come from where their Via says (RFC 3261 18.2.2)."""
        return flow

    def _answer(self, response: Response, request: Request, flow: Flow) -> None:
        self.send(bytes(response), self.response_flow(request, flow))
