"""Scripts in a folder of their own, and the commands that look at them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sipcgi.cli import main


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes one: `script("print", "SIP/2.0 486 Busy Here")` prints these lines."""

    def write(first: str, *lines: str, name: str = "a.sh", mode: int = 0o755) -> Path:
        path = tmp_path / name
        if first == "print":
            text = "\n".join(lines)
            path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\n\nEND\nexit 0\n")
        else:
            path.write_text("\n".join([first, *lines]) + "\n")
        path.chmod(mode)
        return path

    return write


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def shown() -> Callable[..., Result]:
    return lambda *arguments: run("try", *arguments)


@pytest.fixture
def tried() -> Callable[..., dict[str, Any]]:
    """`sipcgi try --json`, which must say by its exit status what it says in the document."""

    def attempt(*arguments: str | Path) -> dict[str, Any]:
        result = run("try", *arguments, "--json")
        document: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (0 if document["valid"] else 1)
        assert document["valid"] == (not document["errors"])
        return document

    return attempt
