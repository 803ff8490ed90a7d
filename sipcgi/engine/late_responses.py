"""What remains of a request context for as long as its client transactions may hear of further 2xx."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sipcgi.engine.upstream import framed
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.proxy.responses import Ends, side, upstream
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Response
from sipcgi.sip.splice import ends_of, forget_cgi_fields

if TYPE_CHECKING:
    from sipcgi.engine.upstream import Server


class LateResponses:
    """The user of a client transaction whose context is gone: further 2xx to the INVITE (RFC 3261 16.7 item 5)."""

    __slots__ = ("lines", "ours", "server", "successes")

    def __init__(self, server: Server, successes: dict[str, bytes], ends: Ends) -> None:
        self.server = server
        self.successes = successes
        self.lines = ends_of(ends.fields)
        """From and To: all that outlives the request, in as few objects as can be."""
        self.ours = ends.ours

    def response(self, response: Response, flow: Flow) -> None:
        if 200 <= response.status < 300:
            server = self.server
            first = self.successes.get(side(response))
            with suppress(ParseError):  # no Via left: it was not for our upstream
                if first is None:
                    forget_cgi_fields(response.headers)
                    ends = Ends(Headers.of(["from", "to"], [*self.lines]), self.ours)
                    first = bytes(framed(upstream(response, ends), server.flow))
                server.respond_again(first)

    def failed(self, status: int, why: str) -> None:
        """Nobody is left to tell."""
