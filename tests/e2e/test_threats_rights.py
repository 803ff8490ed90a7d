"""Scripts that want to know, change or become more than they should: with a user of their own, isolated, or both.

probe.c says what it tries; what it can do under each profile is here, and nothing else may be.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import Authority
from running import HOST, Server, url
from threats import BOB, BUSY, by_name, place_of
from wire_stream import Stream

from sipcgi.hosts import landlock

Serve = Callable[..., Server]

SECRETS = ("sipcgi.yaml", "location.db", "location.db.key")
"""The server's, in its folder. A configuration may hold passwords, and is closed by whoever writes it."""
SYSTEM = ("/etc/shadow", "/etc/gshadow", "/root", "/dev/mem", "/proc/kcore", "/proc/1/mem", "/proc/1/environ")
OPEN = ("/etc/passwd", "/usr/bin/id", "/proc/self/status")
"""What scripts need."""

NAMES = ("the launcher", "the server")

with_landlock = pytest.mark.skipif(
    landlock.version() < landlock.SCOPES, reason=f"needs Landlock {landlock.SCOPES} (Linux 6.12)"
)


class Probe:
    """Runs the probe with `settings`: `can` is all in which it succeeded, `answer` has the rest."""

    def __init__(self, serve: Serve, root: Path, authority: Authority, **settings: str) -> None:
        self.place, self.outside, program, made = (root / name for name in ("place", "outside", "id", "probe"))
        for folder in (self.place, self.outside):
            folder.mkdir()
            folder.chmod(0o777)
        self.public = self.outside / "public"
        self.public.touch()
        self.public.chmod(0o666)
        shutil.copy(shutil.which("id") or "", program)
        program.chmod(0o4755)
        subprocess.run(["cc", "-O", "-o", made, Path(__file__).parent / "probe.c"], check=True)
        folder = root / "server0"
        scripts, self.script = folder / "cgi-bin", folder / "cgi-bin/other.sh"
        self.secrets = [folder / name for name in SECRETS]
        tried = {
            "READ": [*self.secrets, *SYSTEM, *OPEN, self.script, self.public],
            "WRITE": [*self.secrets, *SYSTEM, *OPEN[:2], self.script, self.public],
            "MAKE": [self.place / "made", self.outside / "made", scripts / "made", "/etc/sipcgi-made"],
            "PROGRAM": [program],
        }
        variables = ", ".join(f"{name}: '{':'.join(map(str, paths))}'" for name, paths in tried.items())
        server = serve(
            {"message.sh": BUSY, "other.sh": BUSY},
            f"location: {{store: 'sqlite:///location.db'}}\ntls: {{certificate: {authority.certificate(HOST)}}}",
            listen=[url("tcp"), url("tls")],
            environment=f"{{{variables}}}",
            **settings,
        )
        server.configuration.chmod(0o600)
        made.rename(scripts / "message.sh")
        with Stream(server) as stream:
            self.answer = stream.ask(BOB)
        assert (self.answer.status, self.answer.reason) == (480, b"Tried")
        self.can = set(self.answer.body.decode().splitlines())
        self.open = {f"read {path}" for path in (*OPEN, self.script)}
        """What every script can do."""
        self.everything = {f"{way} {path}" for way in ("read", "write") for path in (*self.secrets, self.public)}


Try = Callable[..., Probe]


@pytest.fixture
def attempt(serve: Serve, tmp_path: Path, authority: Authority, program: Callable[[str], str], as_root: None) -> Try:
    program("cc")
    return lambda **settings: Probe(serve, tmp_path, authority, **settings)


def test_without_a_profile_the_probe_can_do_what_root_can(attempt: Try) -> None:
    """Or the other tests would say nothing."""
    probe = attempt()
    assert probe.can > probe.open | probe.everything
    assert probe.can > {"read /etc/shadow", *(f"{what} {name}" for name in NAMES for what in ("trace", "signal"))}
    assert {f"make {probe.outside}/made", "join groups", "change the root"} < probe.can


def test_a_user_of_their_own(attempt: Try) -> None:
    probe = attempt(user="nobody")
    assert not {f"{way} {path}" for way in ("read", "write") for path in probe.secrets} & probe.can
    assert probe.answer.fields[b"X-User"] == b"65534 65534"
    assert probe.answer.fields[b"X-Groups"] == b"1"
    public = {f"read {probe.public}", f"write {probe.public}", f"make {probe.place}/made", f"make {probe.outside}/made"}
    setuid = set() if os.statvfs(probe.place).f_flag & os.ST_NOSUID else {"execute as root"}
    assert probe.can == probe.open | public | setuid


@with_landlock
def test_isolation_without_a_user(attempt: Try) -> None:
    probe = attempt(isolation="required", writable="[../place]")
    assert probe.answer.fields[b"X-No-New-Privileges"] == b"1"
    assert probe.can == probe.open | {f"make {probe.place}/made"}


@with_landlock
def test_isolation_with_a_user(attempt: Try) -> None:
    probe = attempt(isolation="required", user="nobody", writable="[../place]")
    assert probe.answer.fields[b"X-No-New-Privileges"] == b"1"
    assert probe.can == probe.open | {f"make {probe.place}/made"}


SPOILT = {
    "chmod o+w sub/script.sh": "may be changed by anybody",
    "chgrp 4711 sub/script.sh; chmod g+w sub/script.sh": "may be changed by its group",
    "chown 4711 sub/script.sh": "belongs to 4711",
    "chmod u+s sub/script.sh": "setuid or setgid",
    "chmod g+s sub/script.sh": "setuid or setgid",
    "chmod o+w sub": "may be changed by anybody",
    "chgrp 4711 sub; chmod g+w sub": "may be changed by its group",
    "chown 4711 sub": "belongs to 4711",
    "chmod 1777 .": "may be changed by anybody",
    "chown 4711 .": "belongs to 4711",
    "mv sub/script.sh ../out.sh; ln -s ../../out.sh sub/script.sh": "outside the scripts directory",
    "mv sub/script.sh loose.sh; chmod o+w loose.sh; ln -s ../loose.sh sub/script.sh": "may be changed by anybody",
}
"""What somebody does to a script, and what the log says of it."""


def test_a_script_that_others_could_have_changed_does_not_run(serve: Serve, as_root: None) -> None:
    """suexec's rules, asked at each run, so that what happens under a running server counts."""
    server = serve({"message.sh": BUSY}, listen=[url("tcp")], isolation="required")
    made = server.scripts / "sub"

    def tidy() -> None:
        subprocess.run(["rm", "-rf", made, server.scripts / "loose.sh"], check=True)
        os.chown(server.scripts, 0, 0)
        server.scripts.chmod(0o755)
        made.mkdir()
        made.chmod(0o755)
        (made / "script.sh").write_text(BUSY)
        (made / "script.sh").chmod(0o755)

    tidy()
    server.configure(by_name(["sub/script.sh"]), isolation="required")
    server.signal(signal.SIGHUP)
    server.wait_for("configuration read again")
    with Stream(server) as stream:
        for number, (way, said) in enumerate(SPOILT.items(), 1):
            assert stream.ask(place_of("sub/script.sh")).status == 486, way
            subprocess.run(["sh", "-c", way], cwd=server.scripts, check=True)
            assert stream.ask(place_of("sub/script.sh")).status == 500, way
            assert said in server.wait_for(" script script=sub/script.sh ", number=number)
            tidy()
