"""One list of behaviours, one script in each of eight languages, on each host: the same environment and effects."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
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
HOSTS = {"exec": LANGUAGES, "warm": ("pl", "py", "rb"), "fastcgi": ("pl", "py", "c")}
"""Which languages have a script on which host: for FastCGI it is `resident`, which does as `behave` does."""
CASES, MISTAKES = read(HERE / "behaviours.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@dataclass
class Script:
    path: Path
    host: str


@pytest.fixture(
    params=[(host, ending) for host, endings in HOSTS.items() for ending in endings],
    ids=lambda both: both[1] if both[0] == "exec" else f"{both[0]}-{both[1]}",
)
def script(
    request: pytest.FixtureRequest, program: Callable[[str], str], missing: Callable[[str], None], made: Path
) -> Script:
    """Of each language on each host, started as it is: by its first line, or as the program it was compiled to."""
    host, ending = request.param
    found = program(LANGUAGES[ending])
    name = "resident" if host == "fastcgi" else "behave"
    if host == "fastcgi" and not has_fastcgi(found, ending):
        missing(f"FastCGI for .{ending} is not there: apt install libfcgi-dev libfcgi-perl")
    if ending != "c":
        return Script(HERE / f"{name}.{ending}", host)
    if not (made / name).exists():
        compile_c(found, made, name)
    return Script(made / name, host)


def compile_c(compiler: str, folder: Path, name: str) -> None:
    strict = [compiler, "-O", "-Wall", "-Wextra", "-Werror", "-o"]
    if name == "behave":
        subprocess.run([*strict, folder / name, HERE / "behave.c"], check=True)
        return
    within = ["-Dmain=behave", "-include", "fcgi_stdio.h", "-Wno-discarded-qualifiers", "-c", HERE / "behave.c"]
    subprocess.run([*strict, folder / "behave.o", *within], check=True)
    subprocess.run([*strict, folder / name, HERE / "resident.c", folder / "behave.o", "-lfcgi"], check=True)


def has_fastcgi(program: str, ending: str) -> bool:
    """Whether the language has a library for it; the kit for Python is ours."""
    asked = {"pl": [program, "-MFCGI", "-e1"], "c": [program, "-E", "-include", "fcgi_stdio.h", "-xc", "/dev/null"]}
    return ending == "py" or subprocess.run(asked[ending], capture_output=True, check=False).returncode == 0


def test_the_list_is_well_formed() -> None:
    assert MISTAKES == []
    assert len(CASES) == 14


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_behaviour(script: Script, case: Case) -> None:
    failure = play(replace(case, script=script.path, around=replace(case.around, host=script.host)))
    assert failure is None, "\n".join([failure.step.text, *failure.lines, *map(str, failure.errors), *failure.stderr])


def attempt(script: Script, what: str, *more: str) -> dict[str, Any]:
    asked = ["try", str(script.path), "--host", script.host, "--uri", f"sip:{what}@example.net", "--json", *more]
    result = CliRunner().invoke(main, asked)
    return dict(json.loads(result.stdout))


def test_a_value_as_long_as_a_datagram_allows(script: Script) -> None:
    done = attempt(script, "length", "--header", f"Subject: {'x' * 60_000}")
    assert (done["output"], done["valid"]) == ("SIP/2.0 480 Counted\nX-Octets: 60000\n\n", True)


def test_a_script_that_fails(script: Script) -> None:
    """What it printed before counts for nothing."""
    done = attempt(script, "fail")
    status = None if (script.host, script.path.suffix) == ("fastcgi", ".pl") else 3  # libfcgi-perl can say none
    assert (done["status"], done["stderr"], done["valid"]) == (status, ["no luck"], False)
    assert [message.split("\r\n")[0] for message in done["messages"]] == ["SIP/2.0 500 Server Internal Error"]


def test_a_script_that_complains(script: Script) -> None:
    """Standard error is for the log, and changes nothing."""
    done = attempt(script, "complain")
    assert (done["status"], done["stderr"], done["valid"]) == (0, ["a word to the log"], True)
    assert [message.split("\r\n")[0] for message in done["messages"]] == ["INVITE sip:complain@example.net SIP/2.0"]
