"""The transport layer as the engine sees it (RFC 3261 section 18): all sockets, whatever protocol they speak."""

import errno
import socket
from collections.abc import Iterable, Set

import trio

from sipcgi.compiled import compiled
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import tcp, udp
from sipcgi.net.address import bracketed, canonical, numeric
from sipcgi.net.complaint import Complaints, Log
from sipcgi.net.endpoint import DEFAULT_PORTS, CannotListen, Endpoint, Listener, url
from sipcgi.net.holder import holder
from sipcgi.net.identity import Identity, machine_names
from sipcgi.net.intake import Answer, Intake, Receive
from sipcgi.net.interface import WILDCARDS, Sources, addresses
from sipcgi.net.pool import Failed, Pool
from sipcgi.net.scheme import Codings, codings
from sipcgi.sip.message import Request, Response
from sipcgi.threads import in_thread
from sipcgi.watch import Watch

Key = tuple[str, HostPort]
_MOST_WAYS = 4096
_NO_SUCH_ADDRESS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class _Endpoints(dict[Key, Endpoint]):
    """Those that there are. Raises Unreachable for one that is gone."""

    def __missing__(self, key: Key) -> Endpoint:
        raise Unreachable(f"{key[0].lower()} {key[1]}: not listening there any more")


@compiled
class Sender:
    """Sending by the socket of a flow, and finding the flow in the usual cases."""

    _endpoints: _Endpoints
    _ways: dict[HostPort, Flow]
    """The flows by UDP to those that something went to, as far as one socket alone leads there."""

    def send(self, data: bytes, flow: Flow) -> None:
        """Never waits. Raises Unreachable; what fails later is told to `failed`."""
        self._endpoints[flow[:2]].send(data, flow)

    def sent_by(self, flow: Flow) -> str:
        """host:port for Via, Record-Route and Contact; the address itself when that socket is closed."""
        try:
            return self._endpoints[flow[:2]].sent_by
        except Unreachable:
            return str(flow.local)

    def flow_to(self, transport: str, remote: HostPort, name: str | None = None, sent_by: str = "") -> Flow:
        """The flow by which a request goes to a numeric address. Raises Unreachable.

        Of several sockets that may do, it leaves from the one of `sent_by`, if there is one (RFC 5658 3.2).

        `name` is the domain that led there: over TLS, the server's certificate must be for it, and without a name
        for the address (RFC 3261 26.3.2.2). A WebSocket is only to be reached while it is connected to us.
        """
        if transport == "UDP" and (way := self._ways.get(remote)) is not None:
            return way
        return self.new_flow(transport, remote, name, sent_by)

    def response_flow(self, message: Request | Response, flow: Flow) -> Flow:
        """Where the response to a request goes that came over `flow` (RFC 3261 18.2.2, RFC 3581 section 4).

        `message` is either of them: their top Via is the same.
        """
        via = message.via
        if via.bare and flow[0] == "UDP" and (via.port or 5060) == flow[2][1]:
            return flow
        return self.other_flow(message, flow)

    def new_flow(self, transport: str, remote: HostPort, name: str | None = None, sent_by: str = "") -> Flow:
        raise NotImplementedError

    def other_flow(self, message: Request | Response, flow: Flow) -> Flow:
        raise NotImplementedError


class Transport(Sender):
    """Gives what arrives to `receive`, and sends without ever waiting.

    `failed(flow, error)` is called when messages that `send` had taken for a stream were lost, or when ICMP says that
    a datagram did not arrive; with Closed when a connection that was used has ended; never while `send` runs. Without
    `guard` an exception out of `receive` is not caught (for tests). `watch` tells of datagrams; None: one of its own.
    """

    def __init__(
        self,
        receive: Receive,
        log: Log,
        *,
        failed: Failed = lambda flow, error: None,
        guard: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self.log = log
        self._watch = watch
        self.complaints = Complaints(log)
        self._failed = failed
        self._identity = Identity()
        self.is_ours = self._identity.is_ours
        """Whether an address or name of this machine with that port leads to us; None is the default port."""
        self._names: set[str] = set()
        self._sources = Sources()
        self._intake = Intake(receive, self._answer, self._identity.sent_bys, self.complaints, guard)
        self._pool: Pool | None = None
        self._left_out: dict[str, dict[str, None]] = {}
        """Link-local addresses, and the listeners that do without them."""
        self._told: set[str] = set()
        self._asked: dict[Key, Endpoint] = {}
        self._endpoints = _Endpoints()
        self._choices: dict[tuple[str, bool], list[Endpoint]] = {}
        self._ways = {}

    def give_to(self, receive: Receive, answer: Answer) -> None:
        """What arrives, from now on; `answer` takes the responses to what `receive` failed at."""
        self._intake.receive = receive
        self._intake.answer = answer

    async def open(self, nursery: trio.Nursery, listeners: Iterable[Listener]) -> None:
        """Listens there and nowhere else: a later call opens what is new and closes what is no longer wanted.

        Certificates are read again, and count for the connections to come. Raises OSError, which names the listener,
        and has then changed nothing.
        """
        if self._pool is None:
            self._pool = Pool(nursery, self._intake, self.complaints, self._failed)
            self._names = await machine_names()
        if self._watch is None:
            self._watch = Watch()
            nursery.start_soon(self._watch.serve)
        wanted = await self._wanted(listeners)
        spoken = await codings(wanted)
        opened: dict[Key, Endpoint] = {}
        try:
            for key, listener in wanted.items():
                if key not in self._asked and (endpoint := self._bind(key, listener, spoken)) is not None:
                    opened[key] = endpoint
            if wanted.keys().isdisjoint(self._asked.keys() | opened.keys()):
                raise OSError("there is no address to listen on")
        except OSError as error:
            for endpoint in opened.values():
                endpoint.close()
            cause = error.__cause__
            in_use = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
            if in_use and isinstance(error, CannotListen):
                raise CannotListen(listener, f"{error.why}: {await in_thread(holder, *key)}") from cause
            raise
        for key in self._asked.keys() - wanted.keys():
            self._asked.pop(key).close()
        self._asked.update(opened)
        for key, endpoint in self._asked.items():
            advertised = wanted[key].advertise or endpoint.local.host
            endpoint.sent_by = f"{bracketed(advertised)}:{endpoint.local.port}"
            if isinstance(endpoint, tcp.TcpEndpoint):
                endpoint.codings = spoken[key]
        self._learn()
        self._tell_left_out()
        for endpoint in opened.values():
            nursery.start_soon(endpoint.serve)

    async def _wanted(self, listeners: Iterable[Listener]) -> dict[Key, Listener]:
        """Each socket to have, with its listener; a wildcard yields to what is named."""
        wanted: dict[Key, Listener] = {}
        self._left_out.clear()
        for listener in sorted(listeners, key=lambda one: numeric(one.host) in WILDCARDS):
            try:
                hosts, left_out = await addresses(listener.host)
            except OSError as error:
                raise CannotListen(listener, error.strerror or str(error)) from error
            if left_out:
                self._left_out.setdefault(", ".join(left_out), {})[url(listener)] = None
            if not hosts:
                self.log.info(f"{url(listener)}: there is no such address on this machine")
            for host in hosts:
                wanted.setdefault((listener.scheme.upper(), HostPort(host, listener.port)), listener)
        return wanted

    def _tell_left_out(self) -> None:
        """Once for all listeners, and not again when the configuration was read again and nothing has changed."""
        for hosts, urls in self._left_out.items():
            text = f"{', '.join(urls)}: link-local addresses are left out: {hosts}"
            if text not in self._told:
                self.log.info(text)
                self._told.add(text)

    def _bind(self, key: Key, listener: Listener, spoken: dict[Key, Codings]) -> Endpoint | None:
        """None for an address of a wildcard that the machine has, but does not let us use (yet)."""
        transport, (host, port) = key
        assert self._pool is not None
        endpoint: Endpoint
        try:
            if transport == "UDP":
                endpoint = self._datagrams(udp.open_socket(host, port))
            else:
                sock = tcp.open_socket(host, port)
                endpoint = tcp.TcpEndpoint(transport, sock, spoken[key], self._pool, self.complaints)
        except OSError as error:
            text = f"{key[1]}: {error.strerror or error}"
            if numeric(listener.host) in WILDCARDS and error.errno in _NO_SUCH_ADDRESS:
                self.log.warning(f"{url(listener)}: {text}")
                return None
            raise CannotListen(listener, text) from error
        return endpoint

    def _datagrams(self, sock: socket.socket) -> udp.UdpEndpoint:
        assert self._watch is not None
        return udp.UdpEndpoint(sock, self._watch, self._intake, self.complaints, self._failed)

    def _learn(self) -> None:
        endpoints = list(self._asked.values())
        self._endpoints = _Endpoints({(endpoint.transport, endpoint.local): endpoint for endpoint in endpoints})
        self._choices.clear()
        self._ways.clear()
        for endpoint in endpoints:
            self._choices.setdefault((endpoint.transport, ":" in endpoint.local.host), []).append(endpoint)
        self._identity.learn(endpoints, self._names)
        self._sources = Sources()

    def close(self) -> None:
        """Closes all sockets and connections at once."""
        for endpoint in self._asked.values():
            endpoint.close()
        self._asked.clear()
        self._learn()

    def listening(self) -> list[str]:
        """URLs, like udp://192.0.2.1:5060."""
        return [f"{transport.lower()}://{local}" for transport, local in self._endpoints]

    def supported(self) -> Set[tuple[str, bool]]:
        """The transports by which requests can leave, each with False for IPv4 and True for IPv6.

        Over WebSocket nobody is called who did not come (RFC 7118 4).
        """
        return {choice for choice in self._choices if choice[0] not in ("WS", "WSS")}

    def new_flow(self, transport: str, remote: HostPort, name: str | None = None, sent_by: str = "") -> Flow:
        host = numeric(remote.host)
        if host is None or not 0 < remote.port < 65536:
            raise Unreachable(f"{remote} is no address")
        if host != remote.host:
            remote = HostPort(host, remote.port)
        choices = self._choices.get((transport, ":" in host))
        if not choices:
            raise Unreachable(f"{transport.lower()} {remote}: no socket of ours for it")
        if transport != "UDP":
            name = _certified(transport, name)
            if self._pool is not None and (flow := self._pool.find(transport, remote, name)):
                return flow
        if len(choices) > 1:
            return self._choose(choices, remote, sent_by).flow(remote, name)
        flow = choices[0].flow(remote, name)
        if transport == "UDP":
            if len(self._ways) >= _MOST_WAYS:
                self._ways.clear()
            self._ways[remote] = flow
        return flow

    def _choose(self, choices: list[Endpoint], remote: HostPort, sent_by: str) -> Endpoint:
        """The one that is named; else the one whose address the kernel would take, so that Via tells the truth; else
        any that is no loopback.
        """
        if sent_by:
            for endpoint in choices:
                if endpoint.sent_by == sent_by:
                    return endpoint
        source = self._sources.towards(remote)
        for endpoint in choices:
            if endpoint.local.host == source:
                return endpoint
        return next((one for one in choices if not _is_loopback(one.local.host)), choices[0])

    def other_flow(self, message: Request | Response, flow: Flow) -> Flow:
        via = message.via
        if flow.transport != "UDP":
            endpoint = self._endpoints.get(flow[:2])
            if endpoint is None or endpoint.is_open(flow):
                return flow
            # 18.2.2: the connection is gone, so a new one to the source, at the port of sent-by
            remote = HostPort(flow.remote.host, via.port or DEFAULT_PORTS[flow.transport])
            try:
                return endpoint.flow(remote, _certified(flow.transport, via.host))
            except Unreachable:
                return flow  # on which nothing can be sent, as its sender will see
        params = via.params
        if maddr := params.get("maddr"):
            host = numeric(maddr)
            if host is not None and (":" in host) == (":" in flow.local.host):
                return Flow(flow.transport, flow.local, HostPort(host, via.port or 5060))
        if "rport" in params:  # received and rport are the source itself: net/intake saw to that
            return flow
        port = via.port or 5060
        return flow if port == flow.remote.port else Flow(flow.transport, flow.local, HostPort(flow.remote.host, port))

    def _answer(self, response: Response, request: Request, flow: Flow) -> None:
        self.send(bytes(response), self.response_flow(request, flow))

    def is_open(self, flow: Flow) -> bool:
        """Whether it still leads to whom it led to: its connection is there, for UDP our socket."""
        endpoint = self._endpoints.get(flow[:2])
        return endpoint is not None and endpoint.is_open(flow)


def _certified(transport: str, name: str | None) -> str | None:
    """The name that a certificate must be for, in one spelling; None for an address."""
    return canonical(name) if transport == "TLS" and name and numeric(name) is None else None


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")
