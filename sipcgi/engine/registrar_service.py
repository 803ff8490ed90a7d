"""The registrar as a service: read, decide (registrar/register), write (RFC 3261 10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipcgi.engine.domains import Domains
from sipcgi.errors import ParseError, Refused
from sipcgi.flow import Flow
from sipcgi.registrar.register import Limits, address_of_record, register
from sipcgi.registrar.store import LocationStore
from sipcgi.service import Action, Edits, Pending, Reply
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

    def decide(self, request: Request, flow: Flow) -> Sequence[Action] | Pending:
        """Pending as long as the store needs to make safe what the 200 promises, or a 500 where it cannot."""
        now = self.now()
        try:
            aor = address_of_record(request, self.domains.hold)
            done = register(request, self.store.bindings(aor, now), now=now, flow=flow, limits=self.limits)
        except Refused as refusal:
            return [Reply(refusal.status, refusal.reason or "", Edits(list(refusal.headers)))]
        except ParseError as error:
            return [Reply(error.status, f"Malformed {error.header or 'request'}")]
        answer = [Reply(200, "", Edits([*done.headers, ("Date", self.date())]))]  # RFC 3261 10.3 item 8
        saving = self.store.replace(aor, done.bindings) if done.changed else None
        if saving is None:
            return answer
        pending = Pending()

        def saved(error: OSError | None) -> None:
            # RFC 3261 10.3 item 7: the request fails when the updates cannot be committed
            pending.resolve(answer if error is None else [Reply(500, "Registration Not Saved")])

        saving.then(saved)
        return pending
