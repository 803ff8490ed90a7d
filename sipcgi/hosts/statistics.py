"""What the runs of scripts came to and what they used, since the server started."""

from dataclasses import dataclass, field

from sipcgi.hosts.base import Outcome


@dataclass(slots=True)
class ScriptStatistics:
    """Of one script. Seconds are sums over all runs."""

    runs: int = 0
    """Those that have ended, for whatever reason."""
    failed: int = 0
    """Ended neither by themselves with status 0, nor because nobody waited for them any more."""
    timed_out: int = 0
    refused: int = 0
    """Never begun, and not among the runs."""
    wall: float = 0.0
    cpu: float = 0.0
    peak_kib: int = 0
    """Of the largest run."""

    def add(self, outcome: Outcome) -> None:
        if not outcome.complete:
            if outcome.refused:
                self.refused += 1
                return
            self.failed += not outcome.ended
            self.timed_out += outcome.timed_out
        self.runs += 1
        self.wall += outcome.wall
        self.cpu += outcome.cpu
        if outcome.peak_kib > self.peak_kib:
            self.peak_kib = outcome.peak_kib

    def __str__(self) -> str:
        return (
            f"runs={self.runs} failed={self.failed} timed_out={self.timed_out} refused={self.refused}"
            f" seconds={self.wall:.3f} cpu={self.cpu:.3f} peak_kib={self.peak_kib}"
        )


@dataclass(slots=True)
class Statistics:
    """Of all of them."""

    running: int = 0
    waiting: int = 0
    """In line for a place."""
    scripts: dict[str, ScriptStatistics] = field(default_factory=dict)
    """By name."""
