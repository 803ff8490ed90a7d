"""Requests that are too large for a datagram (RFC 3261 18.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from sipcgi.net.transport import Transport

MOST_OCTETS = 1300
"""Of a datagram, where the path's MTU is unknown."""
REFUSED = 60.0
"""Seconds in which a peer that took no connection is not asked again."""
MOST_PEERS = 4096


class LargeRequests:
    """Sends them over TCP, and remembers which peers do not speak it."""

    def __init__(self, transport: Transport, timers: TimerQueue) -> None:
        self.transport = transport
        self.timers = timers
        self.refused: dict[HostPort, float] = {}
        """Until when, by peer."""

    def stream_for(self, flow: Flow) -> Flow | None:
        """The way that a request of more than MOST_OCTETS must take instead of the UDP `flow`; None: that one."""
        until = self.refused.get(flow.remote)
        if until is not None:
            if until > self.timers.now():
                return None
            del self.refused[flow.remote]
        try:
            return self.transport.flow_to("TCP", flow.remote)
        except Unreachable:  # we do not speak it either
            return None

    def lost(self, flow: Flow) -> None:
        """What was sent over it did not arrive: over TCP, the peer is left alone with that for a while."""
        if flow.transport == "TCP":
            if len(self.refused) >= MOST_PEERS:
                self.refused.clear()
            self.refused[flow.remote] = self.timers.now() + REFUSED
