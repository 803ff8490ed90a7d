"""Identifiers that a peer cannot guess: branches, tags, tokens.

Every one that comes back to us carries the number of the worker that made it, so that several workers can share a port.
"""

import os
import re
from collections.abc import Callable

from sipcgi.compiled import compiled

MAGIC_COOKIE = "z9hG4bK"  # RFC 3261 8.1.1.7
_DIGITS = 16
_REFILL = 2048
_CUT = re.compile("." * _DIGITS)


@compiled
class Branches:
    """Those of our requests."""

    _branch_prefix: str
    _pool: list[str]
    """16 hexadecimal digits each, the next one last."""

    def branch(self, loop_hash: str = "") -> str:
        """A branch parameter; `loop_hash` is the part by which loops are found (RFC 3261 16.6 item 8)."""
        digits = self._pool.pop() if self._pool else self._hex()
        return f"{self._branch_prefix}{digits}.{loop_hash}" if loop_hash else self._branch_prefix + digits

    def _hex(self) -> str:
        raise NotImplementedError


class Ids(Branches):
    """Makes identifiers for worker `worker`; `random(n)` gives n random octets (a seeded one in tests)."""

    def __init__(self, worker: int = 0, random: Callable[[int], bytes] = os.urandom) -> None:
        self._prefix = f"{worker:x}"
        self._branch_prefix = f"{MAGIC_COOKIE}{worker:x}."
        self._random = random
        self._pool = []

    def _hex(self) -> str:
        """16 hexadecimal digits, cut from a pool: one system call serves 128 identifiers."""
        if not self._pool:
            self._pool = _CUT.findall(self._random(_REFILL // 2).hex())[::-1]
        return self._pool.pop()

    def tag(self) -> str:
        return self._hex()

    def token(self) -> str:
        """Names a transaction towards a script: a token of RFC 3261 25.1."""
        return f"{self._prefix}-{self._hex()}"
