"""The kits, by the ending of their scripts."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests here share
from kit_scripts import HERE, LANGUAGES, Done, Run, start


@pytest.fixture(params=LANGUAGES)
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(program: Callable[[str], str]) -> Run:
    """Runs one of the scripts here: `run("probe.pl", {"SIP_FROM": ...})`, with its interpreter."""

    def run_it(name: str, variables: dict[str, str] | None = None, *, stdin: bytes = b"") -> Done:
        interpreter = sys.executable if name.endswith(".py") else program(LANGUAGES[name.rpartition(".")[2]])
        return start(interpreter, HERE / name, variables or {}, stdin)

    return run_it
