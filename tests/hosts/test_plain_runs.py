"""Plain runs are the same for the server, compiled or not: the order, what becomes of errors, the outcome, no leaks."""

from __future__ import annotations

import errno
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sipcgi import compiled
from sipcgi.hosts import link as link_module
from sipcgi.hosts import run as run_module
from sipcgi.hosts import runs as runs_module
from sipcgi.hosts import wire
from sipcgi.hosts.base import Invocation, Outcome
from sipcgi.hosts.link import Link
from sipcgi.hosts.run import CHUNK, ScriptRun
from sipcgi.hosts.runs import Runs
from sipcgi.hosts.watch import RunWatch
from sipcgi.profile import PLAIN, Limits, Profile
from sipcgi.timerqueue import TimerQueue

FREE = len(wire.pack_texts("/cgi", ["/bin/a"], {"A": ""}))
"""Octets that a record holds without the value."""


class Clock:
    now = 1.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """Runs, and the launcher's end of their link in the hands of the test."""

    def __init__(self) -> None:
        ours, self.launcher = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.launcher.setblocking(False)
        self.clock = Clock()
        self.timers = TimerQueue(self.clock)
        self.watch = RunWatch(self.timers)
        self.runs = Runs(self.watch, self.died)
        self.link = Link(ours)
        self.runs.connect(self.link)
        self.outcomes: list[Outcome] = []
        self.lines: list[str] = []
        self.lost: list[ScriptRun] = []

    def died(self, lost: list[ScriptRun]) -> None:
        self.link.close()
        self.lost += lost
        self.runs.fail(lost, "it died")

    def start(self, argv: list[str] = ["/bin/a"], environment: dict[str, str] = {}, **more: object) -> ScriptRun:  # noqa: B006
        invocation = Invocation("a", argv, "/cgi", environment, **more)  # type: ignore[arg-type]
        return self.runs.start(invocation, self.outcomes.append, self.lines.append)

    def orders(self) -> Iterator[tuple[bytes, list[int]]]:
        """With the descriptors, which whoever asks has to close."""
        while self.launcher.fileno() >= 0:
            try:
                record, descriptors, _, _ = socket.recv_fds(self.launcher, 1 << 17, 10)
            except BlockingIOError:
                return
            if not record:
                return
            yield record, descriptors

    def report(self, *reports: tuple[int, int, int], cpu: int = 1500, peak: int = 9000) -> None:
        self.launcher.send(b"".join(wire.REPORT.pack(*report, cpu, peak) for report in reports))

    def turn(self) -> None:
        self.watch.turn()
        self.timers.fire()

    def close(self) -> None:
        self.runs.close()
        for _, descriptors in self.orders():
            for descriptor in descriptors:
                os.close(descriptor)
        self.watch.close()
        self.launcher.close()


@contextmanager
def rig(pure: bool) -> Iterator[Rig]:
    """Afterwards no descriptor is left."""
    before = os.listdir("/proc/self/fd")
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setattr(runs_module, "plain_start", lambda *arguments: False)
            patch.setattr(runs_module, "hear", plain_hear)
            patch.setattr(link_module, "hear", plain_hear)
        found = Rig()
        try:
            yield found
        finally:
            found.close()
    assert os.listdir("/proc/self/fd") == before


def plain_hear(descriptor: int, running: object) -> bytes | None:
    """As in Python."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return None


@pytest.fixture(autouse=True)
def native(missing: Callable[[str], None]) -> None:
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")


def both(act: Callable[[Rig], object]) -> object:
    """What comes of it, which is the same either way."""
    found = []
    for pure in (False, True):
        with rig(pure) as one:
            found.append(act(one))
    assert found[0] == found[1]
    return found[0]


def whole(descriptor: int) -> object:
    """What can be read of it, or that it can be written to."""
    try:
        return os.pread(descriptor, 1 << 21, 0)
    except OSError as error:
        if error.errno == errno.EBADF:
            return "cannot be read"
        os.write(descriptor, b"x")
        return "a pipe to write to"


LIMITED = Profile(Limits(cpu=7))


@pytest.mark.parametrize(
    ("argv", "environment", "more"),
    [
        (["/bin/a"], {}, {}),
        (["/bin/a", "", "two words"], {"A": "a=b", "EMPTY": "", "E": "\u00e9\U0001f600", "\u00e9": "x"}, {}),
        (["/bin/a"], {"A": "b"}, {"stdin": b"v=0\r\n"}),
        (["/bin/a"], {"A": "b"}, {"stdin": bytes(range(256)) * 5000}),
        (["/bin/a"], {"A": "\udcff"}, {}),
        (["/bin/a"], {"A": chr(0xD800)}, {}),
        (["/bin/a"], {"A": "b\0C=d"}, {}),
        (["/bin/a"], {"A\0": ""}, {}),
        (["/bin/a\0"], {}, {}),
        ([], {}, {}),
        (["/bin/a"], {"A": "x" * (wire.MAX_RECORD - FREE)}, {"stdin": b"v=0"}),
        (["/bin/a"], {"A": "x" * (wire.MAX_RECORD - FREE + 1)}, {"stdin": b"v=0"}),
        (["/bin/a"], {"A": "\u00e9" * (wire.MAX_RECORD // 2)}, {}),
        (["/bin/a"] * 9000, {}, {}),
        (["/bin/a"], {}, {"resident": True}),
        (["/bin/a"], {}, {"profile": LIMITED}),
        (["/bin/a"], {}, {"profile": Profile(user="nobody", isolation="off")}),
        (["/bin/a"], {}, {"profile": Profile(isolation="auto", folder="/cgi")}),
    ],
)
def test_the_order(argv: list[str], environment: dict[str, str], more: dict[str, object]) -> None:
    def act(rig: Rig) -> object:
        found: list[object] = []
        for _ in range(2):  # the second one finds its profile told
            run = rig.start(argv, environment, **more)
            rig.timers.fire()
            for record, descriptors in rig.orders():
                found += [record, [whole(descriptor) for descriptor in descriptors]]
                for descriptor in descriptors:
                    os.close(descriptor)
            found += [run.number, run.number in rig.runs.running, run.finished, run.stdout >= 0, run.stderr >= 0]
        return found, [outcome.failure for outcome in rig.outcomes]

    found = both(act)
    assert isinstance(found, tuple)
    assert found[1] or len(found[0]) >= 14


def test_an_invocation_of_other_kinds(missing: Callable[[str], None]) -> None:
    """It takes what it was made for, all else is for Python."""
    for wrong in (
        {"argv": ("/bin/a",)}, {"environment": None}, {"stdin": bytearray(b"x")}, {"given": {3: 0}}, {"given": None},
        {"resident": 1}, {"profile": None}, {"directory": b"/"}, {"argv": [b"/bin/a"]}, {"environment": {"A": 1}},
    ):  # fmt: skip
        with rig(pure=False) as one:
            invocation = Invocation("a", ["/bin/a"], "/", {})
            for name, value in wrong.items():
                setattr(invocation, name, value)
            run = ScriptRun(1, Limits(), 100, 5.0, print, print, one.runs, 0.0)
            assert run_module.plain_start(one.runs, run, 0, invocation) is False
            assert (run.stdout, run.stderr) == (-1, -1)
            assert list(one.orders()) == []


@pytest.mark.parametrize("body", [b"", b"v=0"])
@pytest.mark.parametrize("left", range(6))
def test_no_descriptors(left: int, body: bytes) -> None:
    """Whatever is the one that there is no place for: the same outcome, and nothing is left."""

    def act(rig: Rig) -> object:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest, fill = max(map(int, os.listdir("/proc/self/fd"))), [os.dup(0)]
        while fill[-1] <= highest:
            fill.append(os.dup(0))
        free = fill.pop()
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, limits[1]))
        try:
            run = rig.start(stdin=body)
            rig.timers.fire()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for descriptor in fill:
                os.close(descriptor)
        return run.number in rig.runs.running, [outcome.failure for outcome in rig.outcomes]

    enough = left >= (5 if body else 4)
    assert both(act) == ((True, []) if enough else (False, ["could not be started: Too many open files"]))


def test_a_socket_that_is_full() -> None:
    def act(rig: Rig) -> object:
        runs = [rig.start(environment={"A": "x" * 30_000}, stdin=b"v=0") for _ in range(40)]
        waiting = len(rig.runs.queue)
        assert 0 < waiting < 40
        assert len(rig.runs.running) == 40 - waiting
        numbers = []
        while True:
            more = [(record, descriptors) for record, descriptors in rig.orders()]
            if not more:
                break
            for record, descriptors in more:
                assert len(descriptors) == 3
                numbers.append(wire.ORDER.unpack_from(record)[4])
                for descriptor in descriptors:
                    os.close(descriptor)
            rig.turn()
        assert len(rig.runs.running) == 40
        return numbers == [run.number for run in runs]

    assert both(act) is True


def test_nobody_at_the_other_end() -> None:
    def act(rig: Rig) -> object:
        first = rig.start()
        rig.report((wire.EXITED, 0, 99))
        rig.launcher.close()  # with an order that was not read
        second = rig.start(stdin=b"v=0")
        assert second.number not in rig.runs.running
        rig.turn()
        rig.turn()
        rig.runs.refuse("it is gone")
        return rig.lost == [first], [outcome.failure for outcome in rig.outcomes]

    assert both(act) == (True, ["it died", "it is gone"])


OUTPUTS = [b"", b"x", b"SIP/2.0 200 OK\n\n", b"x" * 4096, b"x" * (CHUNK - 1), b"x" * CHUNK]


@pytest.mark.parametrize("output", OUTPUTS, ids=len)
@pytest.mark.parametrize("most", [0, 1, 100, CHUNK, 1 << 20])
@pytest.mark.parametrize("said", [b"", b"one\ntwo"])
@pytest.mark.parametrize("code", [0, 7, -9, -24])
def test_an_end(output: bytes, most: int, said: bytes, code: int) -> None:
    def act(rig: Rig) -> object:
        run = rig.start(max_output=most, timeout=5.0)
        [(_, (stdout, stderr))] = rig.orders()
        if output:
            os.write(stdout, output)
        if said:
            os.write(stderr, said)
        rig.clock.now += 0.25
        rig.report((wire.EXITED, code, run.number))
        rig.turn()
        os.close(stdout)  # a child of the script had them
        os.close(stderr)
        assert rig.runs.busy() == 0
        rig.clock.now += 10.0
        rig.timers.fire()  # that of the timeout has been cancelled
        run.end()
        assert rig.runs.busy() == 0
        return rig.outcomes, rig.lines, run.finished, run.stdout, run.stderr

    found = both(act)
    assert isinstance(found, tuple)
    [outcome] = found[0]
    assert outcome.stdout == output[:most]
    assert (outcome.wall, outcome.cpu, outcome.peak_kib) == (0.25, 0.0015, 9000)
    assert outcome.status == (code if code >= 0 else None)
    assert found[1:] == ([*filter(None, said.decode().split("\n"))], True, -1, -1)


def test_more_than_a_pipe_holds() -> None:
    """A script may have made it hold more."""
    import fcntl

    def act(rig: Rig) -> object:
        run = rig.start()
        [(_, (stdout, stderr))] = rig.orders()
        fcntl.fcntl(stdout, 1031, 1 << 20)  # F_SETPIPE_SZ
        os.write(stdout, b"x" * 300_000)
        os.close(stdout)
        os.close(stderr)
        rig.report((wire.EXITED, 0, run.number))
        rig.turn()
        return rig.outcomes

    assert both(act) == [Outcome(b"x" * 300_000, 0, cpu=0.0015, peak_kib=9000)]


def test_other_ends() -> None:
    """Several at once, some that are told to end, watched, unknown, that had no memory or could not be started."""

    def act(rig: Rig) -> object:
        runs = [rig.start(timeout=1.0 if number == 3 else 60.0) for number in range(8)]
        for number, (_, (stdout, stderr)) in enumerate(rig.orders()):
            os.write(stdout, b"%d" % number)
            os.close(stdout)
            os.close(stderr)
        runs[4].end()
        runs[5].watch_pipes()
        rig.turn()
        rig.clock.now += 1.0
        rig.turn()
        numbers = [run.number for run in runs]
        for reports in (
            [(wire.EXITED, 0, numbers[0]), (wire.EXITED, 0, 4711), (wire.EXITED, 3, numbers[1])],
            [(wire.STARVED, -9, numbers[2])],
            [(wire.EXITED, 0, numbers[3])],
            [(wire.EXITED, 0, numbers[4])],
            [(wire.EXITED, 0, numbers[4])],
            [(wire.EXITED, 0, numbers[5])],
            [(wire.FAILED, errno.ENOENT, numbers[6])],
            [(wire.EXITED, 0, 1 << 63)],
            [(wire.EXITED, 0, numbers[7])],
        ):
            rig.report(*reports)
            for _ in range(3):  # on a busy machine the time of one is up after the first descriptor
                rig.turn()
        for _, descriptors in rig.orders():
            assert descriptors == []
        return rig.outcomes

    outcomes = both(act)
    assert isinstance(outcomes, list)
    assert [outcome.stdout for outcome in outcomes] == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"]
    assert [outcome.complete for outcome in outcomes] == [True, False, False, False, False, True, False, True]


def test_a_run_that_lasts() -> None:
    """It is watched, and has a timer, from the second look on; then nobody looks any more."""

    def act(rig: Rig) -> object:
        run = rig.start(timeout=1.0)
        brief = rig.start(timeout=0.15)
        [(_, (stdout, stderr)), (_, others)] = rig.orders()
        found: list[object] = []
        for _ in range(14):
            rig.clock.now += 0.1
            os.write(stdout, b".")
            rig.turn()
            found.append((run.watched, run.output, run.timed_out, brief.timed_out))
        assert not [timer for timer in rig.timers.waiting() if timer.callback == rig.runs._look]
        rig.report((wire.EXITED, -15, brief.number), (wire.EXITED, -15, run.number))
        rig.turn()
        for descriptor in (stdout, stderr, *others):
            os.close(descriptor)
        return found, rig.outcomes

    found = both(act)
    assert isinstance(found, tuple)
    looks, outcomes = found
    assert [timed_out for _, _, timed_out, _ in looks].index(True) in (9, 10)
    assert [watched for watched, _, _, _ in looks].index(True) in (0, 1, 2)
    assert [timed_out for _, _, _, timed_out in looks].index(True) == 1
    assert [outcome.timed_out for outcome in outcomes] == [True, True]
    assert outcomes[1].stdout == b"." * 14


def test_what_done_does_is_its_own_affair() -> None:
    """It may start another run, or end that one."""

    def act(rig: Rig) -> object:
        run = rig.start()
        run.done = lambda outcome: (run.end(), rig.start(), rig.outcomes.append(outcome))  # type: ignore[assignment, func-returns-value]
        rig.report((wire.EXITED, 0, run.number))
        rig.turn()
        return rig.outcomes, list(rig.runs.running)

    assert both(act) == ([Outcome(b"", 0, cpu=0.0015, peak_kib=9000)], [2])


def test_nothing_crashes_it() -> None:
    with rig(pure=False) as one:
        link, run = one.link.descriptor, ScriptRun(1, Limits(), 100, 5.0, print, print, one.runs, 0.0)
        invocation = Invocation("a", ["/bin/a"], "/", {})
        wrong: list[tuple[object, ...]] = [(), (one.runs, run, 0), (one.runs, run, "", invocation)]
        for arguments in wrong:
            with pytest.raises(TypeError):
                run_module.plain_start(*arguments)  # type: ignore[arg-type]
        strange: list[tuple[object, ...]] = [
            (one.runs, None, 0, invocation), (one.runs, run, 0, None), (one.runs, run, 1 << 32, invocation),
            (one.runs, run, 1 << 70, invocation), (one.runs, run, -1, invocation), (one.runs, run, 1, invocation),
            (None, run, 0, invocation), ("", run, 0, invocation),
        ]  # fmt: skip
        for arguments in strange:
            assert run_module.plain_start(*arguments) is False  # type: ignore[arg-type]
        for arguments in [(), (link,), (link, []), ("", {})]:
            with pytest.raises(TypeError):
                link_module.hear(*arguments)  # type: ignore[arg-type]
        with pytest.raises(OSError, match="Bad file descriptor"):
            link_module.hear(-1, {})
        assert link_module.hear(link, {}) is None
        for stranger in (None, 1, object(), run):
            one.report((wire.EXITED, 0, 1))
            record = link_module.hear(link, {1: stranger})  # type: ignore[dict-item]
            assert isinstance(record, bytes)
            assert len(record) == wire.REPORT.size
        references = sys.getrefcount(run)
        for _ in range(100):
            one.report((wire.EXITED, 0, 1))
            link_module.hear(link, {1: run})
            run_module.plain_start(one.runs, run, 0, invocation)
            run.close()
            one.runs.running.clear()
            for _, descriptors in one.orders():
                for descriptor in descriptors:
                    os.close(descriptor)
        assert sys.getrefcount(run) == references


def test_nothing_is_kept() -> None:
    """Neither memory nor objects, plain or not."""
    value, body = "x" * 1000 + str(os.getpid()), os.urandom(100)
    environment = {"A": value, "B": "\udcff"}
    with rig(pure=False) as one:
        for number in range(300):
            if number == 100:
                before = sys.getrefcount(value), sys.getrefcount(body), sys.getrefcount(PLAIN), sys.getallocatedblocks()
            run = one.start(environment=environment if number % 2 else {"A": value}, stdin=body)
            for _, descriptors in one.orders():
                for descriptor in descriptors:
                    os.close(descriptor)
            one.report((wire.EXITED, 0, run.number))
            one.turn()
            one.outcomes.clear()
        after = sys.getrefcount(value), sys.getrefcount(body), sys.getrefcount(PLAIN), sys.getallocatedblocks()
    assert after[:3] == before[:3]
    assert after[3] - before[3] < 100
