"""Real programs that the server keeps running: in Python, and what becomes of them when they die, hang, or change."""

import gc
import os
import signal
import stat
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import trio
from fastcgi_bench import FastCgiBench, served

from sipcgi.hosts import fastcgi_connection, resident
from sipcgi.hosts.base import Outcome
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.resident import Program, is_taken, listen
from sipcgi.profile import PLAIN, Hosting, Limits, Profile

PID = "def answer(request): return str(os.getpid())"


async def pid(fastcgi: FastCgiBench) -> int:
    outcome = await fastcgi.run()
    assert outcome.failure is None
    return int(outcome.stdout)


async def test_it_answers_run_after_run(fastcgi: FastCgiBench) -> None:
    text = """
def answer(request):
    print(os.environ["A"], sys.stdin.read(), request.environment["N"], len(request.body), file=sys.stderr)
    sys.stdout.write(f"{os.getpid()} ")
    return os.environ["A"] + os.environ.get("PATH", "-")
"""
    fastcgi.configure(fastcgi.write(text))
    outcome = await fastcgi.run(environment={"A": "é", "N": "2"}, stdin=b"body")
    process, _, rest = outcome.stdout.decode().partition(" ")
    assert (rest, outcome.status, fastcgi.lines) == ("é-", 0, ["é body 2 4"])
    assert (await fastcgi.run(environment={"A": "1", "N": "2"})).stdout.decode() == f"{process} 1-"
    assert fastcgi.stderr == fastcgi.said == []


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("sys.exit(3)", 3, []),
        ("sys.exit()", 0, []),
        ("sys.exit('no luck')", 1, ["no luck"]),
        ("raise SystemExit(256)", 0, []),
        ("1 / 0", 1, ["ZeroDivisionError: division by zero"]),
    ],
)
async def test_what_ends_a_run_does_not_end_the_process(
    fastcgi: FastCgiBench, text: str, status: int, said: list[str]
) -> None:
    fastcgi.configure(fastcgi.write(f"def answer(request):\n    print('out')\n    {text}"))
    for _ in range(2):
        outcome = await fastcgi.run()
        assert (outcome.stdout, outcome.status, fastcgi.lines[-1:]) == (b"out\n", status, said)
    assert fastcgi.said == []


async def test_the_environment_of_the_process(fastcgi: FastCgiBench) -> None:
    """What the route says for all requests, and what scripts find of the server's own; not what it is asked."""
    text = """
found = {name: os.environ.get(name) for name in ("COLOUR", "PATH", "A")}
def answer(request): return repr(found)
"""
    fastcgi.configure(replace(fastcgi.write(text), environment=(("COLOUR", "blue"),)))
    found = (await fastcgi.run()).stdout.decode()
    assert found.startswith("{'COLOUR': 'blue', 'PATH': '/usr/local/bin:")
    assert found.endswith("'A': None}")


async def test_what_it_says_outside_of_requests(fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both outputs are for the log; so much in a while, not altogether."""
    monkeypatch.setattr(resident, "RENEWAL", 0.3)
    text = """
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
os.write(2, b"flood\\n" * 100_000)
def answer(request):
    os.write(1, b"later\\n")
    return "x"
"""
    fastcgi.configure(fastcgi.write(text))
    await fastcgi.run()
    await fastcgi.until(lambda: "(what followed on standard error was dropped)" in fastcgi.stderr)
    assert fastcgi.stderr[:3] == ["out", "err", "flood"]
    assert len(fastcgi.stderr) < 250
    await trio.sleep(0.5)
    assert (await fastcgi.run()).stdout == b"x"
    await fastcgi.until(lambda: fastcgi.stderr[-1] == "later")


class TestThatDies:
    async def test_it_is_started_again(self, fastcgi: FastCgiBench) -> None:
        """At once; who asks meanwhile waits."""
        fastcgi.configure(fastcgi.write(PID))
        first = await pid(fastcgi)
        os.kill(first, signal.SIGKILL)
        await trio.sleep(0.05)
        second = await pid(fastcgi)
        assert second != first
        assert fastcgi.said == ["program.py: a process of it was killed by signal 9; it is started again at once"]

    async def test_one_of_several(self, fastcgi: FastCgiBench) -> None:
        """The request that it was attending to fails, and no other."""
        text = """
def answer(request):
    time.sleep(0.3)
    if request.environment["A"] == "die": os._exit(3)
    return "ok"
"""
        fastcgi.configure(replace(fastcgi.write(text), processes=3))
        outcomes: list[Outcome] = []
        for text in ("a", "die", "b", "c", "d"):
            fastcgi.start(outcomes.append, text)
        await fastcgi.until(lambda: len(outcomes) == 5)
        assert sorted(str(outcome.failure) for outcome in outcomes) == ["None"] * 4 + [fastcgi_connection.CLOSED]

    async def test_again_and_again(self, fastcgi: FastCgiBench) -> None:
        """Runs fail at once then, until it lives."""
        hosting = fastcgi.write(f"if not os.path.exists('good'): sys.exit(7)\n{PID}")
        fastcgi.configure(hosting)
        outcome = await fastcgi.run(timeout=10.0)
        assert outcome.failure == "the FastCGI program ended with status 7"
        assert outcome.wall < 2
        start = time.monotonic()
        assert (await fastcgi.run()).failure == "the FastCGI program ended with status 7"
        assert time.monotonic() - start < 0.1
        (fastcgi.folder / "good").touch()
        await fastcgi.until(
            lambda: (
                not fastcgi.host._services
                or not any(each.failing for service in fastcgi.host._services.values() for each in service.residents)
            )
        )
        assert await pid(fastcgi)
        assert "at once" in fastcgi.said[0]
        assert "0.1 s later" in fastcgi.said[1]

    async def test_after_each_request(self, fastcgi: FastCgiBench) -> None:
        """As those do that end after so many: the next one is started at once, nothing is said, and no run fails."""
        text = """#!/usr/bin/env python3
import os, sipcgi_fastcgi as kit
class Once(kit._Connection):
    def answer(self, request):
        super().answer(request)
        os._exit(0)
kit._Connection = Once
kit.serve(lambda request: str(os.getpid()))
"""
        (fastcgi.folder / "once.py").write_text(text)
        (fastcgi.folder / "once.py").chmod(0o755)
        fastcgi.configure(Hosting("fastcgi", processes=1, command=("once.py",)))
        outcomes = [await fastcgi.run() for _ in range(10)]
        assert {outcome.failure for outcome in outcomes} == {None}
        assert len({outcome.stdout for outcome in outcomes}) == 10
        assert fastcgi.said == []

    async def test_it_cannot_be_started(self, fastcgi: FastCgiBench) -> None:
        fastcgi.configure(replace(fastcgi.write(PID), command=("nothing.py",)))
        why = f"nothing.py is missing: there is no file {fastcgi.folder}/nothing.py"
        assert (await fastcgi.run()).failure == f"the FastCGI program could not be started: {why}"

    async def test_its_interpreter_is_not_there(self, fastcgi: FastCgiBench) -> None:
        hosting = fastcgi.write(PID)
        path = fastcgi.folder / "program.py"
        path.write_text("#!/no/python\n")
        fastcgi.configure(hosting)
        assert (await fastcgi.run()).failure == "the FastCGI program could not be started: No such file or directory"


class TestThatHangs:
    TEXT = """
def answer(request):
    if request.environment["A"] == "hang":
        while True: time.sleep(1)
    return str(os.getpid())
"""

    async def test_the_process_is_ended_after_the_grace(
        self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And another one takes its place, for those who wait."""
        monkeypatch.setattr(fastcgi_connection, "GRACE", 0.2)
        fastcgi.configure(fastcgi.write(self.TEXT))
        first = await pid(fastcgi)
        outcomes: list[Outcome] = []
        fastcgi.start(outcomes.append, "hang", timeout=0.2)
        fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 2)
        assert [outcome.timed_out for outcome in outcomes] == [True, False]
        assert int(outcomes[1].stdout) != first
        await fastcgi.until(lambda: not psutil.pid_exists(first))
        assert fastcgi.said == [
            "program.py: a process of it hangs in a request that is over; another one takes its place"
        ]

    async def test_the_others_go_on(self, fastcgi: FastCgiBench) -> None:
        fastcgi.configure(replace(fastcgi.write(self.TEXT), processes=2))
        outcomes: list[Outcome] = []
        fastcgi.start(outcomes.append, "hang", timeout=2.0)
        assert len({await pid(fastcgi) for _ in range(20)}) == 1
        await fastcgi.until(lambda: outcomes)


class TestAnotherConfiguration:
    async def test_what_has_not_changed_goes_on(self, fastcgi: FastCgiBench) -> None:
        hosting = fastcgi.write(PID)
        fastcgi.configure(hosting)
        first = await pid(fastcgi)
        fastcgi.configure(hosting)
        assert await pid(fastcgi) == first

    @pytest.mark.parametrize("url", ["", "unix", "tcp"])
    @pytest.mark.parametrize("what", ["file", "environment", "profile"])
    async def test_what_has_is_replaced_and_no_run_fails(self, fastcgi: FastCgiBench, url: str, what: str) -> None:
        hosting = fastcgi.write("STARTED = time.time()\ndef answer(request): return str(STARTED)")
        places = {"": "", "unix": f"unix://{fastcgi.folder}/s", "tcp": f"tcp://127.0.0.1:{free_port()}"}
        hosting = replace(hosting, processes=2, fastcgi=places[url])
        fastcgi.configure(hosting)
        outcomes: list[Outcome] = []
        number = 0
        profile = PLAIN
        for turn in range(3):
            if what == "file":
                fastcgi.write(f"# {turn}\n" + (fastcgi.folder / "program.py").read_text().split("serve\n", 1)[1][:-14])
            elif what == "environment":
                hosting = replace(hosting, environment=(("TURN", str(turn)),))
            else:
                profile = Profile(limits=Limits(files=100 + turn))
            fastcgi.configure(hosting, profile=profile)
            for _ in range(20):
                fastcgi.start(outcomes.append, profile=profile)
                number += 1
                await trio.sleep(0.01)
        await fastcgi.until(lambda: len(outcomes) == number)
        assert {outcome.failure for outcome in outcomes} == {None}
        assert len({outcome.stdout for outcome in outcomes}) >= (1 if url == "unix" else 3)
        await fastcgi.until(lambda: len(processes(fastcgi)) == 2)

    async def test_a_program_that_is_of_no_route_any_more_is_ended(self, fastcgi: FastCgiBench) -> None:
        fastcgi.configure(fastcgi.write(PID))
        first = await pid(fastcgi)
        fastcgi.configure()
        await fastcgi.until(lambda: not psutil.pid_exists(first))
        assert fastcgi.said == []


class TestWhereItListens:
    async def test_others_may_ask_it_there(self, fastcgi: FastCgiBench) -> None:
        """A route that only names the place has the same program."""
        path = fastcgi.folder / "socket"
        started = replace(fastcgi.write(PID), fastcgi=f"unix://{path}")
        fastcgi.configure(Hosting("fastcgi", fastcgi=started.fastcgi), started)
        process = await pid(fastcgi)
        assert processes(fastcgi) == [process]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        fastcgi.host.close()
        assert not path.exists()

    async def test_what_is_left_there_gives_way(self, fastcgi: FastCgiBench) -> None:
        path = fastcgi.folder / "socket"
        listen(f"unix://{path}").close()
        assert path.is_socket()
        fastcgi.configure(replace(fastcgi.write(PID), fastcgi=f"unix://{path}"))
        assert await pid(fastcgi)

    async def test_somebody_else_does_not(self, fastcgi: FastCgiBench) -> None:
        path = fastcgi.folder / "socket"
        with listen(f"unix://{path}"):
            fastcgi.configure(replace(fastcgi.write(PID), fastcgi=f"unix://{path}"))
            failure = (await fastcgi.run()).failure
        assert failure == f"nothing can listen at unix://{path}: Address already in use"
        assert fastcgi.said == [f"unix://{path}: {failure}"]

    def test_who_is_there(self, tmp_path: Path) -> None:
        path = tmp_path / "x"
        url = f"unix://{path}"
        assert not is_taken(url)
        with listen(url):
            assert is_taken(url)
            assert not is_taken(url, path.stat().st_ino)
        assert not is_taken(url)
        (tmp_path / "file").touch()
        assert is_taken(f"unix://{tmp_path}/file")

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
    def test_who_is_there_over_tcp(self, host: str) -> None:
        """Two of ours would share the port."""
        url = f"tcp://{host}:{free_port()}"
        assert not is_taken(url)
        with listen(url):
            assert is_taken(url)
            assert not is_taken(url, 0)
            listen(url).close()
        assert not is_taken(url)

    async def test_one_of_its_own_has_no_name(self, fastcgi: FastCgiBench, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fastcgi.folder / "tmp"
        folder.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        fastcgi.configure(fastcgi.write(PID))
        assert await pid(fastcgi)
        assert list(folder.iterdir()) == []


async def test_under_a_profile(fastcgi: FastCgiBench) -> None:
    text = "import resource\ndef answer(request): return str(resource.getrlimit(resource.RLIMIT_NOFILE))"
    profile = Profile(limits=Limits(files=77))
    fastcgi.configure(fastcgi.write(text), profile=profile)
    assert (await fastcgi.run(profile=profile)).stdout == b"(77, 77)"


async def test_nothing_stays_of_a_run(fastcgi: FastCgiBench) -> None:
    """No reference cycle, no descriptor."""
    fastcgi.configure(replace(fastcgi.write(PID), processes=4))
    outcomes: list[Outcome] = []

    async def many() -> None:
        outcomes.clear()
        for _ in range(500):
            fastcgi.start(outcomes.append)
        await fastcgi.until(lambda: len(outcomes) == 500)
        assert {outcome.failure for outcome in outcomes} == {None}

    await many()
    gc.collect()
    descriptors = psutil.Process().num_fds()
    gc.disable()
    try:
        await many()
        assert gc.collect() < 100
    finally:
        gc.enable()
    assert psutil.Process().num_fds() == descriptors


async def test_all_ends_with_the_server(tmp_path: Path) -> None:
    async with served(tmp_path) as fastcgi:
        fastcgi.configure(replace(fastcgi.write(PID), processes=3))
        await fastcgi.run()
        ours = processes(fastcgi)
        assert len(ours) == 3
    assert not any(psutil.pid_exists(process) for process in ours)


class TestCommand:
    def test_a_file_of_the_directory(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text("#!/usr/bin/python3\n")
        directory = ScriptDirectory(str(tmp_path))
        program = Program("app", ("app.py", "-x"), (), PLAIN)
        command = program.command(directory)
        assert command[0].endswith("python3")
        assert command[1:] == [str(tmp_path / "app.py"), "-x"]
        (tmp_path / "app.py").chmod(0o755)
        assert program.command(directory) == [str(tmp_path / "app.py"), "-x"]
        assert program.folder(directory) == str(tmp_path)
        before = program.fingerprint(directory)
        (tmp_path / "app.py").write_text("#!/usr/bin/python3\n\n")
        assert program.fingerprint(directory) != before

    def test_a_path(self, tmp_path: Path) -> None:
        """Is started under its own name, whatever that leads to."""
        (tmp_path / "link").symlink_to("/bin/sh")
        directory = ScriptDirectory(str(tmp_path / "cgi-bin"))
        program = Program("sh", (str(tmp_path / "link"), "app"), (), PLAIN)
        assert program.command(directory) == [str(tmp_path / "link"), "app"]
        assert program.folder(directory) == str(tmp_path / "cgi-bin")
        assert program.problems(directory) == []
        missing = Program("no", ("/no/where",), (), PLAIN)
        assert [str(problem) for problem in missing.problems(directory)] == [
            "where is missing: there is no file /no/where"
        ]


def processes(fastcgi: FastCgiBench) -> list[int]:
    link = fastcgi.host.exec.launchers[0].link
    assert link is not None
    found = psutil.Process(link.process).children(recursive=True)
    return [each.pid for each in found if any("program.py" in word for word in each.cmdline())]


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
