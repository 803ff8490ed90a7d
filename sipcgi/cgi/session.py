"""What the server remembers of a script between its runs in one transaction (RFC 3050 3.2, 3.3)."""

from __future__ import annotations

from sipcgi.cgi.output import Output
from sipcgi.cgi.routes import Route
from sipcgi.service import Cancelled, Event, RequestReceived, ResponseReceived


class Session:
    """The route, the cookie, the number of the run, and whether there is to be another one.

    A run of an `on_error` script goes through the same session, which has failed by then.
    """

    __slots__ = ("_last", "_running", "again", "cookie", "route", "run")

    def __init__(self, route: Route) -> None:
        self.route = route
        self.cookie: str | None = None
        self.run = 0
        """Of the last run, from 1; 0 before the first."""
        self.again = False
        """Whether the script asked to be run at the next message."""
        self._running = False
        self._last = False

    def wants(self, event: Event) -> bool:
        """Whether the script is to be run for it.

        RFC 3050 5.6.1.5: once for the request, then at the next message of the transaction after each CGI-AGAIN yes.
        A 100 neither runs it nor uses this up.
        """
        if self._last:
            return False
        if isinstance(event, RequestReceived):
            return self.run == 0
        if isinstance(event, ResponseReceived) and event.response.status == 100:
            return False
        return self.again

    def listening(self) -> bool:
        """Whether any later event may be wanted."""
        return not self._last and (self.run == 0 or self.again or self._running)

    def begin(self, event: Event) -> int:
        """A run begins, and its number; it uses up what the run before asked for. The one for a CANCEL is the last."""
        self.run += 1
        self.again = False
        self._running = True
        if isinstance(event, Cancelled):
            self._last = True
        return self.run

    def take(self, output: Output) -> None:
        """A run ended well. What one for a CANCEL, or one after a failure (`on_error`), asks for does not count."""
        self._running = False
        if self._last:
            return
        self.again = output.again
        if output.cookie is not None:
            self.cookie = output.cookie

    def fail(self) -> None:
        """A run failed: the script is not called again in this transaction."""
        self._running = False
        self.again = False
        self._last = True
