"""Warm parents: when there is one, what becomes of its runs, and how it ends."""
# ruff: noqa: ASYNC240 - blocks on purpose, files are small here

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import trio

from sipcgi.hosts import parent as parent_module
from sipcgi.hosts import warm as warm_module
from sipcgi.profile import Hosting, Limits, Profile
from tests.hosts.conftest import hosted
from tests.hosts.warm_bench import COMMON, WarmBench

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcgi.hosts.base import Outcome, Run

PYTHON, PERL, RUBY = "#!/usr/bin/env python3\n", "#!/usr/bin/perl\n", "#!/usr/bin/ruby\n"
SAYS = {
    "python": PYTHON + "print('{}')\n",
    "perl": PERL + "print qq({}\\n);\n",
    "ruby": RUBY + "puts '{}'\n",
}
LASTS = {
    "python": PYTHON + "import time\ntime.sleep({})\nprint('done')\n",
    "perl": PERL + "select undef, undef, undef, {}; print qq(done\\n);\n",
    "ruby": RUBY + "sleep {}\nputs 'done'\n",
}


@pytest.fixture(params=SAYS)
def language(request: pytest.FixtureRequest, program: object) -> str:
    name = str(request.param)
    program({"python": "python3"}.get(name, name))  # type: ignore[operator]
    return name


def parents(script: str) -> list[psutil.Process]:
    """The processes that wait for orders, not what they forked."""
    found = [
        process
        for process in psutil.process_iter(["cmdline", "ppid"])
        if script in (process.info["cmdline"] or ()) and any("/zygotes" in word for word in process.info["cmdline"])
    ]
    pids = {process.pid for process in found}
    return [process for process in found if process.info["ppid"] not in pids]


def leavings(folder: Path) -> list[psutil.Process]:
    """Processes that still work in that folder, but for the launcher, which goes where it starts something."""
    found = []
    for process in psutil.process_iter():
        try:
            works = process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
            if works and not any("launcher" in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            pass
    return found


class Ends:
    """Outcomes of runs that go on at the same time."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.runs: list[Run] = []

    def start(self, bench: WarmBench, script: str, **changes: object) -> None:
        run, _ = bench.start(bench.warm, script, self.outcomes.append, **changes)
        self.runs.append(run)


async def test_a_changed_script_is_what_the_next_run_runs(warm: WarmBench, language: str) -> None:
    script = warm.write("script", SAYS[language].format("one"))
    await warm.warm_up(script)
    (old,) = parents(script)
    warm.write("script", SAYS[language].format("two"))
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"two\n"
    assert not warm.warm.parents
    await warm.warm_up(script)
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"two\n"
    assert warm.only().taken == 1
    await warm.until(lambda: not old.is_running())


async def test_a_script_that_is_changed_all_the_time(warm: WarmBench) -> None:
    """In place, to the same length, within one tick of the clock of the files."""
    script = warm.write("script", SAYS["perl"].format("000"))
    await warm.warm_up(script)
    for number in range(150):
        Path(script).write_text(SAYS["perl"].format(f"{number:03}"))
        assert (await warm.run(warm.warm, script)).outcome.stdout == b"%03d\n" % number
        if number % 30 == 29:
            await trio.sleep(0.15)  # so that there are parents, too


@pytest.mark.parametrize(
    ("text", "module", "first", "second"),
    [
        (PYTHON + "import local\nprint(local.VALUE)\n", "local.py", "VALUE = 1\n", "VALUE = 22\n"),
        (
            PERL + "use FindBin; use lib $FindBin::Bin; use local_module; print VALUE, qq(\\n);",
            "local_module.pm",
            "use constant VALUE => 1; 1;",
            "use constant VALUE => 22; 1;",
        ),
        (RUBY + "require_relative 'local'\nputs VALUE\n", "local.rb", "VALUE = 1\n", "VALUE = 22\n"),
    ],
)
async def test_a_changed_module_of_the_scripts_own(
    warm: WarmBench, text: str, module: str, first: str, second: str
) -> None:
    warm.write(module, first, 0o644)
    warm.hosting = Hosting(host="warm", preload=("local", str(warm.folder / "local")))
    script = warm.write("script", text)
    await warm.warm_up(script)
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"1\n"
    assert warm.only().taken == 1
    warm.write(module, second, 0o644)
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"22\n"
    await warm.warm_up(script)
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"22\n"
    assert warm.only().taken == 1


async def test_a_script_that_cannot_be_compiled(warm: WarmBench) -> None:
    """Is tried once, said once, and its runs say what they always say."""
    for name, text in (("one.py", PYTHON + "def\n"), ("two.pl", PERL + "use strict; $x = 1;\n")):
        script = warm.write(name, text)
        anew = await warm.run(warm.exec, script)
        assert anew.outcome.status
        await warm.until_said(name, script)
        assert len([line for line in warm.said if name in line]) == 1
        assert anew.lines[-1] in warm.said[-1]
        assert (await warm.run(warm.warm, script)).lines == anew.lines
        assert not parents(script)
        warm.said.clear()
        warm.write(name, SAYS["python" if name == "one.py" else "perl"].format("ok"))
        await warm.warm_up(script)


async def test_a_script_that_hangs_when_it_is_compiled(warm: WarmBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first run hangs as it always does; nobody else waits, and the parent is given up."""
    monkeypatch.setattr(parent_module, "PREPARATION", 0.5)
    script = warm.write("script", PERL + "BEGIN { sleep 60 if !$ENV{SERVER_NAME} } print 'x'")
    await trio.sleep(0.15)
    with trio.fail_after(0.45):
        assert (await warm.run(warm.warm, script, environment={"SERVER_NAME": "x"})).outcome.stdout == b"x"
    (stuck,) = parents(script)
    await warm.until_said("was not ready after", script, environment={"SERVER_NAME": "x"})
    await warm.until(lambda: not stuck.is_running())


async def test_a_parent_that_dies_fails_no_run(warm: WarmBench, language: str) -> None:
    script = warm.write("script", LASTS[language].format("0.3"))
    await warm.warm_up(script)
    ends = Ends()
    for number in range(40):
        ends.start(warm, script)
        if number in (10, 30):
            await trio.sleep(0.05)
            if warm.warm.parents:
                for process in parents(script):
                    process.kill()
        await trio.sleep(0.01)
    await warm.until(lambda: len(ends.outcomes) == 40, within=20)
    assert Counter((outcome.stdout, outcome.status, outcome.failure) for outcome in ends.outcomes) == {
        (b"done\n", 0, None): 40
    }
    await warm.warm_up(script)
    before = warm.only().taken
    await warm.run(warm.warm, script)
    assert warm.only().taken == before + 1


async def test_a_parent_that_is_stuck(warm: WarmBench) -> None:
    """Costs the runs that it has, and is given up with the first of them."""
    script = warm.write("script", SAYS["perl"].format("x"))
    await warm.warm_up(script)
    (process,) = parents(script)
    process.suspend()
    ends = Ends()
    ends.start(warm, script, timeout=0.2)
    ends.start(warm, script, timeout=60)
    await warm.until(lambda: len(ends.outcomes) == 2, within=8)
    assert [outcome.timed_out for outcome in ends.outcomes] == [True, False]
    assert ends.outcomes[1].stdout == b"x\n"
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"x\n"
    await warm.until(lambda: not process.is_running())


async def test_what_a_lost_run_had_begun_is_ended(warm: WarmBench) -> None:
    """Before it is started again."""
    script = warm.write("script", PYTHON + "import os, time\nopen(str(os.getpid()), 'w')\ntime.sleep(0.5)\n")
    await warm.warm_up(script)
    for old in warm.folder.glob("[0-9]*"):
        old.unlink()
    ends = Ends()
    ends.start(warm, script)
    await warm.until(lambda: [*warm.folder.glob("[0-9]*")])
    (pid,) = [int(path.name) for path in warm.folder.glob("[0-9]*")]
    (process,) = parents(script)
    process.kill()
    await warm.until(lambda: not psutil.pid_exists(pid), within=0.4)
    await warm.until(lambda: ends.outcomes)
    assert ends.outcomes[0].status == 0


async def test_a_run_that_takes_too_long(warm: WarmBench, language: str) -> None:
    script = warm.write("script", LASTS[language].format("30"))
    await warm.warm_up(script, timeout=0.05)
    outcome = (await warm.run(warm.warm, script, timeout=0.2)).outcome
    assert (outcome.timed_out, outcome.signal) == (True, signal.SIGTERM)
    assert 0.2 <= outcome.wall < 0.9
    assert warm.only().taken == 1


async def test_a_run_that_is_ended_at_once(warm: WarmBench, language: str) -> None:
    """Before it has a process group; nobody waits for the grace."""
    script = warm.write("script", LASTS[language].format("30"))
    await warm.warm_up(script, timeout=0.05)
    for _ in range(20):
        ends = Ends()
        ends.start(warm, script, timeout=60)
        ends.runs[0].end()
        await warm.until(lambda ends=ends: ends.outcomes)  # type: ignore[misc]
        (outcome,) = ends.outcomes
        assert outcome.ended
        assert outcome.wall < 0.9


DEAF = {
    "python": PYTHON
    + "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('deaf', 'w')\ntime.sleep(30)",
    "perl": PERL + "$SIG{TERM} = 'IGNORE'; open my $f, '>', 'deaf'; sleep 30",
    "ruby": RUBY + "trap('TERM', 'IGNORE')\nFile.write('deaf', '')\nsleep 30",
}


async def test_a_run_that_ignores_term(warm: WarmBench, language: str) -> None:
    script = warm.write("script", DEAF[language])
    await warm.warm_up(script, timeout=0.05)
    (warm.folder / "deaf").unlink(missing_ok=True)
    ends = Ends()
    ends.start(warm, script, timeout=60)
    await warm.until((warm.folder / "deaf").exists)
    with trio.fail_after(3):
        ends.runs[0].end()
        await warm.until(lambda: ends.outcomes)
    (outcome,) = ends.outcomes
    assert (outcome.ended, outcome.signal) == (True, signal.SIGKILL)
    assert warm.only().taken == 1


@pytest.mark.parametrize("limits", [Limits(), Limits(files=200)], ids=["plain", "limited"])
async def test_what_a_run_left_anywhere_ends_with_it(warm: WarmBench, limits: Limits) -> None:
    """Daemons in sessions of their own, with nothing in their environment."""
    script = warm.write(
        "script",
        PYTHON
        + "import os, time\nfor _ in range(3):\n    if not os.fork():\n        os.setsid()\n        if os.fork():\n"
        "            os._exit(0)\n        os.closerange(0, 3)\n        time.sleep(60)\ntime.sleep(60)\n",
    )
    profile = Profile(limits=limits)
    await warm.warm_up(script, timeout=0.05, profile=profile)
    (process,) = parents(script)
    await warm.until(lambda: leavings(warm.folder) == [process], within=5)
    outcome = (await warm.run(warm.warm, script, timeout=0.3, profile=profile)).outcome
    assert outcome.timed_out
    assert warm.only().taken == 1
    await warm.until(lambda: leavings(warm.folder) == [process], within=3)


async def test_a_background_child_of_a_run_that_has_ended_is_left_alone(warm: WarmBench) -> None:
    script = warm.write("script", PERL + "if (!fork) { sleep 60 } print 'done'")
    await warm.warm_up(script)
    before = len(leavings(warm.folder))
    assert (await warm.run(warm.warm, script)).outcome.stdout == b"done"
    await trio.sleep(0.2)
    left = leavings(warm.folder)
    assert len(left) == before + 1
    for process in left:
        process.kill()


async def test_too_much_output_ends_a_run(warm: WarmBench, language: str) -> None:
    flood = {
        "python": "while True: print('x' * 1000)",
        "perl": "print 'x' x 1000 while 1",
        "ruby": "loop { puts 'x' * 1000 }",
    }
    script = warm.write("script", SAYS[language].split("\n")[0] + "\n" + flood[language])
    await warm.warm_up(script, max_output=1000, timeout=5)
    outcome = (await warm.run(warm.warm, script, max_output=100_000)).outcome
    assert (outcome.overflow, len(outcome.stdout)) == (True, 100_000)
    assert outcome.signal in (signal.SIGKILL, signal.SIGPIPE)  # its output is closed a moment before


async def test_what_a_run_used(warm: WarmBench, language: str) -> None:
    loop = {"python": "for x in range(3000000): pass", "perl": "for (1 .. 6000000) {}", "ruby": "4000000.times {}"}
    script = warm.write("script", SAYS[language].split("\n")[0] + "\n" + loop[language])
    await warm.warm_up(script)
    outcome = (await warm.run(warm.warm, script)).outcome
    assert warm.only().taken == 1
    assert 0.02 < outcome.cpu < 3
    assert outcome.peak_kib > 1000


async def test_a_thousand_runs_leave_nothing_behind(warm: WarmBench, language: str) -> None:
    script = warm.write("script", SAYS[language].format("x"))
    await warm.warm_up(script)
    (process,) = parents(script)
    await warm.run(warm.warm, script)
    before = process.num_fds(), len(os.listdir("/proc/self/fd")), process.memory_info().rss
    ends = Ends()
    for _ in range(100):
        expected = len(ends.outcomes) + 10
        for _ in range(10):
            ends.start(warm, script, stdin=b"body")
        await warm.until(lambda expected=expected: len(ends.outcomes) == expected)
    assert {(outcome.stdout, outcome.status) for outcome in ends.outcomes} == {(b"x\n", 0)}
    assert warm.only().taken == 1001
    assert process.children() == []
    after = process.num_fds(), len(os.listdir("/proc/self/fd")), process.memory_info().rss
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 2 * 1024 * 1024


async def test_a_parent_that_has_done_much_is_replaced(warm: WarmBench, monkeypatch: pytest.MonkeyPatch) -> None:
    script = warm.write("script", SAYS["perl"].format("x"))
    monkeypatch.setattr(parent_module, "MOST_RUNS", 5)
    await warm.warm_up(script)
    (old,) = parents(script)
    taken = []
    for _ in range(200):
        assert (await warm.run(warm.warm, script)).outcome.stdout == b"x\n"
        taken.append(warm.only().taken)  # there is one at any time
    assert 1 in taken
    await warm.until(lambda: not old.is_running())


async def test_a_parent_whose_memory_grows_is_replaced(warm: WarmBench) -> None:
    warm.write(
        "grows.py",
        "import os\nheld = []\nos.register_at_fork(after_in_parent=lambda: held.append(b'x' * 1024 * 1024))\n",
        0o644,
    )
    warm.hosting = Hosting(host="warm", preload=("grows",))
    script = warm.write("script", SAYS["python"].format("x"))
    await warm.warm_up(script)
    old = warm.only()
    for _ in range(64):
        await warm.run(warm.warm, script)
    await warm.run_until(lambda: warm.warm.parents and warm.only() is not old, script)


async def test_one_that_nobody_needs_ends(warm: WarmBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_module, "LOOK", 0.1)
    monkeypatch.setattr(warm_module, "IDLE", 0.3)
    script = warm.write("script", SAYS["perl"].format("x"))
    await warm.warm_up(script)
    (process,) = parents(script)
    await warm.until(lambda: not process.is_running())
    assert not warm.warm.parents
    await warm.warm_up(script)


async def test_there_are_not_more_than_so_many(warm: WarmBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_module, "MOST_PARENTS", 2)
    scripts = [warm.write(f"script{number}", LASTS["perl"].format("0.5")) for number in range(3)]
    await warm.warm_up(scripts[0])
    await warm.warm_up(scripts[1])
    ends = Ends()
    for script in scripts:
        ends.start(warm, script)
    await warm.until(lambda: len(ends.outcomes) == 3)
    assert not parents(scripts[2])  # the two had runs
    await warm.run(warm.warm, scripts[1])
    await warm.run_until(lambda: parents(scripts[2]), scripts[2])  # the first has none now
    await warm.until(lambda: not parents(scripts[0]))


async def test_modules_are_loaded_beforehand(warm: WarmBench) -> None:
    """The list is one for all languages; what is not there is said."""
    warm.hosting = Hosting(host="warm", preload=("nowhere_to_be_found", "csv", "Nowhere::At_all", "List::Util", "set"))
    for name, text in (
        ("python", PYTHON + "import sys\nprint('csv' in sys.modules)\n"),
        ("perl", PERL + "print exists $INC{'List/Util.pm'} ? qq(True\\n) : qq(False\\n)"),
        ("ruby", RUBY + "puts($LOADED_FEATURES.grep(/csv.rb/).any? ? 'True' : 'False')"),
    ):
        script = warm.write(name, text)
        assert (await warm.run(warm.exec, script)).outcome.stdout == b"False\n"
        await warm.warm_up(script)
        result = await warm.run(warm.warm, script)
        assert (result.outcome.stdout, result.lines) == (b"True\n", [])
    assert (
        sorted(line.split(":")[0] for line in warm.said)
        == [
            "the warm parent of perl",
            "the warm parent of python",
            "the warm parent of ruby",
            "the warm parent of ruby",
        ]
        or len(warm.said) >= 3
    )


async def test_another_language_is_started_anew(warm: WarmBench) -> None:
    script = warm.write("script", "#!/bin/sh\necho x\n")
    warm.hosting = Hosting(warm=frozenset({"python", "perl"}))
    ruby = warm.write("ruby", SAYS["ruby"].format("x"))
    await trio.sleep(0.15)
    for path in (script, ruby):
        for _ in range(3):
            assert (await warm.run(warm.warm, path)).outcome.stdout == b"x\n"
        assert not parents(path)
    assert warm.said == []


async def test_all_scripts_of_a_language(warm: WarmBench) -> None:
    warm.hosting = Hosting(warm=frozenset({"perl"}))
    script = warm.write("script", SAYS["perl"].format("x"))
    await warm.warm_up(script)


async def test_a_file_that_is_not_executable(warm: WarmBench) -> None:
    script = warm.write("script.pl", PERL + "print qq($0 @ARGV)", 0o644)
    argv = ["/usr/bin/perl", script, "a b"]
    anew = await warm.run(warm.exec, script, argv=argv)
    await warm.warm_up(script, argv=argv)
    assert (await warm.run(warm.warm, script, argv=argv)).outcome.stdout == anew.outcome.stdout
    assert warm.only().taken == 1


async def test_a_run_is_under_its_limits(warm: WarmBench) -> None:
    profile = Profile(limits=Limits(cpu=2, files=40, file_size=5000, processes=1000))
    script = warm.write(
        "script",
        PYTHON
        + "import resource as r\nprint([r.getrlimit(n) for n in (r.RLIMIT_CPU, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE)])\n",
    )
    anew = await warm.run(warm.exec, script, profile=profile)
    await warm.warm_up(script, profile=profile)
    assert (await warm.run(warm.warm, script, profile=profile)).outcome.stdout == anew.outcome.stdout
    assert warm.only().taken == 1
    assert warm.only().most == 2000  # its own time is limited, too


ISOLATED = {
    "python": PYTHON + "import sys, os\nprint(sys.argv, sys.path[:1], os.getuid(), os.getcwd())\nopen('/etc/shadow')\n",
    "perl": PERL + "use Cwd; print qq($0 $> ), getcwd(); open my $f, '<', '/etc/shadow' or print $!; print <DATA>;\n"
    "__DATA__\nx\n",
    "ruby": RUBY + "p $0, Process.uid, Dir.pwd, __dir__, DATA.read\nFile.read('/etc/shadow')\n__END__\nx\n",
}


@pytest.mark.parametrize(("isolation", "user"), [("best_effort", ""), ("required", "nobody"), ("off", "nobody")])
@pytest.mark.usefixtures("as_root")
async def test_a_run_is_as_isolated_as_one_that_is_started_anew(
    warm: WarmBench, program: Callable[[str], str], tmp_path: Path, language: str, isolation: str, user: str
) -> None:
    profile = Profile(isolation=isolation, user=user, folder="" if isolation == "off" else str(tmp_path))
    path = {"python": "/usr/bin/python3"}.get(language, program(language))
    script = warm.write("script", f"#!{path}\n{ISOLATED[language].partition(chr(10))[2]}")
    anew = await warm.run(warm.exec, script, profile=profile)
    await warm.warm_up(script, profile=profile)
    result = await warm.run(warm.warm, script, profile=profile)
    assert warm.only().taken == 1
    assert result.seen() == anew.seen()


async def test_a_script_that_speaks_for_its_parent(warm: WarmBench) -> None:
    """What it says while it is compiled is no order, and harms only its own runs."""
    script = warm.write("script", PERL + "BEGIN { open my $s, '+<&=', 3; syswrite $s, 'x' } print 'x'")
    await warm.until(lambda: True)
    for _ in range(20):
        assert (await warm.run(warm.warm, script)).outcome.stdout == b"x"
        await trio.sleep(0.01)
    assert not warm.warm.parents


async def test_a_parent_that_dies_while_its_socket_lives_on(warm: WarmBench) -> None:
    """In the hands of what the script started when it was compiled."""
    hold = "BEGIN { open our $s, '+<&=', 3; if (!fork) { $SIG{TERM} = 'IGNORE'; sleep 20; exit } } "
    script = warm.write("script", PERL + hold + "select undef, undef, undef, 0.3; print 'x'")
    await warm.warm_up(script)
    ends = Ends()
    ends.start(warm, script, timeout=60)
    await trio.sleep(0.1)
    for process in parents(script):
        process.kill()
    await warm.until(lambda: ends.outcomes, within=3)
    assert ends.outcomes[0].stdout == b"x"
    for process in leavings(warm.folder):
        process.kill()


async def test_parents_with_other_variables_in_common_are_others(warm: WarmBench) -> None:
    script = warm.write("script", PERL + "use constant ZONE => $ENV{TZ}; print ZONE")
    for zone in ("UTC", "Europe/Berlin"):
        common = COMMON | {"TZ": zone}
        given = {"common": common, "environment": common | {"SIP_X": "1"}}
        await warm.warm_up(script, **given)
        assert (await warm.run(warm.warm, script, **given)).outcome.stdout == zone.encode()
    assert len(parents(script)) == 2


async def test_a_renewal_replaces_all(warm: WarmBench) -> None:
    script = warm.write("script", LASTS["perl"].format("0.2"))
    await warm.warm_up(script)
    (old,) = parents(script)
    ends = Ends()
    ends.start(warm, script)
    warm.warm.renew()
    await warm.until(lambda: ends.outcomes)
    assert ends.outcomes[0].stdout == b"done\n"
    await warm.until(lambda: not old.is_running())


@pytest.mark.parametrize("when", ["at once", "later", "deaf"])
async def test_nothing_is_left_when_the_server_ends(tmp_path: Path, language: str, when: str) -> None:
    """Neither of those that were forked a moment ago, nor of those that do not listen."""
    async with hosted() as host, trio.open_nursery() as nursery:
        bench = WarmBench(host, tmp_path)
        await nursery.start(bench.warm.run)
        script = bench.write("script", DEAF[language] if when == "deaf" else LASTS[language].format("60"))
        await bench.warm_up(script, timeout=0.05)
        (tmp_path / "deaf").unlink(missing_ok=True)
        ends = Ends()
        for _ in range(3):
            ends.start(bench, script, timeout=60)
        if when != "at once":
            (process,) = parents(script)
            await bench.until(lambda: len(process.children()) == 3)
        if when == "deaf":
            await bench.until((tmp_path / "deaf").exists)
        nursery.cancel_scope.cancel()
    try:
        with trio.fail_after(5):  # the grace is one second of it
            while leavings(tmp_path):  # noqa: ASYNC110
                await trio.sleep(0.01)
    finally:
        for left in leavings(tmp_path):
            left.kill()
    assert ends.outcomes == []


def test_it_is_this_python() -> None:
    assert COMMON["PATH"].startswith(os.path.dirname(sys.executable))
