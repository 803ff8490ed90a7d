"""What the server says when it starts."""

from pathlib import Path

import pytest

from sipcgi import __version__
from sipcgi.config.load import load
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.report import start_up_report


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    path = tmp_path / "cgi-bin"
    path.mkdir()
    return path


def script(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.write_text(text)
    path.chmod(0o755)


def report(scripts: Path, text: str = "", listening: tuple[str, ...] = ("udp://127.0.0.1:5060",)) -> list[str]:
    file = scripts.parent / "sipcgi.yaml"
    file.write_text(text)
    configuration = load(file)
    return start_up_report(configuration, ScriptDirectory(str(configuration.scripts.directory)), list(listening))


def test_where_and_for_whom(scripts: Path) -> None:
    assert report(
        scripts, "domains: [example.com]\nrelay: [10.0.0.0/8]\n", ("udp://127.0.0.1:5060", "tcp://[::1]:5060")
    ) == [
        f"sipcgi {__version__}",
        f"configuration  {scripts.parent}/sipcgi.yaml",
        "listening on   udp://127.0.0.1:5060",
        "               tcp://[::1]:5060",
        "domains        example.com, our own addresses and host name",
        "may relay      to other domains: 10.0.0.0/8",
        "may register   anyone: there is no authentication yet",
        f"scripts in     {scripts}",
        "  none: drop invite.sh there, and it is run for every INVITE",
    ]


def test_nobody_and_nothing(scripts: Path) -> None:
    scripts.rmdir()
    lines = report(scripts, "relay: []\n", ())
    assert "listening on   nothing" in lines
    assert "may relay      to other domains: nobody" in lines
    assert f"scripts in     {scripts}, which is missing" in lines


def test_every_script_with_its_start_and_its_triggers(scripts: Path) -> None:
    for name in ("ack.sh", "block.sh", "default.sh", "invite.sh", "old.sh", "sorry.sh"):
        script(scripts / name)
    script(scripts / "prack.py", "#!/bin/sh\n")
    (scripts / "prack.py").chmod(0o644)
    lines = report(
        scripts,
        "scripts: {on_error: sorry.sh}\n"
        "routes:\n"
        "- {script: block.sh, method: [MESSAGE, INVITE], from: '*@vinylsiding.com', source: 10.0.0.0/8}\n"
        "- {script: block.sh, uri: ['a@x', 'b@x'], to: 'c@x', in_dialog: true}\n",
    )
    start = "executable, #!/bin/sh     "
    assert lines[7:] == [
        f"  block.sh    {start}routes.0: INVITE, MESSAGE from *@vinylsiding.com source 10.0.0.0/8",
        f"              {' ' * len(start)}routes.1: any method to c@x uri a@x, b@x also in a dialog",
        f"  sorry.sh    {start}on_error: when another script fails",
        f"  ack.sh      {start}not routed: nothing triggers it",
        f"  default.sh  {start}any other request that no route takes, but for PRACK, REGISTER (default.sh)",
        f"  invite.sh   {start}INVITE that no route takes (invite.sh)",
        f"  old.sh      {start}not routed: nothing triggers it",
        "  prack.py    python3 (not executable)  PRACK that no route takes (prack.py)",
    ]


def test_a_mistyped_method(scripts: Path) -> None:
    script(scripts / "a.sh")
    lines = report(scripts, "routes: [{script: a.sh, method: [INVTE, ACK, FROBNICATE]}]\n")
    assert lines[7].endswith("routes.0: ACK, FROBNICATE, INVTE (did you mean INVITE?)")


def test_what_is_wrong_stands_below(scripts: Path) -> None:
    script(scripts / "invite.sh", "")
    script(scripts / "invite.tcl", "#!/nowhere\n")
    lines = report(scripts)[7:]
    assert lines[0].endswith("INVITE that no route takes (invite.sh)")
    assert lines[1].startswith("    wrong: invite.sh is empty")
    assert lines[2].endswith("not routed: nothing triggers it")
    assert lines[3].startswith("    wrong: invite.tcl begins with #!/nowhere")
    assert lines[4].startswith("  wrong: invite.sh and invite.tcl have the same name")


def test_a_strange_name_moves_no_cursor(scripts: Path) -> None:
    script(scripts / "a\x1b[2J.sh")
    assert any("a\\x1b[2J.sh" in line for line in report(scripts))
    assert all(line.isprintable() for line in report(scripts))
