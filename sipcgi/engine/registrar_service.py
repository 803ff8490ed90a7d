"""The registrar as a service: read, decide (registrar/register), write (RFC 3261 10.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sipcgi.engine.domains import Domains
from sipcgi.engine.reachable import Reachable
from sipcgi.errors import ParseError, Refused
from sipcgi.flow import Flow
from sipcgi.registrar.register import address_of_record, register
from sipcgi.service import Action, Edits, Pending, Reply
from sipcgi.sip.message import Request


class RegistrarService:
    """Answers REGISTER. `now` counts as Binding.expires_at does; `date` gives the value of Date (RFC 3261 20.17)."""

    def __init__(
        self,
        reachable: Reachable,
        domains: Domains,
        now: Callable[[], float],
        date: Callable[[], str],
    ) -> None:
        self.reachable = reachable
        self.domains = domains
        self.now = now
        self.date = date

    def decide(self, request: Request, flow: Flow) -> Sequence[Action] | Pending:
        """Pending as long as the store needs to make safe what the 200 promises, or a 500 where it cannot."""
        now = self.now()
        try:
            aor = address_of_record(request, self.domains.register)
            settings = self.domains.of_register(request)
            before = self.reachable.bindings(aor)
            done = register(request, before, now=now, flow=flow, limits=settings.limits)
        except Refused as refusal:
            return [Reply(refusal.status, refusal.reason or "", Edits(list(refusal.headers)))]
        except ParseError as error:
            return [Reply(error.status, f"Malformed {error.header or 'request'}")]
        headers = [*done.headers, ("Date", self.date())]  # RFC 3261 10.3 item 8
        if settings.service_route:  # RFC 3608 6.3
            headers.append(("Service-Route", ", ".join([f"<{uri}>" for uri in settings.service_route])))
        if done.outbound and settings.flow_timer and "path" not in request.headers:
            headers.append(("Flow-Timer", str(settings.flow_timer)))  # RFC 5626 6: of a direct flow
        answer = [Reply(200, "", Edits(headers))]
        saving = self.reachable.store.replace(aor, done.bindings) if done.changed else None
        late = self.reachable.late
        if saving is None:
            late.registered(aor, before, done.bindings)
            return answer
        pending = Pending()

        def saved(error: OSError | None) -> None:
            # RFC 3261 10.3 item 7: the request fails when the updates cannot be committed
            pending.resolve(answer if error is None else [Reply(500, "Registration Not Saved")])
            if error is None:
                late.registered(aor, before, done.bindings)

        saving.then(saved)
        return pending
