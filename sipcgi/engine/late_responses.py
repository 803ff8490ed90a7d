"""What remains of a request context for as long as its client transactions may hear of further 2xx."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sipcgi.engine.upstream import framed
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.proxy.responses import without_top_via
from sipcgi.sip.message import Response

if TYPE_CHECKING:
    from sipcgi.engine.transactions import ServerTransaction


class LateResponses:
    """The user of a client transaction whose context is gone: further 2xx to the INVITE (RFC 3261 16.7 item 5)."""

    __slots__ = ("server", "successes")

    def __init__(self, server: ServerTransaction, successes: dict[str, bytes]) -> None:
        self.server = server
        self.successes = successes

    def response(self, response: Response, flow: Flow) -> None:
        if 200 <= response.status < 300:
            server = self.server
            first = self.successes.get(response.to.tag or "")
            with suppress(ParseError):  # no Via left: it was not for our upstream
                server.respond_again(first or bytes(framed(without_top_via(response), server.flow)))

    def failed(self, status: int) -> None:
        """Nobody is left to tell."""
