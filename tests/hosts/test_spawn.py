"""What starts a plain run is the same, compiled or not: what the program finds, and what is refused."""

import importlib.util
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sipcgi import compiled
from sipcgi.hosts import launcher, wire
from sipcgi.hosts.marks import RLIMIT_LOCKS, marking

Spawn = Callable[[bytes, int, list[tuple[int, int]], int], int]

SHOW = """#!/bin/sh
printf '%s|' "$0" "$@" "$PWD" "$A" "$EMPTY" "$(cat)"
env | sort | grep -v '^_='
ls /proc/self/fd
grep -E '^Sig(Blk|Ign)' /proc/self/status
grep 'Max file locks' /proc/$$/limits
cut -d ' ' -f 5,6 /proc/$$/stat | sed "s/$$/itself/g"
exit 7
"""


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch, missing: Callable[[str], None], tmp_path: Path) -> Iterator[list[Spawn]]:
    """The compiled one, and that of Python, which goes into the folder and puts the mark on itself."""
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")
    fast = compiled.native.spawn
    monkeypatch.setattr(compiled, "native", None)
    spec = importlib.util.spec_from_file_location("launcher_in_python", launcher.__file__)
    assert spec is not None
    assert spec.loader is not None
    pure = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pure)
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(RLIMIT_LOCKS)
    yield [fast, pure.spawn]
    resource.setrlimit(RLIMIT_LOCKS, before)


def run(spawn: Spawn, texts: bytes, arguments: int, mark: int) -> tuple[bytes, int]:
    """What it prints, and its exit code. Who starts it has a handler for a signal, ignores none, and blocks all."""
    reading, writing = os.pipe()
    stdin = os.memfd_create("stdin", os.MFD_CLOEXEC)
    os.pwrite(stdin, b"what it reads", 0)
    ignored = {number for number in launcher.ALL_SIGNALS if signal.getsignal(number) is signal.SIG_IGN}  # as of nohup
    before = {number: signal.signal(number, print) for number in {signal.SIGUSR2} | ignored}
    blocked = signal.pthread_sigmask(signal.SIG_SETMASK, launcher.ALL_SIGNALS)
    try:
        process = spawn(texts, arguments, [(writing, 1), (writing, 2), (stdin, 0)], mark)
        assert signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        os.close(stdin)
    with open(reading, "rb") as pipe:
        printed = pipe.read().replace(
            b"SigIgn:\t0000000180000000", b"SigIgn:\t0000000000000000"
        )  # glibc's own 32 and 33
    return printed, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.mark.parametrize("mark", [0, marking(77, 5)])
def test_a_program_finds_the_same(both: list[Spawn], tmp_path: Path, mark: int) -> None:
    script = tmp_path / "show"
    script.write_text(SHOW)
    script.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "A": "a=b \u00e9\udcff", "EMPTY": ""}
    texts = wire.pack_texts(str(tmp_path), [str(script), "one", "", "two words"], environment)
    found = [run(spawn, texts, 4, mark) for spawn in both]
    assert found[0] == found[1]
    printed, code = found[0]
    assert code == 7
    assert printed.startswith(f"{script}|one||two words|{tmp_path}|".encode() + b"a=b \xc3\xa9\xff||what it reads|")
    assert b"\n0\n1\n" in printed
    assert b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" in printed
    assert (str(marking(77, 5)).encode() in printed) == (mark != 0)
    assert printed.endswith(b"itself itself\n")  # its process group and its session


def test_a_program_without_variables(both: list[Spawn], tmp_path: Path) -> None:
    texts = wire.pack_texts(str(tmp_path), ["/usr/bin/env"], {})
    assert [run(spawn, texts, 1, 0) for spawn in both] == [(b"", 0), (b"", 0)]


@pytest.mark.parametrize(
    ("texts", "arguments"),
    [
        (b"/\0/bin/true\0NAME", 1),  # a variable without a value
        (b"/\0/bin/true\0A=B\0value", 1),
        (b"/\0/bin/true\0\0value", 1),
        (b"/\0/bin/true", 0),
        (b"/", 0),
        (b"", 1),
        (b"/nowhere\0/bin/true", 1),
        (b"/\0/nowhere", 1),
        (b"/\0/etc/passwd", 1),
        (b"/\0/bin/true/x", 1),
        (b"/\0/bin", 1),
        (b"/\0/bin/true\0A\0" + b"x" * 200_000, 1),  # more than Linux takes
    ],
)
def test_what_cannot_be_started(both: list[Spawn], texts: bytes, arguments: int) -> None:
    """The same error, and no process is left behind."""
    errors = []
    for spawn in both:
        with pytest.raises((OSError, ValueError)) as caught:
            spawn(texts, arguments, [], 0)
        errors.append((caught.type, caught.value.errno if isinstance(caught.value, OSError) else 0))
    assert errors[0] == errors[1]


def test_a_descriptor_that_is_none(both: list[Spawn]) -> None:
    for spawn in both:
        with pytest.raises(OSError, match="Bad file descriptor"):
            spawn(b"/\0/bin/true", 1, [(9999, 1)], 0)


def test_a_descriptor_that_has_its_number_already(both: list[Spawn]) -> None:
    ours = os.memfd_create("ours", os.MFD_CLOEXEC)
    texts = wire.pack_texts("/", ["/bin/sh", "-c", f"test -e /proc/self/fd/{ours}"], {})
    for spawn in both:
        assert os.waitpid(spawn(texts, 3, [(ours, ours)], 0), 0)[1] == 0
        assert os.waitpid(spawn(texts, 3, [], 0), 0)[1] != 0
    os.close(ours)


def test_nothing_crashes_it(both: list[Spawn]) -> None:
    fast = both[0]
    wrong: list[tuple[object, ...]] = [
        (), ("/", 1, [], 0), (b"/", "1", [], 0), (b"/", 1, (), 0), (b"/", 1, [1], 0), (b"/", 1, [(1,)], 0),
        (b"/", 1, [("1", 2)], 0), (b"/", 1, [(1, 2)] * 9, 0), (b"/", 1, [], "0"),
    ]  # fmt: skip
    for arguments in wrong:
        with pytest.raises(TypeError):
            fast(*arguments)  # type: ignore[arg-type]
    for mark, count in ((-1, 1), (1 << 64, 1), (0, 1 << 70)):
        with pytest.raises(OverflowError):
            fast(b"/", count, [], mark)
    with pytest.raises(ValueError, match="no order"):
        fast(b"/\0a\0b\0c", 9, [], 0)
    with pytest.raises(ValueError, match="no order"):
        fast(b"/\0a", -1, [], 0)
