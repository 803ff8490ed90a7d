"""Domains whose NAPTR records offered SIPS and do no more: a sign of a potential attack (RFC 3263 section 7)."""

from collections.abc import Callable, Sequence

from sipcgi.net.dns import Answer, Naptr

MOST = 4096


class Downgrades:
    """Remembers which domains offered SIPS; `alarm` hears, once, of each that stops. They are called all the same."""

    def __init__(self, alarm: Callable[[str], None]) -> None:
        self._alarm = alarm
        self._offered: dict[str, None] = {}

    def look(self, host: str, answer: Answer) -> None:
        """What the name servers say about a domain now; that they fail says nothing."""
        records: Sequence[Naptr] = answer.records
        if any(record.service.startswith("SIPS") for record in records):
            if host not in self._offered:
                if len(self._offered) >= MOST:
                    del self._offered[next(iter(self._offered))]
                self._offered[host] = None
        elif host in self._offered and not answer.failed:
            del self._offered[host]
            self._alarm(f"{host}: its NAPTR records offer SIPS no more: an attack on the DNS may be under way")
