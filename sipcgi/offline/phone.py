"""A phone that was called, and what it sends in the call (RFC 3261 12.1.1, 12.2.1)."""

from __future__ import annotations

from collections.abc import Iterable

from sipcgi.dialog.dialog import REFRESHES_TARGET, Dialog
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.offline import request as make
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response


class Phone:
    """Its side of the dialog that its answer to `invite` has made. `flow` is the one that it was called over."""

    __slots__ = ("contact", "dialog", "flow", "invite")

    def __init__(self, invite: Request, answer: Response, flow: Flow) -> None:
        self.contact = invite.uri
        self.dialog = Dialog.called(invite, answer)
        self.flow = flow
        self.invite: Request | None = None
        """The last one that it has sent itself."""

    def is_in(self, answer: Response) -> bool:
        """Whether an answer belongs to this dialog, and makes no further one."""
        return (self.dialog.call_id, self.dialog.local) == (answer.call_id, answer.headers.get("to"))

    def request(self, method: str, number: int, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        """Its next one; `number` makes the branch differ from others. Raises ParseError."""
        if method in ("ACK", "CANCEL") and self.invite is None:
            raise ParseError(f"no INVITE came from {self.contact} that it could be for")
        if method == "CANCEL":
            assert self.invite is not None
            return build.cancel(self.invite)
        dialog = self.dialog
        if method == "ACK":
            assert self.invite is not None
            made = dialog.ack(self.invite.cseq.number, body=body)
        else:
            made = dialog.request(method, body=body)
        via = f"SIP/2.0/{self.flow.transport} {self.flow.remote};branch=z9hG4bK-phone-{number};rport"
        made.headers.prepend("Via", via)
        made.headers.add("Max-Forwards", "70")
        if method in REFRESHES_TARGET:
            made.headers.add("Contact", f"<{self.contact}>")
        make.describe(made.headers, body, headers)
        if method == "INVITE":
            self.invite = made
        return made
