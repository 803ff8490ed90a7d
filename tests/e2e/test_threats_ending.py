"""Scripts that want to outlive their end: the ways in which programs leave their parents, all of them at once.

By each way of ending on its own: tests/hosts/test_ending.
"""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from running import Server
from threats import number_of, runs_nothing, until
from wire_phone import Phone

from sipcgi.hosts.ending import tier

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

MARK = f"3600.{os.getpid():07}"
"""Begins the seconds that they sleep, by which they are found: MARK in the texts, and the number of the way."""
SHELLS = {
    "a background child": "sleep MARK & sleep MARK",
    "one that ignores TERM": "trap '' TERM; sleep MARK & while :; do sleep MARK; done",
    "setsid": "setsid sleep MARK & sleep MARK",
    "setsid, ignoring TERM": "(trap '' TERM; exec setsid sleep MARK) & sleep MARK",
    "a double fork": "( ( sleep MARK & ) & ); sleep MARK",
    "a double fork with setsid": "( ( setsid sleep MARK & ) & ); sleep MARK",
    "nohup": "nohup sleep MARK > /dev/null 2>&1 & sleep MARK",
    "nohup with setsid": "nohup setsid nohup sleep MARK > /dev/null 2>&1 < /dev/null & sleep MARK",
    "a process group of its own": "set -m; sleep MARK & set +m; sleep MARK",
    "an empty environment": "env -i /usr/bin/setsid /bin/sleep MARK & sleep MARK",
    "one that has stopped": "setsid sh -c 'kill -STOP $$; sleep MARK' MARK & sleep MARK",
    "a successor at TERM": "trap 'setsid sleep MARK & exit 0' TERM; sleep MARK & wait",
    "many": "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do setsid sleep MARK & done; sleep MARK",
    "disown": "exec bash -c 'sleep MARK & disown -a; setsid sleep MARK & disown -h; sleep MARK'",
}
DAEMON = f"""exec {sys.executable} -ISc '
import ctypes, os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        os.closerange(0, 64)
        BODY
        os.execv("/bin/sleep", ["sleep", "MARK"])
    os._exit(0)
os.wait()
os.execv("/bin/sleep", ["sleep", "MARK"])'
"""
BODIES = {
    "a daemon": "pass",
    "a reaper of its own": "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.fork(); os.fork()",
    "two of a kind": "os.fork() or os.setsid(); os.fork()",
    "one that runs away": "end = time.time() + 2.0\n        while time.time() < end:\n            time.sleep(0.01)\n"
    "            os.fork() and os._exit(0)\n            os.setsid()",
}
HIDES = {"one that takes off its mark": "bash -c 'ulimit -Sx unlimited; exec setsid -f sleep MARK'; sleep MARK"}
"""Only a control group or a PID namespace holds that one (hosts/marks)."""
GOES = "#!/usr/bin/perl\nsystem '/bin/sh', $ENV{SIP_X_WAY};\n"
"""Goes the way that a header field names; with an empty one, the default action follows."""


def marked() -> dict[str, list[int]]:
    """Living processes with a mark of ours among their arguments, by it; a zombie has no arguments."""
    found: dict[str, list[int]] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            for word in Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0"):
                if word.startswith(MARK.encode()):
                    found.setdefault(word.decode(), []).append(int(name))
    return found


@pytest.fixture(autouse=True)
def _killed() -> Iterator[None]:
    """Whatever is left, if the test has failed."""
    yield
    while left := marked():
        for process in itertools.chain(*left.values()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def written(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    """Puts the texts into files that are named like their marks; their names by mark."""
    texts = SHELLS | {name: DAEMON.replace("BODY", body) for name, body in BODIES.items()}
    found = tier(os.getpid())
    if "limits" in settings and (found.groups or found.spaces):
        texts |= HIDES
    names = {f"{MARK}{number:03}": name for number, name in enumerate(texts)}
    for mark, name in names.items():
        (folder / mark).write_text(texts[name].replace("MARK", mark))
    return names


LIMITED = {"limits": "{files: 100}"}
WARM = {"host": "warm"}


@pytest.mark.parametrize(
    ("method", "settings"), [("MESSAGE", {}), ("INVITE", {}), ("MESSAGE", LIMITED), ("INVITE", WARM)], ids=str
)
def test_nothing_outlives_its_end(serve: Serve, phones: Phones, method: str, settings: dict[str, str]) -> None:
    """At the timeout of a MESSAGE, at the CANCEL of an INVITE."""
    scripts = {"message.pl": GOES, "invite.pl": GOES}
    server = serve(scripts, timeout="2.5s" if method == "MESSAGE" else "60s", **settings)
    names = written(server.folder, settings)
    alice = phones(server, "alice")
    if settings == WARM:  # the first run has a parent made for the next ones
        alice.request(method, "sip:bob@example.com", "X-Way: /dev/null")
        alice.expect("SIP/2.0 480")
        until(lambda: number_of(server, lambda process: "/zygotes" in " ".join(process.cmdline())))
        time.sleep(0.3)
    requests = [
        alice.request(method, "sip:bob@example.com", f"X-Way: {server.folder / mark}", call_id=mark) for mark in names
    ]
    until(lambda: marked().keys() == names.keys())
    if method == "INVITE":
        time.sleep(1)  # for those that are on their way still
        for request in requests:
            alice.cancel(request)
    else:
        server.access("MESSAGE", 504, number=len(names), within=15)
    with suppress(AssertionError):
        until(lambda: not marked(), 8)
    assert [names[mark] for mark in marked()] == []
    until(lambda: runs_nothing(server))
