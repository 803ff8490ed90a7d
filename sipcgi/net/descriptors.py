"""How many files this process may have open at a time, and how many of them may be connections."""

import fcntl
import os
import resource
from contextlib import suppress

ENOUGH = 4096
"""Below this the start-up report warns."""
_RESERVED = 4096
"""For scripts, three each, for stores and for what listens; half of them where there are fewer than twice as many."""
_MOST = 50_000


def allow_all() -> None:
    """Takes what the system allows: the usual soft limit of 1024 is for programs that know only select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a hard limit above that of the kernel (fs.nr_open)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _enlarge_table()


def _enlarge_table() -> None:
    """To be done before there are threads: then the kernel, which doubles the table, stops us for 10 ms each time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = _MOST + _RESERVED if soft == resource.RLIM_INFINITY else min(soft - 1, _MOST + _RESERVED)
    one = os.open(os.devnull, os.O_RDONLY)
    with suppress(OSError):
        os.close(fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, highest))
    os.close(one)


def most_connections() -> int:
    """How many connections there may be at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else _connections(soft)


def shortage() -> str:
    """What to tell whoever runs a server with few descriptors, once it has all that are allowed; "" when they do."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= ENOUGH:
        return ""
    return f"{hard} at most, so {_connections(hard)} connections: raise it (ulimit -Hn, LimitNOFILE= of systemd)"


def _connections(descriptors: int) -> int:
    return min(descriptors - min(descriptors // 2, _RESERVED), _MOST)
