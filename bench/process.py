"""What a process and everything below it cost, read from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Reading:
    """One look at a process and its descendants; `cpu` counts the children that they have waited for too."""

    cpu: float = 0.0
    processes: int = 0
    zombies: int = 0
    descriptors: int = 0
    threads: int = 0
    resident_kib: int = 0


def look(root: int) -> Reading:
    stats = {pid: fields for pid in _pids() if (fields := _stat(pid)) is not None}
    tree, size = {root}, 0
    while size != len(tree):
        size = len(tree)
        tree |= {pid for pid, fields in stats.items() if int(fields[1]) in tree}
    reading = Reading()
    for pid in tree & stats.keys():
        fields = stats[pid]
        reading.processes += 1
        reading.zombies += fields[0] == "Z"
        reading.cpu += sum(map(int, fields[11:15])) / TICK  # utime stime cutime cstime: proc(5)
        reading.threads += int(fields[17])
        reading.resident_kib += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
        try:
            reading.descriptors += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue  # it has just ended
    return reading


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """The fields after the name: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
