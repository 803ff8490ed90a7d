"""Calls that a script answered itself: the server is the UAS core of their dialog (RFC 3261 12, 13.3.1.4, 15.1.2).

The 2xx is sent again until its ACK comes; without one in 64*T1 the call is ended with BYE. The caller's BYE gets 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.engine.departure import own_contact
from sipcgi.engine.farewell import Farewell, bye
from sipcgi.flow import Flow
from sipcgi.proxy.reply import reply
from sipcgi.service import Reply
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

    def response(self, context: RequestContext, action: Reply) -> Response:
        """What a service answers, complete; one that makes a dialog is ours from now on. Raises ScriptError."""
        response = reply(context.request, action, to_tag=context.server.tag())
        if 200 <= action.status < 300 and context.request.method in ("INVITE", "SUBSCRIBE"):
            return self.begin(context, response)
        if context.invite and 100 < action.status < 200:
            return self.with_contact(context, response)
        return response

    def begin(self, context: RequestContext, response: Response) -> Response:
        """Makes a script's 2xx complete: its Contact; one to an INVITE is sent again until the ACK."""
        response = self.with_contact(context, response)
        if not context.invite or not context.upstream.fits(response):
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
        headers = response.headers.copy()
        secure = context.request.uri[:5].lower() == "sips:"
        headers.add("Contact", own_contact(self.core, context.flow, secure=secure))
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
        if (leg := self.core.originated.legs.get(dialog.key)) is not None:
            leg.hang_up()
            return
        Farewell(self.core, bye(dialog.context.request, dialog.response), dialog.context.flow)

    def acknowledged(self, request: Request, flow: Flow) -> bool:
        """Whether this ACK is for one of these calls; it ends the repetition, and runs the script that wants it."""
        dialog = self.dialogs.get((request.call_id, request.to.tag or ""))
        if dialog is None:
            return False
        if not dialog.acknowledged:
            dialog.acknowledged = True
            if dialog.timer is not None:
                dialog.timer.cancel()
            dialog.context.acknowledged(request, flow)
            if dialog.key in self.core.originated.legs:
                self.forget(dialog.key)  # whose dialog it is knows the rest
        return True

    def holds(self, request: Request) -> bool:
        return (request.call_id, request.to.tag or "") in self.dialogs

    def ended(self, request: Request) -> None:
        """The BYE of one of these calls was answered."""
        self.forget((request.call_id, request.to.tag or ""))

    def forget(self, key: Key) -> None:
        dialog = self.dialogs.pop(key, None)
        if dialog is not None and dialog.timer is not None:
            dialog.timer.cancel()
