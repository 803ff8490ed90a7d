"""A whole server on a network in virtual time, with phones around it and scripts in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from ipaddress import ip_network
from math import inf
from random import Random
from textwrap import dedent
from typing import Any

from network import Network, Socket
from phone import SERVER, Phone
from script_host import FakeHost, FakeRun, Output, Program

from sipcgi.cgi.routes import Route, Routes
from sipcgi.dialog.token import TokenKey
from sipcgi.engine.assemble import assemble
from sipcgi.engine.cgi_service import Scripts
from sipcgi.engine.dispatch import Dispatch
from sipcgi.engine.domains import Domains
from sipcgi.engine.policy import Policy
from sipcgi.engine.registrar_service import RegistrarService
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.hosts.limit import LimitedHost
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.address import numeric
from sipcgi.net.resolver import Resolver, Target
from sipcgi.registrar.bindings import Binding
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri
from sipcgi.stores.memory import MemoryStore

DOMAIN = "example.com"
TRUSTED = "192.0.2.0/24"
"""Whose hosts may relay; phones elsewhere are strangers."""


class Names:
    """A resolver for `hosts`, each of which takes its seconds to be found; addresses are found at once.

    `found` may be several addresses, the first to be tried first; None: there is no such name. `known` are names whose
    records are remembered. `failed` is what it was told of.
    """

    def __init__(self) -> None:
        self.hosts: dict[str, tuple[float, HostPort | list[HostPort] | None]] = {}
        self.failed: list[Target] = []

    def note_failed(self, target: Target, seconds: float = 32.0) -> None:
        self.failed.append(target)

    def direct(self, text: str) -> Target | None:
        return None if text.startswith("sips:") else Resolver.direct(text)  # which takes no TLS here

    def resolve_now(self, uri: SipUri) -> list[Target] | None:
        transport = (uri.params.get("transport") or "udp").upper()
        uri = uri.with_(host=uri.params.get("maddr") or uri.host)  # TARGET, as RFC 3263 section 4 has it
        if numeric(uri.host) is not None:
            return [Target(transport, HostPort(uri.address, uri.port or 5060))]
        if uri.address in self.hosts and self.hosts[uri.address][0]:
            return None
        return self._targets(uri, transport)

    async def resolve(self, uri: SipUri) -> list[Target]:
        if (now := self.resolve_now(uri)) is not None:
            return now
        await Sleep(self.hosts[uri.address][0])
        return self._targets(uri, (uri.params.get("transport") or "udp").upper())

    def _targets(self, uri: SipUri, transport: str) -> list[Target]:
        _, found = self.hosts.get(uri.address, (0.0, None))
        if found is None:
            raise Unreachable(f"{uri.host}: no such name")
        return [Target(transport, address) for address in ([found] if isinstance(found, HostPort) else found)]


class Sleep:
    """To be awaited in virtual time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __await__(self) -> Generator[float, None, None]:
        yield self.seconds


class World:
    """The server is at 192.0.2.1 and has the domain example.com; phones of 192.0.2.0/24 may relay through it."""

    def __init__(self, seed: int = 0) -> None:
        self.network = network = Network(seed)
        self.log = Log(lambda: network.now)
        self.socket = Socket(network, SERVER, "server", self.receive, self.log)
        timers = network.timers
        self.host = FakeHost(network)
        self.limited = LimitedHost(self.host, timers, 1000)
        self.names = Names()
        self.store = MemoryStore()
        self.domains = Domains([DOMAIN], self.socket.is_ours)
        self.core = assemble(
            transport=self.socket,  # type: ignore[arg-type]
            timers=timers,
            resolver=self.names,  # type: ignore[arg-type]
            ids=Ids(random=Random(seed).randbytes),
            token_key=TokenKey(b"0123456789abcdef"),
            log=self.log,
            spawn=self.spawn,
            store=self.store,
            domains=self.domains,
        )
        self.transactions, self.answered = self.core.transactions, self.core.answered
        reachable = self.core.locations.reachable
        registrar = RegistrarService(reachable, self.domains, timers.now, lambda: "Thu, 01 Jan 1970 00:00:00 GMT")
        self.dispatch = Dispatch(self.core, registrar, self.policy([]))
        self.transactions.core = self.dispatch
        self.socket.failed = self.lost
        self.socket.closed.add("WS")  # RFC 7118 4: nobody is called over it who did not come
        self.phones: list[Phone] = []
        self.said = ""

    def policy(self, routes: Sequence[Route], fallback: Route | None = None) -> Policy:
        scripts = Scripts(
            directory=self.host,  # type: ignore[arg-type]
            host=self.limited,
            server_environment={"PATH": "/usr/bin:/bin"},
            server_name=DOMAIN,
            software="sipcgi/test",
            guard=False,
        )
        return Policy(Routes(routes), scripts, [ip_network(TRUSTED)], fallback or Route(script=""))

    def receive(self, message: Request | Response, flow: Flow) -> None:
        self.transactions.receive(message, flow)

    def lost(self, flow: Flow) -> None:
        self.core.large.lost(flow)
        self.dispatch.failover.lost(flow)
        self.transactions.lost(flow, f"{flow.remote}: connection refused")

    def spawn(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> None:
        task = function(*arguments)
        assert isinstance(task, Coroutine)
        self.go_on(task)

    def go_on(self, task: Coroutine[float, None, None]) -> None:
        try:
            seconds = task.send(None)
        except StopIteration:
            return
        self.network.timers.start(seconds, self.go_on, task)

    # What a test puts into it

    def phone(self, name: str, host: str = "", *, says: str = "", port: int = 5060, transport: str = "UDP") -> Phone:
        """The next one in 192.0.2.0/24, unless a host is given."""
        host = host or f"192.0.2.{10 * (len(self.phones) + 1)}"
        phone = Phone(self.network, name, host, port=port, says=says, transport=transport)
        self.phones.append(phone)
        return phone

    def registers(
        self, phone: Phone, *, user: str = "", q: float = 1.0, flow: bool = False, secure: bool = False
    ) -> None:
        """A binding that is there already."""
        aor = f"{user or phone.name}@{DOMAIN}"
        way = Flow("UDP", SERVER, phone.socket.address) if flow else None
        contact = phone.contact.replace("sip:", "sips:") if secure else phone.contact
        binding = Binding(f"<{contact}>", contact, q, inf, "registered", 1, way)
        binding.expires_at = self.network.now + 7200
        self.store.replace(aor, [*self.store.bindings(aor, self.network.now), binding])

    def script(self, name: str, *outputs: Output, takes: float = 0.0, unlimited: bool = False) -> None:
        """A script that prints one output after the other, or the only one always."""
        texts = [dedent(output).lstrip("\n") if isinstance(output, str) else output for output in outputs]
        self.host.programs[name] = Program(texts, takes, unlimited)

    def routes(self, *routes: Route, fallback: Route | None = None) -> None:
        self.dispatch.policy = self.policy(routes, fallback)

    # What a test looks at

    def run(self, until: float = inf) -> None:
        self.network.run(until)

    def transcript(self) -> str:
        """All that was sent since the last time it was asked."""
        lines = self.network.transcript()
        self.network.sent.clear()
        return "\n".join(lines)

    def shows(self, expected: str) -> None:
        """Exactly this was sent since the last time."""
        assert self.transcript().splitlines() == dedent(expected).strip().splitlines()

    @property
    def runs(self) -> list[FakeRun]:
        return self.host.runs

    def events(self) -> list[str]:
        """The runs of all scripts: time, what for, and the status of the response."""
        return [
            " ".join([f"{run.began:.3f}", run.environment["SIPCGI_EVENT"], run.environment.get("RESPONSE_STATUS", "")])
            .strip()
            for run in self.runs
        ]  # fmt: skip

    def lines(self, kind: str) -> list[str]:
        """The log lines of a kind."""
        while lines := self.log.take():
            self.said += lines.decode()
        return [line.split(" ", 2)[2] for line in self.said.splitlines() if line.split(" ", 2)[1] == kind]

    def left(self) -> list[object]:
        """What is still remembered of transactions, timers and dialogs: nothing, when all is over."""
        transactions = self.transactions
        return [
            *transactions.clients.values(),
            *transactions.servers.values(),
            *transactions.responded.values(),
            *self.dispatch.failover.sent.values(),
            *self.core.locations.late.hunts,
            *transactions.awaited.peers,
            *self.answered.dialogs.values(),
            *self.core.originated.legs.values(),
            *self.network.timers.waiting(),
        ]
