"""What comes through the pipes of a run; standard error in lines."""

import os
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from sipcgi.hosts import run as module
from sipcgi.hosts.run import CHUNK, ScriptRun, StderrLines
from sipcgi.hosts.runs import Runs
from sipcgi.profile import Limits

DROPPED = "(what followed on standard error was dropped)"


def lines_of(*chunks: bytes) -> list[str]:
    told: list[str] = []
    lines = StderrLines(told.append)
    for chunk in chunks:
        lines.feed(chunk)
    lines.close()
    return told


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], []),
        ([b"one\n"], ["one"]),
        ([b"o", b"n", b"e\ntwo"], ["one", "two"]),
        ([b"\n\none\r\n\n"], ["one"]),
        ([b"\x1b[31mred\xff\n"], ["\x1b[31mred\udcff"]),
        ([b"x\n" * 200], ["x"] * 200),
        ([b"x\n" * 200, b"y"], ["x"] * 200 + [DROPPED]),
        ([b"x\n" * 201], ["x"] * 200 + [DROPPED]),
        ([b"x\n" * 201, b"y\n"], ["x"] * 200 + [DROPPED]),
        ([b"x" * 8192], ["x" * 8192]),
        ([b"x" * 8192, b"y", b"z\n"], ["x" * 8192, DROPPED]),
        ([b"x" * 8190 + b"\nyz\n"], ["x" * 8190, "y", DROPPED]),
    ],
)
def test_lines(chunks: list[bytes], expected: list[str]) -> None:
    assert lines_of(*chunks) == expected


@pytest.fixture
def held() -> Iterator[tuple[ScriptRun, list[int]]]:
    """A run whose pipes somebody still holds open, and their writing ends."""
    runs = SimpleNamespace(watch=None)
    run = ScriptRun(1, Limits(), 3 * CHUNK, 5.0, lambda outcome: None, lambda line: None, cast(Runs, runs), 0.0)
    (run.stdout, a), (run.stderr, b) = os.pipe(), os.pipe()
    yield run, [a, b]
    run.close()
    for descriptor in (a, b):
        os.close(descriptor)


def test_what_somebody_else_has_read_meanwhile_is_not_waited_for(
    held: tuple[ScriptRun, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child of the script that opened the pipe through /proc takes what is in it just before we do."""
    run, writing = held
    monkeypatch.setattr(module, "holds_something", lambda pipe: True)
    for descriptor in writing:  # else it would wait for ever
        threading.Timer(0.5, os.write, (descriptor, b"x")).start()
    begin = time.monotonic()
    run.take()
    assert time.monotonic() - begin < 0.4
    assert run.output == b""
    time.sleep(0.7)


def test_output_in_pieces(held: tuple[ScriptRun, list[int]]) -> None:
    run, (writing, _) = held
    for piece in (b"one ", b"two ", b"three"):
        os.write(writing, piece)
        run.take()
    assert run.outcome(0, 0.0, 0, 0.0).stdout == b"one two three"
    assert type(run.outcome(0, 0.0, 0, 0.0).stdout) is bytes
    for _ in range(3):
        os.write(writing, bytes(CHUNK))
        run.take()
    assert run.overflow
    assert len(run.output) == 3 * CHUNK
