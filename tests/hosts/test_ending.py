"""Whatever a script has left anywhere ends with it, by each way that this machine offers; nothing else does."""

# ruff: noqa: ASYNC240 - looks into /proc and small folders

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from struct import pack
from uuid import uuid4

import pytest
import trio

from sipcgi.hosts import control_groups, marks, spaces, wire
from sipcgi.hosts.base import Outcome
from sipcgi.hosts.ending import GROUP, MARK, SPACE, Hold, Tier, tier
from sipcgi.hosts.marks import RLIMIT_LOCKS
from sipcgi.profile import PLAIN, Limits, Profile
from tests.hosts.conftest import Bench, hosted

LIMITED = Profile(Limits(cpu=30))
CAP_DAC_OVERRIDE, CAP_KILL = 1, 5
WAYS = ["plain", MARK, SPACE, GROUP]

PYTHON = f"{sys.executable} -ISc"
ESCAPES = {
    "none": "exec sleep $1",
    "a child": "sleep $1; :",
    "background": "sleep $1 & sleep $1 & wait",
    "its own session": "setsid sleep $1 & wait",
    "double fork": "(setsid sh -c 'sleep $0 & sleep $0 & exit' $1 &); sleep $1",
    "nohup": "nohup sleep $1 > /dev/null 2>&1 & exec sleep $1",
    "TERM ignored": "trap '' TERM; sleep $1; sleep $1",
    "every signal ignored": "trap '' HUP INT QUIT TERM USR1 USR2 ALRM; (setsid sleep $1 &); sleep $1",
    "stopped": "kill -STOP $$",
    "a stopped daemon": "(setsid sh -c 'kill -STOP $$; : $0' $1 &); exec sleep $1",
    "an empty environment": "(env -i setsid sleep $1 &); exec env -i sleep $1",
    "another group": f"{PYTHON} 'import os, time\nos.fork() or os.setpgid(0, 0)\ntime.sleep(60)' $1",
    "a daemon by the book": f"{PYTHON} 'import os, time\nif not os.fork():\n os.setsid()\n if not os.fork():\n"
    '  os.chdir("/"); os.umask(0); os.closerange(0, 99); time.sleep(60)\n os._exit(0)\ntime.sleep(60)\' $1',
    "ends at TERM, its daemon does not": "(trap '' TERM; setsid sleep $1 &); trap 'exit 0' TERM; sleep $1 & wait",
    "a bomb": "n() { sleep $1 & [ $2 -gt 0 ] && { n $1 $(($2 - 1)) & n $1 $(($2 - 1)); }; wait; }\nn $1 4",
    "handed on": f"(setsid {PYTHON} 'import os, time\nwhile True:\n if os.fork(): os._exit(0)' $1 &); sleep $1",
    "many daemons": "for i in 1 2 3 4 5 6 7 8; do (setsid sleep $1 &); done; sleep $1",
    "an orphan that goes on forking": "(setsid sh -c 'while :; do sleep 0.02 & wait; : $0; done' $1 &); exec sleep $1",
}


def seconds() -> str:
    """For a sleep that nobody else sleeps."""
    return f"60.{uuid4().int % 10**15:015}"


def bearers(token: str) -> list[int]:
    """Processes with the token in their arguments, whose environment may be empty."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            arguments = Path(f"/proc/{name}/cmdline").read_bytes()
            if token.encode() in arguments and int(name) != os.getpid():
                found.append(int(name))
    return found


@pytest.fixture
def delegated() -> Iterator[Path]:
    """A control group that looks as systemd leaves one, with this process in it."""
    found = control_groups.mount_point()
    if found is None:
        pytest.skip("cgroup v2 is not mounted")
    own = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    home = Path(found[1]) / os.path.relpath(own, found[0])
    base = home / f"sipcgi-test-{uuid4().hex[:8]}"
    try:
        base.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error.strerror}")
    try:
        os.setxattr(base, "user.delegate", b"1")
        (base / "cgroup.procs").write_text("0")
        yield base
    finally:
        (home / "cgroup.procs").write_text("0")
        (base / "cgroup.kill").write_text("1")
        until = time.monotonic() + 3
        while time.monotonic() < until and not all(map(control_groups.removed, map(str, [*base.glob("*/"), base]))):
            time.sleep(0.02)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    if request.param == GROUP:
        request.getfixturevalue("delegated")
    if request.param == SPACE and (why := spaces.obstacle()):
        pytest.skip(f"no PID namespace: {why}")
    return str(request.param)


@pytest.fixture
async def ended(way: str, tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench on which runs end in one way."""
    async with hosted(launchers=1, ending=MARK if way == "plain" else way) as host:
        bench = Bench(host, tmp_path)
        bench.profile = PLAIN if way == "plain" else LIMITED
        yield bench
        assert host.busy() == 0


async def test_nothing_outlives_the_timeout(ended: Bench) -> None:
    tokens = {escape: seconds() for escape in ESCAPES}
    outcomes: list[Outcome] = []
    for number, (escape, token) in enumerate(tokens.items()):
        argv = ["/bin/sh", ended.write(ESCAPES[escape], f"script{number}"), token]
        ended.start(argv, outcomes.append, timeout=1.0, profile=ended.profile)
    await trio.sleep(0.8)
    assert [escape for escape, token in tokens.items() if not bearers(token)] == []
    await ended.until(lambda: len(outcomes) == len(ESCAPES), 4)
    assert all(outcome.timed_out for outcome in outcomes)
    with suppress(trio.TooSlowError):
        await ended.until(lambda: not any(map(bearers, tokens.values())), 2.0)
    assert [escape for escape, token in tokens.items() if bearers(token)] == []
    assert (await ended.run("/bin/true", profile=ended.profile)).complete


async def test_too_much_output_ends_all_at_once(ended: Bench) -> None:
    token = seconds()
    path = ended.write("#!/bin/sh\n(setsid sleep $1 &)\nyes\n")
    outcome = await ended.run(path, token, profile=ended.profile)
    assert outcome.overflow
    await ended.until(lambda: not bearers(token), 1.0)


async def test_what_a_script_leaves_behind_when_it_ends_by_itself_stays(ended: Bench) -> None:
    token = seconds()
    path = ended.write("#!/bin/sh\n(setsid sleep $1 > /dev/null 2>&1 &)\nsleep $1 > /dev/null 2>&1 &\nsleep 0.1\n")
    assert (await ended.run(path, token, profile=ended.profile)).complete
    other = await ended.run("/bin/sleep", "60", timeout=0.1, profile=ended.profile)
    assert other.timed_out
    await trio.sleep(1.3)
    daemons = bearers(token)
    assert len(daemons) == 2
    for process in daemons:
        os.kill(process, signal.SIGKILL)
    await ended.until(lambda: not bearers(token))
    assert (await ended.run("/bin/true", profile=ended.profile)).complete


async def test_no_process_of_another_run_is_hit(ended: Bench) -> None:
    token, outcomes = seconds(), list[Outcome]()
    script = ended.write(ESCAPES["double fork"])
    others: list[Outcome] = []
    other = seconds()
    run = ended.start(["/bin/sh", script, other], others.append, profile=ended.profile)
    for _ in range(5):
        ended.start(["/bin/sh", script, token], outcomes.append, timeout=0.3, profile=ended.profile)
    await ended.until(lambda: len(outcomes) >= 5)
    await ended.until(lambda: not bearers(token), 2.0)
    assert len(bearers(other)) == 4
    run.end()
    await ended.until(lambda: not bearers(other), 2.0)
    await ended.until(lambda: others)


async def test_when_the_launcher_dies_so_does_all_that_runs(ended: Bench) -> None:
    token, left = seconds(), seconds()
    outcomes: list[Outcome] = []
    path = ended.write("#!/bin/sh\n(setsid sleep $1 > /dev/null 2>&1 &)\nsleep 0.1\n", "leaves")
    assert (await ended.run(path, left, profile=ended.profile)).complete
    ended.start(["/bin/sh", ended.write(ESCAPES["double fork"]), token], outcomes.append, profile=ended.profile)
    await ended.until(lambda: len(bearers(token)) == 4)
    launcher = ended.launcher
    os.kill(launcher, signal.SIGKILL)
    await ended.until(lambda: outcomes)
    await ended.until(lambda: not bearers(token), 2.0)
    await ended.until(lambda: ended.launcher not in (0, launcher))
    assert len(bearers(left)) == 1
    os.kill(bearers(left)[0], signal.SIGKILL)
    await ended.until(lambda: not [process for process in children() if process != ended.launcher], 7)


async def test_when_the_server_ends_so_does_all_that_runs(way: str, tmp_path: Path) -> None:
    tokens = {escape: seconds() for escape in ESCAPES}
    async with hosted(launchers=1, ending=MARK if way == "plain" else way) as host:
        bench = Bench(host, tmp_path)
        for number, (escape, token) in enumerate(tokens.items()):
            argv = ["/bin/sh", bench.write(ESCAPES[escape], f"script{number}"), token]
            bench.start(argv, print, profile=PLAIN if way == "plain" else LIMITED)
        await bench.until(lambda: all(map(bearers, tokens.values())))
        started = time.monotonic()
    assert time.monotonic() - started < 2
    await trio.sleep(0.2)
    assert [escape for escape, token in tokens.items() if bearers(token)] == []


def children() -> list[int]:
    """Of this process."""
    return [int(name) for name in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


async def test_two_hundred_runs_leave_nothing_behind(ended: Bench, way: str) -> None:
    outcomes: list[Outcome] = []
    await ended.run("/bin/true", profile=ended.profile)
    descriptors = Path(f"/proc/{ended.launcher}/fd")
    before = len(os.listdir(descriptors))
    for _ in range(25):
        outcomes.clear()
        for _ in range(8):
            ended.start(["/bin/sh", "-c", "(exit 3) & read line; echo $line"], outcomes.append, stdin=b"v=0\n")
            ended.start(["/bin/true"], outcomes.append, profile=ended.profile)
        await ended.until(lambda: len(outcomes) >= 16, 5)
        assert all(outcome.complete for outcome in outcomes)
    assert len(os.listdir(descriptors)) == before
    kept = Path(f"/proc/{ended.launcher}/task/{ended.launcher}/children")
    most = spaces.MOST_IDLE if way == SPACE else 0
    await ended.until(lambda: len(kept.read_text().split()) <= most)


class TestGroups:
    async def test_what_all_processes_used_is_counted(self, delegated: Path, tmp_path: Path) -> None:
        burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
        async with hosted(launchers=1) as host:
            bench = Bench(host, tmp_path)
            outcome = await bench.sh(
                f"(setsid sh -c '{burn}; echo > done' &)\nuntil [ -e done ]; do sleep 0.05; done", profile=LIMITED
            )
            alone = await bench.sh("true", profile=LIMITED)
        assert outcome.complete
        assert outcome.cpu > alone.cpu + 0.02  # the daemon was waited for by nobody

    async def test_groups_of_ended_runs_are_removed(self, delegated: Path, tmp_path: Path) -> None:
        async with hosted(launchers=1) as host:
            bench = Bench(host, tmp_path)
            await bench.sh("sleep 0.3 > /dev/null 2>&1 &", profile=LIMITED)
            assert len(list(delegated.glob("run-*"))) == 1
            await trio.sleep(0.4)
            await bench.sh(":", profile=LIMITED)
            assert list(delegated.glob("run-*")) == []

    def test_a_child_born_outside_goes_in(self, delegated: Path) -> None:
        """Where a filter of system calls forbids clone3."""
        group = control_groups.Groups(str(delegated), frozenset(), "").make(3, Limits())
        child = os.fork()
        if child == 0:
            with suppress(OSError):
                group.enter()
                signal.pause()
            os._exit(1)
        procs = Path(group.path, "cgroup.procs")
        until = time.monotonic() + 2
        while procs.read_text() == "" and time.monotonic() < until:
            time.sleep(0.01)
        assert procs.read_text() == f"{child}\n"
        assert group.kill()
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        os.close(group.descriptor)

    def test_limits_of_all_processes_together(self, tmp_path: Path) -> None:
        """Without a machine that counts them: what is written where."""
        groups = control_groups.Groups(str(tmp_path), frozenset({"memory", "pids"}), "")
        assert groups.counted == {"memory", "processes"}
        group = groups.make(7, Limits(memory=1 << 20, processes=5))
        path = Path(group.path)
        values = {file.name: file.read_text() for file in path.iterdir()}
        assert values == {
            "memory.max": "1048576",
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "pids.max": "5",
        }
        assert not group.ran_out_of_memory()
        (path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\n")
        (path / "memory.peak").write_text("2097152\n")
        assert (group.ran_out_of_memory(), group.peak()) == (True, 2048)
        os.close(group.descriptor)

    def test_controllers_need_a_group_without_processes(self, tmp_path: Path) -> None:
        procs, control = tmp_path / "cgroup.procs", tmp_path / "cgroup.subtree_control"
        procs.write_text("12\n34\n")
        control.write_text("")
        (tmp_path / "run-1-1").mkdir()
        groups = control_groups.Groups(str(tmp_path), frozenset({"memory", "pids"}), "")
        groups.settle()
        assert (tmp_path / "server" / "cgroup.procs").read_text() == "34"  # the last one that was moved
        assert control.read_text() == "+memory +pids"
        assert not (tmp_path / "run-1-1").exists()
        control.write_text("memory pids\n")
        procs.write_text("56\n")
        groups.settle()
        assert (tmp_path / "server" / "cgroup.procs").read_text() == "34"  # it was done already

    def test_one_that_is_not_delegated_is_left_alone(self, delegated: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("one that belongs to us is ours")
        os.removexattr(delegated, "user.delegate")
        assert "is not delegated to us" in str(control_groups.find(os.getpid()))


class TestSpaces:
    @pytest.fixture(autouse=True)
    def possible(self) -> None:
        if why := spaces.obstacle():
            pytest.skip(f"no PID namespace: {why}")

    def test_whether_one_can_be_made_is_not_tried_beside_other_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The child of clone3 would wait for ever for the lock that another thread held."""
        monkeypatch.setattr(spaces, "clone3", lambda flags: pytest.fail("tried here"))
        leave = threading.Event()
        other = threading.Thread(target=leave.wait)
        other.start()
        try:
            assert spaces.obstacle() == ""
        finally:
            leave.set()
            other.join()

    async def test_proc_shows_the_numbers_of_the_namespace(self, tmp_path: Path) -> None:
        async with hosted(launchers=1, ending=SPACE) as host:
            bench = Bench(host, tmp_path)
            outcome = await bench.sh(
                "[ -r /proc/$$/status ] && readlink /proc/self/cwd; ps -o pid= -p $$", profile=LIMITED
            )
            folder, number = outcome.stdout.split()
        assert folder.decode() == os.path.realpath(tmp_path)
        assert 1 < int(number) < 20

    async def test_mounts_stay_common(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        async with hosted(launchers=1, ending=SPACE) as host:
            bench = Bench(host, tmp_path)
            outcome = await bench.sh("mount -t tmpfs none there && echo > there/x", profile=LIMITED)
            if outcome.status != 0:
                pytest.skip(f"nothing can be mounted here: {bench.lines}")
            try:
                shared = "shared:" in Path("/proc/self/mountinfo").read_text()
                assert (tmp_path / "there" / "x").exists() or not shared
            finally:
                await bench.sh("umount there", profile=LIMITED)

    async def test_a_namespace_serves_run_after_run(self, tmp_path: Path) -> None:
        async with hosted(launchers=1, ending=SPACE) as host:
            bench = Bench(host, tmp_path)
            names = {(await bench.run("/bin/readlink", "/proc/self/ns/pid", profile=LIMITED)).stdout for _ in range(5)}
        assert len(names) == 1

    async def test_idle_ones_end_with_the_launcher(self, tmp_path: Path) -> None:
        async with hosted(launchers=1, ending=SPACE) as host:
            bench = Bench(host, tmp_path)
            await bench.run("/bin/true", profile=LIMITED)
            first = int(Path(f"/proc/{bench.launcher}/task/{bench.launcher}/children").read_text())
            os.kill(bench.launcher, signal.SIGKILL)
            await bench.until(lambda: not Path(f"/proc/{first}").exists(), 3)


class TestMarks:
    def test_a_mark_is_found_and_nothing_else(self) -> None:
        mark, other = (marks.marking(marks.new_base(), run) for run in (1, 2))
        pids = []
        for put_on in (mark, other, None):
            pid = os.fork()
            if pid == 0:
                if put_on:
                    marks.put_on(put_on)
                signal.pause()
            pids.append(pid)
        try:
            until = time.monotonic() + 2
            while marks.of(pids[1]) != other and time.monotonic() < until:
                time.sleep(0.01)
            assert marks.signal_bearers({mark}, signal.SIGKILL) == {pids[0]}
            assert os.waitpid(pids[0], 0)[1] == signal.SIGKILL
            assert os.waitpid(pids[1], os.WNOHANG) == (0, 0)
        finally:
            for pid in pids[1:]:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        assert marks.of(pids[0]) == marks.NONE

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
    def test_the_mark_of_another_users_process(self) -> None:
        """Without CAP_SYS_RESOURCE, as in many containers; but with CAP_KILL."""
        mark = marks.marking(marks.new_base(), 1)
        reading, writing = os.pipe()
        target = os.fork()
        if target == 0:
            marks.put_on(mark)
            os.setresuid(65534, 65534, 65534)
            os.write(writing, b".")
            signal.pause()
        os.read(reading, 1)
        checker = os.fork()
        if checker == 0:
            wanted = (1 << CAP_KILL) | (1 << CAP_DAC_OVERRIDE)
            ctypes.CDLL(None).capset(pack("=Ii", 0x20080522, 0), pack("=6I", wanted, wanted, 0, 0, 0, 0))
            try:
                resource.prlimit(target, RLIMIT_LOCKS)
            except PermissionError:
                os._exit(not (marks.of(target) == mark and marks.of(os.getppid()) != mark))
            os._exit(2)
        assert os.waitpid(checker, 0)[1] == 0
        assert marks.signal_bearers({mark}, signal.SIGKILL) == {target}
        os.waitpid(target, 0)
        os.close(reading)
        os.close(writing)

    async def test_a_mark_that_the_server_names(self, bench: Bench) -> None:
        """For runs below one that we started."""
        mark, token = marks.marking(marks.new_base(), 7), seconds()
        text = (
            f"import os, resource\nif not os.fork():\n resource.setrlimit({RLIMIT_LOCKS}, ({mark}, -1))\n os.setsid()\n"
            f" os.execlp('sleep', 'sleep', '{token}')\nimport time\ntime.sleep(0.2)\n"
        )
        assert (await bench.python(text)).complete
        assert len(bearers(token)) == 1
        bench.host.sweep(mark)
        await bench.until(lambda: not bearers(token))


def test_without_another_namespace_the_mark_does_it() -> None:
    class Full(spaces.Spaces):
        def take(self) -> spaces.Space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    hold = Hold(Tier(None, Full(), ""), 1, Limits())
    assert not hold.kill()
    assert hold.account(5, 6) == (wire.EXITED, 5, 6)
    assert not hold.kill()


def test_what_is_in_force_is_said() -> None:
    assert tier(os.getpid(), MARK).text == "by their mark; no control group: not wanted; no PID namespace: not wanted"
    assert tier(os.getpid()).text.startswith("by ")
