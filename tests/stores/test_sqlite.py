"""The store in a file: what it promises is on the disk, what it cannot promise is taken back."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from textwrap import dedent
from time import time

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sipcgi.flow import Flow, HostPort
from sipcgi.logs import Log
from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.saving import Saving
from sipcgi.sip.uri import parse_uri
from sipcgi.stores.database import APPLICATION, Corrupt, Database, mistake, set_aside
from sipcgi.stores.sqlite import GROUP, SqliteStore

WALL = 1_800_000_000.0
OURS = HostPort("192.0.2.1", 5060)
BOB = "bob@example.com"


def binding(uri: str, expires_at: float = 1000.0, cseq: int = 1, flow: Flow | None = None) -> Binding:
    return Binding(f"<{uri}>", uri, 1.0, expires_at, "1@h", cseq, flow)


class Disk:
    """Opens stores in one file; `up` is how long the machine runs, `since` when it was started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.up = 0.0
        self.since = WALL
        self.log = Log(lambda: WALL)

    def store(self) -> SqliteStore:
        return SqliteStore(str(self.path), lambda: self.up, lambda: self.since + self.up, self.log)

    def restart(self, store: SqliteStore, after: float = 0.0) -> SqliteStore:
        """As the machine is: its clock begins anew."""
        store.close()
        self.since += self.up + after
        self.up = 0.0
        return self.store()

    def rows(self, columns: str = "aor, uri") -> list[tuple[object, ...]]:
        with reader(self.path) as connection:
            return connection.execute(f"SELECT {columns} FROM bindings ORDER BY aor, position").fetchall()

    def said(self) -> list[str]:
        """Log lines without their time."""
        return [line.split(" ", 1)[1] for line in self.log.take().decode().splitlines()]


@contextmanager
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "location.db")


@asynccontextmanager
async def running(store: SqliteStore) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        yield
        nursery.cancel_scope.cancel()


async def outcome(saving: Saving) -> OSError | None:
    """What a change ended with."""
    ended, errors = trio.Event(), list[OSError | None]()

    def told(error: OSError | None) -> None:
        errors.append(error)
        ended.set()

    saving.then(told)
    with trio.fail_after(5):
        await ended.wait()
    return errors[0]


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    connection = store._database._connection
    assert connection is not None
    return connection


# What it holds


async def test_look_ups_are_answered_at_once_and_200s_when_it_is_on_the_disk(disk: Disk) -> None:
    store, told = disk.store(), list[OSError | None]()
    async with running(store):
        saving = store.replace(BOB, [binding("sip:bob@192.0.2.9")])
        saving.then(told.append)
        assert [one.uri for one in store.bindings(BOB, 0.0)] == ["sip:bob@192.0.2.9"]
        assert [aor for aor, _ in store.by_contact(parse_uri("sip:bob@192.0.2.9"), 0.0)] == [BOB]
        assert store.known("nobody@example.com")
        assert store.count() == 1
        assert disk.rows() == []
        assert told == []
        assert await outcome(store.replace("eve@example.com", [])) is None
        assert told == [None]
        assert disk.rows() == [(BOB, "sip:bob@192.0.2.9")]


def test_all_of_a_binding_comes_back(disk: Disk) -> None:
    whole = Binding(
        contact='"Bob, \\"the\\" B" <sip:bob@192.0.2.9;ob>;+sip.instance="<urn:uuid:0>";q=0.25',
        uri="sip:bob@192.0.2.9;ob",
        q=0.25,
        expires_at=3600.5,
        call_id="a84b4c76e66710@pc33.atlanta.com",
        cseq=2**32 - 1,
        flow=Flow("UDP", OURS, HostPort("203.0.113.7", 40001)),
        path=("<sip:p1.example.com;lr>", '"P, 2" <sip:[2001:db8::2];lr>'),
    )
    flow = Flow("UDP", HostPort("2001:db8::1", 5060), HostPort("fe80::2%eth0", 5062))
    later = [binding(f"sip:{number}@h", 500.0 + number) for number in (3, 1, 2)]
    store = disk.store()
    store.replace(BOB, [whole, *later])
    store.replace("alice@example.com", [binding("tel:+1-201-555-0123", flow=flow)])
    store = disk.restart(store)
    assert store.bindings(BOB, 0.0) == [whole, *later]
    assert store.bindings("alice@example.com", 0.0)[0].flow == flow
    assert store.count() == 5


def test_who_is_registered_is_nothing_for_other_users(disk: Disk) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h")])
    files = [path for path in disk.path.parent.iterdir() if path.name.startswith(disk.path.name)]
    assert len(files) > 1  # the journal, too
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    store.close()
    disk.path.chmod(0o640)  # the administrator's wish
    disk.store()
    assert disk.path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("user", ["j\u00fcrgen", "\udcff\udcfe", "nul\0here", "\ud800", "\U0001f4de"])
def test_whatever_strangers_call_themselves(disk: Disk, user: str) -> None:
    """Octets that are no UTF-8 in a message, %00 in a user."""
    aor, other = f"{user}@example.com", "nul@example.com"
    odd = Binding(f'"{user}" <sip:a@h>', "sip:a@h", 1.0, 1000.0, user, 1, None, (f'"{user}" <sip:p;lr>',))
    store = disk.store()
    store.replace(other, [binding("sip:b@h")])
    store.replace(aor, [odd])
    store = disk.restart(store)
    assert store.bindings(aor, 0.0) == [odd]
    store.replace(aor, [])
    store = disk.restart(store)
    assert store.bindings(aor, 0.0) == []
    assert store.bindings(other, 0.0) == [binding("sip:b@h")]
    assert len(disk.rows()) == 1


@pytest.mark.rfc("3261", "19.1.4")
def test_contacts_are_found_as_before(disk: Disk) -> None:
    """A URI that two users share, that one has in two spellings, and one that a second restart must still find."""
    store = disk.store()
    store.replace("alice@example.com", [binding("sip:gateway.example.com"), binding("sip:GATEWAY.example.com;x=1")])
    store.replace(BOB, [binding("sip:%62ob@h"), binding("sip:gateway.example.com")])
    for _ in range(2):
        store = disk.restart(store)
        found = store.by_contact(parse_uri("sip:Gateway.example.com"), 0.0)
        assert [(aor, one.uri) for aor, one in found] == [
            ("alice@example.com", "sip:gateway.example.com"),
            ("alice@example.com", "sip:GATEWAY.example.com;x=1"),
            (BOB, "sip:gateway.example.com"),
        ]
        assert [aor for aor, _ in store.by_contact(parse_uri("sip:bob@H"), 0.0)] == [BOB]
    for aor in (BOB, "alice@example.com"):
        store.replace(aor, [])
    assert [store.count(), store._records, store._contacts, store._due] == [0, {}, {}, {}]


def test_a_flow_of_a_stream_ends_with_its_connection(disk: Disk) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h;transport=tcp", flow=Flow("TCP", OURS, HostPort("203.0.113.7", 4001), 17))])
    (found,) = disk.restart(store).bindings(BOB, 0.0)
    assert found.uri == "sip:bob@h;transport=tcp"
    assert found.flow is None


def test_time_goes_on_while_the_server_is_down(disk: Disk) -> None:
    """The clock of the engine begins anew with every start of the machine; the wall clock goes on."""
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@short", 60.0), binding("sip:bob@long", 600.0)])
    store.replace("alice@example.com", [binding("sip:alice@h", 90.0)])
    disk.up = 50.0
    store = disk.restart(store, after=20.0)
    assert [(one.uri, one.expires_at) for one in store.bindings(BOB, 0.0)] == [("sip:bob@long", 530.0)]
    store = disk.restart(store, after=20.0)
    assert store.bindings("alice@example.com", 0.0) == []
    assert store.count() == 1
    assert disk.rows() == [(BOB, "sip:bob@long")]


def test_a_wall_clock_that_was_turned_back_makes_nothing_last_for_ever(disk: Disk) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h", 3600.0)])
    store.close()
    disk.since = 0.0  # a machine that has forgotten the date
    assert disk.store().bindings(BOB, 0.0)[0].expires_at == 7200.0


def test_expired_rows_go_with_the_bindings(disk: Disk) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@short", 60.0), binding("sip:bob@long", 600.0)])
    store.replace("alice@example.com", [binding("sip:alice@h", 60.0)])
    store = disk.restart(store)
    assert len(store.bindings(BOB, 70.0)) == 1
    assert store.sweep(200.0) == 1
    store.close()
    assert disk.rows() == [(BOB, "sip:bob@long")]


USERS = st.sampled_from(["a@x", "\u00e4@x", "c@x"])
SETS = st.lists(st.tuples(st.sampled_from(["sip:1@h", "sip:%31@h", "tel:+12"]), st.integers(1, 400)), max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(["replace", "sweep", "restart"]), USERS, SETS), max_size=12)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_after_any_history_the_file_holds_what_the_memory_held(
    tmp_path: Path, steps: list[tuple[str, str, list[tuple[str, int]]]]
) -> None:
    path = tmp_path / "history.db"
    path.unlink(missing_ok=True)
    disk = Disk(path)
    store, model = disk.store(), dict[str, list[Binding]]()
    for action, aor, contacts in steps:
        disk.up += 30.0
        if action == "replace":
            model[aor] = [binding(uri, disk.up + seconds) for uri, seconds in contacts]
            store.replace(aor, model[aor])
        elif action == "sweep":
            store.sweep(disk.up, most=1)
        else:
            store.close()
            store = disk.store()
        for user, bindings in model.items():
            assert store.bindings(user, disk.up) == [one for one in bindings if one.expires_at > disk.up]
    store.close()


# How it is saved


async def test_what_comes_together_shares_a_transaction(disk: Disk) -> None:
    store, statements = disk.store(), list[str]()
    connection_of(store).set_trace_callback(statements.append)
    async with running(store):
        for number in range(10):
            last = store.replace(f"{number}@example.com", [binding(f"sip:{number}@h")])
        assert await outcome(last) is None
        assert statements.count("COMMIT") == 1
        assert len(disk.rows()) == 10
        for number in range(3 * GROUP):
            last = store.replace(f"{number}@example.com", [binding(f"sip:{number}@h")])
        assert await outcome(last) is None
        assert statements.count("COMMIT") == 2
        assert len(disk.rows()) == 3 * GROUP


async def test_changes_of_one_user_follow_each_other(disk: Disk) -> None:
    store = disk.store()
    async with running(store):
        savings = [store.replace(BOB, [binding("sip:bob@h", cseq=cseq)]) for cseq in range(1, 4)]
        await trio.lowlevel.checkpoint()
        savings += [store.replace(BOB, [binding("sip:bob@h", cseq=4)]), store.replace(BOB, [])]
        savings.append(store.replace(BOB, [binding("sip:bob@h", cseq=6), binding("sip:bob@home", cseq=6)]))
        assert [await outcome(saving) for saving in savings] == [None] * 6
    assert disk.rows("uri, cseq") == [("sip:bob@h", 6), ("sip:bob@home", 6)]


async def test_what_waits_at_the_end_is_saved(disk: Disk) -> None:
    store = disk.store()
    async with running(store):
        store.replace(BOB, [binding("sip:bob@h")])
    store.close()
    assert disk.rows() == [(BOB, "sip:bob@h")]
    assert not disk.path.with_name("location.db-wal").exists()


async def test_a_bug_in_one_who_waits_hurts_nobody_else(disk: Disk) -> None:
    store = disk.store()
    async with running(store):
        store.replace(BOB, [binding("sip:bob@h")]).then(lambda error: 1 // 0)  # type: ignore[arg-type]
        assert await outcome(store.replace("alice@example.com", [binding("sip:alice@h")])) is None
    assert any("ZeroDivisionError" in line for line in disk.said())


async def test_the_loop_goes_on_while_the_disk_does_not(disk: Disk) -> None:
    store, told = disk.store(), list[OSError | None]()
    with reader(disk.path) as other:
        other.execute("BEGIN IMMEDIATE")
        async with running(store):
            saving = store.replace(BOB, [binding("sip:bob@h")])
            saving.then(told.append)
            for _ in range(300):
                await trio.lowlevel.checkpoint()
                assert len(store.bindings(BOB, 0.0)) == 1
            assert told == []
            other.execute("ROLLBACK")
            assert await outcome(store.replace("alice@example.com", [])) is None
            assert told == [None]


# What cannot be saved


@contextmanager
def full(store: SqliteStore, path: Path) -> Iterator[None]:
    """No page more: SQLITE_FULL."""
    connection = connection_of(store)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def failing(store: SqliteStore, path: Path) -> Iterator[None]:
    """The kernel refuses to write: SQLITE_IOERR."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def locked(store: SqliteStore, path: Path) -> Iterator[None]:
    """Another process holds it, and does not let go: SQLITE_BUSY."""
    connection_of(store).execute("PRAGMA busy_timeout = 10")
    with reader(path) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.rfc("3261", "10.3-5", "10.3-27")
@pytest.mark.parametrize(
    ("trouble", "text"),
    [(full, "database or disk is full"), (failing, "disk I/O error"), (locked, "database is locked")],
)
async def test_what_cannot_be_saved_is_taken_back(disk: Disk, trouble: object, text: str) -> None:
    """10.3 item 7: all or nothing, and a 500."""
    store = disk.store()
    many = [binding(f"sip:{'b' * 200}{number}@h") for number in range(20)]
    async with running(store):
        assert await outcome(store.replace(BOB, [binding("sip:bob@h")])) is None
        assert await outcome(store.replace("carol@example.com", [binding("sip:carol@h")])) is None
        with trouble(store, disk.path):  # type: ignore[operator]
            for _ in range(2):
                savings = [store.replace(aor, many) for aor in (BOB, "alice@example.com", BOB)]
                savings.append(store.replace("carol@example.com", []))
                for saving in savings:
                    error = await outcome(saving)
                    assert error is not None
                    assert str(error) == f"{disk.path}: {text}"
                assert store.bindings(BOB, 0.0) == [binding("sip:bob@h")]
                assert store.bindings("alice@example.com", 0.0) == []
                assert store.bindings("carol@example.com", 0.0) == [binding("sip:carol@h")]
                assert store.count() == 2
        assert await outcome(store.replace(BOB, many)) is None
    assert disk.said() == [
        f"error {disk.path}: {text}: registrations are refused until it can be written again",
        f"info {disk.path} can be written again; changes taken back until then: 8",
    ]
    assert len(disk.rows()) == 21


async def test_what_was_decided_on_top_of_it_is_taken_back_with_it(disk: Disk) -> None:
    store = disk.store()
    async with running(store):
        with locked(store, disk.path):
            first = store.replace(BOB, [binding("sip:bob@h")])
            while store._unsaved:  # until the group is on its way
                await trio.lowlevel.checkpoint()
            second = store.replace(BOB, [binding("sip:bob@h"), binding("sip:bob@home")])
            assert await outcome(first) is not None
            assert await outcome(second) is not None
        assert store.bindings(BOB, 0.0) == []
        while store._some.is_set():  # nothing is left of the next group
            await trio.lowlevel.checkpoint()
        assert await outcome(store.replace("alice@example.com", [binding("sip:alice@h")])) is None
    assert disk.rows() == [("alice@example.com", "sip:alice@h")]


# A file that somebody removed


def removed(path: Path) -> None:
    """As `rm location.db` does it, which leaves the journal."""
    path.unlink()


def removed_with_its_journal(path: Path) -> None:
    for file in path.parent.glob("location.db*"):
        file.unlink()


@pytest.mark.parametrize("remove", [removed, removed_with_its_journal])
async def test_a_file_that_was_removed_is_made_anew_with_all_that_is_registered(
    disk: Disk, remove: Callable[[Path], None]
) -> None:
    store = disk.store()
    async with running(store):
        assert await outcome(store.replace(BOB, [binding("sip:bob@h")])) is None
        assert await outcome(store.replace("carol@example.com", [binding("sip:carol@h")])) is None
        for phone in ("sip:alice@h", "sip:alice@home"):
            remove(disk.path)
            assert await outcome(store.replace("carol@example.com", [])) is None
            assert await outcome(store.replace("alice@example.com", [binding(phone)])) is None
            assert sorted(disk.rows()) == [("alice@example.com", phone), (BOB, "sip:bob@h")]
    said = f"{disk.path} was removed, or replaced by another file: all registrations are written into a new one"
    assert disk.said() == [f"error {said}"] * 2
    assert sorted(file.name for file in disk.path.parent.iterdir()) == ["location.db"]
    store = disk.restart(store)
    assert store.count() == 2


async def test_one_that_took_its_place_is_moved_aside(disk: Disk) -> None:
    store = disk.store()
    async with running(store):
        assert await outcome(store.replace(BOB, [binding("sip:bob@h")])) is None
        other = disk.path.with_name("other")
        other.write_text("a backup")
        other.rename(disk.path)
        assert await outcome(store.replace("alice@example.com", [binding("sip:alice@h")])) is None
    aside = disk.path.with_name("location.db.corrupt-20270115T080000Z")
    assert disk.said()[1:] == [f"error {disk.path}: the file that took its place is now {aside}"]
    assert aside.read_text() == "a backup"
    assert len(disk.rows()) == 2


async def test_what_cannot_be_written_into_a_new_one_either_is_taken_back(disk: Disk, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    disk.path = folder / "location.db"
    store = disk.store()
    async with running(store):
        assert await outcome(store.replace(BOB, [binding("sip:bob@h")])) is None
        shutil.rmtree(folder)
        for _ in range(2):
            error = await outcome(store.replace("alice@example.com", [binding("sip:alice@h")]))
            assert str(error) == f"there is no folder {folder}"
            assert store.count() == 1
        folder.mkdir()
        assert await outcome(store.replace("alice@example.com", [binding("sip:alice@h")])) is None
    assert [line.split(":")[0].split(" ")[0] for line in disk.said()] == ["error", "error", "info"]
    assert sorted(disk.rows()) == [("alice@example.com", "sip:alice@h"), (BOB, "sip:bob@h")]


async def test_a_change_that_comes_meanwhile_can_still_be_taken_back(disk: Disk) -> None:
    """The new file holds what was before it, until its own turn."""
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h")])
    store._take()
    store.replace(BOB, [binding("sip:bob@home")])
    store.replace("alice@example.com", [binding("sip:alice@h")])
    assert list(store._everything()) == [(BOB, (binding("sip:bob@h"),))]
    store.replace(BOB, [])
    assert list(store._everything()) == [(BOB, (binding("sip:bob@h"),))]
    store.close()


def test_at_the_end_as_well(disk: Disk) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h")])
    store.close()
    store = disk.store()
    disk.path.unlink()
    store.close()
    assert disk.rows() == [(BOB, "sip:bob@h")]
    store.close()


async def test_the_end_does_not_wait_for_ever(disk: Disk) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h")])
    with locked(store, disk.path):
        store.close()
    assert disk.said() == [f"error {disk.path}: database is locked: changes that are lost: 1"]


# How it begins


def moved(disk: Disk) -> str:
    aside = [path.name for path in disk.path.parent.iterdir() if "corrupt" in path.name]
    assert len(aside) == 1, aside
    return aside[0]


def junk(path: Path) -> None:
    path.write_text("# Not a database\n" * 1000)


def foreign(path: Path) -> None:
    with reader(path) as connection:
        connection.execute("CREATE TABLE location (contact TEXT)")


def written(path: Path) -> bytes:
    store = Disk(path).store()
    for number in range(500):
        store.replace(f"{number}@example.com", [binding(f"sip:{number}@h")])
    store.close()
    return path.read_bytes()


def torn(path: Path) -> None:
    octets = written(path)
    path.write_bytes(octets[: len(octets) // 2])


def overwritten(path: Path) -> None:
    octets = written(path)
    path.write_bytes(octets[:8292] + b"\xff" * 3000 + octets[11292:])


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (junk, "is damaged: file is not a database"),
        (foreign, "belongs to another program"),
        (torn, "is damaged"),
        (overwritten, "is damaged"),
    ],
)
def test_a_file_that_is_no_store_is_moved_aside(disk: Disk, broken: object, why: str) -> None:
    broken(disk.path)  # type: ignore[operator]
    octets = disk.path.read_bytes()
    store = disk.store()
    assert moved(disk) == "location.db.corrupt-20270115T080000Z"
    assert (disk.path.parent / moved(disk)).read_bytes() == octets
    (line,) = disk.said()
    assert line.startswith(f"error {disk.path} {why}")
    assert line.endswith(
        f"; it is now {disk.path}.corrupt-20270115T080000Z, and a new one is begun without registrations"
    )
    store.replace(BOB, [binding("sip:bob@h")])
    assert disk.restart(store).count() == 1


def test_a_journal_goes_aside_with_its_file(tmp_path: Path) -> None:
    for name in ("location.db", "location.db-wal", "location.db-shm", "location.db.corrupt-20270115T080000Z"):
        (tmp_path / name).write_text(name)
    aside = tmp_path / "location.db.corrupt-20270115T080000Z.1"  # the second one in that second
    assert set_aside(str(tmp_path / "location.db"), WALL) == str(aside)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "location.db.corrupt-20270115T080000Z": "location.db.corrupt-20270115T080000Z",
        aside.name: "location.db",
        f"{aside.name}-wal": "location.db-wal",
        f"{aside.name}-shm": "location.db-shm",
    }


def test_damage_that_shows_while_it_is_read(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    store = disk.store()
    store.replace(BOB, [binding("sip:bob@h")])
    store.close()

    class Damaged(Database):
        def load(self, now: float, ahead: float, longest: float) -> Iterator[tuple[str, list[Binding], list[str]]]:
            for found in super().load(now, ahead, longest):
                yield found
                raise Corrupt("is damaged: here")

    monkeypatch.setattr("sipcgi.stores.sqlite.Database", Damaged)
    store = disk.store()
    assert store.count() == 0
    assert disk.rows() == []
    assert moved(disk)


def test_trouble_that_shows_while_it_is_read(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipcgi.stores.database.PATIENCE", 0.01)
    database = Database(str(disk.path))
    with reader(disk.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OSError, match=r"location\.db: database is locked"):
            list(database.load(0.0, WALL, 7200.0))
    database.close()


def test_rows_that_somebody_else_wrote_are_left_out(disk: Disk) -> None:
    store = disk.store()
    for number in range(9):
        store.replace(f"{number}@example.com", [binding(f"sip:{number}@h"), binding(f"sip:{number}@home")])
    store.close()
    with reader(disk.path) as connection:
        for number, change in enumerate(
            [
                "uri = x'00'",
                "key = x'00'",
                "q = 'high'",
                "expires_at = 'never'",
                "flow = 'UDP'",
                "flow = x'00'",
                "path = x'00'",
                "contact = CAST(x'ff' AS TEXT)",
            ]
        ):
            connection.execute(f"UPDATE bindings SET {change} WHERE aor = '{number}@example.com' AND position = 0")
        connection.execute("UPDATE bindings SET aor = x'00' WHERE aor = '8@example.com' AND position = 0")
    store = disk.store()
    assert disk.said() == [f"warning {disk.path}: 8 rows make no sense and are left out"]
    assert store.count() == 10
    assert store.bindings("7@example.com", 0.0)[0].contact == "\ufffd"
    store.close()


def test_a_file_of_a_later_version_is_left_alone(disk: Disk) -> None:
    disk.store().close()
    with reader(disk.path) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(OSError, match="has version 3 of the schema, this server knows none above 2"):
        disk.store()
    assert disk.path.exists()


FIRST_SCHEMA = """
    CREATE TABLE bindings (
        aor TEXT NOT NULL, position INTEGER NOT NULL, contact TEXT NOT NULL, uri TEXT NOT NULL, key TEXT NOT NULL,
        q REAL NOT NULL, expires_at REAL NOT NULL, call_id TEXT NOT NULL, cseq INTEGER NOT NULL, flow TEXT,
        path TEXT NOT NULL, PRIMARY KEY (aor, position)
    ) WITHOUT ROWID
"""
INSTANCE = "urn:uuid:00000000-0000-1000-8000-000a95a0e128"


def test_a_file_of_the_first_version_is_upgraded_with_all_that_is_in_it(disk: Disk) -> None:
    contacts = [
        "<sip:bob@h>",
        f'"B\udcff" <sip:bob@h>;reg-id=7;+sip.instance="<{INSTANCE.upper()}>"',
        f'<sip:bob@h2>;+SIP.instance="<{INSTANCE}>"',
        f'<sip:bob@h>;reg-id=0;+sip.instance="<{INSTANCE}>"',
        '<sip:bob@h;+sip.instance="nonsense',
    ]
    with reader(disk.path) as connection:
        connection.execute(FIRST_SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("PRAGMA user_version = 1")
        for number, contact in enumerate(contacts):
            text = contact.encode("utf-8", "surrogatepass")
            row = (
                BOB,
                number,
                text,
                "sip:bob@h",
                "sip:bob@h:",
                0.5,
                WALL + 900,
                "1@h",
                3,
                "UDP 192.0.2.1:5060 [::1]:7",
            )
            connection.execute("INSERT INTO bindings VALUES (?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, ?, '')", row)
    store = disk.store()
    found = store.bindings(BOB, 0.0)
    assert [one.contact for one in found] == contacts
    assert [(one.instance, one.reg_id) for one in found] == [
        ("", None), (INSTANCE, 7), (INSTANCE, None), ("", None), ("", None),
    ]  # fmt: skip
    assert {(one.q, one.expires_at, one.call_id, one.cseq) for one in found} == {(0.5, 900.0, "1@h", 3)}
    store.replace(BOB, [binding("sip:bob@new", 500.0)])
    assert [one.uri for one in disk.restart(store).bindings(BOB, 0.0)] == ["sip:bob@new"]
    with reader(disk.path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


@pytest.mark.rfc("5626", "6")
def test_instance_and_flow_are_kept(disk: Disk) -> None:
    kept = binding("sip:bob@h", flow=Flow("UDP", OURS, HostPort("198.51.100.7", 40000)))
    kept.instance, kept.reg_id = INSTANCE, 3
    store = disk.store()
    store.replace(BOB, [kept])
    assert disk.restart(store).bindings(BOB, 0.0) == [kept]


@pytest.mark.rfc("5626", "7")
def test_a_flow_ends_with_the_connections_of_the_process(disk: Disk) -> None:
    """Not so the binding of one that can be called at its own address, or whose path leads to it."""
    phone = HostPort("198.51.100.7", 40000)
    outbound = binding("sip:outbound@h", flow=Flow("TCP", OURS, phone, 5))
    outbound.instance, outbound.reg_id = INSTANCE, 1
    behind_an_edge = binding("sip:edge@h")
    behind_an_edge.instance, behind_an_edge.reg_id, behind_an_edge.path = INSTANCE, 2, ("<sip:edge.example;lr;ob>",)
    browser = binding("sip:x@y.invalid", flow=Flow("WSS", OURS, phone, 6))
    plain = binding("sip:plain@h", flow=Flow("TCP", OURS, phone, 7))
    store = disk.store()
    store.replace(BOB, [outbound, behind_an_edge, browser, plain])
    store = disk.restart(store)
    assert [one.uri for one in store.bindings(BOB, 0.0)] == ["sip:edge@h", "sip:plain@h"]
    assert store.bindings(BOB, 0.0)[1].flow is None
    store.close()
    assert disk.rows("uri") == [("sip:edge@h",), ("sip:plain@h",)]


def test_it_says_why_there_can_be_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipcgi.stores.database.PATIENCE", 0.01)

    def why(path: Path) -> str:
        with pytest.raises(OSError) as caught:  # noqa: PT011
            Disk(path).store()
        assert mistake(str(path)) in (str(caught.value), None)
        return str(caught.value)

    assert why(tmp_path / "missing" / "location.db") == f"there is no folder {tmp_path}/missing"
    assert why(tmp_path) == f"{tmp_path} is no file"
    os.mkfifo(tmp_path / "pipe")
    assert why(tmp_path / "pipe") == f"{tmp_path}/pipe is no file"
    assert why(Path("/proc/location.db")) == "/proc/location.db: unable to open database file"
    with reader(tmp_path / "held.db") as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("CREATE TABLE location (contact TEXT)")
        assert "held.db: database is locked" in why(tmp_path / "held.db")


def test_before_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "location.db"
    assert mistake(str(path)) is None
    path.touch()
    assert mistake(str(path)) is None
    monkeypatch.setattr(os, "access", lambda place, mode: place != str(path))
    assert mistake(str(path)) == f"{path} may not be read and written"
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may do everything
    assert mistake(str(path)) == f"the folder {tmp_path} may not be written to"


# What it stands


WRITER = """
    import sys, time, trio
    from sipcgi.logs import Log
    from sipcgi.registrar.bindings import Binding
    from sipcgi.stores.sqlite import SqliteStore

    async def main():
        store = SqliteStore(sys.argv[1], trio.current_time, time.time, Log(time.time))
        cseq = int(sys.argv[2])

        def refresh(number):
            aor = f"{number}@example.com"
            saving = store.replace(aor, [Binding("<sip:a@h>", "sip:a@h", 1.0, trio.current_time() + 900, "1", cseq)])
            saving.then(lambda error: print(aor, cseq, error, flush=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            for number in range(1_000_000):
                refresh(number % 700)
                if number % 7 == 0:
                    await trio.sleep(0.0005)

    trio.run(main)
"""


def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "location.db"
    for cseq in (1, 2, 3):
        command = [sys.executable, "-c", dedent(WRITER), str(path), str(cseq)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(300 + 37 * cseq)]
            child.kill()
            lines += child.stdout.readlines()
        acknowledged = {line.split()[0] for line in lines if line.endswith(f" {cseq} None\n")}
        assert len(acknowledged) >= 300
        disk = Disk(path)
        disk.since = time()
        disk.store().close()
        assert disk.said() == []
        kept = {aor for aor, number in disk.rows("aor, cseq") if number == cseq}
        assert acknowledged - kept == set()


def test_a_contact_costs_less_than_two_kibibytes_after_a_restart(disk: Disk) -> None:
    most, store = 2000, disk.store()
    for number in range(most):
        ip = f"10.0.{number >> 8}.{number & 255}"
        uri = f"sip:user{number}@{ip}:5062;line={number:012x}"
        contact = f'"User {number}" <{uri}>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-{number:012x}>";q=0.7'
        flow = Flow("UDP", OURS, HostPort(ip, 1024 + number))
        call_id = f"{number:032x}@{ip}"
        store.replace(f"user{number}@example.com", [Binding(contact, uri, 0.7, 3600.5, call_id, 1 + number, flow)])
    store.close()
    tracemalloc.start()
    store = disk.store()
    octets, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert store.count() == most
    assert octets / most < 2048
    store.close()
