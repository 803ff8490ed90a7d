"""The client transactions that wait for a final response, by peer: whom the loss of a flow concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.compiled import compiled
from sipcgi.flow import Flow, HostPort

if TYPE_CHECKING:
    from sipcgi.engine.transaction import ClientTransaction


@compiled
class ByPeer:
    """Entering them, and taking them out again."""

    __slots__ = ()

    peers: dict[HostPort, dict[ClientTransaction, None]]

    def add(self, client: ClientTransaction) -> None:
        self.peers.setdefault(client.flow.remote, {})[client] = None

    def discard(self, client: ClientTransaction) -> None:
        """It has its final response, or has ended without one."""
        remote = client.flow.remote
        clients = self.peers.get(remote)
        if clients is not None:
            clients.pop(client, None)
            if not clients:
                del self.peers[remote]


class Awaited(ByPeer):
    """An index, so that a flood of ICMP errors never walks through all transactions."""

    __slots__ = ("peers",)

    def __init__(self) -> None:
        self.peers = {}

    def over(self, flow: Flow) -> list[ClientTransaction]:
        """Those of exactly that flow."""
        clients = self.peers.get(flow.remote)
        return [] if clients is None else [client for client in clients if client.flow == flow]
