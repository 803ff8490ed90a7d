"""What the service of a request context still hears, once a final response went upstream or a CANCEL came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.service import AckReceived, Cancelled, Event, ResponseReceived, TimerFired

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext


def deaf(context: RequestContext, event: Event) -> bool:
    """After a final response, or a CANCEL, services hear of little: what comes of their own requests, for one."""
    if context.cancelled:
        return type(event) is not Cancelled
    if context.upstream.final is None or type(event) is AckReceived:
        return False
    if type(event) is ResponseReceived:
        return not (event.generated or success(context, event))
    return context.caller is None or type(event) is not TimerFired


def success(context: RequestContext, event: ResponseReceived) -> bool:
    """Whether it is a 2xx to the INVITE itself."""
    return context.invite and 200 <= event.response.status < 300 and not event.generated
