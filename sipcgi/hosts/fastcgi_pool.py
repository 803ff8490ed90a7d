"""A FastCGI program as runs see it: the places where it listens, and the line before them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from sipcgi.hosts.fastcgi_place import Address, Place
from sipcgi.hosts.fastcgi_run import FastCgiRun
from sipcgi.hosts.watch import RunWatch

LookUp = Callable[[str, int, Callable[[list[Address], str], None]], None]
"""Host, port, and who gets the addresses, or why there are none."""


class Pool:
    """Takes runs to the place that has the least to do. Those that find no room wait, and all fail while no place can
    be reached."""

    def __init__(self, watch: RunWatch, look_up: LookUp, say: Callable[[str], None]) -> None:
        self.watch = watch
        self.timers = watch.timers
        self.look_up = look_up
        self.say = say
        """Is told when a program cannot be reached, and when it can be again."""
        self.places: list[Place] = []
        self.trouble = ""
        """Why it has none."""
        self.retired = self.closed = False
        self.emptied: Callable[[], None] = lambda: None
        """Called once when it is retired and the last run has ended."""
        self.line: OrderedDict[FastCgiRun, None] = OrderedDict()

    def open(self) -> None:
        for place in self.places:
            place.open()

    def take(self, run: FastCgiRun) -> None:
        """Never waits, and no run ends from within."""
        if not self.line:
            places = self.places
            if places[0].take(run) if len(places) == 1 else self._placed(run):
                return
        self.line[run] = None
        run.waits(self)
        self._fail_all_if_alone()

    def take_again(self, run: FastCgiRun) -> None:
        """One that had its turn is first in line."""
        self.line[run] = None
        self.line.move_to_end(run, last=False)
        run.waits(self)
        self.serve()

    def leave(self, run: FastCgiRun) -> None:
        self.line.pop(run, None)

    def serve(self) -> None:
        """There may be room for those who wait, or no hope any more."""
        while self.line:
            run, _ = self.line.popitem(last=False)
            if not self._placed(run):
                self.line[run] = None
                self.line.move_to_end(run, last=False)
                self._fail_all_if_alone()
                break
            run.attended()
        if self.retired and not self.closed and not self.line:
            for place in self.places:
                place.rest()
            if not self.closed and not any(place.connections for place in self.places):
                self.close()
                self.emptied()

    def retire(self) -> None:
        """Ends when the runs that it has have ended."""
        self.retired = True
        self.serve()

    def close(self) -> None:
        """No run is heard of any more."""
        self.closed = True
        for place in self.places:
            place.close()

    def _placed(self, run: FastCgiRun) -> bool:
        return any(place.take(run) for place in sorted(self.places, key=Place.busy))

    def _fail_all_if_alone(self) -> None:
        """Nobody waits for a program that is not there."""
        reasons = [place.why_not() for place in self.places] or [self.trouble]
        if all(reasons):
            line, self.line = self.line, OrderedDict()
            for run in line:
                self.timers.start(0.0, run.failed, reasons[0])
