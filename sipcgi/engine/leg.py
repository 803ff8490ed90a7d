"""A dialog that a generated request makes, as its request token names it (RFC 3261 12, 13.2.2, 14, 15).

The ACK for a 2xx is the script's to print (RFC 3050 5.11.2). A call that nobody acknowledges in time, or that nobody is
left to care for, is acknowledged and ended here: it is never left up.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sipcgi.auth.digest import FIELDS
from sipcgi.dialog.dialog import REFRESHES_TARGET, Dialog
from sipcgi.engine.outgoing import Outgoing
from sipcgi.engine.own_route import OwnRoute
from sipcgi.engine.stateless import send_on
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.service import Edits, Relay
from sipcgi.sip.message import Request, Response
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.engine.originated import Caller, Calls

Key = tuple[str, str]


class Leg:
    """From the request that may make a dialog to the end of the dialog."""

    __slots__ = (
        "ack", "caller", "calls", "confirmed", "dialog", "flow", "forks", "given_up", "invite", "key", "method",
        "outgoing", "over", "reinvite", "script", "timer", "token",
    )  # fmt: skip

    def __init__(self, calls: Calls, caller: Caller, token: str, script: str, request: Request) -> None:
        self.calls = calls
        self.caller = caller
        """Who has sent the last INVITE in it, and is to acknowledge."""
        self.token = token
        self.script = script
        """Its name: requests in the dialog run it."""
        self.method = request.method
        self.key: Key = (request.call_id, request.from_.tag or "")
        self.outgoing: Outgoing | None = None
        """The request, as long as it has no final response."""
        self.dialog: Dialog | None = None
        self.confirmed = False
        self.flow: Flow | None = None
        """Over which the peer registered."""
        self.invite: Request | None = None
        """The INVITE whose 2xx is not acknowledged yet."""
        self.reinvite: Outgoing | None = None
        """An INVITE within the dialog that has no final response."""
        self.ack: Request | None = None
        self.forks: set[str] = set()
        """The tags of further 2xx, whose dialogs were ended at once."""
        self.timer: Timer | None = None
        self.given_up = False
        self.over = False

    # What is sent

    def next_request(self, method: str, edits: Edits) -> Request:
        """The next one in the dialog; of what a script printed, all that the dialog does not say itself."""
        assert self.dialog is not None
        return self.dialog.request(method, in_dialog(edits), edits.body or b"")

    @property
    def way(self) -> OwnRoute:
        return OwnRoute(True, self.flow)

    def acknowledge(self, edits: Edits) -> bool:
        """Sends the ACK of the 2xx; False when there is none to acknowledge."""
        invite, dialog = self.invite, self.dialog
        if invite is None or dialog is None:
            return False
        self.invite = None
        self.stop_timer()
        self.ack = dialog.ack(invite.cseq.number, in_dialog(edits), edits.body or b"")
        self.transmit(self.ack)
        return True

    def transmit(self, ack: Request) -> None:
        """13.2.2.4: directly to the transport layer."""
        core = self.calls.core
        with suppress(ParseError):
            targets = core.locations.targets(Relay(ack.uri), ack, False, self.flow)
            send_on(core, ack, targets[0][0], "")

    def hang_up(self) -> None:
        """Ends it, whatever its state: CANCEL, or ACK and BYE (9.1, 15.1.1)."""
        if self.over or self.given_up:
            return
        self.given_up = True
        if self.outgoing is not None and self.method == "INVITE":
            self.outgoing.cancel()  # a 2xx that crosses it is ended in `unacknowledged`
            return
        if self.reinvite is not None:
            self.reinvite.cancel()
        self.acknowledge(Edits())
        if self.confirmed and self.method == "INVITE" and self.dialog is not None:
            self.farewell(self.dialog)
        self.end()

    def farewell(self, dialog: Dialog) -> None:
        Outgoing(self.calls.core, Nobody(), dialog.request("BYE"), self.way, dialog=dialog).send()

    def end(self) -> None:
        """The dialog is over, or never was."""
        self.over = True
        self.stop_timer()
        self.calls.forget(self)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # What is heard

    def heard(self, outgoing: Outgoing, response: Response, target_flow: Flow | None) -> None:
        """A response to a request in it, or to the one that makes it."""
        status, method = response.status, outgoing.request.method
        if outgoing.dialog is None:
            self.heard_first(outgoing, response, target_flow)
            return
        if outgoing is self.reinvite and status >= 200:
            self.reinvite = None
        if self.over or self.dialog is None or status < 200:
            return
        if method == "BYE" or status == 481:
            self.end()  # 12.2.1.2, 15.1.1
        elif status == 408:
            self.hang_up()  # 12.2.1.2
        elif status < 300:
            if method in REFRESHES_TARGET:
                with suppress(ParseError):
                    self.dialog.refresh(response)
            if method == "INVITE":
                self.unacknowledged(outgoing.request)

    def heard_first(self, outgoing: Outgoing, response: Response, target_flow: Flow | None) -> None:
        status, request = response.status, outgoing.request
        if status >= 200:
            self.outgoing = None
        if self.over:
            return
        if status >= 300:
            self.end()
            return
        if status < 200 and (self.dialog is not None or not response.to.tag):
            return
        early, self.dialog = self.dialog, Dialog.calling(request, response)
        self.flow = target_flow
        if early is not None and early.remote_tag == self.dialog.remote_tag:  # 13.2.2.4: the route set anew
            self.dialog.sequence, self.dialog.remote_sequence = early.sequence, early.remote_sequence
        if status >= 200:
            self.confirmed = True
            if self.method == "INVITE":
                self.unacknowledged(request)

    def unacknowledged(self, invite: Request) -> None:
        """A 2xx came. The peer waits for the ACK as long as 64*T1 (13.3.1.4)."""
        assert self.dialog is not None
        self.invite = invite
        names = [name for _, name in FIELDS]
        self.dialog.credentials = [(name, value) for name in names for value in invite.headers.all(name.lower())]
        core = self.calls.core
        self.stop_timer()
        self.timer = core.timers.start(64 * core.transactions.t1, self.hang_up)
        if self.given_up or not self.caller.listens():
            self.given_up = False
            self.hang_up()

    def heard_again(self, response: Response) -> None:
        """A repeated 2xx gets the ACK again, one from another branch of a fork its ACK and BYE (13.2.2.4)."""
        tag = response.to.tag or ""
        if self.dialog is None or tag == self.dialog.remote_tag:
            if self.ack is not None and response.cseq.number == self.ack.cseq.number:
                self.transmit(self.ack)
            return
        if tag in self.forks:
            return
        self.forks.add(tag)
        request = Request("INVITE", self.dialog.target, response.headers)
        fork = Dialog.calling(request, response)
        fork.credentials = self.dialog.credentials
        self.transmit(fork.ack(response.cseq.number))
        self.farewell(fork)

    def left(self, caller: Caller) -> None:
        """The one that waits for an answer in it, or is to acknowledge it, is gone."""
        waits = self.outgoing is not None or self.reinvite is not None or self.invite is not None
        if caller is self.caller and waits and self.method == "INVITE":
            self.hang_up()


class Nobody:
    """Whom a BYE of the server tells: nobody. Whatever comes back, the call is over (15.1.1)."""

    def heard(self, outgoing: Outgoing, response: Response, flow: Flow | None, target_flow: Flow | None) -> None:
        pass

    def heard_again(self, response: Response) -> None:
        pass


_OF_THE_DIALOG = frozenset({"from", "to", "call-id", "cseq", "route"})


def in_dialog(edits: Edits) -> list[tuple[str, str]]:
    """What a script prints of a request in a dialog, without what the dialog says itself (12.2.1.1)."""
    return [(name, value) for name, value in edits.headers if name.lower() not in _OF_THE_DIALOG]
