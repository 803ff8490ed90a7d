"""Which host has which connections, and which has most: found at once, however many there are."""

from collections.abc import Iterable

from sipcgi.net.stream import Connection


class Shares:
    """The connections of each host, the oldest first."""

    def __init__(self) -> None:
        self._of: dict[str, dict[int, Connection]] = {}
        self._having: dict[int, dict[str, None]] = {}
        """The hosts that have so many."""
        self._most = 0

    def __len__(self) -> int:
        """How many hosts."""
        return len(self._of)

    def add(self, connection: Connection) -> None:
        flow = connection.flow
        theirs = self._of.setdefault(flow.remote.host, {})
        self._count(flow.remote.host, len(theirs), len(theirs) + 1)
        theirs[flow.connection] = connection

    def remove(self, connection: Connection) -> None:
        flow = connection.flow
        theirs = self._of[flow.remote.host]
        self._count(flow.remote.host, len(theirs), len(theirs) - 1)
        del theirs[flow.connection]
        if not theirs:
            del self._of[flow.remote.host]

    def of(self, host: str) -> int:
        """How many it has."""
        return len(self._of.get(host, ()))

    def connections(self, host: str) -> Iterable[Connection]:
        return self._of[host].values()

    def greediest(self) -> str:
        """A host that has most. There must be one."""
        return next(iter(self._having[self._most]))

    def _count(self, host: str, before: int, after: int) -> None:
        if before:
            equals = self._having[before]
            del equals[host]
            if not equals:
                del self._having[before]
        if after:
            self._having.setdefault(after, {})[host] = None
        if after > self._most or (before == self._most and before not in self._having):
            self._most = after  # one more or less, so that nobody is between
