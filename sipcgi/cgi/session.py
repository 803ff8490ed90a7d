"""What the server remembers of a script between its runs in one transaction (RFC 3050 3.2, 3.3)."""

from __future__ import annotations

from sipcgi.cgi.output import Output
from sipcgi.cgi.routes import Route
from sipcgi.service import Cancelled, Event, RequestReceived, ResponseReceived, TimerFired, WakeAfter


class Session:
    """The route, the cookie, the number of the run, and whether there is to be another one.

    A run of an `on_error` script goes through the same session, which has failed by then. Each script of a route that
    names several has a session of its own.
    """

    cookie: str | None = None
    run = 0
    """Of the last run, from 1; 0 before the first."""
    again = False
    """Whether the script asked to be run at the next message."""
    listening = False
    """Whether any later event may be wanted. A script that never had its turn will not have one."""
    _timed = False
    _last = False

    def __init__(self, route: Route) -> None:
        self.route = route

    def wants(self, event: Event) -> bool:
        """Whether the script is to be run for it.

        RFC 3050 5.6.1.5: once for the request, then at the next message of the transaction after each CGI-AGAIN yes.
        A 100 neither runs it nor uses this up. A timer runs the script that has set it.
        """
        if self._last:
            return False
        if isinstance(event, RequestReceived):
            return self.run == 0
        if isinstance(event, ResponseReceived) and event.response.status == 100:
            return False
        return self.again and (self._timed or not isinstance(event, TimerFired))

    def begin(self, event: Event) -> int:
        """A run begins, and its number; it uses up what the run before asked for. The one for a CANCEL is the last."""
        self.run = run = self.run + 1
        self.again = False
        if isinstance(event, Cancelled):
            self._last = True
        self.listening = not self._last
        return run

    def take(self, output: Output) -> None:
        """A run ended well. What one for a CANCEL, or one after a failure (`on_error`), asks for does not count."""
        if self._last:
            return
        self.again = self.listening = again = output.again
        self._timed = again and any(isinstance(action, WakeAfter) for action in output.actions)
        if output.cookie is not None:
            self.cookie = output.cookie

    def fail(self) -> None:
        """A run failed: the script is not called again in this transaction."""
        self.again = self.listening = False
        self._last = True
