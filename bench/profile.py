"""py-spy on the running server: a flame graph, or the functions that take the time as text."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.server import Failed

MOST = 25


class Profile:
    """Samples a process for some seconds, beside the load."""

    def __init__(self, pid: int, seconds: float, graph: Path | None, work: Path) -> None:
        command = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
        if command is None:
            raise Failed("py-spy is not installed: pip install -e .[dev]")
        self.graph = graph
        self.raw = work / "profile.txt"
        kind = "raw" if graph is None else "flamegraph"
        options = ["--pid", str(pid), "--duration", str(max(1, round(seconds))), "--rate", "500", "--nonblocking"]
        self.process = subprocess.Popen(
            [command, "record", *options, "--format", kind, "--output", str(graph or self.raw)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def finish(self) -> str:
        _, errors = self.process.communicate(timeout=60)
        if self.process.returncode:
            raise Failed(f"py-spy: {errors.decode(errors='replace')}")
        return f"flame graph: {self.graph}" if self.graph else top(self.raw.read_text())


def top(raw: str) -> str:
    """The functions with the most time of their own, from lines `outer;...;inner COUNT`."""
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        names = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in stack.split(";")]
        own[names[-1]] += int(count)
        below.update(dict.fromkeys(names, int(count)))
    total = sum(own.values()) or 1
    share = 100 / total
    lines = [f"{n * share:7.1f} %{below[name] * share:7.1f} %  {name}" for name, n in own.most_common(MOST)]
    return "\n".join(["      own      all", *lines])
