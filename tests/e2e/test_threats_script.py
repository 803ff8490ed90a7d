"""What scripts do to a server that only wants their answer: real ones, through SIP (docs/threats.md)."""

import threading
import time
from collections.abc import Callable

import psutil
import pytest
from running import Server, url
from threats import ANSWER, BOB, BUSY, by_name, counted, place_of, runs_nothing, until
from wire_phone import Phone
from wire_stream import Stream

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

MIB = 1024 * 1024
PLAIN: dict[str, str] = {}
LIMITED = {"limits": "{files: 100}"}
ISOLATED = {"isolation": "best_effort"}

# Standard input

READERS = {
    "exits": BUSY,
    "closes": "#!/bin/sh\nexec <&-\n" + ANSWER,
    "takes-one": "#!/bin/sh\nhead -c 1 > /dev/null\n" + ANSWER,
    "perl-line": "#!/usr/bin/perl\nmy $line = <STDIN>; print qq{SIP/2.0 486 Busy Here\\n\\n};\n",
    "never": "#!/usr/bin/perl\nselect undef, undef, undef, 0.05; print qq{SIP/2.0 486 Busy Here\\n\\n};\n",
}


def test_a_body_that_nobody_reads(serve: Serve) -> None:
    """Of any size, up to what a stream may bring."""
    server = serve(READERS, by_name(READERS), listen=[url("tcp")])
    with Stream(server) as stream:
        for name in READERS:
            for size in (0, 1, 4096, 65_536, 65_537, 200_000, MIB):
                answer = stream.ask(place_of(name), b"Content-Type: a/b", body=b"v" * size)
                assert answer.status == 486, (name, size)
    server.access("MESSAGE", 486, number=7 * len(READERS))


# Standard output and standard error

FLOODS = {
    "out": "#!/bin/sh\nexec yes\n",
    "both": "#!/bin/sh\nyes >&2 & exec yes\n",
    "line": "#!/bin/sh\nhead -c 50000000 /dev/zero | tr '\\0' x\n",
    "children": "#!/bin/sh\nyes & yes & yes & yes >&2 & wait\n",
    "late": "#!/bin/sh\nsleep 0.3; yes complaint >&2 & exec yes\n",
}


def test_floods_on_both_outputs(serve: Serve, phones: Phones) -> None:
    """Each is ended at its limit and is a 500; nobody else waits, and neither processes nor memory are left."""
    server = serve(FLOODS, by_name(FLOODS), timeout="20s")
    alice, carol = phones(server, "alice"), phones(server, "carol")

    def flood() -> None:
        for name in FLOODS:
            alice.request("MESSAGE", f"sip:{name}@example.com")
        for _ in FLOODS:
            alice.expect("SIP/2.0 500", within=15)
        until(lambda: runs_nothing(server))

    flood()  # what the first ones take, all others take again
    before = psutil.Process(server.process.pid).memory_info().rss
    for _ in range(2):
        flood()
    for name in FLOODS:
        alice.request("MESSAGE", f"sip:{name}@example.com")
    began = time.monotonic()
    carol.request("OPTIONS", "sip:example.com")
    carol.expect("SIP/2.0 200")
    assert time.monotonic() - began < 1
    for _ in FLOODS:
        alice.expect("SIP/2.0 500", within=15)
    assert psutil.Process(server.process.pid).memory_info().rss - before < 8 * MIB
    server.wait_for("printed more than 1048576 octets", number=4 * len(FLOODS))
    assert len(server.log()) < 4 * len(FLOODS) * 16384  # 8 KiB of standard error at most, and a few words


# Files


@pytest.mark.parametrize("isolation", ["off", "required"])
def test_a_script_replaced_a_thousand_times_under_load(serve: Serve, isolation: str) -> None:
    """In one step, as `install` and editors do: every call finds the one or the other."""
    texts = [f"#!/bin/sh\n# {'x' * 5000 * number}\nprintf 'SIP/2.0 48{number} Version\\n\\n'\n" for number in (0, 6)]
    server = serve({"message.sh": texts[0]}, listen=[url("tcp")], isolation=isolation)
    replaced = threading.Event()

    def replace() -> None:
        for number in range(1000):
            server.write("message.sh", texts[number % 2])
            time.sleep(0.001)
        replaced.set()

    thread = threading.Thread(target=replace)
    thread.start()
    statuses: list[int] = []
    with Stream(server) as stream:
        while not replaced.is_set():
            for _ in range(4):
                stream.send(BOB)
            statuses += [stream.receive().status for _ in range(4)]
    thread.join()
    assert set(statuses) == {480, 486}
    assert len(statuses) > 200


LISTING = """#!/usr/bin/perl
opendir my $own, "/proc/self/fd" or die;
my @open = grep { /\\d/ && readlink("/proc/self/fd/$_") !~ m{/fd$} } readdir $own;
printf "SIP/2.0 480 %s\\n\\n", join ",", sort @open;
"""


@pytest.mark.parametrize(("settings", "descriptors"), [(PLAIN, b"0,1,2"), (LIMITED, b"0,1,2"), (ISOLATED, b"0,1,2,4")])
def test_a_script_inherits_three_descriptors(serve: Serve, settings: dict[str, str], descriptors: bytes) -> None:
    """Whatever the server has open: sockets, connections, a database, other scripts' pipes. 4 is the script itself."""
    server = serve(
        {"message.pl": LISTING, "info.sh": "#!/bin/sh\nsleep 1\n" + ANSWER},
        "location: {store: 'sqlite:///location.db'}",
        listen=[url("tcp")],
        **settings,
    )
    with Stream(server) as one, Stream(server) as other:
        for _ in range(10):
            other.send(BOB, method=b"INFO", body=b"v")
        for body in (b"", b"v=0\r\n"):
            assert one.ask(BOB, b"Content-Type: a/b", body=body).reason == descriptors
        assert {other.receive().status for _ in range(10)} == {486}


LEAVES = """#!/bin/sh
(exit 3) & (exit 4) & : & (sleep 0.2 > /dev/null 2>&1 &)
case $SIP_CALL_ID in *[37]) kill -9 $$ ;; esac
"""


@pytest.mark.parametrize("settings", [PLAIN, LIMITED, ISOLATED])
def test_after_many_runs_nothing_is_left(serve: Serve, settings: dict[str, str]) -> None:
    """No zombie, no descriptor, no thread: of good ones, of killed ones, of those that leave children behind."""
    server = serve(
        {"message.sh": LEAVES + ANSWER, "info.pl": "#!/usr/bin/perl\nexit 1\n"}, listen=[url("tcp")], **settings
    )
    with Stream(server) as stream:

        def run(number: int) -> None:
            for _ in range(number):
                for method in (b"MESSAGE", b"INFO"):
                    stream.send(BOB, method=method, body=b"v")
            assert {stream.receive().status for _ in range(2 * number)} == {486, 500}

        run(10)
        until(lambda: runs_nothing(server))
        before = counted(server)
        for _ in range(8):
            run(20)
        until(lambda: runs_nothing(server))
        assert counted(server) == before
