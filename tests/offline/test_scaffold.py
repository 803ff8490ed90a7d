"""`sipcgi new` and `sipcgi init`: what they write works at once, and nothing is written over."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from sipcgi.cli import main
from sipcgi.hosts.directory import INTERPRETERS, ScriptDirectory
from sipcgi.offline import scaffold

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_a_language_for_each_ending() -> None:
    assert set(scaffold.LANGUAGES.values()) == set(INTERPRETERS)


@pytest.mark.parametrize("language", scaffold.LANGUAGES)
def test_a_new_script_works(here: Path, language: str, tried: Any) -> None:
    result = run("new", "invite", "--language", language)
    path = here / f"invite{scaffold.LANGUAGES[language]}"
    assert result.output == f"{path.name} is written; now: sipcgi try {path.name}\n"
    assert os.access(path, os.X_OK)
    assert f"sipcgi try {path.name}" in path.read_text()
    if not any(shutil.which(program) for program in INTERPRETERS[path.suffix].programs):
        pytest.skip(f"{language} is not there: apt install {INTERPRETERS[path.suffix].package}")
    assert ScriptDirectory(str(here)).problems(str(path)) == []

    def asked(*arguments: str) -> list[str]:
        document = tried(path, *arguments)
        assert (document["valid"], document["warnings"], document["stderr"]) == (True, [], [])
        return document["output"].strip().split("\n")

    call = ["CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0", "CGI-Timeout: 20", ""]
    again = "CGI-AGAIN yes SIP/2.0"
    assert asked() == [*call, "CGI-SET-COOKIE rang SIP/2.0", "", again]
    assert asked("--from", "sip:sales@vinylsiding.com")[0] == "SIP/2.0 603 Decline"
    assert asked("--response", "180", "--cookie", "rang") == [again]
    for status in ("408", "480", "486", "503"):
        voicemail = ["CGI-PROXY-REQUEST sip:voicemail@example.net SIP/2.0"]
        assert asked("--response", status, "--cookie", "rang") == voicemail
    for arguments in (["--response", "486"], ["--response", "603", "--cookie", "rang"]):
        assert asked(*arguments) == [""]
    (here / "two phones.yaml").write_text(TWO_PHONES.format(path))
    assert run("test", "two phones.yaml").exit_code == 0


TWO_PHONES = """
script: {}
registered: {{bob@example.com: ["sip:bob@192.0.2.20", "sip:bob@192.0.2.30"]}}
domains: example.com
cases:
  the other phone still rings:
    - INVITE sip:bob@example.com: |
        CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0
        CGI-Timeout: 20

        CGI-SET-COOKIE rang SIP/2.0

        CGI-AGAIN yes SIP/2.0
    - 486 from sip:bob@192.0.2.20: CGI-AGAIN yes SIP/2.0
    - 503 from sip:bob@192.0.2.30: CGI-PROXY-REQUEST sip:voicemail@example.net SIP/2.0
"""


def test_the_ending_tells_the_language(here: Path) -> None:
    (here / "cgi-bin").mkdir()
    assert run("new", "cgi-bin/message.py").exit_code == 0
    assert (here / "cgi-bin" / "message.py").read_text().startswith("#!/usr/bin/env python3\n")


def test_what_a_server_has_put_beside_the_samples_stays_there(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = here / "checkout"
    for part, source in scaffold.PARTS.items():
        shutil.copytree(scaffold.samples(part, source), checkout / source)
    for name in (
        "invite.pl",
        "notes.txt",
        "other.yaml",
        "reg.db",
        "reg.db-wal",
        "reg.db-shm",
        "reg.db.key",
        "reg.db.corrupt-20270115T080000Z",
    ):
        for source in scaffold.PARTS.values():
            (checkout / source / name).write_text("secret")
    monkeypatch.setattr(scaffold, "samples", lambda part, source: checkout / source)
    assert run("init", "new").exit_code == 0
    assert sorted(str(path.relative_to(here / "new")) for path in files(here / "new")) == shipped()


def shipped() -> list[str]:
    return scaffold.SAMPLES.read_text().split()


def test_all_that_is_shipped_is_listed() -> None:
    """A sample that is not in the list would not be laid out."""
    tracked = subprocess.run(
        ["git", "ls-files", "cgi-bin", "conf/*.yaml", "tests/golden"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("this is no checkout of git")
    assert shipped() == sorted(name.replace("tests/golden/", "tests/") for name in tracked.stdout.split())


def test_nothing_is_written_over(here: Path) -> None:
    (here / "invite.pl").write_text("mine")
    result = run("new", "invite", "--language", "perl")
    assert result.exit_code == 1
    assert "invite.pl: File exists: nothing was written" in result.stderr
    assert (here / "invite.pl").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["invite"], 2, "which language?"),
        (["invite.py", "--language", "perl"], 2, ".py is the ending of python"),
        (["invite", "--language", "cobol"], 2, "no such language: cobol"),
        (["no/invite.sh"], 1, "No such file or directory"),
    ],
)
def test_what_is_not_written(here: Path, arguments: list[str], status: int, said: str) -> None:
    result = run("new", *arguments)
    assert (result.exit_code, list(here.iterdir())) == (status, [])
    assert said in result.stderr


def test_a_directory_to_start_from(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("init", "site")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "now: cd site; sipcgi test; sipcgi"
    site = here / "site"
    assert (site / "conf" / "sipcgi.yaml").read_bytes() == (ROOT / "conf" / "sipcgi.yaml").read_bytes()
    assert sorted(path.name for path in (site / "tests").iterdir()) == sorted(
        path.name for path in (ROOT / "tests" / "golden").iterdir()
    )
    for path in (site / "cgi-bin").iterdir():
        assert path.suffix == ".txt" or os.access(path, os.X_OK)
    assert (site / "cgi-bin" / "src" / "screen.c").read_bytes() == (ROOT / "cgi-bin" / "src" / "screen.c").read_bytes()
    monkeypatch.chdir(site)
    assert run("check", "--config", "conf/sipcgi.yaml").exit_code == 0
    result = run("test")
    assert result.exit_code == 0, result.output


def test_what_is_there_stays(here: Path) -> None:
    (here / "cgi-bin").mkdir()
    (here / "cgi-bin" / "dnd.sh").write_text("mine")
    lines = run("init").output.splitlines()
    assert "kept  cgi-bin/dnd.sh" in lines
    assert "wrote cgi-bin/hunt.py" in lines
    assert (here / "cgi-bin" / "dnd.sh").read_text() == "mine"


def test_no_directory_can_be_made(here: Path) -> None:
    (here / "site").write_text("a file")
    result = run("init", "site")
    assert result.exit_code == 1
    assert "site/cgi-bin: Not a directory" in result.stderr


def test_a_wheel_has_what_a_checkout_has(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = ("python.py", "python_parent.py", "python_script.py", "perl.pm", "ruby.rb")
        parents = {f"sipcgi/hosts/zygotes/{name}" for name in names}
        assert parents <= set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}

    def installed(*arguments: str) -> str:
        command = [sys.executable, "-m", "sipcgi", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    lines = installed("init", "site").splitlines()
    assert len(lines) == 1 + len(shipped())
    installed("check", "--config", "site/conf/sipcgi.yaml")
    assert "FAIL" not in installed("test", "site/tests")
    installed("new", "invite.sh")
    installed("try", "invite.sh")
