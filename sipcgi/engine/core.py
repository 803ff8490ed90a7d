"""What the contexts of one server share: a bundle of references, without a mind of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcgi.dialog.token import TokenKey
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.complaint import Complaints
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from sipcgi.engine.answered import AnsweredDialogs
    from sipcgi.engine.large import LargeRequests
    from sipcgi.engine.location_service import LocationService
    from sipcgi.engine.originated import Originated
    from sipcgi.engine.overload import Overload
    from sipcgi.engine.transactions import Transactions
    from sipcgi.net.resolver import Resolver
    from sipcgi.net.transport import Transport


@dataclass(slots=True)
class Core:
    """The proxy core (RFC 3261 6): see engine/assemble."""

    transport: Transport
    timers: TimerQueue
    resolver: Resolver
    ids: Ids
    token_key: TokenKey
    log: Log
    spawn: Callable[..., None]
    """`spawn(async function, *arguments)` starts a task of the server."""
    transactions: Transactions
    locations: LocationService
    answered: AnsweredDialogs
    large: LargeRequests
    overload: Overload
    originated: Originated
    complaints: Complaints
    """What goes wrong out there, said seldom."""
