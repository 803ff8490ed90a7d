"""One socket on which a FastCGI program listens: the connections to it, and whether anybody is there."""

from __future__ import annotations

from ipaddress import ip_address
from math import inf
from socket import AF_INET, AF_INET6, AF_UNIX
from typing import TYPE_CHECKING, Any, TypeAlias

from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.fastcgi_connection import Connection
from sipcgi.hosts.fastcgi_run import FastCgiRun
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.hosts.fastcgi_pool import Pool
    from sipcgi.hosts.resident import Resident

IDLE = 10.0  # seconds: a process that attends to one connection at a time is kept from others no longer
ANSWER = 0.25  # seconds for telling what it can do; a program that knows no such question does nothing else meanwhile
RETRY_FIRST, RETRY_LAST = 0.1, 5.0  # seconds until somebody looks again whether it is there
FRESH = 60.0  # seconds for which the addresses of a name are believed

Address: TypeAlias = tuple[int, Any]
"""Family and address of a socket."""


def known_addresses(url: str) -> list[Address]:
    """Those that need no name to be looked up; none for a name."""
    scheme, _, rest = url.partition("://")
    if scheme == "unix":
        return [(AF_UNIX, rest)]
    host, port = host_and_port(url)
    try:
        version = ip_address(host).version
    except ValueError:
        return []
    return [(AF_INET6 if version == 6 else AF_INET, (host, port))]


def host_and_port(url: str) -> tuple[str, int]:
    """Of tcp://HOST:PORT; an IPv6 address without its brackets."""
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


class Place:
    """Where runs are taken to. `residents` are the processes behind it that the server itself has started."""

    def __init__(self, pool: Pool, url: str, processes: int = 1, max_conns: float = inf) -> None:
        self.pool = pool
        self.url = url
        self.timers = pool.timers
        self.watch = pool.watch
        self.addresses = known_addresses(url)
        self.multiplexes = False
        self.residents: list[Resident] = []
        self.connections: set[Connection] = set()
        self._idle: list[Connection] = []
        """The one used last is at the end, and used first: the others come to the end of their time."""
        self._named = not self.addresses
        self._looked_up = 0.0
        self.processes = processes
        self._max_conns = max_conns
        self._max_reqs = inf
        self._failing = ""
        """What all of its processes do."""
        self._down = ""
        self._retry = 0.0
        self._retry_timer: Timer | None = None
        self._idle_timer: Timer | None = None
        self._answer_timer: Timer | None = None
        self._question: Connection | None = None

    # Asked by the pool

    def open(self) -> None:
        """Looks whether somebody is there, and what he can do."""
        self._retry_timer = None
        if self._named:
            self._look_up()
        else:
            self._ask()

    def why_not(self) -> str:
        """Why nothing can be asked of it; empty when it can be."""
        return self._failing or self._down

    def busy(self) -> int:
        return sum(len(connection.requests) for connection in self.connections)

    def take(self, run: FastCgiRun) -> bool:
        """Whether it has room for the run."""
        if not self.addresses or self._down or self._failing:
            return False
        idle = self._idle
        at_rest = len(idle) == len(self.connections)
        if not at_rest and self._max_reqs != inf and self.busy() >= self._most(run, self._max_reqs):
            return False
        if idle:
            idle.pop().begin(run)
            return True
        if self.multiplexes and self.connections:
            connection = min(self.connections, key=lambda each: len(each.requests))
            if len(connection.requests) < records.MAX_REQUEST:
                connection.begin(run)
                return True
        if len(self.connections) >= self._most(run, self._max_conns):
            return False
        if self._named and self.timers.now() - self._looked_up > FRESH:
            self._look_up()
        connection = Connection(self)
        self.connections.add(connection)
        connection.begin(run)
        connection.open()
        return True

    def rest(self) -> None:
        """No connection is kept that nobody needs now."""
        for connection in [*self._idle]:
            connection.close()

    def close(self) -> None:
        for timer in (self._retry_timer, self._idle_timer, self._answer_timer):
            if timer is not None:
                timer.cancel()
        for connection in [*self.connections, *([self._question] if self._question else [])]:
            connection.close()

    def _most(self, run: FastCgiRun, told: float) -> float:
        """What the program says is what one process of it takes; of several behind one socket `max_running` tells."""
        own = len(self.residents) == self.processes == 1
        return told if own else run.invocation.max_running or told

    # Said by its connections

    def reached(self) -> None:
        """One of them stands."""
        if self._down:
            self._down, self._retry = "", 0.0
            self.pool.say(f"the FastCGI program at {self.url} is there again")
            self.pool.serve()

    def refused(self, why: str) -> None:
        """One of them could not be made: until somebody looks again, nothing is asked of the place."""
        if self._retry_timer is not None or self.pool.closed:
            return
        if not self._down:
            self.pool.say(f"the FastCGI program at {self.url} cannot be reached: {why}; until it can, runs of it fail")
        self._down = f"the FastCGI program at {self.url} cannot be reached: {why}"
        self._retry = min(max(self._retry * 2, RETRY_FIRST), RETRY_LAST)
        self._retry_timer = self.timers.start(self._retry, self.open)
        self.pool.serve()

    def told(self, connection: Connection, values: dict[str, int]) -> None:
        """What one process of the program can do (FastCGI 4.1)."""
        if connection is self._question:
            connections = values.get(records.MAX_CONNS, 0) * self.processes
            self._max_conns = connections or self._max_conns
            self._max_reqs = values.get(records.MAX_REQS, 0) * self.processes or inf
            self.multiplexes = values.get(records.MPXS_CONNS) == 1
            connection.close()
            self.pool.serve()

    def ended(self, connection: Connection) -> None:
        """A request, on that connection."""
        for resident in self.residents:
            resident.answered = True
        pool = self.pool
        if not connection.requests:
            if pool.retired or (len(self.connections) > 1 and self._somebody_waits()):
                connection.close()
            else:
                connection.idle_since = self.timers.now()
                self._idle.append(connection)
                if self._idle_timer is None:
                    self._idle_timer = self.timers.start(IDLE, self._sweep)
        if pool.line or pool.retired:
            pool.serve()

    def _somebody_waits(self) -> bool:
        """Whether a connection was made that no process has attended to yet: one that serves only another connection
        has to be given free for it."""
        return any(each.requests and not each.heard for each in self.connections)

    def again(self, run: FastCgiRun) -> None:
        """A request that nobody has begun."""
        self.pool.take_again(run)

    def ignored(self) -> None:
        """An aborted request did not end within its grace. A process that has nothing else to do hangs."""
        attended = any(each.heard and each.live() for each in self.connections)
        if len(self.residents) == self.processes == 1 and not attended:
            self.residents[0].restart()

    def gone(self, connection: Connection) -> None:
        if connection is self._question:
            self._question = None
            if self._answer_timer is not None:
                self._answer_timer.cancel()
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self.pool.serve()

    # Said by its processes

    def changed(self) -> None:
        """They fail, or do so no longer. What none of them has attended to need not wait for them."""
        reasons = [resident.failing for resident in self.residents]
        self._failing = reasons[0] if all(reasons) else ""
        if self.why_not():
            for connection in [each for each in self.connections if not each.heard]:
                connection.recall()
        self.pool.serve()

    # Inside

    def _ask(self) -> None:
        """On a connection of its own: a process may close it after its answer, or not know the question."""
        self._question = question = Connection(self)
        self._answer_timer = self.timers.start(ANSWER, question.close)
        question.ask()
        question.open()

    def _look_up(self) -> None:
        self._looked_up = self.timers.now()
        self.pool.look_up(*host_and_port(self.url), self._found)

    def _found(self, addresses: list[Address], why: str) -> None:
        """From the look-up; `why` there are none."""
        if self.pool.closed:
            return
        first = not self.addresses
        self.addresses = addresses or self.addresses
        if not self.addresses:
            self.refused(why)
        elif first or self._down:
            self._ask()
            self.pool.serve()

    def _sweep(self) -> None:
        until = self.timers.now() - IDLE
        for connection in [each for each in self._idle if each.idle_since <= until]:
            connection.close()
        rest = self._idle[0].idle_since - until if self._idle else 0.0
        self._idle_timer = self.timers.start(rest, self._sweep) if self._idle else None
