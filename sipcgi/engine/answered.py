"""Calls that a script answered itself: the server is the UAS core of their dialog (RFC 3261 12, 13.3.1.4, 15.1.2).

The 2xx is sent again until its ACK comes; without one in 64*T1 the call is ended with BYE. The caller's BYE gets 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.core import Core

Key = tuple[str, str]
MOST = 10_000


class AnsweredDialog:
    """One such call, from its 2xx to its BYE."""

    __slots__ = ("acknowledged", "context", "interval", "key", "remaining", "response", "timer")

    def __init__(self, context: RequestContext, response: Response, key: Key) -> None:
        self.context = context
        self.response = response
        self.key = key
        self.acknowledged = False
        self.interval = 0.0
        self.remaining = 0.0
        self.timer: Timer | None = None


class AnsweredDialogs:
    """All of them, by Call-ID and our tag."""

    def __init__(self) -> None:
        self.core: Core
        self.dialogs: dict[Key, AnsweredDialog] = {}

    def begin(self, context: RequestContext, response: Response) -> Response:
        """Makes a script's 2xx complete: its Contact; one to an INVITE is sent again until the ACK."""
        response = self.with_contact(context, response)
        if not context.invite:
            return response
        if len(self.dialogs) >= MOST:  # whose BYE never came
            self.forget(next(iter(self.dialogs)))
        key = (response.call_id, response.to.tag or "")
        dialog = AnsweredDialog(context, response, key)
        self.dialogs[key] = dialog
        timers = self.core.transactions
        dialog.interval, dialog.remaining = timers.t1, 64 * timers.t1
        dialog.timer = self.core.timers.start(dialog.interval, self.repeat, dialog)
        return response

    def with_contact(self, context: RequestContext, response: Response) -> Response:
        """A response that makes a dialog tells where its requests go (RFC 3261 12.1.1): to us, or the script says."""
        if "contact" in response.headers:
            return response
        scheme = "sips" if context.request.uri[:5].lower() == "sips:" else "sip"
        transport = context.flow.transport
        suffix = "" if transport == "UDP" else f";transport={transport.lower()}"
        headers = response.headers.copy()
        headers.add("Contact", f"<{scheme}:{self.core.transport.sent_by(context.flow)}{suffix}>")
        return response.with_(headers=headers)

    def repeat(self, dialog: AnsweredDialog) -> None:
        """RFC 3261 13.3.1.4: T1, doubling up to T2, for 64*T1."""
        dialog.remaining -= dialog.interval
        if dialog.remaining <= 0:
            self.hang_up(dialog)
            return
        dialog.context.server.respond(dialog.response)
        dialog.interval = min(2 * dialog.interval, self.core.transactions.t2, dialog.remaining)
        dialog.timer = self.core.timers.start(dialog.interval, self.repeat, dialog)

    def hang_up(self, dialog: AnsweredDialog) -> None:
        """No ACK: the dialog is confirmed, but the session should be terminated with a BYE (13.3.1.4)."""
        self.dialogs.pop(dialog.key, None)
        request = dialog.context.request
        contacts = request.contacts
        uri = str(contacts[0].uri) if contacts else str(request.from_.uri)
        headers = request.headers.copy()
        for name in list(headers.names):
            if name not in ("from", "to", "call-id", "record-route"):
                headers.remove(name)
        routes = headers.all("record-route")
        headers.remove("record-route", "from", "to")
        for value in routes:
            headers.add("Route", value)
        headers.add("From", dialog.response.headers.get("to") or "")
        headers.add("To", request.headers.get("from") or "")
        headers.add("CSeq", "1 BYE")
        headers.add("Max-Forwards", "70")
        headers.add("Content-Length", "0")
        self.core.transactions.originate(Request("BYE", uri, headers), dialog.context.flow)

    def acknowledged(self, request: Request) -> bool:
        """Whether this ACK is for one of these calls; it ends the repetition, and runs the script that wants it."""
        dialog = self.dialogs.get((request.call_id, request.to.tag or "")) if self.dialogs else None
        if dialog is None:
            return False
        if not dialog.acknowledged:
            dialog.acknowledged = True
            if dialog.timer is not None:
                dialog.timer.cancel()
            dialog.context.acknowledged(request)
        return True

    def holds(self, request: Request) -> bool:
        return bool(self.dialogs) and (request.call_id, request.to.tag or "") in self.dialogs

    def ended(self, request: Request) -> None:
        """The BYE of one of these calls was answered."""
        self.forget((request.call_id, request.to.tag or ""))

    def forget(self, key: Key) -> None:
        dialog = self.dialogs.pop(key, None)
        if dialog is not None and dialog.timer is not None:
            dialog.timer.cancel()
