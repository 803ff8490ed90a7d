"""The registrar as a service: read, decide (registrar/register), write (RFC 3261 10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipcgi.engine.domains import Domains
from sipcgi.errors import ParseError, Refused
from sipcgi.flow import Flow
from sipcgi.registrar.register import Limits, address_of_record, register
from sipcgi.registrar.store import LocationStore
from sipcgi.service import Action, Edits, Reply
from sipcgi.sip.message import Request


class RegistrarService:
    """Answers REGISTER. `now` counts as Binding.expires_at does; `date` gives the value of Date (RFC 3261 20.17)."""

    def __init__(
        self,
        store: LocationStore,
        domains: Domains,
        now: Callable[[], float],
        date: Callable[[], str],
        limits: Limits | None = None,
    ) -> None:
        self.store = store
        self.domains = domains
        self.now = now
        self.date = date
        self.limits = limits or Limits()

    def decide(self, request: Request, flow: Flow) -> Sequence[Action]:
        now = self.now()
        try:
            aor = address_of_record(request, self.domains.hold)
            done = register(request, self.store.bindings(aor, now), now=now, flow=flow, limits=self.limits)
        except Refused as refusal:
            return [Reply(refusal.status, refusal.reason or "", Edits(list(refusal.headers)))]
        except ParseError as error:
            return [Reply(error.status, f"Malformed {error.header or 'request'}")]
        if done.changed:
            self.store.replace(aor, done.bindings)
        return [Reply(200, "", Edits([*done.headers, ("Date", self.date())]))]  # RFC 3261 10.3 item 8
