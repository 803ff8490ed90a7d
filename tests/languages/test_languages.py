"""One list of behaviours, one script in each of eight languages: the same environment, the same effects."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sipcgi.cli import main
from sipcgi.offline.cases import Case, read
from sipcgi.offline.golden import play

HERE = Path(__file__).parent
LANGUAGES = {
    "sh": "sh",
    "pl": "perl",
    "py": sys.executable,
    "tcl": "tclsh",
    "rb": "ruby",
    "lua": "lua",
    "js": "node",
    "c": "cc",
}
"""Programs without which a script cannot be, by ending."""
CASES, MISTAKES = read(HERE / "behaviours.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(params=LANGUAGES)
def script(request: pytest.FixtureRequest, program: Callable[[str], str], made: Path) -> Path:
    """Of each language, started as it is: by its first line, or as the program it was compiled to."""
    source = HERE / f"behave.{request.param}"
    found = program(LANGUAGES[request.param])
    if request.param != "c":
        return source
    compiled = made / "behave"
    if not compiled.exists():
        subprocess.run([found, "-O", "-Wall", "-Wextra", "-Werror", "-o", compiled, source], check=True)
    return compiled


def test_the_list_is_well_formed() -> None:
    assert MISTAKES == []
    assert len(CASES) == 14


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_behaviour(script: Path, case: Case) -> None:
    failure = play(replace(case, script=script))
    assert failure is None, "\n".join([failure.step.text, *failure.lines, *map(str, failure.errors), *failure.stderr])


def attempt(script: Path, what: str, *more: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["try", str(script), "--uri", f"sip:{what}@example.net", "--json", *more])
    return dict(json.loads(result.stdout))


def test_a_value_as_long_as_a_datagram_allows(script: Path) -> None:
    done = attempt(script, "length", "--header", f"Subject: {'x' * 60_000}")
    assert (done["output"], done["valid"]) == ("SIP/2.0 480 Counted\nX-Octets: 60000\n\n", True)


def test_a_script_that_fails(script: Path) -> None:
    """What it printed before counts for nothing."""
    done = attempt(script, "fail")
    assert (done["status"], done["stderr"], done["valid"]) == (3, ["no luck"], False)
    assert [message.split("\r\n")[0] for message in done["messages"]] == ["SIP/2.0 500 Server Internal Error"]


def test_a_script_that_complains(script: Path) -> None:
    """Standard error is for the log, and changes nothing."""
    done = attempt(script, "complain")
    assert (done["status"], done["stderr"], done["valid"]) == (0, ["a word to the log"], True)
    assert [message.split("\r\n")[0] for message in done["messages"]] == ["INVITE sip:complain@example.net SIP/2.0"]
