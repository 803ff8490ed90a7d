"""What the server says when it starts."""

import os
import pwd
from pathlib import Path

import pytest

from sipcgi import __version__
from sipcgi.config.load import load
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.net import descriptors
from sipcgi.report import changes, start_up_report, without_tcp

OWN = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    path = tmp_path / "cgi-bin"
    path.mkdir()
    return path


def script(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.write_text(text)
    path.chmod(0o755)


def report(scripts: Path, text: str = "", listening: tuple[str, ...] = ("tcp://127.0.0.1:5060",)) -> list[str]:
    file = scripts.parent / "sipcgi.yaml"
    file.write_text(text)
    configuration = load(file)
    return start_up_report(configuration, ScriptDirectory(str(configuration.scripts.directory)), list(listening))


def below(lines: list[str]) -> list[str]:
    """What follows the folder of the scripts."""
    at = next(number for number, line in enumerate(lines) if line.startswith("scripts in"))
    return lines[at + 1 :]


def test_where_and_for_whom(scripts: Path) -> None:
    assert report(
        scripts, "domains: [example.com]\nrelay: [10.0.0.0/8]\n", ("udp://127.0.0.1:5060", "tcp://[::1]:5060")
    ) == [
        f"sipcgi {__version__}",
        f"configuration  {scripts.parent}/sipcgi.yaml",
        "listening on   udp://127.0.0.1:5060",
        "               tcp://[::1]:5060",
        "               note: requests too large for a datagram come over tcp: listen on tcp://127.0.0.1:5060, too",
        "domains        example.com, our own addresses and host name",
        "may relay      to other domains: 10.0.0.0/8",
        "may register   anyone: there is no authentication yet",
        "ending         by their mark, which all that they start inherits",
        f"isolation      off: scripts run as {OWN}, and may do what {OWN} may",
        f"scripts in     {scripts}",
        "  none: drop invite.sh there, and it is run for every INVITE",
    ]


@pytest.mark.rfc("3261", "18.2.1-3")
@pytest.mark.parametrize(
    ("listening", "missing"),
    [
        (["udp://127.0.0.1:5060"], "tcp://127.0.0.1:5060"),
        (["udp://127.0.0.1:5060", "tcp://127.0.0.1:5062", "tls://127.0.0.1:5060"], "tcp://127.0.0.1:5060"),
        (["udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"], ""),
        (["udp://127.0.0.1:5060", "udp://[::1]:5060", "tcp://0.0.0.0:5060"], "tcp://[::1]:5060"),
        (["udp://sip.example.com:5060", "udp://[::1]:5060"], "tcp://sip.example.com:5060, tcp://[::1]:5060"),
        (["tcp://127.0.0.1:5060"], ""),
    ],
)
def test_udp_without_tcp(listening: list[str], missing: str) -> None:
    text = f"note: requests too large for a datagram come over tcp: listen on {missing}, too"
    assert without_tcp(listening) == [text] * bool(missing)


def test_a_domain_that_redirects_says_so(scripts: Path) -> None:
    lines = report(scripts, "domains: [{name: a, default_action: proxy}, b]\ndefault_action: redirect\n")
    assert "domains        a, b (redirects), our own addresses and host name (redirects)" in lines


def test_an_empty_file_says_so(scripts: Path) -> None:
    lines = report(scripts, "# nothing\n")
    at = lines.index(f"configuration  {scripts.parent / 'sipcgi.yaml'}")
    assert lines[at + 1].strip() == "is empty: the defaults hold"


def test_few_descriptors(scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors.resource, "getrlimit", lambda what: (512, 1024))
    assert "open files     1024 at most, so 512 connections: raise it (ulimit -Hn, LimitNOFILE= of systemd)" in report(
        scripts
    )


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
    assert below(lines) == [
        f"  block.sh    {start}routes.0: INVITE, MESSAGE from *@vinylsiding.com source 10.0.0.0/8",
        f"              {' ' * len(start)}routes.1: any method to c@x uri a@x, b@x also in a dialog",
        f"  sorry.sh    {start}on_error: when another script fails",
        f"  ack.sh      {start}not routed: nothing triggers it",
        f"  default.sh  {start}any other request that no route takes, but for PRACK, REGISTER (default.sh)",
        f"  invite.sh   {start}INVITE that no route takes (invite.sh)",
        f"  old.sh      {start}not routed: nothing triggers it",
        "  prack.py    python3 (not executable)  PRACK that no route takes (prack.py)",
    ]


def test_scripts_in_sequence(scripts: Path) -> None:
    for name in ("block.sh", "forward.sh"):
        script(scripts / name)
    lines = report(scripts, "routes: [{script: [block.sh, forward.sh], method: INVITE, originate: true}]\n")
    assert [line.rpartition("  ")[2] for line in below(lines)] == [
        "routes.0: INVITE and may send requests of its own",
        "routes.0: INVITE and may send requests of its own, after block.sh",
    ]


def test_scripts_of_another_style_say_so(scripts: Path) -> None:
    for name in ("invite.sh", "message.sh"):
        script(scripts / name)
    text = "scripts: {style: exec}\nroutes: [{script: message.sh, style: cgi}, {script: invite.sh}]\n"
    assert [line.rpartition("  ")[2] for line in below(report(scripts, text))] == [
        "routes.0: any method",
        "MESSAGE that no route takes (message.sh), style exec",
        "routes.1: any method, style exec",
        "INVITE that no route takes (invite.sh), style exec",
    ]


def test_a_method_that_may_be_mistyped(scripts: Path) -> None:
    script(scripts / "a.sh")
    lines = report(scripts, "routes: [{script: a.sh, method: [INFORM, ACK, FROBNICATE]}]\n")
    assert below(lines)[0].endswith("routes.0: ACK, FROBNICATE, INFORM (did you mean INFO?)")


def test_what_is_wrong_stands_below(scripts: Path) -> None:
    script(scripts / "invite.sh", "")
    script(scripts / "invite.tcl", "#!/nowhere\n")
    lines = below(report(scripts))
    assert lines[0].endswith("INVITE that no route takes (invite.sh)")
    assert lines[1].startswith("    wrong: invite.sh is empty")
    assert lines[2].endswith("not routed: nothing triggers it")
    assert lines[3].startswith("    wrong: invite.tcl begins with #!/nowhere")
    assert lines[4].startswith("  wrong: invite.sh and invite.tcl have the same name")


@pytest.mark.parametrize(
    ("name", "meant"), [("invit.sh", "invite"), ("Invite.sh", "invite"), ("regster.sh", "register"), ("old.sh", "")]
)
def test_a_name_that_may_be_mistyped(scripts: Path, name: str, meant: str) -> None:
    script(scripts / name)
    hint = f"; did you mean {meant}.sh?" if meant else ""
    assert below(report(scripts))[0].endswith(f"not routed: nothing triggers it{hint}")


def test_after_a_reload_what_is_new_wrong_or_gone(scripts: Path) -> None:
    for name in ("bye.sh", "info.sh", "invite.sh"):
        script(scripts / name)
    script(scripts / "message.sh", "#!/nowhere\n")
    before = report(scripts, "domains: a\n", ("tcp://127.0.0.1:5060",))
    assert [line.split()[0] for line in changes(before, before)] == ["message.sh", "wrong:"]
    script(scripts / "message.sh")
    (scripts / "info.sh").unlink()
    script(scripts / "a-longer-name.sh")
    after = report(scripts, "domains: [a, b]\n", ("tcp://127.0.0.1:5060", "tcp://[::1]:5060"))
    assert [" ".join(line.split()) for line in changes(before, after)] == [
        "listening on tcp://127.0.0.1:5060",
        "tcp://[::1]:5060",
        "domains a, b, our own addresses and host name",
        "a-longer-name.sh executable, #!/bin/sh not routed: nothing triggers it",
        "message.sh executable, #!/bin/sh MESSAGE that no route takes (message.sh)",
        "no longer: info.sh",
    ]


def test_a_strange_name_moves_no_cursor(scripts: Path) -> None:
    script(scripts / "a\x1b[2J.sh")
    assert any("a\\x1b[2J.sh" in line for line in report(scripts))
    assert all(line.isprintable() for line in report(scripts))


def test_resident_programs(scripts: Path) -> None:
    script(scripts / "app.py", "#!/bin/sh\n")
    script(scripts / "other.sh")
    text = """
routes:
  - {fastcgi: "tcp://app.example.com:9000", method: INVITE}
  - {script: queue, fastcgi: "unix:///run/queue"}
  - {script: app.py, processes: 2, method: MESSAGE}
  - {command: [gone, x], fastcgi: "unix:///run/gone"}
"""
    lines = below(report(scripts, text))
    assert " ".join(lines[0].split()) == "other.sh executable, #!/bin/sh not routed: nothing triggers it"
    assert lines[1:] == [
        "  tcp://app.example.com:9000  FastCGI  routes.0: INVITE",
        "  queue  FastCGI at unix:///run/queue  routes.1: any method",
        "  app.py  FastCGI, 2 processes of ours  routes.2: MESSAGE",
        "  unix:///run/gone  FastCGI, 1 process of ours  routes.3: any method",
        f"    wrong: gone is missing: there is no file {scripts}/gone",
    ]
