"""Control groups (cgroup v2): one for each run that has limits, below the group of the server.

That must be delegated to us: by systemd (Delegate=yes), or by belonging to the user that we are. The standard library
alone, for the launcher uses it.
"""

import errno
import os
from contextlib import suppress

from sipcgi.profile import Limits

DELEGATED = ("trusted.delegate", "user.delegate")  # extended attributes that systemd sets
OURS = "server"  # the group of the server and its launchers, where they may not stay in the one above
RUN = "run-"
TURNS = 5
CONTROLLERS = {"memory": "memory", "pids": "processes"}  # and the limits that they count


class Groups:
    """Where they can be made."""

    def __init__(self, base: str, controllers: frozenset[str], remark: str) -> None:
        self.base = base
        self.controllers = controllers
        self.counted = frozenset(CONTROLLERS[name] for name in controllers)
        """Names of the limits that hold for all processes of a run together."""
        self.remark = remark
        self._left: list[str] = []
        """Paths of those in which ended runs have left something."""

    def make(self, run: int, limits: Limits) -> "Group":
        """Raises OSError."""
        path = f"{self.base}/{RUN}{os.getpid()}-{run}"
        os.mkdir(path)
        try:
            if "memory" in self.controllers and limits.memory:
                write(f"{path}/memory.max", limits.memory)
                write(f"{path}/memory.oom.group", 1)
                with suppress(FileNotFoundError):  # without swap
                    write(f"{path}/memory.swap.max", 0)
            if "pids" in self.controllers and limits.processes:
                write(f"{path}/pids.max", limits.processes)
            return Group(path)
        except OSError:
            os.rmdir(path)
            raise

    def remove(self, group: "Group") -> None:
        """When the run has ended; later, if it has left something behind."""
        os.close(group.descriptor)
        self._left.append(group.path)
        self.tidy()

    def tidy(self) -> None:
        """Removes those in which nothing is left."""
        self._left = [path for path in self._left if not removed(path)]

    def settle(self) -> None:
        """Has the controllers count in the groups below: no process may be in the one above. Removes what a launcher
        that died has left. Raises OSError."""
        self._left = [f"{self.base}/{name}" for name in os.listdir(self.base) if name.startswith(RUN)]
        self.tidy()
        self._left.clear()  # what is still in use is another launcher's
        missing = self.controllers.difference(read(f"{self.base}/cgroup.subtree_control").split())
        if not missing:
            return
        ours = f"{self.base}/{OURS}"
        with suppress(FileExistsError):
            os.mkdir(ours)
        for _ in range(TURNS):
            for process in read(f"{self.base}/cgroup.procs").split():
                with suppress(ProcessLookupError):
                    write(f"{ours}/cgroup.procs", process)
            with suppress(OSError):  # one of them has started another meanwhile
                write(f"{self.base}/cgroup.subtree_control", " ".join(f"+{name}" for name in sorted(missing)))
                return
        self.controllers = self.counted = frozenset()
        raise OSError(errno.EBUSY, f"{self.base} is never empty")


class Group:
    """That of one run."""

    __slots__ = ("descriptor", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def enter(self) -> None:
        """In a child that may have been born outside. Raises OSError."""
        if not read(f"{self.path}/cgroup.procs"):
            write(f"{self.path}/cgroup.procs", 0)

    def kill(self) -> bool:
        """Ends all that is in it; False when that is not possible."""
        try:
            write(f"{self.path}/cgroup.kill", 1)
        except OSError:
            return False
        return True

    def cpu(self) -> int:
        """Microseconds of all processes together that were ever in it."""
        return values(f"{self.path}/cpu.stat").get("usage_usec", 0)

    def peak(self) -> int:
        """KiB of all processes together; 0 where nobody counts (or Linux is older than 5.19)."""
        try:
            return int(read(f"{self.path}/memory.peak")) // 1024
        except (OSError, ValueError):
            return 0

    def ran_out_of_memory(self) -> bool:
        return values(f"{self.path}/memory.events").get("oom_kill", 0) > 0


def find(server: int) -> Groups | str:
    """Where runs can have a group of their own, or why they cannot. Changes nothing. `server` is its process id."""
    mount = mount_point()
    own = next((line[3:] for line in read("/proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    if mount is None or own is None:
        return "cgroup v2 is not mounted"
    root, place = mount
    base = os.path.normpath(f"{place}/{os.path.relpath(own, root)}")
    if os.path.basename(base) == OURS and lacking(os.path.dirname(base)) == "":
        base = os.path.dirname(base)
    if why := lacking(base):
        return why
    available = CONTROLLERS.keys() & read(f"{base}/cgroup.controllers").split()
    strangers = available and any(not below(int(number), server) for number in read(f"{base}/cgroup.procs").split())
    controllers = frozenset() if strangers else frozenset(available)
    remark = ""
    if strangers:
        remark = "; memory and processes are not counted there: other programs are in it"
    elif missing := CONTROLLERS.keys() - controllers:
        remark = f"; without its controllers {' and '.join(sorted(missing))}"
    return Groups(base, controllers, remark)


def lacking(base: str) -> str:
    """Why no group can be made below that one; empty when it can."""
    if not os.path.exists(f"{base}/cgroup.kill"):
        return "it takes Linux 5.14 and a group of our own"
    if not os.access(base, os.W_OK) or not os.access(f"{base}/cgroup.procs", os.W_OK):
        return f"{base} may not be changed"
    owner = os.stat(base).st_uid
    if (owner == os.geteuid() and owner != 0) or any(marked(base, name) for name in DELEGATED):
        return ""
    return f"{base} is not delegated to us (systemd: Delegate=yes)"


def marked(base: str, name: str) -> bool:
    try:
        return os.getxattr(base, name) == b"1"
    except OSError:
        return False


def below(process: int, ancestor: int) -> bool:
    """Whether that one started it, or one that it started, or is it; or it is gone."""
    while process not in (ancestor, 0):
        try:
            process = int(read(f"/proc/{process}/stat").rpartition(")")[2].split()[1])
        except OSError:
            return True
    return process == ancestor


def mount_point() -> tuple[str, str] | None:
    """Of cgroup v2: the group at its root, and where that is."""
    for line in read("/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            root, place = before.split()[3:5]
            return root, place.encode().decode("unicode_escape")
    return None


def removed(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def values(path: str) -> dict[str, int]:
    """A file of lines with a name and a number; empty where there is none."""
    try:
        return {name: int(number) for name, number in (line.split() for line in read(path).splitlines())}
    except (OSError, ValueError):
        return {}


def read(path: str) -> str:
    with open(path, encoding="ascii", errors="surrogateescape") as file:
        return file.read()


def write(path: str, value: object) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))
