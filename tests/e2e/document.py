"""Documents that are followed to the letter: the files that they show are written, the commands are typed."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

BLOCK = re.compile(r"(?ms)^```(\w+)\n(.*?)^```$")
FILE = re.compile(r"`([\w./-]+)`:\s*\Z")
END = "--- that was all, status"


@dataclass(slots=True)
class Block:
    """What stands between two ```."""

    language: str
    text: str
    file: str | None
    """The name that the paragraph above ends with: `name`: ."""


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text("utf-8")
    for found in BLOCK.finditer(text):
        above = FILE.search(text[: found.start()])
        yield Block(found[1], found[2], above and above[1])


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each line after a $, and what is shown below it."""
    for part in re.split(r"(?m)^\$ ", block.text)[1:]:
        command, *shown = part.splitlines()
        yield command, shown


def is_shown(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether the lines are those printed; `...` stands for any lines, and in a line for anything."""
    parts = (r"(?:.*\n)*?" if line == "..." else f"{_line(line)}\n" for line in shown)
    return re.fullmatch("".join(parts), "".join(f"{line.rstrip()}\n" for line in printed)) is not None


def _line(line: str) -> str:
    return ".*".join(map(re.escape, line.rstrip().split("...")))


class Terminal:
    """A shell in which one command is typed after the other."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.status = 0
        """Of the last command."""
        self.shell = subprocess.Popen(
            ["sh"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.shell.communicate("exit\n", timeout=10)

    def type(self, command: str) -> list[str]:
        """What it prints, on standard output and standard error."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{command}\n\necho {shlex.quote(END)} $?\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line.startswith(END):
                self.status = int(line.removeprefix(END))
                return lines
            lines.append(line.rstrip("\n"))
        raise AssertionError(f"the shell ended: {lines}")
