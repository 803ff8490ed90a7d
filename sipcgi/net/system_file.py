"""Small files of the system, /etc/hosts for one, that are read again when they have changed."""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Generic, TypeVar

from sipcgi.net.address import canonical, numeric

LOOK = 1.0  # seconds between two looks at the file's date

T = TypeVar("T")


class SystemFile(Generic[T]):
    """What `parse` makes of the file's text, or of "" where there is no such file."""

    def __init__(self, path: str, parse: Callable[[str], T], now: Callable[[], float] = monotonic) -> None:
        self.path = path
        self._parse = parse
        self._now = now
        self._looked: float | None = None
        self._version: tuple[int, ...] | None = ()
        self._value: T

    def value(self) -> T:
        """A second behind the file at most."""
        now = self._now()
        if self._looked is None or now - self._looked >= LOOK:
            self._looked = now
            version = self._version_now()
            if version != self._version:
                self._version = version
                self._value = self._parse(self._text())
        return self._value

    def _version_now(self) -> tuple[int, ...] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _text(self) -> str:
        try:
            return Path(self.path).read_text("utf-8", "surrogateescape")
        except OSError:
            return ""


def parse_hosts(text: str) -> dict[str, list[str]]:
    """The addresses of each name, as getaddrinfo reads /etc/hosts (hosts(5)); of localhost there is no need."""
    table: dict[str, list[str]] = {}
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        address = numeric(words[0]) if len(words) > 1 else None
        if address is None or "%" in address:
            continue
        for name in dict.fromkeys(map(canonical, words[1:])):
            table.setdefault(name, [])
            if address not in table[name]:
                table[name].append(address)
    return table
