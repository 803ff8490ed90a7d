"""What the composition root has of its own: where the log goes."""

import fcntl
import os
from pathlib import Path

from sipcgi.app import Output
from sipcgi.logs import Log

LINES = b"".join(b"%04d %s\n" % (number, b"x" * 94) for number in range(100))


def test_lines_that_are_not_taken_are_counted_and_told_of_once_they_are(tmp_path: Path) -> None:
    log, full = Log(lambda: 0.0), os.open("/dev/full", os.O_WRONLY)
    output = Output(full)
    for _ in range(3):
        output.write(b"one\ntwo\n")
        output.tell_of_losses(log)
    os.close(full)
    assert log.take() == b""
    with (tmp_path / "log").open("wb") as file:
        output.descriptor = file.fileno()
        output.write(b"three\n")
        output.tell_of_losses(log)
        assert log.take().endswith(b" warning 6 log lines were lost: they could not be written\n")
        output.tell_of_losses(log)
        assert log.take() == b""
    assert (tmp_path / "log").read_bytes() == b"three\n"


def test_a_line_that_was_taken_in_part_is_ended_before_the_next() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    size = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    output = Output(writing)
    output.write(LINES)  # ends in the middle of a line
    taken = os.read(reading, size)
    whole = taken.count(b"\n")
    assert taken == LINES[:size]
    assert not taken.endswith(b"\n")
    assert output.lost == 100 - whole
    output.write(LINES)
    taken = os.read(reading, size)
    assert taken == (b"\n" + LINES)[:size]
    output.write(b"last\n")
    assert os.read(reading, size) == b"\nlast\n"
    output.write(b"more\n")
    assert os.read(reading, size) == b"more\n"
    os.close(reading)
    os.close(writing)
