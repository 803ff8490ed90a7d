"""Bindings in memory and in a file: `location.store: sqlite:///location.db`."""

import gc
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import trio

from sipcgi.logs import Log
from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.register import DEFAULT_LIMITS
from sipcgi.registrar.saving import Saving
from sipcgi.stores.database import Change, Corrupt, Database, Vanished, begin_anew, set_aside
from sipcgi.stores.memory import MemoryStore, _Record
from sipcgi.threads import in_thread

T = TypeVar("T")

GROUP = 64
"""Addresses-of-record that are written at once, without waiting for more."""
GROUP_SECONDS = 0.005
"""How long the first one waits for others: many share one transaction, for its price is that of the disk."""

TOLD = 16
"""Answers in one go: about 4 ms."""
COLLECTED = 1000
"""Addresses-of-record in one go, when all are to be written: about 1 ms."""


class _Unsaved:
    """An address-of-record that was changed: what it had before, and who waits."""

    __slots__ = ("former", "savings")

    def __init__(self, former: tuple[Binding, ...]) -> None:
        self.former = former
        self.savings: list[Saving] = []


class SqliteStore(MemoryStore):
    """A LocationStore (registrar/store.py) that answers from memory and lets `run` write what changes to the file.

    While one group is being written, what changes waits for the next: the file follows the memory in order, and one
    thread at a time uses it. When a group cannot be written, the memory goes back to what the file holds. When somebody
    has removed the file, or put another one in its place, all is written into a new one.

    `now` is the clock of Binding.expires_at, `wall` that of seconds since 1970. Raises OSError when the file cannot be
    used; one that is damaged or no store is moved aside, and a new one begun.
    """

    def __init__(self, path: str, now: Callable[[], float], wall: Callable[[], float], log: Log) -> None:
        super().__init__()
        self.path = os.path.realpath(path)
        self._now = now
        self._wall = wall
        self._log = log
        self._unsaved: dict[str, _Unsaved] = {}
        self._since = 0.0
        self._some = trio.Event()
        self._enough = trio.Event()
        self._thread = trio.CapacityLimiter(1)  # its own: slow look-ups of names must not keep it waiting
        self._taken_back = 0
        self._vanished = False  # and the new file does not hold all yet
        try:
            self._database = self._open()
        except Corrupt as error:
            super().__init__()
            aside = set_aside(self.path, wall())
            self._log.error(f"{self.path} {error}; it is now {aside}, and a new one is begun without registrations")
            self._database = self._open()

    def _open(self) -> Database:
        database = Database(self.path)
        collects = gc.isenabled()
        gc.disable()  # there may be much to load, and no garbage in it
        try:
            for aor, bindings, keys in database.load(self._now(), self._ahead(), DEFAULT_LIMITS.maximum):
                self._restore(aor, bindings, keys)
        except (OSError, Corrupt):
            database.close()
            raise
        finally:
            if collects:
                gc.enable()
        if database.senseless:
            self._log.warning(f"{self.path}: {database.senseless} rows make no sense and are left out")
        return database

    def _restore(self, aor: str, bindings: list[Binding], keys: list[str]) -> None:
        """What MemoryStore.replace does with one who is not there yet, but nothing is parsed."""
        record = self._records[aor] = _Record(tuple(bindings))
        self._count += len(bindings)
        self._schedule(aor, record)
        for key in keys:
            if self._contacts.setdefault(key, aor) != aor:  # a contact of several users
                self._index(aor, (), bindings)

    def _ahead(self) -> float:
        return self._wall() - self._now()

    def replace(self, aor: str, bindings: Sequence[Binding]) -> Saving:  # type: ignore[override]
        """The change counts at once; what it returns ends when it is saved, or taken back."""
        unsaved = self._unsaved.get(aor)
        if unsaved is None:
            record = self._records.get(aor)
            unsaved = self._unsaved[aor] = _Unsaved(record.bindings if record else ())
            if len(self._unsaved) == 1:
                self._since = self._now()
                self._some.set()
            elif len(self._unsaved) == GROUP:
                self._enough.set()
        super().replace(aor, bindings)
        saving = Saving()
        unsaved.savings.append(saving)
        return saving

    async def run(self) -> None:
        """Saves what changes until it is cancelled; what waits then is saved before it ends."""
        try:
            while True:
                await self._some.wait()
                with trio.move_on_after(max(0.0, self._since + GROUP_SECONDS - self._now())):
                    await self._enough.wait()
                with trio.CancelScope(shield=True):
                    await self._save()
        finally:
            self.close()

    async def _save(self) -> None:
        unsaved, changes = self._take()
        if not changes:  # all was taken back
            return
        try:
            await self._write(changes)
        except OSError as error:
            self._take_back(unsaved, error)
            await self._tell(unsaved, error)
            return
        if self._taken_back:
            self._log.info(f"{self.path} can be written again; changes taken back until then: {self._taken_back}")
            self._taken_back = 0
        await self._tell(unsaved, None)

    async def _write(self, changes: list[Change]) -> None:
        """Into the file; all that it is to hold if it has vanished. Raises OSError."""
        if not self._vanished:
            try:
                await self._in_thread(self._database.save, changes, self._ahead())
                return
            except Vanished as error:
                self._vanished = True
                self._log.error(f"{error}: all registrations are written into a new one")
        if aside := await self._in_thread(self._begin_anew):
            self._log.error(f"{self.path}: the file that took its place is now {aside}")
        everything = []
        for number, change in enumerate(self._everything(), 1):
            everything.append(change)
            if not number % COLLECTED:
                await trio.lowlevel.checkpoint()
        await self._in_thread(self._database.save, everything, self._ahead())
        self._vanished = False

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await in_thread(function, *arguments, limiter=self._thread)

    def _begin_anew(self) -> str | None:
        """Where the file is now that was in the place of ours. Raises OSError."""
        if self._database.is_usable:  # but did not take all of it the last time
            return None
        self._database.close()
        self._database, aside = begin_anew(self.path, self._wall())
        return aside

    def _everything(self) -> Iterator[Change]:
        """What the file is to hold: the changes that wait may yet be taken back."""
        for aor in [*self._records, *[aor for aor in self._unsaved if aor not in self._records]]:
            waiting, record = self._unsaved.get(aor), self._records.get(aor)
            if bindings := waiting.former if waiting else record.bindings if record else ():
                yield aor, bindings

    def _take(self) -> tuple[dict[str, _Unsaved], list[Change]]:
        """All that waits."""
        unsaved, self._unsaved = self._unsaved, {}
        self._some, self._enough = trio.Event(), trio.Event()
        records = self._records
        return unsaved, [(aor, record.bindings if (record := records.get(aor)) else ()) for aor in unsaved]

    def _take_back(self, unsaved: dict[str, _Unsaved], error: OSError) -> None:
        """Nothing of it was saved."""
        if not self._taken_back:
            self._log.error(f"{error}: registrations are refused until it can be written again")
        for aor, one in unsaved.items():
            if later := self._unsaved.pop(aor, None):  # decided on what is taken back now
                one.savings += later.savings
            super().replace(aor, one.former)
            self._taken_back += len(one.savings)

    async def _tell(self, unsaved: dict[str, _Unsaved], error: OSError | None) -> None:
        """Has them answered, a few at a time: after a wait for the disk there may be thousands."""
        savings = (saving for one in unsaved.values() for saving in one.savings)
        for number, saving in enumerate(savings, 1):
            try:
                saving.end(error)
            except Exception:  # a bug in one who waits must not end the saving for all
                self._log.crash(f"after saving a registration:\n{traceback.format_exc()}")
            if not number % TOLD:
                await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Saves what waits, which nobody is told any more, and closes the file. May be called again."""
        _, changes = self._take()
        try:
            if self._vanished or self._database.has_vanished():
                self._begin_anew()
                changes = [*self._everything()]
            if changes:
                self._database.save(changes, self._ahead())
            self._vanished = False
        except OSError as error:
            self._log.error(f"{error}: changes that are lost: {len(changes)}")
        self._database.close()
