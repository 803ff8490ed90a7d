"""conf/sipcgi.service: how open it leaves the system, by systemd's own measure, and that the server works under it."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from running import Server, wait_or_kill
from under_unit import HEADERS
from wire_phone import Phone

import sipcgi
from sipcgi.hosts import landlock

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "conf" / "sipcgi.service"
MOST = 2.0
BOB = "sip:bob@example.com"


@pytest.fixture
def analyze(program: Callable[[str], str]) -> Callable[..., str]:
    path = program("systemd-analyze")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([path, "--no-pager", *arguments], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return run


def test_it_leaves_little_open(analyze: Callable[..., str]) -> None:
    said = analyze("security", "--offline=true", UNIT)
    found = re.search(r"Overall exposure level for sipcgi.service: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= MOST, said


def test_systemd_understands_all_of_it(analyze: Callable[..., str], tmp_path: Path) -> None:
    """Also what is commented out."""
    text = re.sub(r"(?m)^# (?=[A-Z]\w+=)", "", UNIT.read_text())
    unit = tmp_path / "sipcgi.service"
    unit.write_text(re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", text))
    assert analyze("verify", unit) == ""


def python_for_all() -> list[str]:
    """One that any user may start, with all that the server imports."""
    folders = [str(Path(sipcgi.__file__).parents[1]), *(path for path in sys.path if path.endswith("-packages"))]
    versions = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (sys.executable, f"/usr/bin/python{versions}"):
        command = ["env", f"PYTHONPATH={':'.join(folders)}", python]
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        tried = subprocess.run([*as_nobody, *command, "-c", "import sipcgi.app"], capture_output=True, check=False)
        if tried.returncode == 0:
            return command
    pytest.skip("neither this Python nor that of the system is for all users: nobody can run the server")


class Confined(Server):
    """As systemd would start it."""

    unit = UNIT
    python: list[str]

    def start(self) -> "subprocess.Popen[bytes]":
        own = Path(__file__).parent / "under_unit.py"
        command = [sys.executable, own, self.unit, self.folder, shutil.which("env"), *self.python[1:], "-m", "sipcgi"]
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [*command, "serve", "--config", self.configuration],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )


SCRIPTS = {
    "sh": "#!/bin/sh\nmktemp >/dev/null && echo 'SIP/2.0 486 Busy Here' && echo\n",
    "pl": "#!/usr/bin/perl\nuse Socket; gethostbyname('localhost') or die; print \"SIP/2.0 486 Busy Here\\n\\n\";\n",
    "py": "#!/usr/bin/python3\nimport ctypes, socket, subprocess\nsocket.getaddrinfo('localhost', 5060)\n"
    "subprocess.run(['true'], check=True)\nprint('SIP/2.0 486 Busy Here\\n')\n",
    "js": "#!/usr/bin/env node\nconsole.log('SIP/2.0 486 Busy Here\\n')\n",
}


@pytest.fixture
def confined(tmp_path: Path, missing: Callable[[str], None], as_root: None) -> Iterator[Callable[..., Server]]:
    if shutil.which("systemd-analyze") is None or not any(map(os.path.exists, HEADERS)):
        missing("the system calls have no names: apt install systemd libc6-dev")
    python = python_for_all()
    servers: list[Server] = []

    def start(scripts: dict[str, str], more: str, unit: Path = UNIT, **settings: str) -> Server:
        server = Confined.__new__(Confined)
        server.python, server.unit = python, unit
        folder = tmp_path / "server"
        folder.mkdir()
        os.chown(folder, 65534, 65534)
        server.__init__(folder, scripts, more, **settings)  # type: ignore[misc]
        servers.append(server)
        server.ready()
        return server

    yield start
    for server in servers:
        server.process.terminate()
        assert wait_or_kill(server.process) == 0
        assert "Traceback" not in server.log()


@pytest.mark.parametrize("isolated", [False, True], ids=["as it is", "with isolation"])
def test_the_server_and_its_scripts_work(
    confined: Callable[..., Server], phones: Callable[..., Phone], tmp_path: Path, isolated: bool
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o1777)
    settings = {"environment": f"{{TMPDIR: {spool}}}"}
    if isolated:
        settings |= {"isolation": "best_effort", "writable": str(spool), "limits": "{cpu: 2s}"}
    scripts = {name: text for name, text in SCRIPTS.items() if name != "js" or shutil.which("node")}
    routes = ", ".join(f"{{script: {name}, uri: '{name}@*'}}" for name in scripts)
    server = confined(scripts, f"routes: [{routes}]\nlocation: {{store: 'sqlite:///location.db'}}\n", **settings)
    if isolated and landlock.version():
        assert f"best_effort: files (Landlock {landlock.version()})" in server.log()
    caller = phones(server, "alice")
    for name in scripts:
        invite = caller.invite(f"sip:{name}@example.com")
        caller.ack(invite, caller.expect("SIP/2.0 486"))
    assert (server.folder / "location.db").stat().st_mode & 0o777 == 0o600


def test_without_memory_that_is_written_and_executed(
    confined: Callable[..., Server], phones: Callable[..., Phone], tmp_path: Path
) -> None:
    """The line that is for those who have no scripts that need it: the server, Perl, Python and sh do without."""
    unit = tmp_path / "sipcgi.service"
    unit.write_text(UNIT.read_text().replace("# MemoryDenyWriteExecute=", "MemoryDenyWriteExecute="))
    unit.chmod(0o644)
    server = confined({"invite.sh": SCRIPTS["sh"], "message.py": SCRIPTS["py"]}, "", unit)
    caller = phones(server, "alice")
    invite = caller.invite(BOB)
    caller.ack(invite, caller.expect("SIP/2.0 486"))
    caller.request("MESSAGE", BOB)
    caller.expect("SIP/2.0 486")


def test_scripts_may_have_users_of_their_own(
    confined: Callable[..., Server], phones: Callable[..., Phone], tmp_path: Path
) -> None:
    """With the lines that are for this. What the server may do by them, no script may."""
    unit = tmp_path / "sipcgi.service"
    before, mark, after = UNIT.read_text().partition("# To run scripts as other users")
    unit.write_text(before + mark + re.sub(r"(?m)^# (?=[A-Z]\w+=)", "", after))
    unit.chmod(0o644)
    text = "#!/bin/sh\necho SIP/2.0 486 $(id -u) $(grep -E '^Cap(Prm|Eff|Amb)' /proc/self/status | cut -f 2)\necho\n"
    routes = "{script: own, uri: 'own@*'}, {script: other, user: daemon, uri: 'other@*'}, "
    routes += "{script: both, user: daemon, isolation: best_effort, uri: 'both@*'}, "
    routes += "{script: slow, user: daemon, timeout: 200ms, uri: 'slow@*'}"
    names = ("own", "other", "both")
    server = confined({**dict.fromkeys(names, text), "slow": "#!/bin/sh\nsleep 98765\n"}, f"routes: [{routes}]\n", unit)
    caller = phones(server, "alice")
    daemon, none = pwd.getpwnam("daemon").pw_uid, " ".join(["0" * 16] * 3)
    for name, user in zip(names, (65534, daemon, daemon), strict=True):
        invite = caller.invite(f"sip:{name}@example.com")
        answer = caller.expect("SIP/2.0 486")
        caller.ack(invite, answer)
        assert answer.start == f"SIP/2.0 486 {user} {none}"
    invite = caller.invite("sip:slow@example.com")
    caller.ack(invite, caller.expect("SIP/2.0 504"))
    asked = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    assert ["sleep", "98765"] not in asked
