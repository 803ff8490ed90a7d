"""The composition root: builds the objects of a server, nests the nurseries, and answers signals."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from sipcgi import __version__
from sipcgi.cgi.routes import Routes
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.dialog.token import TokenKey
from sipcgi.engine.answered import AnsweredDialogs
from sipcgi.engine.cgi_service import Scripts
from sipcgi.engine.clock import Clock
from sipcgi.engine.core import Core
from sipcgi.engine.dispatch import Dispatch
from sipcgi.engine.domains import Domains
from sipcgi.engine.large import LargeRequests
from sipcgi.engine.location_service import LocationService
from sipcgi.engine.loop_watch import LoopWatch
from sipcgi.engine.policy import Policy
from sipcgi.engine.registrar_service import RegistrarService
from sipcgi.engine.transactions import Transactions
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.exec import ExecHost
from sipcgi.ids import Ids
from sipcgi.logs import Log
from sipcgi.net.resolver import Resolver
from sipcgi.net.transport import Transport
from sipcgi.report import start_up_report
from sipcgi.sip.message import Request, Response
from sipcgi.stores.keyfile import load_or_make_key
from sipcgi.stores.memory import MemoryStore
from sipcgi.stores.sqlite import SqliteStore
from sipcgi.transaction.timers import Timers

if TYPE_CHECKING:
    from sipcgi.config.model import Configuration

EX_CONFIG = 78
DRAIN = 32.0
"""Seconds that requests without a final response get when the server is told to stop."""
DRAIN_LOOK = 0.05
LOG_INTERVAL = 0.25
SWEEP_INTERVAL = 1.0
SWEEP_MOST = 100
"""Users looked at in one go: about 2 ms."""
SOFTWARE = f"sipcgi/{__version__}"
PASSED_ON = ("PATH", "LANG", "TZ", "HOME")
"""What scripts get of the server's environment (contract: the rest of the environment)."""


def serve(load: Callable[[], Configuration]) -> int:
    """Runs a server until a signal ends it: its exit status. `load` reads the configuration, now and on SIGHUP."""
    try:
        configuration = load()
    except ConfigErrors as errors:
        for mistake in errors.errors:
            print(mistake, file=sys.stderr)
        return EX_CONFIG
    return trio.run(Server(configuration, load).run, restrict_keyboard_interrupt_to_checkpoints=True)


class Server:
    """One running server. What SIGHUP replaces is the policy, the domains and the listeners; the rest stays."""

    def __init__(self, configuration: Configuration, load: Callable[[], Configuration]) -> None:
        self.configuration = configuration
        self.load = load
        self.watch: LoopWatch | None = None
        self.log = Log(time.time)
        self.clock = Clock()
        self.store = MemoryStore()
        self.token_key = os.urandom(32)  # memory://: made anew; the dialogs' bindings are gone as well
        self.host = ExecHost(self.clock.timers, say=self.log.error)

    async def run(self) -> int:
        try:
            self.open_store()
        except OSError as error:
            self.flush()
            print(self.configuration.mistake("location.store", str(error)), file=sys.stderr)
            return EX_CONFIG
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                self.build(nursery)
                nursery.start_soon(self.write_log)
                if isinstance(self.store, SqliteStore):
                    nursery.start_soon(self.store.run)
                await nursery.start(self.host.run)
                status = await self.open(nursery)
                if status == 0:
                    nursery.start_soon(self.clock.run)
                    if os.environ.get("SIPCGI_LOOP_WATCH"):
                        self.watch = LoopWatch()
                        trio.lowlevel.add_instrument(self.watch)
                    nursery.start_soon(self.sweep)
                    self.settle_memory()
                    await self.obey(signals, nursery)
                nursery.cancel_scope.cancel()
        self.flush()
        if self.watch is not None:
            print(f"loop: longest stand-still {self.watch.longest * 1000:.1f} ms", file=sys.stderr)
        return status

    def open_store(self) -> None:
        """Raises OSError."""
        path = self.configuration.store_path
        if path is not None:
            self.store = SqliteStore(str(path), self.clock.timers.now, time.time, self.log)
            self.token_key = load_or_make_key(f"{path}.key", self.log.warning)

    def build(self, nursery: trio.Nursery) -> None:
        """Makes the objects; those that know each other are joined at the end."""
        timers, ids = self.clock.timers, Ids()
        self.transport = Transport(self.receive, self.log, failed=self.lost)
        self.domains = Domains(self.configuration.domains, self.transport.is_ours)
        locations = LocationService(self.store, self.domains, timers)
        transactions = Transactions(self.transport, timers, ids, Timers())
        registrar = RegistrarService(self.store, self.domains, timers.now, partial(formatdate, usegmt=True))
        self.core = Core(
            transport=self.transport,
            timers=timers,
            resolver=Resolver(self.transport.supported),
            ids=ids,
            token_key=TokenKey(self.token_key),
            log=self.log,
            spawn=nursery.start_soon,
            transactions=transactions,
            locations=locations,
            answered=AnsweredDialogs(),
            large=LargeRequests(self.transport, timers),
        )
        self.core.answered.core = self.core
        self.dispatch = Dispatch(self.core, registrar, self.policy(self.configuration))
        transactions.core = self.dispatch

    def receive(self, message: Request | Response, flow: Flow) -> None:
        self.core.transactions.receive(message, flow)

    def lost(self, flow: Flow, error: Unreachable) -> None:
        self.core.large.lost(flow)
        self.core.transactions.lost(flow)

    def policy(self, configuration: Configuration) -> Policy:
        settings = configuration.scripts
        self.directory = ScriptDirectory(str(settings.directory))
        scripts = Scripts(
            directory=self.directory,
            host=self.host,
            server_environment={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            server_name=configuration.domains[0] if configuration.domains else socket.gethostname(),
            software=SOFTWARE,
        )
        return Policy(Routes(configuration.routes), scripts, configuration.relay, configuration.fallback)

    async def open(self, nursery: trio.Nursery) -> int:
        try:
            await self.transport.open(nursery, self.configuration.listen)
        except OSError as error:
            print(f"{self.configuration.source}: listen: {error}", file=sys.stderr)
            return 1
        for line in start_up_report(self.configuration, self.directory, self.transport.listening()):
            print(line)
        sys.stdout.flush()
        return 0

    def settle_memory(self) -> None:
        """What is here now stays, and need not be looked at again.

        Collections of what is young are small and often, full ones hardly ever: they stop the loop for as long as
        there are lingering transactions to look through, which hold no cycles (RequestContext.release).
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(2000, 10, 1000)

    async def obey(self, signals: Any, nursery: trio.Nursery) -> None:
        """Waits for signals: SIGHUP reloads; the first other one drains, the second ends at once."""
        async for number in signals:
            if number == signal.SIGHUP:
                await self.reload(nursery)
                continue
            self.log.info(f"{signal.Signals(number).name}: no new requests, waiting for those under way")
            self.dispatch.stopping = True
            nursery.start_soon(self.drain, nursery.cancel_scope)
            async for again in signals:
                if again != signal.SIGHUP:
                    return

    async def drain(self, scope: trio.CancelScope) -> None:
        """Ends the server when no request lacks its final response, or after DRAIN."""
        until = trio.current_time() + DRAIN
        for _ in range(int(DRAIN / DRAIN_LOOK)):
            if not self.core.transactions.waiting() or trio.current_time() > until:
                break
            await trio.sleep(DRAIN_LOOK)
        scope.cancel()

    async def reload(self, nursery: trio.Nursery) -> None:
        """Reads the configuration again, in one step: all of it counts, or none."""
        try:
            configuration = self.load()
            await self.transport.reopen(nursery, configuration.listen)
        except ConfigErrors as errors:
            for mistake in errors.errors:
                self.log.error(f"not reloaded: {mistake}")
            return
        except OSError as error:
            self.log.error(f"not reloaded: {configuration.source}: listen: {error}")
            return
        if configuration.store != self.configuration.store:
            self.log.warning("location.store: another store needs a restart; the old one stays")
        self.configuration = configuration
        self.domains.rename(configuration.domains)
        self.dispatch.policy = self.policy(configuration)
        self.log.info(f"configuration read again: {configuration.source}")
        for line in start_up_report(configuration, self.directory, self.transport.listening()):
            self.log.info(line)

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
            lines = self.log.take()
            if lines:
                await trio.to_thread.run_sync(write, lines)
            else:
                await filled.wait()
            await trio.sleep(LOG_INTERVAL)

    def flush(self) -> None:
        write(self.log.take())


def write(lines: bytes) -> None:
    try:
        sys.stderr.buffer.write(lines)
        sys.stderr.buffer.flush()
    except OSError:  # nobody reads it any more
        pass
