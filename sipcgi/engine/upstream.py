"""The upstream side of a request context: what has gone back to the client, and when (RFC 3261 16.7 items 5, 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipcgi.compiled import compiled
from sipcgi.flow import Flow, HostPort
from sipcgi.logs import AccessRecord
from sipcgi.proxy.breadth import Breadth
from sipcgi.proxy.loop import loop_hash
from sipcgi.proxy.responses import Ends, side
from sipcgi.sip import build
from sipcgi.sip.lazy import lazy
from sipcgi.sip.message import Request, Response

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.transaction import ServerUser


LARGEST_DATAGRAM = 65507
"""Octets that UDP carries over IPv4; over IPv6 it is a few more."""


class Server(Protocol):
    """What takes the responses: a server transaction, or a branch of another context (engine/rerouted)."""

    flow: Flow
    last: bytes
    """The octets of the last response."""
    user: ServerUser | None

    def tag(self) -> str: ...

    def respond(self, response: Response) -> None: ...

    def respond_again(self, octets: bytes) -> None: ...

    def abandon(self) -> None: ...


class Upstream:
    """A server transaction with the memory of what it was given to send. Raises ParseError (Max-Breadth)."""

    final: int | None = None
    """The status of the first final response."""
    logged = False
    second = ""

    def __init__(self, server: Server, request: Request, record: AccessRecord, core: Core) -> None:
        self.server = server
        self.request = request
        self.record = record
        self.core = core
        self.began = core.timers.now()
        self.invite = request.method == "INVITE"
        if "max-breadth" in request.headers.names:
            self.breadth = Breadth.of(request)

    @lazy
    def breadth(self) -> Breadth:
        """How many branches may be active at once (RFC 5393 5.3)."""
        return Breadth()

    @lazy
    def successes(self) -> dict[str, bytes]:
        """The octets of each 2xx to an INVITE, by To tag: a repeated one leaves as the first did."""
        return {}

    @lazy
    def ends(self) -> Ends:
        """What the request says of its two ends."""
        return Ends.of(self.request)

    @lazy
    def datagrams(self) -> bool:
        """Whether responses leave as such, which limits their size."""
        return self.server.flow.transport == "UDP"

    def share(self, outer: Upstream) -> None:
        """What is proxied inwards is the request that came: its time, its breadth, and its hash if it comes back."""
        self.began, self.breadth, self.second = outer.began, outer.breadth, outer.loop_hash()

    def elapsed(self) -> float:
        """Seconds since the request came."""
        return self.core.timers.now() - self.began

    def trying(self) -> None:
        """A 100 was sent."""
        if self.record.to_100 is None:
            self.record.to_100 = self.elapsed()

    def progress(self, response: Response) -> None:
        """Sends a provisional response; nothing after a final one."""
        if self.final is not None or (self.datagrams and not self.fits(response)):
            return
        if response.status == 100:
            self.trying()
        elif self.record.to_180 is None:
            self.record.to_180 = self.elapsed()
        self.server.respond(response if self.datagrams else framed(response, self.server.flow))

    def finish(self, response: Response) -> bool:
        """Sends a final response, unless one was sent; a 2xx to an INVITE leaves all the same. False: not sent.

        One that cannot leave becomes a 500, so that the client is not left waiting.
        """
        if self.datagrams and not self.fits(response):
            response = self.local(500)
        status = response.status
        success = self.invite and status < 300
        if self.final is None:
            record = self.record
            self.final = record.status = status
            record.to_final = self.elapsed()
        elif not success:
            return False
        if status == 408 and not self.invite:
            self.server.abandon()  # RFC 4320 4.2: never a 408, but silence
            return True
        self.server.respond(response if self.datagrams else framed(response, self.server.flow))
        if success:
            self.successes[side(response)] = self.server.last
        return True

    def repeated(self, response: Response) -> bool:
        """Whether this is a 2xx to an INVITE that was sent before; then it is sent again as it was."""
        if not (self.successes and 200 <= response.status < 300):
            return False
        octets = self.successes.get(side(response))
        if octets is None:
            return False
        self.server.respond_again(octets)
        return True

    def loop_hash(self) -> str:
        """The second part of the branch of all that the request is forwarded as (RFC 5393 4.2)."""
        if not self.second:
            self.second = loop_hash(self.request)
        return self.second

    def local(self, status: int) -> Response:
        """A response that the server makes itself, in the shape in which it leaves."""
        return build.response(self.request, status, to_tag=self.server.tag())

    def fits(self, response: Response) -> bool:
        """Whether it can leave the way the request came, as it must (RFC 3261 18.2.2); if not, it is said."""
        if not self.datagrams or 4 * sum(map(len, response.headers.lines)) + len(response.body) < LARGEST_DATAGRAM:
            return True
        octets = len(bytes(response))
        if octets <= LARGEST_DATAGRAM:
            return True
        text = f"{response.status} not sent over UDP to {self.server.flow.remote}: {octets} octets fit into no datagram"
        self.core.log.warning(f"{text} ({self.request.call_id})")
        return False

    def note(self) -> None:
        """The access line, once."""
        if not self.logged:
            self.logged = True
            self.core.log.access(self.record)


def record_of(request: Request, remote: HostPort) -> AccessRecord:
    """What can be said of a transaction at its beginning. Raises ParseError without a Call-ID."""
    return plain_record(AccessRecord, request, remote) or access_record(request, str(remote), request.call_id)


@compiled
def plain_record(_kind: type[AccessRecord], _request: Request, _remote: HostPort) -> AccessRecord | None:
    """The same, if the compiled part takes it."""
    return None


def access_record(request: Request, source: str, call_id: str) -> AccessRecord:
    """The same of a request that may lack something, or came from nowhere."""
    get = request.headers.get
    return AccessRecord(request.method, get("from") or "", get("to") or "", request.uri, source, call_id)


def framed(response: Response, flow: Flow) -> Response:
    """With the Content-Length that a stream needs and a datagram may lack (RFC 3261 20.14)."""
    if flow.transport == "UDP" or "content-length" in response.headers.names:
        return response
    return response.with_body(response.body)
