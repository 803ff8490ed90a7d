"""One request of our own: the user agent client of RFC 3261 8.1 in front of a context that sends it like any other.

So it forks, fails over, follows flows and gives up as a proxied request does; what the context would send upstream
comes here. A 401 or 407 is answered (22.2, 22.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from sipcgi.auth.digest import FIELDS, authorizations
from sipcgi.dialog.dialog import Dialog
from sipcgi.engine.context import RequestContext
from sipcgi.engine.own_route import OwnRoute
from sipcgi.engine.upstream import access_record
from sipcgi.flow import Flow, HostPort
from sipcgi.service import Action, Event, Relay, ResponseReceived
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.transaction import ServerUser

MOST_ANSWERS = 3
"""Challenges to one request that are answered: those of a chain of proxies."""
NOWHERE = Flow("TCP", HostPort("127.0.0.1", 0), HostPort("127.0.0.1", 0))
"""By which the responses leave that come here: one that sets no limit to their size."""


class Hearer(Protocol):
    """Whom a request of our own tells."""

    def heard(self, outgoing: Outgoing, response: Response, flow: Flow | None, target_flow: Flow | None) -> None:
        """A response. `flow`: by which it came, None for a local one; `target_flow`: the registered one it went by."""

    def heard_again(self, response: Response) -> None:
        """A 2xx to an INVITE that comes once more, or from one more branch of it, after the first one."""


class Outgoing:
    """Takes the place of the server transaction of a context, and of its service."""

    __slots__ = (
        "answered", "cancelled", "context", "core", "dialog", "final", "flow", "hearer", "last", "own", "request",
        "script", "seen", "timeout", "to_tag", "user",
    )  # fmt: skip

    def __init__(
        self,
        core: Core,
        hearer: Hearer,
        request: Request,
        own: OwnRoute,
        *,
        dialog: Dialog | None = None,
        script: str = "",
        timeout: float | None = None,
    ) -> None:
        self.core = core
        self.hearer = hearer
        self.request = request
        self.own = own
        self.dialog = dialog
        """The one that it is sent in."""
        self.script = script
        self.timeout = timeout
        """Seconds, of each attempt."""
        self.context: RequestContext | None = None
        self.answered = 0
        self.cancelled = False
        self.final: int | None = None
        self.seen: Flow | None = None
        """By which the last response came."""
        self.flow = NOWHERE
        self.last = b""
        self.to_tag = ""
        self.user: ServerUser | None = None

    def send(self) -> None:
        """Starts it; whatever fails is a local response."""
        request = self.request
        record = access_record(request, "", request.call_id)
        record.route, record.script = "generated", self.script
        self.context = RequestContext(self.core, self, request, NOWHERE, record, self.own)
        self.context.begin(self, self)

    def cancel(self) -> None:
        """Gives up an INVITE that has no final response."""
        self.cancelled = True
        if self.context is not None and self.final is None:
            self.context.cancel(self.request)

    def refuse(self, status: int) -> None:
        """What is not sent gets a local response."""
        self.seen = None
        self.respond(build.response(self.request, status, to_tag=self.tag()))

    # The service of the context: what it decides for itself

    def wants(self, event: Event) -> bool:
        return type(event) is ResponseReceived

    def listening(self) -> bool:
        return False

    def decide(self, event: Event) -> Sequence[Action]:
        """Sends the request where its URI leads, and looks where responses come from."""
        if type(event) is ResponseReceived:
            self.seen = None if event.local else event.flow
            return ()
        return [Relay(self.request.uri, timeout=self.timeout)]

    # The server transaction of the context: what would go upstream

    def tag(self) -> str:
        """Of responses that are made here."""
        if not self.to_tag:
            self.to_tag = self.core.ids.tag()
        return self.to_tag

    def respond(self, response: Response) -> None:
        status = response.status
        if status == 100:
            return
        if self.final is not None:  # a 2xx from one more branch
            self.last = bytes(response)
            self.hearer.heard_again(response)
            return
        if status >= 200:
            self.last = bytes(response)
            if status in (401, 407) and not self.cancelled and self.send_again(response):
                return
            self.final = status
        self.hearer.heard(self, response, self.seen, self.target_flow(status))
        if status >= 200:
            self.context = None

    def respond_again(self, octets: bytes) -> None:
        response = parse(octets)
        assert type(response) is Response
        self.hearer.heard_again(response)

    def abandon(self) -> None:
        """The context does not send a 408 (RFC 4320 4.2), but the client core hears of it (17.1.2.2)."""
        self.refuse(408)

    def target_flow(self, status: int) -> Flow | None:
        """The flow of the branch that has made a dialog, where nothing but it may lead to the peer (RFC 5626 5.3)."""
        branches = self.context.branches if self.context is not None and status < 300 else []
        answering = [branch for branch in branches if branch.final == status] or branches[:1]
        return answering[0].target.flow and answering[0].flow if answering else None

    def send_again(self, response: Response) -> bool:
        """With credentials, as a new transaction of the same call (22.2: same Call-ID, To and From, the next CSeq)."""
        request = self.request
        accounts = self.core.originated.accounts
        if not accounts or self.answered >= MOST_ANSWERS:
            return False
        fields = authorizations(response, request, accounts, self.core.ids.token())
        if fields is None:
            return False
        self.answered += 1
        headers = request.headers.copy()
        headers.remove(*[name.lower() for _, name in FIELDS])
        for name, value in fields:
            headers.add(name, value)
        number = request.cseq.number + 1 if self.dialog is None else self.dialog.next_number()
        headers.set("CSeq", f"{number} {request.method}")
        self.request = request.with_(headers=headers)
        self.to_tag = ""
        self.send()
        return True
