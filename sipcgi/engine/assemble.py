"""Makes a Core: the one place that knows which objects it takes, and which of them need the core itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcgi.dialog.token import TokenKey
from sipcgi.engine.answered import AnsweredDialogs
from sipcgi.engine.core import Core
from sipcgi.engine.domains import Domains
from sipcgi.engine.large import LargeRequests
from sipcgi.engine.location_service import LocationService
from sipcgi.engine.originated import Originated
from sipcgi.engine.overload import Overload
from sipcgi.engine.transactions import Transactions
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.complaint import Complaints
from sipcgi.registrar.store import LocationStore
from sipcgi.timerqueue import TimerQueue
from sipcgi.transaction.timers import Timers

if TYPE_CHECKING:
    from sipcgi.net.resolver import Resolver
    from sipcgi.net.transport import Transport


def assemble(
    *,
    transport: Transport,
    timers: TimerQueue,
    resolver: Resolver,
    ids: Ids,
    token_key: TokenKey,
    log: Log,
    spawn: Callable[..., None],
    store: LocationStore,
    domains: Domains,
) -> Core:
    """The core of a server. Its transactions still need whom they give requests to: `core.transactions.core`."""
    complaints = Complaints(log, timers.now)
    overload = Overload(complaints)
    core = Core(
        transport=transport,
        timers=timers,
        resolver=resolver,
        ids=ids,
        token_key=token_key,
        log=log,
        spawn=spawn,
        transactions=Transactions(transport, timers, ids, Timers(), overload),
        locations=LocationService(store, domains, timers, transport),
        answered=AnsweredDialogs(),
        large=LargeRequests(transport, timers),
        overload=overload,
        originated=Originated(),
        complaints=complaints,
    )
    core.answered.core = core.originated.core = core
    return core
