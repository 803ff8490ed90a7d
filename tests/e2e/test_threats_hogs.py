"""Scripts that take all there is, each up to the limits of the configuration; and their neighbours (docs/threats.md).

Where a limit does not hold, they stop by themselves: a bomb makes a few hundred processes, a file has 64 MiB.
"""

import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import Server, field, url
from threats import ANSWER, BOB, BUSY, by_name, number_of, place_of, until
from wire_stream import Stream

Serve = Callable[..., Server]
Start = Callable[[str], Server]

PROCESSES, FILE_SIZE = 24, 1024 * 1024
LIMITS = f"{{cpu: 1, memory: 256MiB, processes: {PROCESSES}, files: 16, file_size: {FILE_SIZE}}}"
HOGS = {
    "bomb.pl": "#!/usr/bin/perl\nfork for 1 .. 9;\nsleep 30;\n",
    "bomb.sh": "#!/bin/bash\nb() { [ $1 = 0 ] && exec sleep 30; b $(($1 - 1)) & b $(($1 - 1)) & wait; }\nb 7\n",
    "memory.pl": "#!/usr/bin/perl\nmy $all = 'x' x (1 << 30);\nprint qq{SIP/2.0 486 Enough\\n\\n};\n",
    "memory.py": "#!/usr/bin/python3 -IS\ntry:\n    all = bytearray(1 << 30)\n"
    "except MemoryError:\n    raise SystemExit(3)\nprint('SIP/2.0 486 Enough\\n')\n",
    "burner.sh": "#!/bin/sh\nwhile :; do :; done\n",
    "burner.pl": "#!/usr/bin/perl\n$SIG{XCPU} = 'IGNORE'; 1 while 1;\n",
    "writer.sh": "#!/bin/sh\nhead -c 64M /dev/zero > $PLACE/sh$$ && " + ANSWER,
    "writer.pl": "#!/usr/bin/perl\nopen my $file, '>', qq{$ENV{PLACE}/pl$$} or die; $SIG{XFSZ} = 'IGNORE';\n"
    "syswrite $file, 'x' x 65536 or die for 1 .. 1024;\nprint qq{SIP/2.0 486 Enough\\n\\n};\n",
    "opener.pl": "#!/usr/bin/perl\nopen $f[$_], '<', '/dev/null' or die for 1 .. 99;\nprint qq{SIP/2.0 486\\n\\n};\n",
}
FLOODS = {"out.sh": "#!/bin/sh\nexec yes\n", "err.sh": "#!/bin/sh\nexec yes >&2\n"}


def stranger() -> str:
    """A user whom nobody else has. Where no control group counts the processes of a run, the system counts all those of
    its user: other tests, or other programs of the machine, would take hogs and neighbours their places."""
    return str(random.randrange(1 << 24, 1 << 30))


@pytest.fixture
def place(tmp_path: Path, as_root: None) -> Path:
    """Where scripts may write."""
    made = tmp_path / "place"
    made.mkdir()
    made.chmod(0o777)
    return made


@pytest.fixture
def hog() -> str:
    """The user of the hogs."""
    return stranger()


@pytest.fixture
def start(serve: Serve, place: Path, hog: str) -> Start:
    """With a timeout."""
    return lambda timeout: serve(
        HOGS | FLOODS | {"info.sh": BUSY},
        by_name(HOGS | FLOODS) + f"\n  - {{script: info.sh, method: INFO, user: {stranger()}, group: daemon}}",
        listen=[url("tcp")],
        timeout=timeout,
        user=hog,
        group="daemon",
        limits=LIMITS,
        environment=f"{{PLACE: {place}}}",
    )


def theirs(server: Server, hog: str) -> int:
    """How many processes the hogs have."""
    return number_of(server, lambda process: process.uids().real == int(hog))


def test_each_is_stopped_at_its_limit(start: Start, place: Path) -> None:
    server = start("15s")
    with ExitStack() as stack:
        streams = {name: stack.enter_context(Stream(server, 20)) for name in HOGS if not name.startswith("bomb")}
        for name, stream in streams.items():
            stream.send(place_of(name))
        assert {name: stream.receive().status for name, stream in streams.items()} == dict.fromkeys(streams, 500)
    assert [file.stat().st_size for file in place.iterdir()] == [FILE_SIZE] * 2
    for name in ("memory.pl", "memory.py"):
        peak = field(server.access("MESSAGE", 500, f" script={name} "), "script_peak_kib")
        assert int(peak) < 300 * 1024


@pytest.mark.parametrize("name", ["bomb.pl", "bomb.sh"])
def test_a_bomb_has_no_more_processes_than_it_may(start: Start, hog: str, name: str) -> None:
    """Of 256 and more that it wants; all of them are ended."""
    server = start("2s")
    with Stream(server, 20) as stream:
        stream.send(place_of(name))
        most = 0
        while not server.lines(" access "):
            most = max(most, theirs(server, hog))
        assert stream.receive().status == 504
    assert PROCESSES / 2 < most <= PROCESSES
    until(lambda: theirs(server, hog) == 0)


def test_their_neighbours_go_on(start: Start, place: Path, hog: str) -> None:
    """Twenty at once, of all kinds: OPTIONS and a well-behaved script are answered as ever, and nothing is left."""
    server = start("3s")

    def neighbours(number: int) -> float:
        waited = []
        with Stream(server, 20) as stream:
            for _ in range(number):
                began = time.monotonic()
                assert stream.ask(b"sip:example.com", method=b"OPTIONS").status == 200
                assert stream.ask(BOB, method=b"INFO").status == 486
                waited.append(time.monotonic() - began)
                time.sleep(0.02)
        return statistics.median(waited)

    neighbours(5)
    with Stream(server, 30) as hogs:
        kinds = [*HOGS, *FLOODS]
        for number in range(20):
            hogs.send(place_of(kinds[number % len(kinds)]))
        assert neighbours(30) < 1
        assert {hogs.receive().status for _ in range(20)} <= {500, 504}
    until(lambda: theirs(server, hog) == 0)
    assert max((file.stat().st_size for file in place.iterdir()), default=0) <= FILE_SIZE
