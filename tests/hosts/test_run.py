"""Standard error in lines."""

import pytest

from sipcgi.hosts.run import StderrLines

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
