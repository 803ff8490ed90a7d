"""Scripts on the stage that a warm parent forks: `host: warm` in a case, `--host warm` of `sipcgi try`."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipcgi.cli import main
from sipcgi.hosts.warm import WarmHost
from sipcgi.offline.cases import Case, read
from sipcgi.offline.golden import play

GOLDEN = Path(__file__).parent.parent / "golden"
PROGRAMS = {".pl": "perl", ".py": "python3", ".rb": "ruby"}
CASES = [
    case
    for file in sorted(GOLDEN.glob("*.yaml"))
    for case in read(file)[0]
    if case.script.suffix in PROGRAMS and case.around.host == "exec"
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.script.name}-{case.name}".replace(" ", "-"))
def test_the_samples_run_warm(case: Case, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    program(PROGRAMS[case.script.suffix])
    monkeypatch.setattr(WarmHost, "has_failed", lambda host, parent, why: pytest.fail(f"{parent.name}: {why}"))
    failure = play(replace(case, around=replace(case.around, host="warm")))
    assert failure is None, "\n".join([failure.step.text, *failure.lines, *map(str, failure.errors), *failure.stderr])


def attempt(script: Path, text: str) -> str:
    """What `sipcgi try` shows."""
    script.write_text(text)
    script.chmod(0o755)
    time.sleep(0.12)  # until it counts as written
    return CliRunner().invoke(main, ["try", str(script), "--host", "warm"]).output


def test_try_takes_the_parent(tmp_path: Path, program: Callable[[str], str]) -> None:
    text = "open my $f, '<', '/proc/' . getppid . '/cmdline'; print qq(SIP/2.0 480 Here\nX-Parent: ), <$f>, qq(\n\n)"
    shown = attempt(tmp_path / "invite.pl", f"#!{program('perl')}\n{text}")
    assert "zygotes" in shown
    assert "note:" not in shown


def test_try_says_why_there_is_none(tmp_path: Path, program: Callable[[str], str]) -> None:
    text = "use constant FROM => $ENV{SIP_FROM}; print qq(SIP/2.0 480 Here\n\n)"
    shown = attempt(tmp_path / "invite.pl", f"#!{program('perl')}\n{text}")
    assert "no warm parent for invite.pl" in shown
    assert "asks for SIP_FROM while it is compiled" in shown
