"""Programs that the server keeps running, each with a socket as descriptor 0 on which it listens (FastCGI 2.2)."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

from sipcgi.errors import ScriptError
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.directory import Problem, ScriptDirectory
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.fastcgi_place import host_and_port
from sipcgi.hosts.run import ScriptRun
from sipcgi.profile import Profile
from sipcgi.timerqueue import Timer

LISTENSOCK = 0
STEADY = 5.0  # seconds a process has to live for the next one to be started at once
ALIVE = 0.5  # seconds after which one that is started again after a crash is trusted
RETRY_FIRST, RETRY_LAST = 0.1, 10.0  # seconds until the next start, when they keep dying
RENEWAL = 10.0  # seconds after which it may complain anew (hosts/run)
BACKLOG = 511
NOT_STARTED = "could not be started"  # how a failure of hosts/runs begins that is the program's own


@dataclass(frozen=True, slots=True)
class Program:
    """How it is started."""

    name: str
    words: tuple[str, ...]
    """The first is a file of the scripts directory, or an absolute path."""
    environment: tuple[tuple[str, str], ...]
    profile: Profile

    def command(self, directory: ScriptDirectory) -> list[str]:
        """Program and arguments. Raises ScriptError when there is none."""
        file, scripts = self.file(directory)
        return [self.path(directory) if word == file else word for word in scripts.command(file)] + [*self.words[1:]]

    def problems(self, directory: ScriptDirectory) -> list[Problem]:
        """All that keeps it from being started."""
        file, scripts = self.file(directory)
        return scripts.problems(file)

    def path(self, directory: ScriptDirectory) -> str:
        return directory.locate(self.words[0])

    def file(self, directory: ScriptDirectory) -> tuple[str, ScriptDirectory]:
        """The file that is started, and the folder that tells whether and how. A path means what it leads to."""
        if not os.path.isabs(self.words[0]):
            return self.path(directory), directory
        file = os.path.realpath(self.words[0])
        return file, ScriptDirectory(os.path.dirname(file), directory.search)

    def folder(self, directory: ScriptDirectory) -> str:
        """Where it works: its own folder if it is a script, else that of the scripts (RFC 3050 6.1)."""
        return directory.path if os.path.isabs(self.words[0]) else os.path.dirname(self.path(directory))

    def fingerprint(self, directory: ScriptDirectory) -> tuple[object, ...]:
        """Changes with each file that the command names."""
        found: list[object] = []
        for word in self.words:
            with suppress(OSError):
                status = os.stat(os.path.join(self.folder(directory), word))
                found.append((word, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)


class Resident:
    """One process of a program, and the next one when it dies."""

    def __init__(
        self,
        program: Program,
        directory: ScriptDirectory,
        listening: socket.socket,
        host: ExecHost,
        say: Callable[[str], None],
        stderr: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.program = program
        self.failing = ""
        """Why nothing is asked of it for the time being."""
        self.answered = False
        """Whether it has ended a request since its start, or another one at its socket has."""
        self._directory = directory
        self._listening = listening
        self._host = host
        self._say = say
        self._stderr = stderr
        self._changed = changed
        """Is called when `failing` has."""
        self._run: ScriptRun | None = None
        self._started = 0.0
        self._retry = 0.0
        self._stopped = self._restarts = False
        self._timer: Timer | None = None
        self._renewal: Timer | None = None

    def start(self) -> None:
        timers, program = self._host.timers, self.program
        self._timer = None
        self._started = timers.now()
        self.answered = False
        try:
            argv = program.command(self._directory)
            descriptor = os.dup(self._listening.fileno())
        except (ScriptError, OSError) as error:
            why = error.text if isinstance(error, ScriptError) else error.strerror
            self._timer = timers.start(0.0, self._ended, Outcome(failure=f"{NOT_STARTED}: {why}"))
            return
        invocation = Invocation(
            name=program.name,
            argv=argv,
            directory=program.folder(self._directory),
            environment=dict(program.environment),
            given={LISTENSOCK: descriptor},
            timeout=inf,
            resident=True,
            script=program.path(self._directory),
            profile=program.profile,
        )
        self._run = self._host.start(invocation, self._ended, self._stderr)
        if self.failing:
            self._timer = timers.start(ALIVE, self._recovered)
        self._renewal = timers.start(RENEWAL, self._renew)

    def restart(self) -> None:
        """This process hangs."""
        if self._run is not None and not self._restarts:
            self._restarts = True
            self._say(
                f"{self.program.name}: a process of it hangs in a request that is over; another one takes its place"
            )
            self._run.end()

    def stop(self) -> None:
        """TERM, then KILL."""
        self.close()
        if self._run is not None:
            self._run.end()

    def close(self) -> None:
        """It is not started again."""
        self._stopped = True
        for timer in (self._timer, self._renewal):
            if timer is not None:
                timer.cancel()

    def _ended(self, outcome: Outcome) -> None:
        self._run = None
        if self._stopped:
            return
        for timer in (self._timer, self._renewal):
            if timer is not None:
                timer.cancel()
        if self._restarts or self.answered or self._host.timers.now() - self._started > STEADY:
            self._retry = 0.0
        crashed = self._retry > 0 or (outcome.failure or "").startswith(NOT_STARTED)
        if crashed:
            self._retry = max(self._retry, RETRY_FIRST)
        if not self._restarts and not (self.answered and outcome.status == 0):  # many end after so many requests
            when = f"{self._retry:g} s later" if crashed else "at once"
            self._say(f"{self.program.name}: a process of it {how_it_ended(outcome)}; it is started again {when}")
        self._restarts = False
        self._timer = self._host.timers.start(self._retry, self.start)
        self._retry = min(max(self._retry * 2, RETRY_FIRST), RETRY_LAST)
        if crashed:
            self.failing = f"the FastCGI program {how_it_ended(outcome)}"
            self._changed()

    def _recovered(self) -> None:
        self._timer = None
        self.failing = ""
        self._changed()

    def _renew(self) -> None:
        if self._run is not None:
            if self._run.stderr_lines is not None:
                self._run.stderr_lines.renew()
            self._renewal = self._host.timers.start(RENEWAL, self._renew)


def how_it_ended(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return outcome.failure if outcome.failure.startswith(NOT_STARTED) else f"is gone ({outcome.failure})"
    return f"was killed by signal {outcome.signal}" if outcome.signal else f"ended with status {outcome.status}"


def listen(url: str) -> socket.socket:
    """A socket that listens where no other one does. Raises OSError.

    That of the unix family takes the place of what nobody listens on any more, in one step; only we may connect.
    """
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        new = f"{path}.new"
        try:
            with suppress(FileNotFoundError):
                os.unlink(new)
            made.bind(new)
            os.chmod(new, 0o600)
            made.listen(BACKLOG)
            os.rename(new, path)
        except OSError:
            made.close()
            raise
        return made
    made = socket.socket(*_tcp(url)[:2])
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # for those that follow on a reload
        made.bind(_tcp(url)[2])
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    return made


def listen_unnamed() -> tuple[socket.socket, int]:
    """One that has lost its name, and a descriptor as which it is reached in /proc: nobody else finds it, and nothing
    is left of it. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="sipcgi-") as folder:
        made = listen(f"unix://{folder}/socket")
        try:
            return made, os.open(f"{folder}/socket", os.O_PATH)
        except OSError:
            made.close()
            raise


def is_taken(url: str, ours: int | None = None) -> bool:
    """Whether somebody else listens there, or it is no socket; `ours` is the inode of what we have there, 0 for tcp."""
    if not url.startswith("unix://"):
        return ours is None and _is_bound(url)
    path = url.removeprefix("unix://")
    try:
        status = os.stat(path)
        if not stat.S_ISSOCK(status.st_mode):
            return True
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            return status.st_ino != ours and probe.connect_ex(path) != errno.ECONNREFUSED
    except FileNotFoundError:
        return False


def _is_bound(url: str) -> bool:
    """Another server of ours would share the port, and take every other request."""
    family, kind, address = _tcp(url)
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _tcp(url: str) -> tuple[int, int, Any]:
    """Family, type and address of the socket."""
    host, port = host_and_port(url)
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return family, kind, address
