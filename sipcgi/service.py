"""The waist of the house: what happened (events), what to do about it (actions), and who decides (services).

A script, the registrar and the default route are one thing here: a function from an event to actions. The actions are
RFC 3050's output (5.6.1), named once. Nothing else crosses between the deciding side and engine/context.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sipcgi.compiled.quick import quick
from sipcgi.flow import Flow
from sipcgi.sip.message import Request, Response


@quick
@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision may want to know of the transaction at the moment of an event."""

    pending: int = 0
    """Branches without a final response."""
    best: int | None = None
    """Status of the best final response so far."""


NOTHING_PENDING = Situation()


@quick
@dataclass(slots=True)
class RequestReceived:
    """The initial request of a transaction."""

    request: Request
    situation: Situation = NOTHING_PENDING


@quick
@dataclass(slots=True)
class ResponseReceived:
    """A response to a relayed or generated request, received or, when `local`, of the server itself (RFC 3050 5.8)."""

    response: Response
    token: str
    """Names this response in a later ForwardResponse (RFC 3050 5.5.1.16)."""
    request_token: str | None
    target: str
    """The URI that the request was sent to."""
    local: bool
    flow: Flow | None
    """By which it came; None for a local one."""
    situation: Situation = NOTHING_PENDING
    generated: bool = False
    """Whether it answers a request that the service has generated, not a relayed one."""


@quick
@dataclass(slots=True)
class TimerFired:
    """The time of a WakeAfter has come."""

    situation: Situation = NOTHING_PENDING


@quick
@dataclass(slots=True)
class Cancelled:
    """The caller cancelled the initial request (RFC 3050 5.10)."""

    request: Request
    situation: Situation = NOTHING_PENDING


@quick
@dataclass(slots=True)
class AckReceived:
    """The ACK of a 2xx that the service itself gave (RFC 3050 5.11.1); it may come another way than the INVITE."""

    request: Request
    flow: Flow
    situation: Situation = NOTHING_PENDING


Event = RequestReceived | ResponseReceived | TimerFired | Cancelled | AckReceived


@quick
@dataclass(frozen=True, slots=True)
class Edits:
    """Changes to the message that an action sends (RFC 3050 5.6.1.2, 5.6.2.2)."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    """Name as spelt and value, in order; they replace all fields of that name."""
    remove: frozenset[str] = frozenset()
    """Canonical names (sip/headers) of fields to leave out."""
    body: bytes | None = None
    """None keeps the body, b"" deletes it together with Content-Type."""

    def sets(self, name: str) -> bool:
        """Whether there is a field of that name, given in lower case."""
        for one, _ in self.headers:  # noqa: SIM110 of few, without a generator
            if one.lower() == name:
                return True
        return False


NO_EDITS = Edits()


@quick
@dataclass(slots=True)
class Reply:
    """Answer the initial request (RFC 3050 5.6.1.1)."""

    status: int
    reason: str
    edits: Edits = NO_EDITS
    line: int = 0


@quick
@dataclass(slots=True)
class Relay:
    """Forward the initial request to `uri` (RFC 3050 5.6.1.2); several are parallel forking."""

    uri: str
    edits: Edits = NO_EDITS
    request_token: str | None = None
    timeout: float | None = None
    """Seconds after which the server cancels and makes a local 408 (RFC 3050 5.7)."""
    line: int = 0


@quick
@dataclass(slots=True)
class ForwardResponse:
    """Send a response upstream (RFC 3050 5.6.1.3); `token` is one of a ResponseReceived, or "this"."""

    token: str
    edits: Edits = NO_EDITS
    line: int = 0


@quick
@dataclass(slots=True)
class WakeAfter:
    """Tell the service again after so many seconds, unless a message comes first (RFC 3050 3.6)."""

    seconds: float
    line: int = 0


@quick
@dataclass(slots=True)
class Originate:
    """Send a request of our own (RFC 3050 3.1, 5.11.2), in the dialog of its token where there is one."""

    method: str
    uri: str
    edits: Edits = NO_EDITS
    """All of its header fields and its body, as far as the server does not make them."""
    request_token: str | None = None
    timeout: float | None = None
    """Seconds after which the server cancels and makes a local 408."""
    line: int = 0
    script: str = ""
    """The name of the script that asks for it."""


Action = Reply | Relay | ForwardResponse | WakeAfter | Originate


class Pending:
    """A decision that is still being made. Exactly one of `resolve` and `abandon` ends it."""

    _actions: Sequence[Action] | None = None
    _then: Callable[[Sequence[Action]], None] | None = None

    def then(self, callback: Callable[[Sequence[Action]], None]) -> None:
        """Calls `callback` with the actions, at once when they are there already."""
        if self._actions is not None:
            callback(self._actions)
        else:
            self._then = callback

    def resolve(self, actions: Sequence[Action]) -> None:
        self._actions = actions
        if self._then is not None:
            callback, self._then = self._then, None
            callback(actions)

    def abandon(self) -> None:
        """Nobody waits for it any more: what works on it is ended."""
        self._then = None


class Service(Protocol):
    """Decides for one transaction.

    No decision, or none but WakeAfter and Originate, is the default action (RFC 3050 5.6.1.6).
    """

    def wants(self, event: Event) -> bool:
        """Whether `decide` is to be called for what follows the request (CGI-AGAIN lives behind this)."""

    def listening(self) -> bool:
        """Whether any later event may be wanted."""

    def decide(self, event: Event) -> Sequence[Action] | Pending: ...


class Default:
    """What the default services have in common: they decide for the request alone."""

    __slots__ = ()

    def wants(self, event: Event) -> bool:
        return False

    def listening(self) -> bool:
        return False
