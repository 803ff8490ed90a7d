"""Phones: user agents over the real transaction layer, which do what a test says and write down what they hear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random

from network import Network, Socket

from sipcgi.engine.overload import Overload
from sipcgi.engine.transaction import ClientTransaction, ServerTransaction
from sipcgi.engine.transactions import Transactions
from sipcgi.flow import Flow, HostPort
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.complaint import Complaints
from sipcgi.sip import build
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri
from sipcgi.timerqueue import Timer
from sipcgi.transaction.timers import Timers

SERVER = HostPort("192.0.2.1", 5060)
Step = tuple[float | int | str | bytes, ...]
"""Seconds since the request, status, header fields as `Name: value`, and a body in bytes."""


class Call:
    """A request that a phone sent, and all that came back to it."""

    def __init__(self, phone: Phone, request: Request) -> None:
        self.phone = phone
        self.request = request
        self.client: ClientTransaction | None = None
        self.responses: list[Response] = []
        self.failure: int | None = None
        """408 or 503, when the phone itself gave up."""
        self.acks: dict[str, bytes] = {}

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]

    @property
    def final(self) -> Response:
        """The one final response."""
        finals = [response for response in self.responses if response.status >= 200]
        assert len(finals) == 1, self.statuses
        return finals[0]

    def response(self, response: Response, flow: Flow) -> None:
        self.responses.append(response)
        if self.request.method == "INVITE" and 200 <= response.status < 300:
            self.phone.acknowledge(self, response)

    def failed(self, status: int, why: str) -> None:
        self.failure = status

    def cancel(self) -> None:
        assert self.client is not None
        self.phone.transactions.cancel(self.client)

    def then(self, method: str, *fields: str, cseq: int = 2, answer: int = -1) -> Call:
        """A request in the dialog of the last answer."""
        return self.phone.send(self.phone.in_dialog(self, self.responses[answer], method, cseq, *fields))


class Answering:
    """A request that a phone received, on its way through the phone's plan."""

    def __init__(self, phone: Phone, request: Request, server: ServerTransaction, steps: list[Step]) -> None:
        self.phone = phone
        self.request = request
        self.server = server
        self.steps = list(steps)
        self.began = phone.network.now
        self.timer: Timer | None = None
        self.repeating: Timer | None = None
        self.interval = 0.5
        server.user = self
        self.go_on()

    def go_on(self) -> None:
        while self.steps:
            wait = float(self.steps[0][0]) + self.began - self.phone.network.now
            if wait > 1e-9:
                self.timer = self.phone.network.timers.start(wait, self.go_on)
                return
            self.respond(self.steps.pop(0))

    def respond(self, step: Step) -> None:
        response = self.phone.response(self.request, self.server.tag(), *step[1:])
        self.server.respond(response)
        if self.request.method == "INVITE" and 200 <= response.status < 300:
            self.phone.unacknowledged[response.call_id, response.to.tag] = self
            until = self.phone.network.now + 32
            self.repeating = self.phone.network.timers.start(0.5, self.repeat, response, until)

    def repeat(self, response: Response, until: float) -> None:
        """RFC 3261 13.3.1.4."""
        if self.phone.network.now >= until:
            del self.phone.unacknowledged[response.call_id, response.to.tag]
            return
        self.server.respond(response)
        self.interval = min(2 * self.interval, 4.0)
        self.repeating = self.phone.network.timers.start(self.interval, self.repeat, response, until)

    def acknowledged(self) -> None:
        if self.repeating is not None:
            self.repeating.cancel()

    def cancel(self, request: Request) -> None:
        if self.phone.obeys_cancel and self.server.user is not None:
            if self.timer is not None:
                self.timer.cancel()
            self.steps = []
            self.respond((0, 487))

    def trying(self) -> None:
        """Nothing to note."""


class Phone:
    """`says` is the address that it writes into its messages, where a NAT makes it another one."""

    def __init__(
        self, network: Network, name: str, host: str, *, port: int = 5060, says: str = "", transport: str = "UDP"
    ) -> None:
        self.network = network
        self.name = name
        self.transport = transport
        self.socket = Socket(
            network,
            HostPort(host, port),
            name,
            lambda message, flow: self.transactions.receive(message, flow),
            Log(lambda: network.now),
            HostPort(says or host, 5060 if says else port),
        )
        self.random = Random(name)
        self.ids = Ids(random=self.random.randbytes)
        overload = Overload(Complaints(Log(lambda: network.now)))
        self.transactions = Transactions(self.socket, network.timers, self.ids, Timers(), overload)  # type: ignore[arg-type]
        self.transactions.core = Listening(self)
        self.plans: dict[str, list[Step]] = defaultdict(lambda: [(0.0, 200)])
        self.requests: list[Request] = []
        """All requests that came, ACKs of a 2xx too, without repetitions."""
        self.unacknowledged: dict[tuple[str, str | None], Answering] = {}
        self.obeys_cancel = True
        self.acknowledges = True
        self.calls = 0

    @property
    def contact(self) -> str:
        suffix = "" if self.transport == "UDP" else f";transport={self.transport.lower()}"
        return f"sip:{self.name}@{self.socket.says}{suffix}"

    def answers(self, method: str, *steps: Step) -> None:
        """What it does when such a request comes; without steps it is silent. The plan for all is 200 at once."""
        self.plans[method] = list(steps)

    # As a client

    def request(
        self, method: str, uri: str, *fields: str, cseq: int = 1, call_id: str = "", body: bytes = b""
    ) -> Request:
        """A request without Via; `fields` take the place of those of their names, or come on top."""
        self.calls += 1
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                ("From", f"<sip:{self.name}@example.com>;tag={self.ids.tag()}"),
                ("To", f"<{uri}>"),
                ("Call-ID", call_id or f"{self.name}-{self.calls}"),
                ("CSeq", f"{cseq} {method}"),
                ("Contact", f"<{self.contact}>"),
            ]
        )
        seen: set[str] = set()
        for field in fields:
            name, _, value = field.partition(":")
            (headers.add if name in seen else headers.set)(name, value.strip())
            seen.add(name)
        headers.set("Content-Length", str(len(body)))
        return Request(method, uri, headers, body)

    def send(self, request: Request, to: HostPort | None = None) -> Call:
        """Through a client transaction, to the first Route, or to the server."""
        flow = self.socket.flow_to(self.transport, to or self.next_hop(request))
        branch = self.ids.branch()
        request.headers.prepend("Via", f"SIP/2.0/{self.transport} {self.socket.says};branch={branch};rport")
        call = Call(self, request)
        call.client = self.transactions.send(request, branch, flow, call)
        return call

    def calls_up(self, uri: str, *fields: str, method: str = "INVITE", body: bytes = b"") -> Call:
        return self.send(self.request(method, uri, *fields, body=body), SERVER)

    def throw(self, data: bytes, to: HostPort = SERVER) -> None:
        """Octets as they are, without a transaction."""
        self.socket.send(data, self.socket.flow_to(self.transport, to))

    def next_hop(self, request: Request) -> HostPort:
        routes = request.routes
        uri = routes[0].uri if routes else request.target
        assert isinstance(uri, SipUri)
        return HostPort(uri.address, uri.port or 5060)

    def in_dialog(self, call: Call, answer: Response, method: str, cseq: int, *fields: str) -> Request:
        """RFC 3261 12.2.1.1, as the caller."""
        uri = str(answer.contacts[0].uri)
        # 12.2: later answers say nothing of the route set
        later = call.request.to.tag is not None
        route_set = call.request.headers.elements("route") if later else answer.headers.elements("record-route")[::-1]
        routes = [f"Route: {route}" for route in route_set]
        headers = answer.headers
        same = [f"From: {headers.get('from')}", f"To: {headers.get('to')}"]
        return self.request(method, uri, *same, *routes, *fields, cseq=cseq, call_id=answer.call_id)

    def acknowledge(self, call: Call, answer: Response) -> None:
        """RFC 3261 13.2.2.4: for each 2xx, the same octets for the same one."""
        if not self.acknowledges:
            return
        tag = answer.to.tag or ""
        ack = self.in_dialog(call, answer, "ACK", answer.cseq.number)
        if tag not in call.acks:
            ack.headers.prepend("Via", f"SIP/2.0/{self.transport} {self.socket.says};branch={self.ids.branch()};rport")
            call.acks[tag] = bytes(ack)
        self.throw(call.acks[tag], self.next_hop(ack))

    # As a server

    def response(self, request: Request, tag: str, status: object, *parts: object) -> Response:
        assert isinstance(status, int)
        fields = [tuple(part.split(": ", 1)) for part in parts if isinstance(part, str)]
        body = b"".join([part for part in parts if isinstance(part, bytes)])
        if status < 300 and request.method in ("INVITE", "SUBSCRIBE") and not any(n == "Contact" for n, _ in fields):
            fields.append(("Contact", f"<{self.contact}>"))
        return build.response(request, status, to_tag=tag, headers=fields, body=body)  # type: ignore[arg-type]

    def replies(self, request: Request, status: int, *parts: str | bytes, tag: str = "other") -> None:
        """A response besides those of its transaction: of a fork further on, or a repeated one."""
        self.throw(bytes(self.response(request, tag, status, *parts)))

    def calls_back(self, request: Request, method: str, tag: str) -> Call:
        """A request in the dialog of an INVITE that it answered with `tag` (RFC 3261 12.1.1, 12.2.1.1)."""
        routes = [f"Route: {route}" for route in request.headers.elements("record-route")]
        ends = [f"From: {request.headers.get('to')};tag={tag}", f"To: {request.headers.get('from')}"]
        uri = str(request.contacts[0].uri)
        return self.send(self.request(method, uri, *ends, *routes, cseq=7, call_id=request.call_id))

    @property
    def got(self) -> Request:
        """The only INVITE that came."""
        (invite,) = [request for request in self.requests if request.method == "INVITE"]
        return invite

    def heard(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    # The core of its transaction layer

    def request_received(self, request: Request, server: ServerTransaction) -> None:
        Answering(self, request, server, self.plans[request.method])

    def ack(self, request: Request, flow: Flow) -> None:
        self.requests.append(request)
        answering = self.unacknowledged.pop((request.call_id, request.to.tag), None)
        if answering is not None:
            answering.acknowledged()


class Listening:
    """The core of a phone's transactions: `Phone.request` makes requests, this one takes them."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.ack: Callable[[Request, Flow], None] = phone.ack

    def admits(self, request: Request, flow: Flow, transactions: int) -> bool:
        return True

    def undelivered(self, octets: bytes, flow: Flow) -> None:
        """The server is gone; it is the phone's only one."""

    def request(self, request: Request, flow: Flow, server: ServerTransaction) -> None:
        self.phone.requests.append(request)
        self.phone.request_received(request, server)
