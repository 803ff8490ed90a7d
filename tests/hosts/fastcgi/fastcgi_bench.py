"""A host of FastCGI programs, driven in real time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio
from peer import Behaviour, Peer, echo

from sipcgi.cgi.routes import Route
from sipcgi.engine.clock import Clock
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.fastcgi import FastCgiHost
from sipcgi.hosts.fastcgi_run import FastCgiRun
from sipcgi.hosts.kits import with_kits
from sipcgi.profile import FASTCGI, Hosting

KITS = with_kits({"PATH": "/usr/local/bin:/usr/bin:/bin"})


class FastCgiBench:
    """Configures programs and runs them."""

    def __init__(self, host: FastCgiHost, folder: Path, nursery: trio.Nursery) -> None:
        self.host = host
        self.folder = folder
        self.nursery = nursery
        self.said: list[str] = []
        self.stderr: list[str] = []
        self.lines: list[str] = []
        host._say = self.said.append
        host._stderr = lambda name, line: self.stderr.append(line)
        self.hosting = Hosting(FASTCGI)

    def configure(self, *hostings: Hosting, **changes: Any) -> None:
        """The routes of a configuration; runs are those of the first, unless they say otherwise."""
        self.hosting = hostings[0] if hostings else self.hosting
        routes = [
            Route(script=hosting.fastcgi or hosting.command[0], hosting=hosting, **changes) for hosting in hostings
        ]
        self.host.configure(routes, ScriptDirectory(str(self.folder)), KITS)

    async def peer(self, *behaviours: Behaviour, values: dict[str, str] | None = None) -> Peer:
        """One that is configured, and has been asked what it can do."""
        peer = Peer(self.folder / f"peer{len(list(self.folder.iterdir()))}", *(behaviours or [echo]), values=values)
        await self.nursery.start(peer.run)
        self.configure(Hosting(FASTCGI, fastcgi=peer.url))
        await self.until(lambda: peer.questions)
        await trio.sleep(0.02)
        return peer

    def write(self, text: str, name: str = "program.py") -> Hosting:
        """A program in Python whose function is `answer`; that it is to be started."""
        path = self.folder / name
        path.write_text(
            f"#!/usr/bin/env python3\nimport os, sys, time\nfrom sipcgi_fastcgi import serve\n{text}\nserve(answer)\n"
        )
        path.chmod(0o755)
        return Hosting(FASTCGI, processes=1, command=(name,))

    def start(self, done: Callable[[Outcome], None], text: str = "text", **changes: Any) -> FastCgiRun:
        environment = changes.pop("environment", {"A": text})
        name = self.hosting.fastcgi or self.hosting.command[0]
        invocation = Invocation(name, [], "", environment, hosting=self.hosting)
        return self.host.start(replace(invocation, **changes), done, self.lines.append)

    async def run(self, text: str = "text", within: float = 10.0, **changes: Any) -> Outcome:
        send, receive = trio.open_memory_channel[Outcome](2)
        self.start(send.send_nowait, text, **changes)
        with trio.fail_after(within):
            return await receive.receive()

    async def until(self, condition: Callable[[], object], within: float = 5.0) -> None:
        with trio.fail_after(within):
            while not condition():  # noqa: ASYNC110 - other processes set no event
                await trio.sleep(0.003)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[FastCgiBench]:
    """Ends as a server does."""
    crashes: list[str] = []
    clock = Clock(crashes.append)
    exec_host = ExecHost(clock.timers, launchers=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        await nursery.start(exec_host.run)
        host = FastCgiHost(exec_host)
        await nursery.start(host.run)
        yield FastCgiBench(host, folder, nursery)
        nursery.cancel_scope.cancel()
    assert crashes == []
