"""A whole server without a socket, in virtual time: the engine as it is, with one script and what surrounds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from sipcgi.cgi.routes import Route, Routes
from sipcgi.dialog.token import TokenKey
from sipcgi.engine.assemble import assemble
from sipcgi.engine.cgi_service import SOFTWARE, Scripts, passed_on
from sipcgi.engine.dispatch import Dispatch
from sipcgi.engine.domains import DEFAULT_SETTINGS, Domains, DomainSettings
from sipcgi.engine.policy import Policy
from sipcgi.engine.registrar_service import RegistrarService
from sipcgi.flow import Flow, HostPort
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.ids import Ids
from sipcgi.net.address import bracketed, numeric
from sipcgi.offline.host import PatientHost
from sipcgi.offline.journal import Journal, WatchedService
from sipcgi.offline.wire import Names, Sent, Socket, Wire
from sipcgi.registrar.aliases import Aliases
from sipcgi.registrar.register import address_of_record, register
from sipcgi.sip.framing import KeepAlive, StreamFramer
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import MessageError
from sipcgi.sip.uri import SipUri
from sipcgi.stores.memory import MemoryStore
from sipcgi.timerqueue import TimerQueue

if TYPE_CHECKING:
    from sipcgi.config.model import Configuration

HERE = "127.0.0.1"
CALLER = HostPort(HERE, 5070)
_NEW_YEAR = "Thu, 01 Jan 1970 00:00:00 GMT"
_UNBOUND = {"0.0.0.0": HERE, "::": "::1"}


@dataclass(frozen=True, slots=True)
class Setting:
    """The server that a stage plays, with the route that its script has."""

    directory: Path
    """Of the scripts."""
    script: str
    """Its name there."""
    route: Route = field(default_factory=lambda: Route(script=""))
    further_routes: tuple[Route, ...] = ()
    domains: tuple[str, ...] = ()
    of_domain: Callable[[str], DomainSettings] = lambda name: DEFAULT_SETTINGS
    """What holds for each of them, and for "", all else that is ours."""
    aliases: Aliases | None = None
    relay: Sequence[IPv4Network | IPv6Network] = (ip_network("127.0.0.0/8"), ip_network("::1"))
    sockets: Mapping[str, Socket] = field(
        default_factory=lambda: {
            transport: Socket(HostPort(HERE, port), f"{HERE}:{port}")
            for transport, port in (("UDP", 5060), ("TCP", 5060), ("TLS", 5061))
        }
    )
    registrations: Sequence[Request] = ()
    """REGISTER requests that came before."""


def sockets(configuration: Configuration) -> dict[str, Socket]:
    """The first listener of each transport; wildcards and names are the loopback address here."""
    found: dict[str, Socket] = {}
    for listener in configuration.listen:
        host = numeric(_UNBOUND.get(listener.host, listener.host)) or HERE
        sent_by = f"{bracketed(listener.advertise or host)}:{listener.port}"
        found.setdefault(listener.scheme.upper(), Socket(HostPort(host, listener.port), sent_by))
    return found


class Stage:
    """One server, from a request to whatever comes of it. To be closed."""

    def __init__(self, setting: Setting) -> None:
        self.now = 0.0
        self.reroutes = setting.route.reroute
        self.timers = timers = TimerQueue(lambda: self.now)
        self.journal = Journal()
        directory, environment = ScriptDirectory(str(setting.directory)), passed_on(os.environ)
        self.host = PatientHost(timers, self.journal, directory, environment)
        self.names = Names()
        self.wire = wire = Wire(setting.sockets, timers.now, self._receive, self.journal)
        self.domains = Domains((), wire.is_ours)
        settings = {name: setting.of_domain(name) for name in setting.domains}
        self.domains.configure(settings, setting.of_domain(""), setting.aliases)
        self.store = MemoryStore()
        self.core = assemble(
            transport=wire,  # type: ignore[arg-type]
            timers=timers,
            resolver=self.names,  # type: ignore[arg-type]
            ids=Ids(random=Random(0).randbytes),  # the same run has the same identifiers
            token_key=TokenKey(bytes(32)),
            log=self.journal,
            spawn=_never,
            store=self.store,
            domains=self.domains,
        )
        reachable = self.core.locations.reachable
        registrar = RegistrarService(reachable, self.domains, timers.now, lambda: _NEW_YEAR)
        self.core.transactions.core = Rehearsed(self.core, registrar, self._policy(setting))
        for request in setting.registrations:
            aor = address_of_record(request, lambda uri: True)
            bound = register(request, [], now=0.0, flow=self.arrival()).bindings
            self.store.replace(aor, bound)

    def _policy(self, setting: Setting) -> Policy:
        scripts = Scripts(
            directory=self.host.directory,
            host=self.host,
            server_environment=self.host.environment,
            server_name=setting.domains[0] if setting.domains else "localhost",
            software=SOFTWARE,
            guard=False,
        )
        return Policy(ScriptFirst(setting), scripts, setting.relay, replace(setting.route, script=""))

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.close()

    def receive(self, data: bytes, flow: Flow) -> None:
        """A message from the network, and all that comes of it at once."""
        if flow.transport == "UDP":
            self.wire.intake.datagram(data, flow)
        else:
            self._stream(data, flow)
        self.go_on(0.0)

    def _stream(self, data: bytes, flow: Flow) -> None:
        try:
            for message in StreamFramer().feed(data):
                if not isinstance(message, KeepAlive):
                    self.wire.intake.message(message, flow)
        except MessageError as error:
            self.wire.intake.unparsable(error, flow)

    def _receive(self, message: Request | Response, flow: Flow) -> None:
        self.core.transactions.receive(message, flow)

    def go_on(self, seconds: float) -> None:
        """Lets time pass."""
        until = self.now + seconds
        while (due := self.timers.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.timers.fire(1)
        self.now = until

    def until_heard(self) -> None:
        """Lets time pass until the server has taken note of the end of each run."""
        while any(played.event is None for played in self.journal.runs if played.outcome is not None):
            self.go_on((self.timers.next_deadline() or self.now) - self.now)

    def answer(self, sent: Sent, response: bytes) -> None:
        """A response to a request that was sent, from where it went."""
        self.receive(response, sent.flow)

    def arrival(self, remote: HostPort = CALLER, transport: str = "UDP") -> Flow:
        """The flow of a caller; on a server without that transport, on any."""
        if transport not in self.wire.sockets:
            transport = next(iter(self.wire.sockets))
        return Flow(transport, self.wire.sockets[transport].local, remote, 0 if transport == "UDP" else 1)

    def caller(self, request: Request) -> Flow:
        """By which the request of a caller comes; answers go to the port of its Via. Raises ParseError."""
        return self.arrival(HostPort(CALLER.host, request.via.port or 5060), request.via.transport)

    def reaches_nobody(self, uri: SipUri) -> bool:
        """Whether what is proxied there comes back as a local 480: it is ours, and nothing is registered."""
        locations = self.core.locations
        return not self.reroutes and locations.responsible(uri) and locations.contacts(uri) == ([], [])

    def peer(self, flow: Flow) -> str:
        """Where a flow leads, for people."""
        return f"{flow.transport.lower()} {self.names.shown(flow.remote)}"


class Rehearsed(Dispatch):
    """A dispatch whose scripts are watched."""

    script_service = WatchedService


class ScriptFirst(Routes):
    """The script for the first request, whatever it is; for what its `reroute` brings about, the further routes."""

    __slots__ = ("asked", "further")

    def __init__(self, setting: Setting) -> None:
        route = replace(setting.route, script=setting.script, method=None, from_=(), to=(), uri=(), source=())
        super().__init__([route, *setting.further_routes])
        self.further = Routes(setting.further_routes)
        self.asked = False

    def choose(self, request: Request, source: str, *, in_dialog: bool = False) -> Route | None:
        if self.asked:
            return self.further.choose(request, source, in_dialog=in_dialog)
        self.asked = True
        return self.routes[0]


def _never(*_: object) -> None:
    raise AssertionError("every name is known: nothing waits for one")
