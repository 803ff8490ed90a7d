"""The events of a transaction that wait while a service decides: one script at a time, in order (RFC 3050 5.3)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sipcgi.proxy.responses import side
from sipcgi.service import Event, ResponseReceived

if TYPE_CHECKING:
    from sipcgi.engine.branch import Branch


class WaitingEvents(deque[tuple[Event, "Branch | None"]]):
    """Events in the order in which they came, each with the branch that it is of."""

    def overtaken(self, branch: Branch) -> list[ResponseReceived]:
        """Takes out the provisional responses of a branch whose final response has come."""
        found = [
            (event, one)
            for event, one in self
            if one is branch and type(event) is ResponseReceived and event.response.status < 200
        ]
        for waiting in found:
            self.remove(waiting)
        return [event for event, _ in found]

    def has_success(self, branch: Branch, whose: str) -> bool:
        """Whether a 2xx of that branch and side waits."""
        return any(
            one is branch
            and type(event) is ResponseReceived
            and event.response.status // 100 == 2
            and side(event.response) == whose
            for event, one in self
        )
