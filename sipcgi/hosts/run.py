"""A run of a script as the server holds it: two pipes to read, and what came out of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import ioctl
from functools import partial
from signal import SIGKILL, SIGXCPU, SIGXFSZ
from termios import FIONREAD
from typing import TYPE_CHECKING, TypeAlias

from sipcgi.compiled import compiled
from sipcgi.compiled.quick import quick
from sipcgi.hosts import wire
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.trust import checked
from sipcgi.profile import Limits
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    from sipcgi.hosts.runs import Runs

CHUNK = 65536  # octets: what a pipe holds
_NO_OCTETS = bytes(4)  # an int: what FIONREAD says of a pipe that holds nothing
MOST_STDERR_OCTETS = 8192
MOST_STDERR_LINES = 200


class StderrLines:
    """Cuts standard error into lines and gives `tell` the first of them."""

    __slots__ = ("full", "lines", "octets", "rest", "tell")

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.rest = b""
        self.octets = MOST_STDERR_OCTETS
        self.lines = MOST_STDERR_LINES
        self.full = False

    def feed(self, octets: bytes) -> None:
        if self.full:
            return
        *lines, self.rest = (self.rest + octets[: self.octets]).split(b"\n")
        for line in lines[: self.lines]:
            self._say(line)
        self.full = len(octets) > self.octets or len(lines) > self.lines
        self.octets -= len(octets)
        self.lines -= len(lines)
        if self.full:
            self._finish()

    def renew(self) -> None:
        """Of a program that goes on: it may say as much again."""
        self.octets, self.lines, self.full = MOST_STDERR_OCTETS, MOST_STDERR_LINES, False

    def close(self) -> None:
        """The last line may lack its end."""
        if not self.full:
            self.full = self.lines == 0 and self.rest != b""
            self._finish()

    def _finish(self) -> None:
        if self.lines > 0:
            self._say(self.rest)
        if self.full:
            self.tell("(what followed on standard error was dropped)")
        self.rest = b""

    def _say(self, line: bytes) -> None:
        if line:
            self.tell(line.removesuffix(b"\r").decode("utf-8", "surrogateescape"))


Order: TypeAlias = "tuple[bytes, ScriptRun | None, list[int]]"
"""A record, the run it is about (None: the mark of one), and descriptors to send with it and to close then."""


@quick
@dataclass(slots=True, eq=False)
class ScriptRun:
    """Owns the reading ends of both pipes; hosts/runs moves it along."""

    number: int
    limits: Limits
    max_output: int
    timeout: float
    done: Callable[[Outcome], None]
    tell: Callable[[str], None]
    """Gets the lines of standard error."""
    runs: Runs
    started: float
    stdout: int = -1
    """A descriptor; -1 when there is none (any more)."""
    stderr: int = -1
    output: bytes | bytearray = b""
    """What was taken of standard output."""
    stderr_lines: StderrLines | None = None
    """None as long as nothing came."""
    timer: Timer | None = None
    timed_out: bool = False
    ended: bool = False
    overflow: bool = False
    told: bool = False
    """To end."""
    finished: bool = False
    watched: bool = False
    failure: str | None = None

    def start_order(self, invocation: Invocation, profile: int) -> Order:
        """Opens what the run needs. Raises OSError, or ValueError for texts that no program can be started with and for
        a script that is not trusted; both close what was given."""
        theirs: list[int] = []
        flags = 0
        given = invocation.given
        try:
            invocation = checked(invocation)
            given = invocation.given
            texts = wire.pack_texts(invocation.directory, invocation.argv, invocation.environment)
            resident = invocation.resident
            if not resident:
                self.stdout, writing = os.pipe()
                theirs.append(writing)
            self.stderr, writing = os.pipe()
            theirs.append(writing)
            if resident:
                theirs.append(os.dup(writing))
            if invocation.stdin:
                flags = wire.STDIN
                theirs.append(memory_file(invocation.stdin))
            if given:
                for number, flag in wire.GIVEN:
                    if number in given:
                        flags |= flag
                        theirs.append(given.pop(number))
            if len(texts) > wire.MAX_RECORD:
                flags |= wire.APART
                theirs.append(memory_file(texts))
                texts = b""
        except (OSError, ValueError):
            self.close()
            for descriptor in (*theirs, *given.values()):
                os.close(descriptor)
            raise
        return wire.ORDER.pack(wire.START, flags, len(invocation.argv), profile, self.number) + texts, self, theirs

    def end(self) -> None:
        if not (self.finished or self.ended):
            self.ended = True
            self.runs.end(self)

    def watch_pipes(self) -> None:
        """From now on what it writes is read as it comes, so that a pipe that is full does not stop it."""
        self.watched = True
        for descriptor in (self.stdout, self.stderr):
            if descriptor >= 0:
                os.set_blocking(descriptor, False)
                self.runs.watch.add(descriptor, partial(self._readable, descriptor))

    def _readable(self, descriptor: int, events: int, until: float) -> None:
        taken = self.read(descriptor)
        if descriptor == self.stdout and self.overflow:
            self.runs.watch.remove(descriptor)  # closed, it would end the script before KILL can end all of it
            self.runs.overflown(self)
        elif taken == 0:
            self.close_one(descriptor)

    def read(self, descriptor: int) -> int:
        """Takes what one read of a pipe gives: the number of octets, 0 at its end, -1 when there is nothing now.

        The pipe must not block by then (`watch_pipes`, `take`).
        """
        try:
            octets = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return -1
        if not octets:
            return 0
        if descriptor == self.stderr:
            if self.stderr_lines is None:
                self.stderr_lines = StderrLines(self.tell)
            self.stderr_lines.feed(octets)
            return len(octets)
        room = self.max_output - len(self.output)
        self.overflow = len(octets) > room
        taken = octets[:room] if self.overflow else octets
        if not self.output:
            self.output = taken
        else:  # of an array, as each time all that was taken before would be copied
            self.output = self.output if isinstance(self.output, bytearray) else bytearray(self.output)
            self.output += taken
        return len(octets)

    def take(self) -> None:
        """What is in the pipes now; whoever may write on is not waited for."""
        if self.stdout >= 0 and not self.overflow:
            os.set_blocking(self.stdout, False)
            while self.read(self.stdout) == CHUNK and not self.overflow:
                pass
        if self.stderr >= 0 and holds_something(self.stderr):  # which nearly none does
            os.set_blocking(self.stderr, False)  # what it holds now, a process of the script may read before us
            for _ in range(16):  # the script may have made the pipe hold 16 chunks
                if self.read(self.stderr) != CHUNK:
                    break

    def drain(self) -> None:
        """After the exit: what it wrote is in the pipes; a background child that writes on is not waited for."""
        stdout, stderr = self.stdout, self.stderr
        plain = not self.watched and stdout >= 0 and self.stderr_lines is None
        if plain and not holds_something(stderr):  # as nearly always
            os.set_blocking(stdout, False)
            if self.read(stdout) != CHUNK:
                os.close(stdout)
                os.close(stderr)
                self.stdout = self.stderr = -1
                return
        self.take()
        if self.stderr_lines is not None:
            self.stderr_lines.close()
        self.close()

    def close(self) -> None:
        if self.watched:
            self.close_one(self.stdout)
            self.close_one(self.stderr)
            return
        if self.stdout >= 0:
            os.close(self.stdout)
        if self.stderr >= 0:
            os.close(self.stderr)
        self.stdout = self.stderr = -1

    def close_one(self, descriptor: int) -> None:
        """Of one that is watched."""
        if descriptor < 0:
            return
        self.runs.watch.remove(descriptor)
        os.close(descriptor)
        if descriptor == self.stdout:
            self.stdout = -1
        else:
            self.stderr = -1

    def outcome(self, code: int | None, cpu: float, peak_kib: int, now: float, starved: bool = False) -> Outcome:
        """`code` is negative for a signal, None where there was no exit; `now` is of the clock of `started`; `starved`:
        its control group had no more memory."""
        status, signal, limit = code, None, ""
        if code is not None and code < 0:
            status, signal, limit = None, -code, self._reached(-code, cpu, starved)
        return Outcome(
            stdout=bytes(self.output),
            status=status,
            signal=signal,
            limit=limit,
            timed_out=self.timed_out,
            ended=self.ended,
            overflow=self.overflow,
            failure=self.failure,
            wall=now - self.started,
            cpu=cpu,
            peak_kib=peak_kib,
        )

    def _reached(self, number: int, cpu: float, starved: bool) -> str:
        """The limit that a signal says was reached."""
        if starved:
            return "memory"
        if number == SIGXFSZ:
            return "file_size"
        deaf = number == SIGKILL and 0 < self.limits.cpu < cpu  # SIGXCPU was a second before
        return "cpu" if number == SIGXCPU or deaf else ""


@compiled
def plain_start(runs: Runs, run: ScriptRun, profile: int, invocation: Invocation) -> bool:
    """Compiled, does what `start_order` does, sends the order, closes what went with it, and has the run in `running`.
    False, and nothing is left of it, where other orders or that profile come first, more is needed than pipes and a
    standard input, or an error is in the way."""
    return False


def holds_something(pipe: int) -> bool:
    """Whether a read would not wait. A pipe at its end holds nothing either."""
    return ioctl(pipe, FIONREAD, _NO_OCTETS) != _NO_OCTETS


def memory_file(octets: bytes) -> int:
    """A descriptor that reads them from the start. For standard input it beats a pipe: no script can leave it full."""
    descriptor = os.memfd_create("sipcgi", MEMORY_FLAGS)
    try:
        at = os.pwrite(descriptor, octets, 0)
        while at < len(octets):
            at += os.pwrite(descriptor, octets[at:], at)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _memory_flags() -> int:
    """Linux may be told (vm.memfd_noexec) to demand a flag that it does not know before 6.3."""
    try:
        os.close(os.memfd_create("sipcgi", os.MFD_CLOEXEC | MFD_NOEXEC_SEAL))
    except OSError:
        return os.MFD_CLOEXEC
    return os.MFD_CLOEXEC | MFD_NOEXEC_SEAL


MFD_NOEXEC_SEAL = 8
MEMORY_FLAGS = _memory_flags()
