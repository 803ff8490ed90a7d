"""The command line: what is asked, what is printed where, and the exit status."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sipcgi import __version__, app, compiled
from sipcgi.cli import main

ROOT = Path(__file__).parent.parent


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sipcgi.config.load.PLACES", (Path("conf/sipcgi.yaml"),))
    (tmp_path / "cgi-bin").mkdir()
    (tmp_path / "conf").mkdir()
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configurations that were served."""
    configurations: list[Any] = []

    def serve(load: Callable[[], Any]) -> int:
        configurations.append(load())
        return 7

    monkeypatch.setattr(app, "serve", serve)
    return configurations


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def script(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_version_and_help() -> None:
    how = "compiled" if compiled.native is not None else f"pure Python: {compiled.reason}"
    assert run("--version").output == f"sipcgi {__version__} ({how})\n"
    for option in ("--help", "-h"):
        result = run(option)
        assert result.exit_code == 0
        assert "check" in result.output


@pytest.mark.parametrize("arguments", [(), ("serve",)])
def test_no_command_is_serve(site: Path, served: list[Any], arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 7
    assert served[0].source == "built-in defaults"


@pytest.mark.parametrize("command", [(), ("serve",)])
def test_the_options_override(site: Path, served: list[Any], command: tuple[str, ...]) -> None:
    (site / "x.yaml").write_text("domains: [a]\n")
    (site / "s").mkdir()
    options = ("--listen", "udp://127.0.0.1:5070", "--listen", "tcp://[::1]", "--domain=b", "--domain", "c")
    result = run(*command, "--config", "x.yaml", *options, "--scripts", "s")
    assert result.exit_code == 7
    (configuration,) = served
    assert str(configuration.file) == "x.yaml"
    assert [str(listener) for listener in configuration.listen] == ["udp://127.0.0.1:5070", "tcp://[::1]:5060"]
    assert configuration.domains == ("b", "c")
    assert configuration.scripts.directory == site / "s"


@pytest.mark.parametrize("arguments", [("chek",), ("serve", "x"), ("--lisen", "x"), ("check", "--config")])
def test_what_is_no_command_or_option(site: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_check_counts_what_is_there(site: Path) -> None:
    script(site / "cgi-bin" / "block.sh")
    script(site / "cgi-bin" / "invite.sh")
    (site / "conf" / "sipcgi.yaml").write_text("scripts: {directory: ../cgi-bin}\nroutes: [{script: block.sh}]\n")
    result = run("check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "conf/sipcgi.yaml: ok, 1 route, 2 scripts\n", "")


@pytest.mark.rfc("3261", "18.2.1-3")
def test_check_says_what_cannot_receive_large_requests(site: Path) -> None:
    (site / "cgi-bin").mkdir(exist_ok=True)
    (site / "conf" / "sipcgi.yaml").write_text("scripts: {directory: ../cgi-bin}\nlisten: udp://127.0.0.1:5060\n")
    result = run("check")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == [
        "conf/sipcgi.yaml: listen: note: requests too large for a datagram come over tcp: "
        "listen on tcp://127.0.0.1:5060, too"
    ]


def test_an_empty_file_is_right_but_the_scripts_are_looked_for_beside_it(site: Path) -> None:
    script(site / "cgi-bin" / "invite.sh")
    (site / "conf" / "sipcgi.yaml").write_text("")
    result = run("check")
    missing = f"there is no folder {site / 'conf' / 'cgi-bin'}"
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"conf/sipcgi.yaml: ok, 0 routes, 0 scripts; {missing}",
        "conf/sipcgi.yaml: note: is empty: the defaults hold",
    ]


def test_check_says_which_name_of_a_script_is_nearly_one_that_counts(site: Path) -> None:
    script(site / "cgi-bin" / "invit.sh")
    script(site / "cgi-bin" / "other.sh")
    assert run("check").stdout.splitlines()[1:] == [
        "built-in defaults: scripts.directory: note: nothing triggers invit.sh; did you mean invite.sh?"
    ]


def test_check_says_which_scripts_run_warm(site: Path) -> None:
    for name, first in (("invite.pl", "/usr/bin/perl"), ("block.py", "/usr/bin/python3"), ("default.sh", "/bin/sh")):
        (site / "cgi-bin" / name).write_text(f"#!{first}\n")
        (site / "cgi-bin" / name).chmod(0o755)
    file = site / "conf/sipcgi.yaml"
    for settings, line in (
        ("scripts: {directory: ../cgi-bin}", ""),
        ("scripts: {directory: ../cgi-bin, host: warm}", "warm: invite.pl\n"),
        ("scripts: {directory: ../cgi-bin, host: {python: warm}}", "warm: none of the scripts\n"),
        (
            "scripts: {directory: ../cgi-bin, host: {perl: warm}}\nroutes: [{script: block.py, host: warm}]",
            "warm: block.py, invite.pl\n",
        ),
        ("scripts: {directory: ../cgi-bin}\nroutes: [{script: block.py, host: warm}]", "warm: block.py\n"),
    ):
        file.write_text(f"listen: [udp://127.0.0.1, tcp://127.0.0.1]\n{settings}\n")
        shown = CliRunner().invoke(main, ["check"])
        assert (shown.exit_code, shown.output.partition("\n")[2]) == (0, line and f"conf/sipcgi.yaml: {line}")


def test_check_takes_the_file_as_its_argument_too(site: Path) -> None:
    (site / "x.yaml").write_text("listn: x\n")
    result = run("check", "x.yaml")
    assert (result.exit_code, result.stderr) == (78, "x.yaml:1: listn: unknown key; did you mean 'listen'?\n")
    assert run("check", "--config", "x.yaml").stderr == result.stderr
    assert run("check", "x.yaml", "--config", "x.yaml").exit_code == 2


def test_check_says_all_that_is_wrong(site: Path) -> None:
    script(site / "cgi-bin" / "invite.sh", "#!/nowhere\n")
    (site / "x.yaml").write_text("scripts: {timeout: x}\nroutes:\n- script: gone.sh\n")
    result = run("check", "--config", "x.yaml", "--domain", "*")
    assert (result.exit_code, result.stdout) == (78, "")
    assert [line.split(": ")[0:2] for line in result.stderr.splitlines()] == [
        ["command line:1", "--domain"],
        ["x.yaml:1", "scripts.timeout"],
        ["x.yaml:1", "scripts.directory"],
        ["x.yaml:3", "routes.0.script"],
    ]


def test_check_without_anything(site: Path) -> None:
    (site / "cgi-bin").rmdir()
    result = run("check")
    assert result.exit_code == 78
    assert "there is no folder ./cgi-bin" in result.stderr


def test_serve_refuses_a_routed_script_that_is_missing(site: Path) -> None:
    (site / "x.yaml").write_text("routes:\n- script: gone.sh\n")
    result = run("--config", "x.yaml")
    assert result.exit_code == 78


def test_as_a_module(site: Path) -> None:
    result = command("check")
    assert (result.returncode, result.stdout) == (0, b"built-in defaults: ok, 0 routes, 0 scripts\n")


def test_check_loads_no_event_loop(site: Path) -> None:
    code = "import sys, sipcgi.cli, sipcgi.config.scripts; sys.exit('trio' in sys.modules or 'asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "sipcgi", *arguments],
        capture_output=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT), **options},
    )


def test_the_sample_configuration_is_right() -> None:
    result = command("check", "--config", str(ROOT / "conf" / "sipcgi.yaml"))
    assert result.stderr == b""
    assert result.returncode == 0


@pytest.mark.parametrize("arguments", [("check",), ("serve",), ()])
def test_a_wrong_configuration_is_exit_status_78(site: Path, arguments: tuple[str, ...]) -> None:
    (site / "conf" / "sipcgi.yaml").write_text("listen: tls://0.0.0.0\nroutes:\n- script: gone.sh\n")
    result = command(*arguments)
    assert (result.returncode, result.stdout) == (78, b"")
    assert result.stderr.decode().splitlines() == [
        "conf/sipcgi.yaml:1: listen: tls:// needs a certificate: write `tls: {certificate: FILE, key: FILE}`"
        " into the configuration",
        f"conf/sipcgi.yaml:3: routes.0.script: gone.sh is missing: there is no file {site}/conf/cgi-bin/gone.sh",
    ]


def test_a_wrong_option_is_exit_status_2(site: Path) -> None:
    assert command("check", "--lisen", "x").returncode == 2


def test_what_a_terminal_cannot_show_is_escaped(site: Path) -> None:
    (site / "漢.yaml").write_text("domains: x\n")
    result = command("check", "--config", "漢.yaml", PYTHONIOENCODING="latin-1")
    assert (result.returncode, result.stdout) == (0, b"\\u6f22.yaml: ok, 0 routes, 0 scripts\n")


def test_serve_says_where_it_listens_and_ends_on_sigterm(site: Path) -> None:
    script(site / "cgi-bin" / "invite.sh")
    (site / "cgi-bin" / "bye.py").write_text("")  # cannot be started: said, and the server runs
    arguments = [sys.executable, "-m", "sipcgi", "--listen", "udp://127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as server:
        assert server.stdout
        lines = []
        while not lines or not lines[-1].startswith(b"    wrong: bye.py is empty"):
            lines.append(server.stdout.readline())
            assert lines[-1], "ended early"
        server.terminate()
        assert server.wait(30) == 0
    text = b"".join(lines).decode()
    assert "listening on   udp://127.0.0.1:" in text
    assert "may register   anyone: there is no authentication yet" in text


def test_serve_refuses_the_defaults_without_a_folder(site: Path) -> None:
    (site / "cgi-bin").rmdir()
    result = command("--listen", "udp://127.0.0.1:0")
    assert result.returncode == 78
    assert result.stderr.startswith(b"command line:1: --config: neither conf/sipcgi.yaml nor ")
