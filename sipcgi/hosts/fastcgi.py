"""Runs scripts as requests to resident programs, over FastCGI: one write and one read a run, and no process.

trio is imported where a loop runs: `sipcgi try` and `sipcgi test` do without one.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from sipcgi.cgi.routes import Route
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.fastcgi_place import Address, Place
from sipcgi.hosts.fastcgi_pool import Pool
from sipcgi.hosts.fastcgi_run import FastCgiRun
from sipcgi.hosts.resident import Program, Resident, is_taken, listen, listen_unnamed
from sipcgi.profile import FASTCGI, Hosting, Profile
from sipcgi.threads import in_thread

if TYPE_CHECKING:
    import trio


_NONE = (None, None, None)


@dataclass(slots=True)
class Service:
    """A program that a configuration names, and what of it is ours: processes, and the sockets on which they listen."""

    pool: Pool
    fingerprint: tuple[object, ...] = ()
    residents: list[Resident] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    """By which sockets without a name are reached."""
    files: dict[str, int] = field(default_factory=dict)
    """Those of the other ones, with their inodes."""

    def open(self) -> None:
        for resident in self.residents:
            resident.start()
        self.pool.open()

    def retire(self) -> None:
        """Another one has taken its place: it ends when its runs have ended."""
        for each in self.sockets:
            if each.family != socket.AF_UNIX:  # whose name leads to the next one; here both would be asked
                each.shutdown(socket.SHUT_RDWR)
                for resident in self.residents:  # they may end, now that they are asked nothing more
                    resident.close()
        self.pool.emptied = self._emptied
        self.pool.retire()

    def _emptied(self) -> None:
        for resident in self.residents:
            resident.stop()
        self._close_sockets()

    def close(self) -> None:
        """Whoever ends the host of the processes ends these."""
        for resident in self.residents:
            resident.close()
        self.pool.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each in self.sockets:
            each.close()
        while self.descriptors:
            os.close(self.descriptors.pop())
        for path, inode in self.files.items():
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)


class FastCgiHost:
    """A ScriptHost. `exec_host` starts the programs of ours, and watches the connections to all of them.

    `say` is told what becomes of programs; `stderr` gets the name of one and a line of its standard error.
    """

    def __init__(
        self,
        exec_host: ExecHost,
        say: Callable[[str], None] = lambda text: None,
        stderr: Callable[[str, str], None] = lambda name, line: None,
    ) -> None:
        self.exec = exec_host
        self.timers = exec_host.timers
        self._say = say
        self._stderr = stderr
        self._services: dict[object, Service] = {}
        self._pools: dict[tuple[Hosting, Profile], Pool] = {}
        self._pools_by_name: dict[str, tuple[Hosting, Profile, Pool]] = {}
        self._leaving: list[Service] = []
        self._inodes: dict[str, int] = {}
        """By URL, of the sockets that we made last; 0 for tcp."""
        self._is_open = False
        self._nursery: trio.Nursery | None = None

    def configure(self, routes: Iterable[Route], directory: ScriptDirectory, environment: Mapping[str, str]) -> None:
        """Takes the programs of these routes, and leaves those that are of no route any more. Never waits or raises.

        A program of ours is started anew if how it is started has changed, or one of the files that its command names.
        `environment` is what all of ours get.
        """
        routes = [route for route in routes if route.hosting.host == FASTCGI]
        before, self._services = self._services, {}
        pools: dict[tuple[Hosting, Profile], Pool] = {}
        for route in sorted(routes, key=lambda route: not route.hosting.processes):  # others may ask where these listen
            hosting, profile = route.hosting, route.profile
            key: object = (hosting, profile) if hosting.processes else hosting.fastcgi
            service = self._services.get(key) or self._of_place(hosting)
            if service is None:
                service = self._kept(before, key, route, directory) or self._made(route, directory, environment)
                self._services[key] = service
            pools[hosting, profile] = service.pool
            self._pools_by_name[route.script] = hosting, profile, service.pool
        self._pools = pools
        for service in before.values():
            self._leaving.append(service)
            service.retire()
        self._leaving = [service for service in self._leaving if not service.pool.closed]

    def full(self, name: str) -> bool:
        """Never: it takes all that it is asked for (hosts/limit)."""
        return False

    def start(
        self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]
    ) -> FastCgiRun:
        """Sends the request, or has it wait for room. Never waits and never raises."""
        run = FastCgiRun(self.timers, invocation, done, stderr)
        hosting, profile, pool = self._pools_by_name.get(invocation.name, _NONE)
        # A transaction keeps the route with which it began; its program may have become another one since.
        if hosting is not invocation.hosting or profile is not invocation.profile or pool is None or pool.retired:
            pool = self._pools.get((invocation.hosting, invocation.profile)) or pool
            if pool is None or pool.closed:
                self.timers.start(0.0, run.failed, "the FastCGI program is not configured any more")
                return run
        pool.take(run)
        return run

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Keeps the programs going until it is cancelled; after that no `done` is called any more. Beside
        `ExecHost.run`, which handles what comes from them."""
        import trio

        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.open()
                task_status.started()
                await trio.sleep_forever()
        finally:
            self.close()

    # What `run` does, for who has no loop

    def open(self) -> None:
        self._is_open = True
        for service in self._services.values():
            service.open()

    def close(self) -> None:
        """Before that of the other host, which ends our programs."""
        self._nursery = None
        for service in (*self._services.values(), *self._leaving):
            service.close()
        self._services, self._leaving, self._pools, self._pools_by_name = {}, [], {}, {}

    # Inside

    def _of_place(self, hosting: Hosting) -> Service | None:
        """Who listens where a route says, if it is a program of ours."""
        if hosting.processes:
            return None
        services = self._services.values()
        return next((each for each in services if hosting.fastcgi in [place.url for place in each.pool.places]), None)

    def _kept(
        self, before: dict[object, Service], key: object, route: Route, directory: ScriptDirectory
    ) -> Service | None:
        """That of the configuration before, if nothing has changed."""
        service = before.get(key)
        if service is None or service.fingerprint != self._fingerprint(route, directory):
            return None
        return before.pop(key)

    def _fingerprint(self, route: Route, directory: ScriptDirectory) -> tuple[object, ...]:
        return program_of(route, {}).fingerprint(directory) if route.hosting.processes else ()

    def _made(self, route: Route, directory: ScriptDirectory, environment: Mapping[str, str]) -> Service:
        hosting = route.hosting
        pool = Pool(self.exec.watch, self._look_up, self._say)
        service = Service(pool, self._fingerprint(route, directory))
        if not hosting.processes:
            pool.places.append(Place(pool, hosting.fastcgi))
        else:
            program = program_of(route, environment)
            try:
                # Each process has a socket of its own, so that it is known which one hangs, unless others ask it, too.
                if hosting.fastcgi:
                    self._listen(service, hosting.fastcgi, hosting.processes)
                else:
                    self._listen_apart(service, hosting.processes)
                for place, listening in zip(pool.places, service.sockets, strict=True):
                    self._people(service, place, listening, program, directory)
            except OSError as error:
                pool.trouble = f"nothing can listen at {hosting.fastcgi or 'a socket of its own'}: {error.strerror}"
                self._say(f"{route.script}: {pool.trouble}")
        if self._is_open:
            service.open()
        return service

    def _listen(self, service: Service, url: str, processes: int) -> None:
        """One place, whose name others may know. Raises OSError."""
        if is_taken(url, self._inodes.get(url)):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        service.sockets.append(listen(url))
        self._inodes[url] = 0
        if url.startswith("unix://"):
            path = url.removeprefix("unix://")
            service.files[path] = self._inodes[url] = os.stat(path).st_ino
        service.pool.places.append(Place(service.pool, url, processes, max_conns=1 if processes == 1 else inf))

    def _listen_apart(self, service: Service, places: int) -> None:
        """Places without a name. Raises OSError."""
        for _ in range(places):
            listening, descriptor = listen_unnamed()
            service.sockets.append(listening)
            service.descriptors.append(descriptor)
            service.pool.places.append(Place(service.pool, f"unix:///proc/self/fd/{descriptor}", 1, max_conns=1))

    def _people(
        self, service: Service, place: Place, listening: socket.socket, program: Program, directory: ScriptDirectory
    ) -> None:
        for _ in range(place.processes):
            stderr = partial(self._stderr, program.name)
            resident = Resident(program, directory, listening, self.exec, self._say, stderr, place.changed)
            place.residents.append(resident)
            service.residents.append(resident)

    def _look_up(self, host: str, port: int, found: Callable[[list[Address], str], None]) -> None:
        if self._nursery is None:
            found(*looked_up(host, port))
        else:
            self._nursery.start_soon(look_up, host, port, found)


def program_of(route: Route, environment: Mapping[str, str]) -> Program:
    variables = {**environment, **dict(route.hosting.environment)}
    return Program(route.script, route.hosting.command, tuple(variables.items()), route.profile)


async def look_up(host: str, port: int, found: Callable[[list[Address], str], None]) -> None:
    """In a thread: a name server may take its time."""
    found(*await in_thread(looked_up, host, port, abandon_on_cancel=True))


def looked_up(host: str, port: int) -> tuple[list[Address], str]:
    """The addresses of a name, or why there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return [], error.strerror or str(error)
    return [(family, address) for family, _, _, _, address in found], ""
