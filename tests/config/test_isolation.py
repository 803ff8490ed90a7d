"""What is said of the isolation that a configuration asks for."""

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from sipcgi.config.isolation import isolation
from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.config.scripts import load_with_scripts
from sipcgi.hosts import confine, landlock
from sipcgi.hosts.directory import ScriptDirectory

ROOT = os.geteuid() == 0
OWN = pwd.getpwuid(os.geteuid()).pw_name
as_root = pytest.mark.skipif(not ROOT, reason="only root may become another user")


@pytest.fixture(autouse=True)
def _landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the kernel has."""
    monkeypatch.setattr(landlock, "version", lambda: 7)


def looked(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Mistakes, lines and notes."""
    configuration = load(path)
    found = isolation(configuration, ScriptDirectory(str(configuration.scripts.directory)))
    return [str(error).removeprefix(f"{path}:") for error in found.fatal], found.lines, found.notes


def scripts(keys: str, routes: str = "") -> str:
    return f"scripts: {{directory: ../cgi-bin, {keys}}}\nroutes: [{routes}]\n"


def test_none_is_the_default(site: Any) -> None:
    site.script("invite.sh")
    file = site.configure("scripts: {directory: ../cgi-bin}\n")
    assert looked(file) == ([], [f"off: scripts run as {OWN}, and may do what {OWN} may"], [])
    assert isolation(load(file), ScriptDirectory(str(site.scripts))).remarks() == []


def test_scripts_that_anybody_may_change(site: Any) -> None:
    path = site.script("invite.sh", mode=0o757)
    file = site.configure("scripts: {directory: ../cgi-bin}\n")
    note = f"scripts.directory: {path} may be changed by anybody: chmod o-w it and its folder"
    assert looked(file)[2] == [note]
    assert isolation(load(file), ScriptDirectory(str(site.scripts))).remarks() == [f"note: {note}"]


def test_what_is_in_force(site: Any) -> None:
    root = "; better name a user for them" * ROOT
    assert looked(site.configure(scripts("isolation: required"))) == (
        [],
        [f"required: files (Landlock 7), signals, privileges; scripts run as {OWN}{root}"],
        [],
    )


@as_root
def test_of_each_route(site: Any) -> None:
    for name in "abc":
        site.script(name)
    route = "{script: %s, isolation: best_effort, user: nobody}"
    site.scripts.chmod(0o755)
    file = site.configure(scripts("isolation: off", ", ".join([route % "a", "{script: c}", route % "b"])))
    fatal, lines, _ = looked(file)
    assert fatal == []
    assert lines == [
        "off: scripts run as root, and may do what root may",
        "routes.0, routes.2: best_effort: files (Landlock 7), signals, privileges; scripts run as nobody",
    ]
    limited = site.configure(scripts("isolation: off", "{script: a, limits: {cpu: 2}}"))
    assert looked(limited)[1] == ["off: scripts run as root, and may do what root may"]
    only_user = site.configure(scripts("user: nobody"))
    assert looked(only_user)[1] == ["off: scripts run as nobody"]


@pytest.mark.parametrize("level", ["off", "best_effort", "required"])
def test_a_user_that_is_not_there_is_a_mistake_at_every_level(site: Any, level: str) -> None:
    file = site.configure(scripts(f"isolation: {level}, user: nosuchuser"))
    expected = "1: scripts.user: there is no user nosuchuser: useradd --system nosuchuser"
    assert looked(file)[0] == [expected]
    with pytest.raises(ConfigErrors, match="there is no user nosuchuser"):
        load_with_scripts(file)


def test_without_the_right_to_switch(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "_may_switch", lambda: False)
    site.script("a")
    fatal, _, _ = looked(site.configure(scripts("isolation: off", "{script: a, group: '4711'}")))
    assert fatal == [f"2: routes.0.group: to run as {OWN} needs root, or the capabilities CAP_SETUID and CAP_SETGID"]


def test_without_landlock(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    text = "files: the kernel has no Landlock (Linux 5.13), or was started without (lsm=landlock,...)"
    fatal, lines, notes = looked(site.configure(scripts("isolation: best_effort")))
    assert (fatal, notes) == ([], [f"scripts.isolation: {text}"])
    assert lines[0].startswith(f"best_effort: privileges; scripts run as {OWN}")
    file = site.configure(scripts("isolation: required"))
    assert looked(file)[0] == [f"1: scripts.isolation: {text}"]
    with pytest.raises(ConfigErrors, match="no Landlock"):
        load_with_scripts(file)


def test_scripts_that_are_not_trusted(site: Any) -> None:
    path = site.script("a", mode=0o757)
    text = f"{path} may be changed by anybody: chmod o-w {path}"
    routes = "{script: a}, {script: a}"
    expected = [f"2: routes.0.script: {text}", f"2: routes.1.script: {text}"]
    assert looked(site.configure(scripts("isolation: required", routes)))[0] == expected
    assert looked(site.configure(scripts("isolation: best_effort", routes)))[2][0] == f"routes.0.script: {text}"
    assert looked(site.configure(scripts("isolation: required")))[0] == [f"1: scripts.directory: {text}"]
    path.rename(site.scripts / "invite.sh")
    text = text.replace(str(path), f"{site.scripts}/invite.sh")
    both = [f"1: scripts.directory: {text}", f"2: routes.0.script: {text}"]
    assert looked(site.configure(scripts("isolation: required", "{script: invite.sh}")))[0] == both


def test_folders(site: Any, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    store = "location: {store: 'sqlite:///../spool/location.db'}\n"
    text = scripts("isolation: required, readable: gone, writable: ../spool") + store
    assert looked(site.configure(text))[0] == [
        f"1: scripts.isolation: there is no folder {tmp_path}/conf/gone",
        f"1: scripts.isolation: scripts may write into {tmp_path}/spool, but there is the server's own "
        f"{tmp_path}/spool/location.db.key: name another folder",
    ]


def test_fastcgi_programs(site: Any) -> None:
    path = site.script("resident.py", mode=0o757)
    text = f"{path} may be changed by anybody: chmod o-w {path}"
    for route, key in (
        ("script: a, command: [resident.py]", "command"),
        ("script: resident.py, processes: 1", "script"),
    ):
        file = site.configure(
            f"routes: [{{{route}, host: fastcgi, fastcgi: 'tcp://127.0.0.1:9', isolation: required}}]\n"
            "scripts: {directory: ../cgi-bin}\n"
        )
        assert looked(file)[0] == [f"1: routes.0.{key}: {text}"]
    file = site.configure(scripts("isolation: required", "{script: a, fastcgi: 'tcp://192.0.2.1:9'}"))
    path.chmod(0o755)
    note = "routes.0.fastcgi: whoever starts the program has to confine it, the server cannot"
    assert (looked(file)[0], looked(file)[2]) == ([], [note])


def test_folders_without_isolation(site: Any) -> None:
    note = "scripts.isolation: is off, so `readable` and `writable` mean nothing"
    assert looked(site.configure(scripts("writable: /tmp")))[2] == [note]


def test_an_interpreter_that_scripts_cannot_read(site: Any, tmp_path: Path) -> None:
    own = tmp_path / "bin"
    own.mkdir()
    (own / "perl").symlink_to("/bin/sh")
    (own / "tool").write_bytes(Path("/bin/sh").read_bytes())
    (own / "tool").chmod(0o755)
    path = site.script("a", f"#!{own}/tool\n")
    site.script("b", f"#!{own}/perl\n")
    fatal, _, _ = looked(site.configure(scripts("isolation: required", "{script: a}, {script: b}")))
    text = f"{path} is started by {own}/tool, which it may not read: name its folder in `readable`"
    assert fatal == [f"2: routes.0.script: {text}"]
    text = scripts(f"isolation: required, readable: {own}", "{script: a}, {script: b}")
    assert looked(site.configure(text))[0] == []
