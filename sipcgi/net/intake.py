"""What happens to a message between the socket and the engine (RFC 3261 18.1.2 and 18.2.1, RFC 3581 section 4)."""

import traceback
from collections.abc import Callable

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError, Unreachable
from sipcgi.flow import Flow
from sipcgi.net.address import numeric
from sipcgi.net.complaint import Complaints
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import KINDS, MessageError, parse

Receive = Callable[[Request | Response, Flow], None]
Answer = Callable[[Response, Request, Flow], None]


@compiled
class Arrivals:
    """Datagrams in which all is plain."""

    receive: Receive
    sent_bys: set[str]

    def plain(self, datagram: bytes, flow: Flow) -> bool:
        """Takes a datagram with a plain message; whether it did, as the compiled part alone does."""
        return False


class Intake(Arrivals):
    """Parses, completes the top Via, hands over to `receive`, and answers what no one above can have understood.

    `sent_bys` are ours, for responses; `answer` sends the response to a request that came over a flow, when it was not
    understood or a bug kept the rest from answering.
    With `guard` an exception out of `receive` ends in the log and a 500, else in the caller.
    """

    kinds = KINDS
    """What the compiled part makes and looks into."""

    def __init__(
        self,
        receive: Receive,
        answer: Answer,
        sent_bys: set[str],
        complaints: Complaints,
        guard: bool,
    ) -> None:
        self.receive = receive
        self.answer = answer
        self.sent_bys = sent_bys
        self.complaints = complaints
        self.guard = guard

    def datagram(self, octets: bytes, flow: Flow) -> None:
        """What came in one, a message or not."""
        if not self.plain(octets, flow):
            self.unusual(octets, flow)

    def unusual(self, octets: bytes, flow: Flow) -> None:
        """A datagram that is not plain."""
        try:
            message = parse(octets)
        except ParseError as error:
            self.unparsable(error, flow)
        except Exception as error:
            self.failed(None, flow, error)
        else:
            self.message(message, flow)

    def message(self, message: Request | Response, flow: Flow) -> None:
        """One that parsed."""
        try:
            via = message.via
            if type(message) is Response:
                if via.sent_by not in self.sent_bys:
                    # RFC 3261 18.1.2: MUST be silently discarded
                    self.complaints.counts["response to another sent-by"] += 1
                    return
            elif not via.bare or via.host != flow.remote.host:
                assert type(message) is Request
                stamp(message, flow)
            self.receive(message, flow)
        except Exception as error:
            self.raised(message, flow, error)

    def raised(self, message: Request | Response | None, flow: Flow, error: Exception) -> None:
        """Out of `receive`, while it had that message."""
        if isinstance(error, ParseError):  # a typed value that somebody above was the first to look at
            self.refuse(error, message, flow)
        else:
            self.failed(message, flow, error)

    def unparsable(self, error: ParseError, flow: Flow) -> None:
        """A message that does not parse: answered when enough of a request was understood, else dropped."""
        request = error.message if isinstance(error, MessageError) else None
        if request is not None:
            try:
                stamp(request, flow)
            except ParseError:
                request = None  # no Via, no way back
        self.refuse(error, request, flow)

    def refuse(self, error: ParseError, message: Request | Response | None, flow: Flow) -> None:
        self.complaints.say("does not parse", f"{flow.transport} {flow.remote}: does not parse: {error}")
        self.reject(message, error.status, flow)

    def failed(self, message: Request | Response | None, flow: Flow, error: Exception) -> None:
        """The one guard, for exceptions that are bugs."""
        if not self.guard:
            raise error
        self.complaints.counts["bug"] += 1
        self.crashed("a message from", flow, error)
        try:
            self.reject(message, 500, flow)
        except Exception as another:  # the bug is on the way back
            self.crashed("a 500 to", flow, another)

    def crashed(self, what: str, flow: Flow, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        self.complaints.log.crash(f"{what} {flow.transport} {flow.remote}:\n{trace}")

    def reject(self, message: Request | Response | None, status: int, flow: Flow) -> None:
        """Never an ACK, never a response (RFC 3261 8.2.7, 17)."""
        if not isinstance(message, Request) or message.method == "ACK":
            return
        try:
            tag = format(hash((message.call_id, str(flow))) & 0xFFFFFFFF, "x")  # 8.2.7: the same for a retransmission
            self.answer(build.response(message, status, to_tag=tag), message, flow)
        except (ParseError, Unreachable) as error:
            self.complaints.say("not answered", f"{flow.transport} {flow.remote}: not answered: {error}")


def stamp(request: Request, flow: Flow) -> None:
    """Adds received and rport to the top Via. Raises ParseError.

    They always tell the real source: what the peer wrote there itself is replaced.
    """
    via, source = request.via, flow.remote
    # RFC 3581 section 4: with rport received too, even if it says what sent-by says
    if "rport" in via.params and via.rport is not None:
        request.replace_top_via(via.with_(received=source.host.partition("%")[0], rport=source.port))
    elif "received" in via.params or (via.host != source.host and numeric(via.host) != source.host):
        request.replace_top_via(via.with_(received=source.host.partition("%")[0]))  # RFC 3261 18.2.1
