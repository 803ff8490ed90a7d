"""Landlock, in children of our own: what is not allowed is forbidden, for good."""

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import attempt, in_child

from sipcgi.hosts import landlock
from sipcgi.hosts.confine import PR_SET_NO_NEW_PRIVS, _prctl

pytestmark = pytest.mark.skipif(landlock.version() == 0, reason="the kernel has no Landlock")


def restricted(ruleset: landlock.Ruleset, work: Callable[[], Any]) -> Any:
    def child() -> Any:
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        ruleset.restrict_self()
        return work()

    return in_child(child)


@pytest.fixture
def ruleset() -> Any:
    made = landlock.Ruleset()
    yield made
    made.close()


def test_files_are_read_where_it_is_allowed(ruleset: landlock.Ruleset, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a").write_text("a")
    ruleset.allow(str(inside), landlock.READ)

    def work() -> list[str]:
        return [
            attempt((inside / "a").read_text),
            attempt((inside / "a").write_text, "b"),
            attempt(os.truncate, inside / "a", 0) if landlock.version() >= 3 else "EACCES",
            attempt((inside / "b").touch),
            attempt((inside / "a").unlink),
            attempt((outside / "a").read_text),
            attempt(os.listdir, outside),
        ]

    assert restricted(ruleset, work) == ["", *["EACCES"] * 6]
    assert (inside / "a").read_text() == "a"


def test_a_folder_may_be_changed(ruleset: landlock.Ruleset, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    ruleset.allow(str(tmp_path), landlock.CHANGE)

    def work() -> list[str]:
        a, b = tmp_path / "a", tmp_path / "below" / "b"
        return [attempt(a.write_text, "x"), attempt(a.rename, b), attempt(b.unlink), attempt(os.mkfifo, a)]

    assert restricted(ruleset, work) == ["", "" if landlock.version() >= 2 else "EXDEV", "", ""]


def test_a_single_file_may_be_allowed(ruleset: landlock.Ruleset, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    ruleset.allow(str(tmp_path / "a"), landlock.READ)
    ruleset.allow("/dev/null", landlock.USE)

    def work() -> list[str]:
        return [attempt((tmp_path / name).read_text) for name in "ab"] + [attempt(Path("/dev/null").write_text, "x")]

    assert restricted(ruleset, work) == ["", "EACCES", ""]


def test_what_is_not_there_cannot_be_allowed(ruleset: landlock.Ruleset, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ruleset.allow(str(tmp_path / "a"), landlock.READ)


def test_without_no_new_privileges_only_root_may(ruleset: landlock.Ruleset) -> None:
    def work() -> str:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        return attempt(ruleset.restrict_self)

    assert in_child(work) == "EPERM"


@pytest.mark.skipif(landlock.version() < landlock.SCOPES, reason="the kernel's Landlock knows no scopes (Linux 6.12)")
def test_signals_and_nameless_sockets_end_at_the_border(ruleset: landlock.Ruleset) -> None:
    name = f"\0sipcgi-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as caller:
        listening.bind(name)
        listening.listen()

        def work() -> list[str]:
            child = os.fork()
            if child == 0:
                signal.pause()
            own = attempt(os.kill, child, signal.SIGKILL)
            os.waitpid(child, 0)
            return [attempt(os.kill, os.getppid(), 0), attempt(caller.connect, name), own]

        assert restricted(ruleset, work) == ["EPERM", "EPERM", ""]


def test_a_kernel_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "_CREATE_RULESET", 100_000)  # no such system call
    landlock.version.cache_clear()
    try:
        assert landlock.version() == 0
        with pytest.raises(OSError, match="Landlock: Function not implemented"):
            landlock.Ruleset()
    finally:
        landlock.version.cache_clear()
