"""The loop of the launcher is the same, compiled or not: what it starts and reports, and that nothing is left of it."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sipcgi import compiled
from sipcgi.hosts import wire
from sipcgi.hosts.launcher import attend
from sipcgi.hosts.link import LauncherLink
from sipcgi.profile import Limits, Profile

ECHO = ["/bin/sh", "-c", 'printf "%s|" "$A" "$PWD"; cat; exit 7']


class Talk:
    """With a launcher, as the server does it."""

    def __init__(self) -> None:
        self.link = LauncherLink()
        self.link.socket.settimeout(5.0)
        self.numbers = 0
        self.order([], b"", kind=wire.KILL)  # nobody: it answers nothing, and is ready when it has taken that
        self.settle()

    def settle(self) -> None:
        """Waits until nothing of a run is left: the three descriptors, its socket, and what tells of deaths."""
        until = time.monotonic() + 5.0
        while len(os.listdir(f"/proc/{self.link.process}/fd")) != 5 or self.children():
            assert time.monotonic() < until
            time.sleep(0.005)

    def children(self) -> str:
        return Path(f"/proc/{self.link.process}/task/{self.link.process}/children").read_text()

    def order(
        self,
        descriptors: list[int],
        texts: bytes,
        arguments: int = 1,
        flags: int = 0,
        kind: int = wire.START,
        profile: int = wire.PLAIN,
    ) -> int:
        self.numbers += 1
        record = wire.ORDER.pack(kind, flags, arguments, profile, self.numbers) + texts
        socket.send_fds(self.link.socket, [record], descriptors)
        return self.numbers

    def tell(self, kind: int, run: int) -> None:
        self.link.socket.send(wire.ORDER.pack(kind, 0, 0, wire.PLAIN, run))

    def hear(self, most: int = 1) -> list[tuple[int, int, int]]:
        """Kind, code and run of the next reports, at least that many."""
        found: list[tuple[int, int, int]] = []
        while len(found) < most:
            record = self.link.socket.recv(1 << 16)
            assert record
            assert len(record) <= wire.MAX_REPORTS * wire.REPORT.size
            size = wire.REPORT.size
            for at in range(0, len(record), size):
                kind, code, run, cpu, peak = wire.REPORT.unpack_from(record, at)
                assert (cpu < 3_000_000 and 100 < peak < 1 << 20) or kind == wire.FAILED
                found.append((kind, code, run))
                if kind == wire.FAILED:
                    break
        return found

    def start(
        self,
        argv: list[str],
        flags: int = 0,
        stdin: bytes | None = None,
        *,
        profile: int = wire.PLAIN,
        **environment: str,
    ) -> tuple[int, int]:
        """Its number, and where it prints."""
        texts = wire.pack_texts("/", argv, environment)
        reading, writing = os.pipe()
        given = [writing, os.dup(writing)]
        if stdin is not None:
            flags |= wire.STDIN
            given.append(os.memfd_create("stdin"))
            os.pwrite(given[-1], stdin, 0)
        if flags & wire.APART:
            given.append(os.memfd_create("texts"))
            os.pwrite(given[-1], texts, 0)
            texts = b""
        number = self.order(given, texts, len(argv), flags, profile=profile)
        for descriptor in given:
            os.close(descriptor)
        return number, reading

    def run(self, argv: list[str], flags: int = 0, stdin: bytes | None = None, **environment: str) -> object:
        """What it says and what is said of it."""
        _, reading = self.start(argv, flags, stdin, **environment)
        with open(reading, "rb") as pipe:
            printed = pipe.read()
        return printed, self.hear()


@contextmanager
def talking(pure: bool) -> Iterator[Talk]:
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setenv("SIPCGI_PURE", "1")
        talk = Talk()
    try:
        yield talk
        talk.settle()
    finally:
        talk.link.bury()


@pytest.fixture
def both(missing: Callable[[str], None]) -> Iterator[list[Talk]]:
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")
    with ExitStack() as stack:
        yield [stack.enter_context(talking(pure)) for pure in (False, True)]


def test_runs(both: list[Talk]) -> None:
    for argv, flags, stdin, environment in [
        (ECHO, 0, b"input", {"A": "a=b \u00e9\udcff"}),
        (ECHO, 0, None, {}),
        (ECHO, wire.APART, b"input", {"A": "x" * 100_000}),
        (ECHO, 0, b"input", {"A": "x" * (wire.MAX_RECORD - len(wire.pack_texts("/", ECHO, {"A": ""})))}),
        (["/bin/sh", "-c", "kill -9 $$"], 0, None, {}),
        (["/bin/sh", "-c", "(exit 3) & (sleep 0.05 &)"], 0, None, {}),
        (["/nowhere"], 0, b"input", {}),
        (["/etc/passwd"], 0, None, {}),
        (["/bin/true"], 0, None, {"A": "x" * 30_000, "B=C": ""}),
        ([], 0, None, {}),
    ]:
        one, other = (talk.run(argv, flags, stdin, **environment) for talk in both)  # type: ignore[arg-type]
        assert one == other


@pytest.mark.parametrize(
    ("flags", "count", "arguments", "code"),
    [
        (0, 0, 1, errno.EMFILE),
        (0, 1, 1, errno.EMFILE),
        (0, 3, 1, errno.EMFILE),
        (wire.STDIN, 2, 1, errno.EMFILE),
        (wire.APART, 2, 1, errno.EMFILE),
        (wire.ALL_GIVEN | wire.APART, 5, 1, errno.EMFILE),
        (0, 2, 0, errno.EINVAL),
    ],
)
def test_orders_that_are_none(both: list[Talk], flags: int, count: int, arguments: int, code: int) -> None:
    for talk in both:
        with open(os.devnull, "rb") as null:
            number = talk.order([null.fileno()] * count, b"/\0/bin/true", arguments, flags)
        assert talk.hear() == [(wire.FAILED, code, number)]


def test_a_control_socket_and_an_opened_script(both: list[Talk], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho $0 $(cat) >&3\n")
    script.chmod(0o700)
    for talk in both:
        reading, writing = os.pipe()
        with open(os.devnull, "r+b") as null, open(script, "rb") as opened:
            given = [null.fileno(), null.fileno(), null.fileno(), writing, opened.fileno()]
            number = talk.order(given, b"/\0/proc/self/fd/4", 1, wire.ALL_GIVEN)
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert pipe.read() == b"/proc/self/fd/4\n"
        assert talk.hear() == [(wire.EXITED, 0, number)]


@pytest.mark.parametrize(("kind", "number"), [(wire.END, signal.SIGTERM), (wire.KILL, signal.SIGKILL)])
def test_ends(both: list[Talk], kind: int, number: int) -> None:
    for talk in both:
        runs = [talk.start(["/bin/sleep", "60"]) for _ in range(3)]
        talk.tell(kind, runs[1][0])
        assert talk.hear() == [(wire.EXITED, -number, runs[1][0])]
        talk.tell(kind, runs[1][0])  # it knows it no more
        for run in (runs[2], runs[0]):
            talk.tell(kind, run[0])
            assert talk.hear() == [(wire.EXITED, -number, run[0])]
        for _, reading in runs:
            os.close(reading)


def test_many_that_end_at_once(both: list[Talk]) -> None:
    for talk in both:
        reading, writing = os.pipe()
        numbers = set()
        for _ in range(40):
            number, printing = talk.start(["/bin/sh", "-c", f"read line < /proc/{os.getpid()}/fd/{reading}"])
            os.close(printing)
            numbers.add(number)
        while len(talk.children().split()) < 40:
            time.sleep(0.01)
        os.kill(talk.link.process, signal.SIGSTOP)
        os.write(writing, b"\n" * 40)
        time.sleep(0.2)
        os.kill(talk.link.process, signal.SIGCONT)
        assert {run for kind, code, run in talk.hear(40) if (kind, code) == (wire.EXITED, 0)} == numbers
        os.close(reading)
        os.close(writing)


def test_it_has_no_descriptors_left(both: list[Talk]) -> None:
    """Those that find no place are dropped by the kernel; the next run has them again."""
    for talk in both:
        limits = resource.prlimit(talk.link.process, resource.RLIMIT_NOFILE)
        resource.prlimit(talk.link.process, resource.RLIMIT_NOFILE, (6, limits[1]))
        number, reading = talk.start(["/bin/true"])
        assert talk.hear() == [(wire.FAILED, errno.EMFILE, number)]
        os.close(reading)
        resource.prlimit(talk.link.process, resource.RLIMIT_NOFILE, limits)
        assert talk.run(["/bin/echo", "again"]) == (b"again\n", [(wire.EXITED, 0, number + 1)])


def test_it_ends_with_its_server(both: list[Talk], tmp_path: Path) -> None:
    for number, talk in enumerate(both):
        mark = tmp_path / str(number)
        _, reading = talk.start(["/bin/sh", "-c", f"trap 'echo > {mark}' TERM; sleep 60 & wait"])
        time.sleep(0.1)
        watch = os.pidfd_open(talk.link.process)
        talk.link.close()
        assert select.select([watch], [], [], 5.0)[0]
        assert mark.exists()
        os.close(watch)
        os.close(reading)
        talk.link.bury()
        talk.__init__()  # type: ignore[misc]


UNREAD = """
import os, select, signal, socket
from sipcgi.hosts.launcher import attend, open_deaths
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
deaths = open_deaths()
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ours.send(b"a report")
child = os.posix_spawn("/bin/true", ["true"], {})
select.select([deaths], [], [])
theirs.close()
try:
    order, death = attend(ours, deaths, 0, {}, None)
except ConnectionResetError:
    death = os.waitpid(child, os.WNOHANG)
assert death is not None and death[0] == child
"""


@pytest.mark.parametrize("pure", ["", "1"])
def test_a_death_is_heard_of_when_the_server_goes_at_the_same_time(monkeypatch: pytest.MonkeyPatch, pure: str) -> None:
    """Who has not read all gives an error to the other end. One that was reaped has no number any more: to signal it
    would end the launcher before it has ended all others, or hit a stranger."""
    monkeypatch.setenv("SIPCGI_PURE", pure)
    done = subprocess.run([sys.executable, "-c", UNREAD], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_ended_together_with_its_server_is_in_nobodys_way(both: list[Talk], tmp_path: Path) -> None:
    """It was reaped, but nobody could be told: the others are ended all the same."""
    limited = Profile(Limits(files=50)).pack()
    for number, talk in enumerate(both):
        mark = tmp_path / str(number)
        talk.link.socket.send(wire.ORDER.pack(wire.PROFILE, 0, 0, 1, 0) + limited)
        os.mkfifo(fifo := tmp_path / f"{number}.fifo")
        go = os.open(fifo, os.O_RDWR)
        printing = [talk.start(["/bin/sh", "-c", f"read line < {fifo}"], profile=1)[1]]
        _, reading = talk.start(["/bin/sh", "-c", f"trap 'echo > {mark}' TERM; sleep 60 & wait"])
        printing.append(talk.start(["/bin/true"])[1])  # whose report is not read: the launcher hears of a reset
        assert select.select([talk.link.socket], [], [], 5.0)[0]
        time.sleep(0.1)
        watch = os.pidfd_open(talk.link.process)
        os.kill(talk.link.process, signal.SIGSTOP)
        os.write(go, b"\n")
        time.sleep(0.2)
        talk.link.close()
        os.kill(talk.link.process, signal.SIGCONT)
        assert select.select([watch], [], [], 5.0)[0]
        assert mark.exists()
        for descriptor in (watch, reading, go, *printing):
            os.close(descriptor)
        talk.link.bury()
        talk.__init__()  # type: ignore[misc]


def test_nothing_crashes_it(missing: Callable[[str], None]) -> None:
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        deaths = theirs.fileno()  # which never says anything
        wrong: list[tuple[object, ...]] = [
            (), (ours, deaths, 0, {}), ("", deaths, 0, {}, 0.0), (ours, None, 0, {}, 0.0), (ours, deaths, "", {}, 0.0),
            (ours, deaths, 0, [], 0.0), (ours, deaths, 0, {}, ""),
        ]  # fmt: skip
        for arguments in wrong:
            with pytest.raises(TypeError):
                attend(*arguments)  # type: ignore[arg-type]
        with pytest.raises(OverflowError):
            attend(ours, deaths, -1, {}, 0.0)
        with pytest.raises(ValueError, match="negative"):
            attend(ours, -1, 0, {}, 0.0)
        for record in (b"\x01", b"\x01" * 15, bytes(16), b"\x01" + bytes(40_000)):
            theirs.send(record)
            assert attend(ours, deaths, 0, {}, 0.0) == ((record[: 16 + wire.MAX_RECORD], []), None)
        assert attend(ours, deaths, 0, {}, 0.01) == (None, None)
