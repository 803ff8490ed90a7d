"""A script with isolation and a user of its own, and what it finds of the server: its process, configuration, files."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import PATIENCE, Server
from wire_phone import Phone

from sipcgi.hosts import landlock, seccomp

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(landlock.version() == 0, reason="the kernel has no Landlock: files cannot be closed"),
]

Serve = Callable[..., Server]
Phones = Callable[..., Phone]
BOB = "sip:bob@example.com"
STORE = "location: {store: 'sqlite:///location.db'}"

PROBE = r'''#!/usr/bin/python3
"""Says which of what it tries succeeds."""
import ctypes, os, signal, sys

libc = ctypes.CDLL(None)
found = []


def attempt(name, work, *arguments):
    try:
        work(*arguments)
    except OSError:
        return
    found.append(name)


def read(path):
    if os.path.isdir(path):
        os.listdir(path)
    else:
        open(path, "rb").read(1)


def write(path):
    open(path, "ab").close()


def trace(process):
    if libc.ptrace(16, process, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError


def parent(process):
    with open(f"/proc/{process}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


secrets, own, processes = ([*filter(None, os.environ[name].split(":"))] for name in ("SECRETS", "OWN", "PROCESSES"))
for path in secrets:
    attempt(f"read {path}", read, path)
for path in own:
    attempt(f"write {path}", write, path)
    attempt(f"remove {path}", os.unlink, path)
    attempt(f"move {path}", os.rename, path, path + ".old")
    attempt(f"put beside {path}", write, path + ".new")
    attempt(f"open {path} to all", os.chmod, path, 0o666)
for process in map(int, processes):
    attempt("trace", trace, process)
    for name in ("environ", "mem", "root/etc", "cwd", "fd/0"):
        attempt(f"read its {name}", read, f"/proc/{process}/{name}")
    for number in (0, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
        attempt(f"signal {number}", os.kill, process, number)
    attempt("limit it", lambda: __import__("resource").prlimit(process, 7, (8, 8)))
if os.getuid():
    attempt("become root", os.setuid, 0)
    attempt("become root's group", os.setgid, 0)
attempt("join root's group", os.setgroups, [0])
print(f"SIP/2.0 480 Tried\nContent-Type: text/plain\n\n" + "\n".join([f"{os.getuid()}", *found]))
'''


STRICT = pytest.mark.skipif(
    landlock.version() < landlock.SCOPES or not seccomp.is_possible(), reason="signals are not stopped (Linux 6.12)"
)


@pytest.mark.rfc("3050", "7.4-1")
@pytest.mark.parametrize(
    "settings", [{"user": "nobody"}, pytest.param({}, marks=STRICT)], ids=["other user", "same user"]
)
def test_the_script_cannot_interfere_with_the_server(
    serve: Serve, phones: Phones, as_root: None, settings: dict[str, str]
) -> None:
    """The server process, its configuration, its documents: the store with its key, and the scripts."""
    settings = {"isolation": "required", **settings}
    server = serve({"invite.sh": "#!/bin/sh\necho SIP/2.0 486 Busy Here\necho\n"}, STORE, **settings)
    folder = server.folder
    names = ("sipcgi.yaml", "location.db", "location.db.key", "cgi-bin/invite.sh", "output.log")
    own = [folder / name for name in names]
    secrets = [
        *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd", "/etc/sudoers"),
        *("/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private", "/root", "/home", "/var", "/var/log", "/var/lib", "/tmp"),
        *("/boot", "/srv", "/proc/kcore", "/proc/kmsg", "/dev/mem", "/run", folder, *own[:3], own[4]),
    ]
    processes = [server.process.pid, *children(server.process.pid)]
    assert len(processes) > 1  # a launcher
    environment = {"SECRETS": secrets, "OWN": own, "PROCESSES": processes}
    values = ", ".join(f"{name}: '{':'.join(map(str, words))}'" for name, words in environment.items())
    server.write("message.py", PROBE)
    server.configure(STORE, environment=f"{{{values}}}", **settings)
    before = [(path.read_bytes(), path.stat().st_mode) for path in own[:4]]
    server.signal(signal.SIGHUP)
    server.wait_for("configuration read again")
    caller = phones(server, "alice")
    caller.request("MESSAGE", BOB)
    answer = caller.expect("SIP/2.0 480 Tried")
    assert answer.body.splitlines() == ["65534" if settings.get("user") else "0"]
    assert [(path.read_bytes(), path.stat().st_mode) for path in own[:4]] == before
    invite = caller.invite(BOB)
    caller.ack(invite, caller.expect("SIP/2.0 486"))


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_the_default_is_none(serve: Serve, phones: Phones) -> None:
    """Whoever writes a script may then do what the server may; the report says so."""
    server = serve({"message.py": PROBE}, STORE)
    assert server.lines("isolation", "off: scripts run as")
    key = server.folder / "location.db.key"
    values = f"{{SECRETS: '{key}', OWN: '', PROCESSES: ''}}"
    server.configure(STORE, environment=values)
    server.signal(signal.SIGHUP)
    server.wait_for("configuration read again")
    caller = phones(server, "alice")
    caller.request("MESSAGE", BOB)
    assert f"read {key}" in caller.expect("SIP/2.0 480 Tried").body.splitlines()


def test_what_keeps_a_script_from_running_is_said(serve: Serve, phones: Phones, tmp_path: Path, as_root: None) -> None:
    """By the report and by `check` before, and by the log when it should have run."""
    own = tmp_path / "bin"
    own.mkdir()
    shutil.copy("/bin/sh", own / "sh")
    said = f"is started by {own}/sh, which it may not read: name its folder in `readable`"
    server = serve({"invite.sh": f"#!{own}/sh\necho SIP/2.0 486\necho\n"}, isolation="best_effort")
    assert server.lines("note: scripts.directory", said)
    command = [sys.executable, "-m", "sipcgi", "check", server.configuration]
    assert said in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    caller = phones(server, "alice")
    invite = caller.invite(BOB)
    caller.ack(invite, caller.expect("SIP/2.0 500"))
    line = server.wait_for(" script script=invite.sh ", "could not be started: Permission denied")
    assert "see what `sipcgi check` says" in line
    server.configure(isolation="best_effort", readable=str(own))
    server.signal(signal.SIGHUP)
    server.wait_for("configuration read again")
    invite = caller.invite(BOB)
    caller.ack(invite, caller.expect("SIP/2.0 486"))


WARM = {
    "message.py": """#!/usr/bin/python3
import os, sys
print("SIP/2.0 486", os.getuid(), os.getppid(), sys.path[0], os.access("../location.db.key", os.R_OK))
print()
""",
    "info.pl": """#!/usr/bin/perl
use FindBin;
my $opened = open(my $file, "<", "../location.db.key") ? "true" : "false";
print join(" ", "SIP/2.0 486", $<, getppid(), $FindBin::RealBin, $opened), "\\n\\n";
""",
    "options.rb": """#!/usr/bin/ruby
opened = !!File.open("../location.db.key") rescue false
puts "SIP/2.0 486 #{Process.uid} #{Process.ppid} #{__dir__} #{opened}", ""
""",
}


def test_warm_scripts_are_isolated_too(
    serve: Serve, phones: Phones, program: Callable[[str], str], as_root: None
) -> None:
    """Run by the parent, which is confined as they are. One that others may change meanwhile runs no more."""
    for name in ("perl", "ruby"):
        program(name)
    server = serve(WARM, STORE, host="warm", isolation="required", user="nobody")
    caller = phones(server, "alice")

    def ask(method: str) -> list[str]:
        caller.request(method, BOB)
        return caller.expect("SIP/2.0 ").start.split()[1:]

    for name in WARM:
        method = name.partition(".")[0].upper()
        first = ask(method)
        end = time.monotonic() + PATIENCE
        while (found := ask(method))[2] == first[2]:  # the parent is not ready yet
            assert time.monotonic() < end, "no warm parent"
            time.sleep(0.1)
        assert (found[:2], found[3]) == (["486", "65534"], str(server.scripts))
        assert found[4].lower() == "false"
        (server.scripts / name).chmod(0o757)
        assert ask(method)[0] == "500"
        server.wait_for(f" script script={name} ", "may be changed by anybody")
