"""What a script host is asked (Invocation), what it answers (Outcome), and the seam itself (ScriptHost)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sipcgi.profile import EXECUTED, PLAIN, Hosting, Profile


@dataclass(slots=True)
class Invocation:
    """One run of a script: everything the host needs and nothing it would have to think about."""

    name: str
    """For messages only."""
    argv: list[str]
    """The first is the absolute path of the program to start."""
    directory: str
    """The working directory: the script's own folder (RFC 3050 6.1)."""
    environment: dict[str, str]
    """All of it (RFC 3050 5.5); the host adds nothing."""
    stdin: bytes = b""
    timeout: float = 5.0
    """Seconds, from `start` on, after which the run is ended."""
    max_output: int = 1024 * 1024
    """Octets on standard output; one more ends the run."""
    script: str = ""
    """The absolute path of the script, which may be the program itself or its argument."""
    profile: Profile = PLAIN
    hosting: Hosting = EXECUTED
    max_running: int | None = None
    """Runs of this name at once; None: as many as of any."""
    refusable: bool = False
    """Whether it is for a new request, which can be refused when too much is asked."""


@dataclass(slots=True)
class Outcome:
    """How a run ended. Its output counts only when `complete`."""

    stdout: bytes = b""
    status: int | None = None
    """Exit status, None where there is none."""
    signal: int | None = None
    """Number of the signal that killed it."""
    timed_out: bool = False
    ended: bool = False
    """By `Run.end`."""
    refused: bool = False
    """It never began: too much was asked (`Invocation.refusable`)."""
    overflow: bool = False
    """More than `max_output`; `stdout` holds the first `max_output` octets."""
    failure: str | None = None
    """Why there is no exit status: it could not be started, or the launcher died."""
    wall: float = 0.0
    """Seconds from `start` to the end."""
    cpu: float = 0.0
    """Seconds, of the script and the children it waited for."""
    peak_kib: int = 0
    """Largest resident set of one of its processes, never less than the launcher's own (about 10 MiB)."""

    @property
    def complete(self) -> bool:
        """Ended by itself with status 0 and within its limits."""
        return self.status == 0 and not (self.timed_out or self.ended or self.overflow)


class Run(Protocol):
    """A script that was started."""

    def end(self) -> None:
        """Ends its process group: TERM, 1 s later KILL. `done` is still called, with `Outcome.ended`."""


class ScriptHost(Protocol):
    """Runs scripts. `start` never waits and never raises; `done` is called exactly once, never from within `start` or
    `end`; `stderr` gets each line of standard error without its end, as it comes, before `done`."""

    def full(self, name: str) -> bool:
        """Whether a run of that name for a new request would be refused, and need not be asked for."""

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> Run: ...
