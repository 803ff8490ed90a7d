"""A run of a resident program: one request to it, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.limit import PATIENCE
from sipcgi.hosts.run import StderrLines
from sipcgi.timerqueue import Timer, TimerQueue

if TYPE_CHECKING:
    from sipcgi.hosts.fastcgi_connection import Connection
    from sipcgi.hosts.fastcgi_pool import Pool


class FastCgiRun:
    """Waits in the line of its pool, or is under way on a connection, or is `over`."""

    over = False
    where: Pool | Connection | None = None
    """Who has it."""
    _chunks: list[bytes] | None = None
    """None as long as it printed nothing that was not its last."""
    _stderr: StderrLines | None = None
    """None as long as nothing came."""
    _patience: Timer | None = None
    _tried = False

    def __init__(
        self,
        timers: TimerQueue,
        invocation: Invocation,
        done: Callable[[Outcome], None],
        stderr: Callable[[str], None],
    ) -> None:
        self.invocation = invocation
        self.room = invocation.max_output
        """Octets that it may still print."""
        self._done = done
        self._tell = stderr
        self._timers = timers
        self._started = timers.now()
        self._timer = timers.start(invocation.timeout, self._time_out)

    def end(self) -> None:
        """Aborts the request. `done` is called, but not from within."""
        if not self.over:
            self._drop()
            self._timers.start(0.0, self._finish, Outcome(ended=True))

    # Where it is

    def waits(self, pool: Pool) -> None:
        self.where = pool
        if self.invocation.refusable and self._patience is None:
            self._patience = self._timers.start(PATIENCE, self._refuse)

    def attended(self) -> None:
        """It waits no longer."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def may_try_again(self) -> bool:
        """Whether the request can be sent once more: when the program has neither read it nor been asked twice."""
        again = not (self._tried or self._chunks)
        self._tried = True
        return again

    # What the program says

    def printed(self, octets: bytes) -> None:
        if self.over or not octets:
            return
        room = self.room
        self.room -= len(octets)
        if self._chunks is None:
            self._chunks = []
        if self.room < 0:
            self._chunks.append(octets[:room])
            self._drop()
            self._finish(Outcome(stdout=b"".join(self._chunks), overflow=True))
        else:
            self._chunks.append(octets)

    def complained(self, octets: bytes) -> None:
        if not self.over:
            self._tried = True
            if self._stderr is None:
                self._stderr = StderrLines(self._tell)
            self._stderr.feed(octets)

    def answered(self, output: bytes) -> None:
        """The rest of what it prints, for which there is room, and a good end."""
        self.over = True
        self._timer.cancel()
        self._finish(Outcome(b"".join([*self._chunks, output]) if self._chunks else output, 0))

    def completed(self, status: int, protocol_status: int) -> None:
        if self.over:
            return
        self._close()
        if protocol_status == records.REQUEST_COMPLETE:
            self._finish(Outcome(stdout=b"".join(self._chunks or ()), status=status))
        elif protocol_status == records.OVERLOADED and self.invocation.refusable:
            self._finish(Outcome(refused=True))
        else:
            why = {records.OVERLOADED: "is overloaded", records.UNKNOWN_ROLE: "is no responder"}
            text = why.get(protocol_status, f"ended the request with protocolStatus {protocol_status}")
            self._finish(Outcome(failure=f"the FastCGI program {text}"))

    def failed(self, why: str) -> None:
        """It could not be carried to its end."""
        if not self.over:
            self._close()
            self._finish(Outcome(failure=why))

    # Inside

    def _time_out(self) -> None:
        self._drop()
        self._finish(Outcome(timed_out=True))

    def _refuse(self) -> None:
        self._drop()
        self._finish(Outcome(refused=True))

    def _drop(self) -> None:
        """Wherever it is, nobody waits for it any more."""
        self._close()
        if self.where is not None:
            self.where.leave(self)

    def _close(self) -> None:
        self.over = True
        self._timer.cancel()
        if self._patience is not None:
            self._patience.cancel()

    def _finish(self, outcome: Outcome) -> None:
        if self._stderr is not None:
            self._stderr.close()
        outcome.wall = self._timers.now() - self._started
        self._done(outcome)
