"""docs/migrating.md: its ten services do what they say, in each of the three forms."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sipcgi.cli import main

DOCUMENT = Path(__file__).parent.parent / "docs" / "migrating.md"
TEXT = DOCUMENT.read_text("utf-8")
FORMS = ("Kamailio", "Asterisk", "sipcgi")
PLACES = ("/etc/kamailio", "/var/lib/asterisk/agi-bin")
"""Where the scripts of the others look for their files; of ours, in their own folder."""
MODULES = ("tm", "sl", "textops", "pv", "exec")
DESK, MOBILE = "sip:desk@192.0.2.7", "sip:mobile@192.0.2.8"


@dataclass
class Case:
    """What a caller of `user` brings about: of Kamailio's script the output, of Asterisk's the commands, of ours what
    leaves."""

    user: str
    kamailio: list[str]
    asterisk: list[str]
    sipcgi: list[str]
    caller: str = "alice@example.org"
    hour: str = "12"
    status: int = 0
    """Of Kamailio's script, of which the configuration makes an answer."""
    later: list[str] = field(default_factory=list)
    """Further options of `sipcgi try`: later invocations have no counterpart."""


def invite(uri: str) -> str:
    return f"INVITE {uri} SIP/2.0"


CASES = {
    1: [
        Case("bob", ["sip:bob@192.0.2.7"], ["EXEC Dial PJSIP/trunk/sip:bob@192.0.2.7"], [invite("sip:bob@192.0.2.7")]),
        Case("carol", ["sip:carol@example.com"], ["EXEC Dial PJSIP/carol"], [invite("sip:carol@example.com")]),
    ],
    2: [
        Case("bob", [], ["EXEC Hangup 21"], ["SIP/2.0 603 Decline"], caller="spam@example.net", status=1),
        Case("bob", [], ["EXEC Dial PJSIP/bob"], [invite("sip:bob@example.com")]),
    ],
    3: [
        Case("b", ["sip:reception@192.0.2.7"], ["EXEC Dial PJSIP/reception"], [invite("sip:reception@192.0.2.7")]),
        Case("b", ["sip:voicemail@192.0.2.8"], ["EXEC VoiceMail b"], [invite("sip:voicemail@192.0.2.8")], hour="18"),
    ],
    4: [
        Case(
            "bob",
            [DESK, MOBILE],
            ["EXEC Dial PJSIP/desk,20", "GET VARIABLE DIALSTATUS", "EXEC Dial PJSIP/mobile,20"],
            [invite(DESK)],
        ),
        Case("bob", [], [], [invite(MOBILE)], later=["--response", "486", "--cookie", "desk"]),
        Case("bob", [], [], ["SIP/2.0 486 Busy Here"], later=["--response", "486", "--cookie", "mobile"]),
        Case("bob", [], [], ["SIP/2.0 180 Ringing"], later=["--response", "180", "--cookie", "desk"]),
    ],
    5: [Case("bob", [DESK, MOBILE], ["EXEC Dial PJSIP/desk&PJSIP/mobile"], [invite(DESK), invite(MOBILE)])],
    6: [
        Case(
            "bob",
            ["sip:bob@192.0.2.7"],
            ["EXEC Transfer PJSIP/sip:bob@192.0.2.7"],
            ["SIP/2.0 302 Moved Temporarily", "Contact: <sip:bob@192.0.2.7>"],
        )
    ],
    7: [
        Case("*21", [DESK], [f"EXEC Dial PJSIP/trunk/{DESK}"], [invite(DESK)]),
        Case("*22", [], ["EXEC Hangup 1"], ["SIP/2.0 404 No Such Number"]),
        Case("x21", [], ["EXEC Hangup 1"], ["SIP/2.0 404 No Such Number"]),
    ],
    8: [
        Case(
            "bob",
            ["gold"],
            ["EXEC Set __ACCOUNT=gold", "EXEC Dial PJSIP/bob,,b(default^account^1)"],
            [invite("sip:bob@example.com"), "X-Account: gold"],
            caller="alice@example.com",
        ),
        Case("bob", ["none"], [], [invite("sip:bob@example.com"), "X-Account: none"]),
    ],
    9: [Case("bob", [], ["EXEC Dial PJSIP/bob"], [invite("sip:bob@example.com")])],
    10: [
        Case("bob", ["sip:bob@192.0.2.9"], ["EXEC Dial PJSIP/trunk/sip:bob@192.0.2.9"], [invite("sip:bob@192.0.2.9")]),
        Case("dave", [], ["EXEC Hangup 1"], ["SIP/2.0 404 Not Found"]),
    ],
}
FILES = {
    "blocked.txt": "spam@example.net\n",
    "speed.txt": f"21 {DESK}\n",
    "users.csv": "alice,sip:a@192.0.2.9\nbob,sip:bob@192.0.2.9\n",
}
TELLS = [(number, case) for number, cases in CASES.items() for case in cases]


def blocks(number: int, form: str) -> list[str]:
    """The code of a form: configurations and scripts."""
    (section,) = re.findall(rf"^### {number}\. .*?(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    parts = re.split(rf"^({'|'.join(FORMS)})\b", section, flags=re.MULTILINE)
    (part,) = (text for name, text in zip(parts[1::2], parts[2::2], strict=True) if name == form)
    return re.findall(r"^```\w+\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[int, str], Path]:
    """Writes the script of a form, and the files that it reads."""

    def write(number: int, form: str) -> Path:
        for name, text in FILES.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "agi.sh").write_text(TEXT.split("```sh\n# agi.sh")[1].partition("\n")[2].split("```")[0])
        text = blocks(number, form)[-1]
        for place in PLACES:
            text = text.replace(place, str(tmp_path))
        path = tmp_path / "invite.sh"
        path.write_text(text)
        path.chmod(0o755)
        return path

    return write


def tried(path: Path, case: Case, *options: str) -> dict[str, Any]:
    arguments = ["try", str(path), "--uri", f"sip:{case.user}@example.com", "--from", f"sip:{case.caller}", *options]
    arguments += ["--header", "Subject: lunch", "--json"]
    result = CliRunner().invoke(main, arguments, env={"HOUR": case.hour})
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def hour(tmp_path: Path) -> Callable[[Case], list[str]]:
    """A configuration that gives scripts an hour of their own."""

    def options(case: Case) -> list[str]:
        file = tmp_path / "sipcgi.yaml"
        file.write_text(f"scripts: {{directory: ., environment: {{HOUR: '{case.hour}'}}}}\n")
        return ["--config", str(file)]

    return options


@pytest.mark.parametrize(("number", "case"), TELLS)
def test_our_form(
    script: Callable[..., Path], hour: Callable[[Case], list[str]], number: int, case: Case, tmp_path: Path
) -> None:
    document = tried(script(number, "sipcgi"), case, *hour(case), *case.later)
    assert document["errors"] == document["stderr"] == []
    messages = [message.split("\r\n") for message in document["messages"] if not message.startswith("ACK ")]
    assert [lines[0] for lines in messages] == [line for line in case.sipcgi if "SIP/2.0" in line]
    assert set(case.sipcgi) <= {line for lines in messages for line in lines}
    for lines in messages:
        assert ("Subject: lunch" in lines) == (lines[0].startswith("INVITE") and number != 8)
    check_log(number, tmp_path)


@pytest.mark.parametrize(("number", "case"), [(number, case) for number, case in TELLS if not case.later])
def test_the_form_of_kamailio_is_run_by_style_exec(
    script: Callable[..., Path], hour: Callable[[Case], list[str]], number: int, case: Case, tmp_path: Path
) -> None:
    document = tried(script(number, "Kamailio"), case, *hour(case), "--style", "exec")
    assert document["stderr"] == []
    assert document["status"] == case.status
    assert document["output"].split() == case.kamailio
    if number == 8:  # of exec_avp
        assert not document["valid"]
        return
    assert document["valid"] == (case.status == 0)
    assert [action["uri"] for action in document["actions"]] == case.kamailio
    check_log(number, tmp_path)


def check_log(number: int, folder: Path) -> None:
    if number == 9:
        (line,) = (folder / "calls.log").read_text().splitlines()
        assert line.split(" ", 1)[1] == "127.0.0.1 <sip:alice@example.org>;tag=caller sip:bob@example.com"


@pytest.mark.parametrize(("number", "case"), [(number, case) for number, case in TELLS if case.asterisk])
def test_the_form_of_asterisk(script: Callable[..., Path], number: int, case: Case) -> None:
    """Played as Asterisk plays it: what is told, an empty line, and an answer to each command."""
    told = ["agi_request: x.sh", f"agi_callerid: {case.caller}", f"agi_extension: {case.user}", "agi_enhanced: 0.0", ""]
    answers = ["200 result=1 (BUSY)"] * 9
    path = script(number, "Asterisk")
    run = subprocess.run(
        [path],
        input="\n".join([*told, *answers, ""]),
        env={"PATH": "/usr/bin:/bin", "HOUR": case.hour},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    assert (run.stdout.splitlines(), run.stderr) == (case.asterisk, "")


def test_kamailio_takes_its_configurations(program: Callable[[str], str], tmp_path: Path) -> None:
    """All that it says of each is that it is right."""
    for number in CASES:
        configuration, _ = blocks(number, "Kamailio")
        file = tmp_path / f"{number}.cfg"
        modules = "\n".join(f'loadmodule "{module}.so"' for module in MODULES)
        file.write_text(f"#!KAMAILIO\nlisten=udp:127.0.0.1:5060\n{modules}\n{configuration}")
        options: list[str | Path] = ["-c", "-f", file, "-Y", tmp_path, "-m", "16", "-M", "4"]
        run = subprocess.run([program("kamailio"), *options], capture_output=True, text=True, timeout=20, check=False)
        assert run.returncode == 0, run.stderr
        assert "config file ok" in run.stderr


def test_ten_services_in_three_forms() -> None:
    assert len(re.findall(r"^### \d+\. ", TEXT, re.MULTILINE)) == len(CASES) == 10
    for number in CASES:
        assert [len(blocks(number, form)) for form in FORMS] == [2, 1, 1]
