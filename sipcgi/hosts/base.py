"""What a script host is asked (Invocation), what it answers (Outcome), and the seam itself (ScriptHost)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sipcgi.compiled.quick import quick
from sipcgi.profile import EXECUTED, PLAIN, Hosting, Profile


@quick
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
    common: Mapping[str, str] = field(default_factory=dict)
    """What of it is the same for each run of the script: the environment of a parent that it is forked from."""
    stdin: bytes = b""
    given: dict[int, int] = field(default_factory=dict)
    """Descriptors of ours by the number that the script gets them as (hosts/wire.GIVEN: a standard input instead of
    `stdin`, a control socket, the opened script). They are the host's from `start` on, which closes them."""
    timeout: float = 5.0
    """Seconds, from `start` on, after which the run is ended; math.inf: never."""
    max_output: int = 1024 * 1024
    """Octets on standard output; one more ends the run."""
    script: str = ""
    """The absolute path of the script, which may be the program itself or its argument."""
    profile: Profile = PLAIN
    hosting: Hosting = EXECUTED
    max_running: int | None = None
    """Runs of this name at once; None: as many as of any."""
    resident: bool = False
    """A program that goes on: what it prints is for the log, like its standard error."""
    refusable: bool = False
    """Whether it is for a new request, which can be refused when too much is asked."""


@quick
@dataclass(slots=True)
class Outcome:
    """How a run ended. Its output counts only when `complete`."""

    stdout: bytes = b""
    status: int | None = None
    """Exit status, None where there is none."""
    signal: int | None = None
    """Number of the signal that killed it."""
    limit: str = ""
    """For which of its limits (sipcgi.profile.Limits), where that is known."""
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
    """Seconds, of the script and the children it waited for; of all its processes where a control group counts them."""
    peak_kib: int = 0
    """Memory of all its processes together where a control group counts it, else the largest resident set of one of
    them, which is never less than the launcher's own (about 12 MiB)."""

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
