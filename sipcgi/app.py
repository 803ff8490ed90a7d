"""The composition root: builds the objects of a server, nests the nurseries, and answers signals."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import trio

from sipcgi.cgi.routes import Routes
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.dialog.token import TokenKey
from sipcgi.engine import garbage
from sipcgi.engine.assemble import assemble
from sipcgi.engine.cgi_service import SOFTWARE, Scripts, passed_on
from sipcgi.engine.clock import Clock
from sipcgi.engine.dispatch import Dispatch
from sipcgi.engine.domains import Domains
from sipcgi.engine.loop_watch import LoopWatch
from sipcgi.engine.policy import Policy
from sipcgi.engine.reactor import Reactor
from sipcgi.engine.registrar_service import RegistrarService
from sipcgi.errors import EX_CONFIG, Closed, Unreachable
from sipcgi.flow import Flow
from sipcgi.hosts.choice import ChoiceHost
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.fastcgi import FastCgiHost
from sipcgi.hosts.limit import LimitedHost
from sipcgi.hosts.warm import WarmHost
from sipcgi.hosts.watch import RunWatch
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.descriptors import allow_all
from sipcgi.net.resolver import Resolver
from sipcgi.net.transport import Transport
from sipcgi.report import changes, start_up_report, statistics_report
from sipcgi.stores.keyfile import load_or_make_key
from sipcgi.stores.memory import MemoryStore
from sipcgi.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from sipcgi.config.model import Configuration

DRAIN = 32.0
"""Seconds that requests without a final response get when the server is told to stop."""
DRAIN_LOOK = 0.05
LOG_INTERVAL = 0.25
STANDARD_ERROR = 2
NEWLINE = b"\n"[0]
SWITCH = 0.001
"""Seconds after which the loop, or a thread that writes, asks the other for the interpreter: not the usual 5 ms."""
SWEEP_INTERVAL = 1.0
SWEEP_MOST = 100
"""Users looked at in one go: about 2 ms."""


def serve(load: Callable[[], Configuration]) -> int:
    """Runs a server until a signal ends it: its exit status. `load` reads the configuration, now and on SIGHUP.

    Raises ConfigErrors.
    """
    server = Server(load(), load)
    allow_all()
    sys.setswitchinterval(SWITCH)
    return trio.run(server.run)


class Server:
    """One running server. What SIGHUP replaces is the policy, the domains and the listeners; the rest stays."""

    def __init__(self, configuration: Configuration, load: Callable[[], Configuration]) -> None:
        self.configuration = configuration
        self.load = load
        self.watch: LoopWatch | None = None
        self.report: list[str] = []
        """What was said last of the configuration that holds."""
        self.log = Log(time.time)
        self.output = Output(STANDARD_ERROR)
        self.clock = Clock(self.log.crash, time.perf_counter)
        self.descriptors = RunWatch(self.clock.timers)
        self.store = MemoryStore()
        self.token_key = os.urandom(32)  # memory://: made anew; the dialogs' bindings are gone as well
        self.host = ExecHost(self.clock.timers, say=self.log.error, watch=self.descriptors)
        self.fastcgi = FastCgiHost(
            self.host, self.log.warning, lambda name, line: self.log.script_stderr(name, "", line)
        )
        self.warm = WarmHost(self.host, self.log.warning)
        hosts = ChoiceHost(self.host, self.warm, self.fastcgi)
        self.limited = LimitedHost(hosts, self.clock.timers, configuration.scripts.max_running)

    async def run(self) -> int:
        gc.collect()  # now, for there is no garbage in what a store loads, and it may be much
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1) as signals:
            try:
                self.open_store()
            except OSError as error:
                self.flush()
                print(self.configuration.mistake("location.store", str(error)), file=sys.stderr)
                return EX_CONFIG
            async with trio.open_nursery() as nursery:
                self.build(nursery)
                reactor = Reactor(self.descriptors, self.clock)
                await nursery.start(reactor.run)
                nursery.start_soon(self.write_log)
                if isinstance(self.store, SqliteStore):
                    nursery.start_soon(self.store.run)
                await nursery.start(self.host.run)
                await nursery.start(self.fastcgi.run)
                await nursery.start(self.warm.run)
                garbage.settle()
                status = await self.open(nursery)
                if status == 0:
                    if os.environ.get("SIPCGI_LOOP_WATCH"):
                        self.watch = LoopWatch()
                        self.watch.measure(self.clock, self.descriptors)
                        reactor.let_in(self.watch)
                    nursery.start_soon(self.sweep)
                    nursery.start_soon(garbage.collect)
                    await self.obey(signals, nursery)
                nursery.cancel_scope.cancel()
        self.flush()
        if self.watch is not None:
            print(*self.watch.report(), sep="\n", file=sys.stderr)
        return status

    def open_store(self) -> None:
        """Raises OSError."""
        path = self.configuration.store_path
        if path is not None:
            self.store = SqliteStore(str(path), self.clock.timers.now, time.time, self.log)
            self.token_key = load_or_make_key(f"{path}.key", self.log.warning)

    def build(self, nursery: trio.Nursery) -> None:
        """Makes the objects."""
        self.transport = Transport(lambda message, flow: None, self.log, failed=self.lost, watch=self.descriptors)
        self.domains = Domains((), self.transport.is_ours)
        configure(self.domains, self.configuration)
        self.core = core = assemble(
            transport=self.transport,
            timers=self.clock.timers,
            resolver=Resolver(
                self.transport.supported, alarm=partial(self.transport.complaints.say, "SIPS vanished from the DNS")
            ),
            ids=Ids(),
            token_key=TokenKey(self.token_key),
            log=self.log,
            spawn=lambda *task: nursery.start_soon(self.guard, *task),
            store=self.store,
            domains=self.domains,
        )
        date = partial(formatdate, usegmt=True)
        registrar = RegistrarService(core.locations.reachable, self.domains, core.timers.now, date)
        self.dispatch = Dispatch(core, registrar, self.policy(self.configuration))
        core.transactions.core = self.dispatch
        self.transport.give_to(core.transactions.receive, core.transactions.answer)

    def lost(self, flow: Flow, error: Unreachable) -> None:
        try:
            if type(error) is not Closed:
                self.core.large.lost(flow)
                self.dispatch.failover.lost(flow)
            self.core.transactions.lost(flow, str(error))
        except Exception:
            self.log.crash(f"the loss of {flow}:\n{traceback.format_exc()}")

    async def guard(self, task: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """A bug in one task does not end the server."""
        try:
            await task(*arguments)
        except Exception:
            self.log.crash(f"a task:\n{traceback.format_exc()}")

    def policy(self, configuration: Configuration) -> Policy:
        settings = configuration.scripts
        self.limited.most = settings.max_running
        self.limited.most_per_script = settings.max_running_per_script
        self.core.overload.most = configuration.max_transactions
        self.core.overload.retry_after = configuration.retry_after
        self.core.originated.accounts = configuration.credentials
        self.directory = ScriptDirectory(str(settings.directory))
        environment = passed_on(os.environ)
        self.fastcgi.configure(configuration.routes, self.directory, environment)
        scripts = Scripts(
            directory=self.directory,
            host=self.limited,
            server_environment=environment,
            server_name=configuration.domains[0] if configuration.domains else socket.gethostname(),
            software=SOFTWARE,
        )
        return Policy(Routes(configuration.routes), scripts, configuration.relay, configuration.fallback)

    async def open(self, nursery: trio.Nursery) -> int:
        try:
            await self.transport.open(nursery, self.configuration.listen)
        except OSError as error:
            print(self.configuration.listen_mistake(error), file=sys.stderr)
            return 1
        self.report = start_up_report(self.configuration, self.directory, self.transport.listening())
        print(*self.report, sep="\n")
        sys.stdout.flush()
        return 0

    async def obey(self, signals: Any, nursery: trio.Nursery) -> None:
        """Waits for signals: SIGHUP reloads, SIGUSR1 tells; the first other one drains, the second ends at once."""
        async for number in signals:
            if number == signal.SIGHUP:
                await self.reload(nursery)
                continue
            if number == signal.SIGUSR1:
                self.tell()
                continue
            self.log.info(f"{signal.Signals(number).name}: no new requests, waiting for those under way")
            self.dispatch.stopping = True
            nursery.start_soon(self.drain, nursery.cancel_scope)
            async for again in signals:
                if again == signal.SIGUSR1:
                    self.tell()
                elif again != signal.SIGHUP:
                    return

    def tell(self) -> None:
        """Writes into the log what the server and its scripts have used."""
        for line in statistics_report(self.limited.statistics(), psutil.Process()):
            self.log.info(line)

    async def drain(self, scope: trio.CancelScope) -> None:
        """Ends the server when no request lacks its final response, or after DRAIN."""
        until = trio.current_time() + DRAIN
        for _ in range(int(DRAIN / DRAIN_LOOK)):
            if not self.core.transactions.waiting() or trio.current_time() > until:
                break
            await trio.sleep(DRAIN_LOOK)
        if self.watch is not None:
            trio.lowlevel.remove_instrument(self.watch)  # what follows keeps nobody waiting
        scope.cancel()

    async def reload(self, nursery: trio.Nursery) -> None:
        """Reads the configuration again, in one step: all of it counts, or none."""
        try:
            configuration = await trio.to_thread.run_sync(self.load)  # it may have large files to read
            if configuration.is_empty and not self.configuration.is_empty:  # an editor is about to write it
                self.log.error(f"not reloaded: {configuration.source}: is empty")
                return
            await self.transport.open(nursery, configuration.listen)
        except ConfigErrors as errors:
            for mistake in errors.errors:
                self.log.error(f"not reloaded: {mistake}")
            return
        except OSError as error:
            self.log.error(f"not reloaded: {configuration.listen_mistake(error)}")
            return
        if configuration.store != self.configuration.store:
            self.log.warning("location.store: another store needs a restart; the old one stays")
        self.configuration = configuration
        configure(self.domains, configuration)
        self.dispatch.policy = self.policy(configuration)
        self.warm.renew()
        self.log.info(f"configuration read again: {configuration.source}")
        directory = ScriptDirectory(self.directory.path)  # it looks at each file, which the loop has no time for
        listening = self.transport.listening()
        report = await trio.to_thread.run_sync(start_up_report, configuration, directory, listening)
        for line in changes(self.report, report):
            self.log.info(line)
        self.report = report

    async def sweep(self) -> None:
        """Forgets expired bindings, a little at a time."""
        while True:
            await trio.sleep(SWEEP_INTERVAL)
            while self.store.sweep(self.clock.timers.now(), SWEEP_MOST) == SWEEP_MOST:
                await trio.lowlevel.checkpoint()

    async def write_log(self) -> None:
        """Writes what was logged, in a thread: a slow disk or terminal never stops the loop."""
        while True:
            filled = trio.Event()
            self.log.filled = filled.set
            while lines := self.log.take():
                await trio.to_thread.run_sync(self.output.write, lines)
                self.output.tell_of_losses(self.log)
            await filled.wait()
            await trio.sleep(LOG_INTERVAL)

    def flush(self) -> None:
        while lines := self.log.take():
            self.output.write(lines)


def configure(domains: Domains, configuration: Configuration) -> None:
    """Gives the domains what the configuration says of them."""
    settings = {name: configuration.of_domain(name) for name in configuration.domains}
    domains.configure(settings, configuration.of_domain(), configuration.aliases)


class Output:
    """Where the log goes. Lines that it does not take, when the disk is full or nobody reads any more, are counted, and
    one that it has taken in part is ended before the next."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lost = 0
        self.why = ""
        """Empty when the last lines were taken."""
        self.torn = False

    def write(self, lines: bytes) -> None:
        rest = b"\n" + lines if self.torn else lines
        self.why = ""
        try:
            while rest:
                written = os.write(self.descriptor, rest)
                self.torn = rest[written - 1] != NEWLINE
                rest = rest[written:]
        except OSError as error:
            self.lost += rest.count(b"\n")
            self.why = error.strerror or ""

    def tell_of_losses(self, log: Log) -> None:
        """As soon as something is taken again."""
        if self.lost and not self.why:
            log.warning(f"{self.lost} log lines were lost: they could not be written")
            self.lost = 0
