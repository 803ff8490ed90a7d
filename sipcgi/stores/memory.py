"""Bindings in memory only: `location.store: memory://`."""

from collections.abc import Sequence
from itertools import islice

from sipcgi.registrar.bindings import Binding, current
from sipcgi.registrar.store import contact_key
from sipcgi.sip.uri import Uri, equivalent

_TICK = 64.0
"""Seconds of expiry that share one set of addresses-of-record; an expired binding waits no longer for its sweep."""


class _Record:
    """The bindings of one address-of-record, and the tick in which the first of them expires."""

    __slots__ = ("bindings", "tick")

    def __init__(self, bindings: tuple[Binding, ...]) -> None:
        self.bindings = bindings
        self.tick: int | None = None


class MemoryStore:
    """A LocationStore (registrar/store.py). Every operation costs the size of what it touches, not of what is stored.

    An address-of-record waits in one set of `_due`, that of the tick in which its first binding expires.
    """

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._contacts: dict[str, str | dict[str, None]] = {}  # contact_key -> its address-of-record, or all of them
        self._due: dict[int, set[str]] = {}  # tick -> addresses-of-record
        self._count = 0

    def bindings(self, aor: str, now: float) -> list[Binding]:
        record = self._records.get(aor)
        if record is None:
            return []
        found = current(record.bindings, now)
        if len(found) < len(record.bindings):
            self.replace(aor, found)
        return found

    def replace(self, aor: str, bindings: Sequence[Binding]) -> None:
        record = self._records.get(aor)
        if record is None:
            if not bindings:
                return
            record = self._records[aor] = _Record(())
        former, record.bindings = record.bindings, tuple(bindings)
        self._count += len(bindings) - len(former)
        if [binding.uri for binding in former] != [binding.uri for binding in bindings]:
            self._index(aor, former, bindings)
        self._schedule(aor, record)
        if not bindings:
            del self._records[aor]

    def by_contact(self, uri: Uri, now: float, most: int = 16) -> list[tuple[str, Binding]]:
        found: list[tuple[str, Binding]] = []
        if not self._contacts or (aors := self._contacts.get(contact_key(uri))) is None:
            return found
        for aor in (aors,) if isinstance(aors, str) else aors:
            for binding in self._records[aor].bindings:
                if binding.expires_at > now and equivalent(binding.target, uri):
                    found.append((aor, binding))
                    if len(found) == most:
                        return found
        return found

    def known(self, aor: str) -> bool:
        return True

    def count(self) -> int:
        return self._count

    def sweep(self, now: float, most: int = 100) -> int:
        looked = 0
        while self._due and looked < most:
            tick = min(self._due)
            if (tick + 1) * _TICK > now:  # until then some of them may be current
                break
            aors = list(islice(self._due[tick], most - looked))
            looked += len(aors)
            for aor in aors:
                self.replace(aor, current(self._records[aor].bindings, now))
        return looked

    def _schedule(self, aor: str, record: _Record) -> None:
        """Puts `aor` into the set of its first expiry, or into none when nothing is left."""
        first = min([binding.expires_at for binding in record.bindings], default=None)
        tick = None if first is None else int(first // _TICK)
        if tick == record.tick:
            return
        if record.tick is not None:
            aors = self._due[record.tick]
            aors.discard(aor)
            if not aors:
                del self._due[record.tick]
        if tick is not None:
            self._due.setdefault(tick, set()).add(aor)
        record.tick = tick

    def _index(self, aor: str, former: Sequence[Binding], bindings: Sequence[Binding]) -> None:
        before = {contact_key(binding.target) for binding in former}
        after = {contact_key(binding.target) for binding in bindings}
        for key in before - after:
            aors = self._contacts[key]
            if isinstance(aors, str) or len(aors) == 1:
                del self._contacts[key]
            else:
                del aors[aor]
        for key in after - before:
            aors = self._contacts.setdefault(key, aor)
            if isinstance(aors, dict):
                aors[aor] = None
            elif aors != aor:
                self._contacts[key] = {aors: None, aor: None}
