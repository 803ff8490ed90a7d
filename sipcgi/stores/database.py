"""The file of an SQLite store: opened or made, read whole, written in transactions. All of it waits for the disk."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from time import gmtime, strftime
from typing import Any, TypeVar

from sipcgi.errors import ParseError
from sipcgi.flow import Flow, HostPort
from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.outbound import flow_number, instance
from sipcgi.registrar.store import contact_key
from sipcgi.sip.address import Address

APPLICATION = 0x53495063
"""PRAGMA application_id: what tells our files from those of other programs."""
VERSION = 2
"""PRAGMA user_version: that of the schema. Version 1 had no instance and reg_id; it is upgraded where it is."""

_SCHEMA = """
    CREATE TABLE bindings (
        aor TEXT NOT NULL,
        position INTEGER NOT NULL, -- among the bindings of its aor, in the order they registered
        contact TEXT NOT NULL,
        uri TEXT NOT NULL,
        key TEXT NOT NULL, -- contact_key of the uri: parsing 200,000 of them at the start would take seconds
        q REAL NOT NULL,
        expires_at REAL NOT NULL, -- seconds since 1970
        call_id TEXT NOT NULL,
        cseq INTEGER NOT NULL,
        flow TEXT, -- transport, our address, theirs
        path TEXT NOT NULL, -- a value a line
        instance TEXT NOT NULL DEFAULT '',
        reg_id INTEGER, -- the flow of the instance (RFC 5626 6)
        PRIMARY KEY (aor, position)
    ) WITHOUT ROWID
"""
_UPGRADE = (
    "ALTER TABLE bindings ADD COLUMN instance TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE bindings ADD COLUMN reg_id INTEGER",
)
_SELECT = """
    SELECT aor, key, contact, uri, q, expires_at, call_id, cseq, flow, path, instance, reg_id
    FROM bindings ORDER BY aor, position
"""
_ENDED = "(flow NOT LIKE 'UDP %' AND (reg_id IS NOT NULL OR flow LIKE 'WS%'))"
_TEXT = "CAST(? AS TEXT)"
_ROW = f"({_TEXT}, ?, {_TEXT}, {_TEXT}, {_TEXT}, ?, ?, {_TEXT}, ?, ?, {_TEXT}, {_TEXT}, ?)"
_GROUP = 64
"""Rows of one statement: between two statements the interpreter may serve another thread for a while."""
PATIENCE = 2.0
"""Seconds to wait for another process that holds the file."""

T = TypeVar("T")
Text = str | bytes
Change = tuple[str, Sequence[Binding]]
"""An address-of-record and all its bindings."""


class Corrupt(Exception):
    """The file is no store of ours, or no longer. Caught in stores/sqlite, which begins a new one."""


def mistake(path: str) -> str | None:
    """Why there can be no store at `path`, as far as it shows without opening it; None when there can."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        return f"there is no folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):  # for the journal, which is a file beside
        return f"the folder {folder} may not be written to"
    if not os.path.exists(path):
        return None
    if not os.path.isfile(path):
        return f"{path} is no file"
    return None if os.access(path, os.R_OK | os.W_OK) else f"{path} may not be read and written"


def set_aside(path: str, wall: float) -> str:
    """Renames a file that is no store, with its journal, to `path`.corrupt-TIME. Returns that name, raises OSError."""
    stamp = strftime("%Y%m%dT%H%M%SZ", gmtime(wall))
    names = (f"{path}.corrupt-{stamp}{'.' * bool(number)}{number or ''}" for number in count())
    aside = next(name for name in names if not os.path.lexists(name))
    for suffix in ("-wal", "-shm", ""):  # the journal first: that of another file must never meet a new one
        with suppress(FileNotFoundError):
            os.rename(path + suffix, aside + suffix)
    return aside


class Vanished(OSError):
    """The file is no longer where it was: what is written into it is lost. Caught in stores/sqlite."""


class Database:
    """An open file, used by one thread at a time.

    `ahead` is always what the wall clock, in seconds since 1970, is ahead of the clock of Binding.expires_at.
    Everything raises OSError with a text for people, and at the start Corrupt for a file that is no store.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if text := mistake(path):
            raise OSError(text)
        self.senseless = 0
        self._connection: sqlite3.Connection | None = None
        with suppress(OSError):  # SQLite says what is wrong; it would make a file that others may read
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            self._connection = connection
            connection.text_factory = _decoded
            self._prepare(connection)
            self._identity = _identity(path)
        except sqlite3.Error as error:
            self.close()
            raise self._refined(error) from error
        except (OSError, Corrupt):
            self.close()
            raise

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if _pragma(connection, "quick_check(1)") != "ok":
            raise Corrupt("is damaged")
        self._is_new(connection)  # before anything is written
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")  # fails where nothing can be written
        if self._is_new(connection):  # still: another process may have been quicker
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
        elif _pragma(connection, "user_version") < VERSION:
            _upgrade(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        """Whether it is still empty; else it must be a store."""
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return True
        if _pragma(connection, "application_id") != APPLICATION:
            raise Corrupt("belongs to another program")
        version = _pragma(connection, "user_version")
        if not 1 <= version <= VERSION:
            raise OSError(f"{self.path} has version {version} of the schema, this server knows none above {VERSION}")
        return False

    def load(self, now: float, ahead: float, longest: float) -> Iterator[tuple[str, list[Binding], list[str]]]:
        """Each address-of-record with what has not expired, and the contact_keys of that.

        Flows that ended with the connections of the last process are forgotten (RFC 5626 7), where nothing but their
        connection leads to the client. Rows that make no sense are left out and counted in `senseless`. No binding gets
        more than `longest` seconds from `now`: the wall clock may have been turned back.
        """
        assert self._connection is not None
        current, bindings, keys = "", list[Binding](), list[str]()
        try:
            self._connection.execute(f"DELETE FROM bindings WHERE expires_at <= ? OR {_ENDED}", (now + ahead,))
            for row in self._connection.execute(_SELECT):
                binding = _binding(row, ahead, now + longest)
                if binding is None:
                    self.senseless += 1
                    continue
                if row[0] != current:
                    if bindings:
                        yield current, bindings, keys
                    current, bindings, keys = row[0], [], []
                bindings.append(binding)
                keys.append(row[1])
        except sqlite3.Error as error:
            raise self._refined(error) from error
        if bindings:
            yield current, bindings, keys

    def save(self, changes: Sequence[Change], ahead: float) -> None:
        """All of them in one transaction: when it returns they are on the disk. Raises Vanished."""
        if not self.is_usable:
            raise Vanished(f"{self.path} was removed, or replaced by another file")
        assert self._connection is not None
        execute = self._connection.execute
        aors = [_encoded(aor) for aor, _ in changes]
        rows = [row for aor, bindings in changes for row in _rows(_encoded(aor), bindings, ahead)]
        try:
            execute("BEGIN IMMEDIATE")
            for some in _groups(aors):
                execute(f"DELETE FROM bindings WHERE aor IN ({', '.join([_TEXT] * len(some))})", some)
            for group in _groups(rows):
                values = [value for row in group for value in row]
                execute(f"INSERT INTO bindings VALUES {', '.join([_ROW] * len(group))}", values)
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    execute("ROLLBACK")
            raise OSError(f"{self.path}: {error}") from error

    def has_vanished(self) -> bool:
        """Whether the path leads to another file than the one that is open, or to none."""
        return self._connection is not None and _identity(self.path) != self._identity

    @property
    def is_usable(self) -> bool:
        return self._connection is not None and not self.has_vanished()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refined(self, error: sqlite3.Error) -> OSError | Corrupt:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Corrupt(f"is damaged: {error}")
        return OSError(f"{self.path}: {error}")


def begin_anew(path: str, wall: float) -> tuple[Database, str | None]:
    """A new file where another one was, which is closed; and where that is now which took its place. Raises OSError."""
    aside = set_aside(path, wall) if _identity(path) is not None else None
    for suffix in ("-wal", "-shm"):  # what is left of the former one must never meet the new one
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)
    try:
        return Database(path), aside
    except OSError:
        with suppress(OSError):
            os.unlink(path)  # half made
        raise


def _identity(path: str) -> tuple[int, int] | None:
    """What a file is, whatever its name; None where there is none. As long as it is open no other one has it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _upgrade(connection: sqlite3.Connection) -> None:
    """From version 1: what a contact says of its instance and flow comes into columns of its own."""
    for statement in _UPGRADE:
        connection.execute(statement)
    instances = "SELECT aor, position, contact FROM bindings WHERE contact LIKE '%+sip.instance%'"
    for aor, position, contact in connection.execute(instances).fetchall():
        try:
            address = Address.parse(contact)
            values = _encoded(instance(address)), flow_number(address), _encoded(aor), position
        except (ParseError, TypeError):  # what `load` does not take either, or counts by its URI
            continue
        change = f"UPDATE bindings SET instance = {_TEXT}, reg_id = ? WHERE aor = {_TEXT} AND position = ?"
        connection.execute(change, values)


def _pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _groups(values: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(values), _GROUP):
        yield values[start : start + _GROUP]


def _rows(aor: Text, bindings: Sequence[Binding], ahead: float) -> Iterator[tuple[Any, ...]]:
    for position, binding in enumerate(bindings):
        flow = binding.flow
        yield (
            aor,
            position,
            _encoded(binding.contact),
            _encoded(binding.uri),
            _encoded(contact_key(binding.target)),
            binding.q,
            binding.expires_at + ahead,
            _encoded(binding.call_id),
            binding.cseq,
            None if flow is None else f"{flow.transport} {flow.local} {flow.remote}",
            _encoded("\n".join(binding.path)),
            _encoded(binding.instance),
            binding.reg_id,
        )


def _binding(row: tuple[Any, ...], ahead: float, latest: float) -> Binding | None:
    """None for a row that somebody else must have written."""
    aor, key, contact, uri, q, expires_at, call_id, cseq, flow, path, user_agent, reg_id = row
    if not (type(aor) is type(key) is type(contact) is type(uri) is type(call_id) is type(path) is str):
        return None
    try:
        return Binding(
            contact=contact,
            uri=uri,
            q=float(q),
            expires_at=min(expires_at - ahead, latest),
            call_id=call_id,
            cseq=int(cseq),
            flow=None if flow is None else _flow(flow),
            path=tuple(path.split("\n")) if path else (),
            instance=str(user_agent),
            reg_id=None if reg_id is None else int(reg_id),
        )
    except (TypeError, ValueError):
        return None


def _flow(text: str) -> Flow | None:
    """None for one of a stream: its connection is gone. Raises ValueError."""
    transport, local, remote = text.split(" ")
    return Flow("UDP", _local(local), _hostport(remote)) if transport == "UDP" else None


def _hostport(text: str) -> HostPort:
    host, _, port = text.rpartition(":")
    return HostPort(host.strip("[]"), int(port))


_local = lru_cache(maxsize=64)(_hostport)
"""Our own addresses are few: all bindings share them."""


def _encoded(text: str) -> Text:
    """What is bound for a text: octets where the usual conversion may fail, for strangers send what is no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass")


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:  # nothing that we wrote
        return octets.decode("utf-8", "replace")
