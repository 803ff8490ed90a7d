"""Scripts that hang, many at once: the others go on as if nothing were (docs/threats.md; `python -m bench --stuck`)."""

import statistics
import time
from collections.abc import Callable

from running import Server, url
from threats import BOB, BUSY, number_of, runs_nothing, until
from wire_phone import Phone
from wire_stream import Stream

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

STUCK = 150
HANGS = "#!/bin/sh\nexec sleep 600\n"


def asleep(server: Server) -> int:
    """How many scripts."""
    return number_of(server, lambda process: process.name() == "sleep")


def test_stuck_scripts_hold_up_nobody(serve: Serve, phones: Phones) -> None:
    """OPTIONS and what needs other scripts is answered as ever; in the end all are ended."""
    server = serve(
        {"hangs.sh": HANGS, "info.sh": BUSY},
        f"routes: [{{script: hangs.sh, method: MESSAGE, timeout: 6s, max_running: {STUCK}}}]",
        listen=[url("tcp")],
        max_running=str(STUCK + 20),
    )
    alice = phones(server, "alice")
    with Stream(server, 30) as stuck, Stream(server) as other:
        for _ in range(STUCK + 5):
            stuck.send(BOB)
        assert [stuck.receive().status for _ in range(5)] == [503] * 5  # beyond the bound of that script
        server.wait_for("overload: too many runs of hangs.sh")
        until(lambda: asleep(server) == STUCK)
        waited = []
        for _ in range(40):
            began = time.monotonic()
            alice.request("OPTIONS", "sip:example.com")
            alice.expect("SIP/2.0 200")
            assert other.ask(BOB, method=b"INFO").status == 486
            waited.append(time.monotonic() - began)
        assert asleep(server) == STUCK
        assert statistics.median(waited) < 0.2
        assert {stuck.receive().status for _ in range(STUCK)} == {504}
    until(lambda: runs_nothing(server))


def test_one_stuck_script_never_has_all_places(serve: Serve, phones: Phones) -> None:
    """Without a word about it in the configuration: what another script is asked for finds a place."""
    server = serve({"message.sh": HANGS, "info.sh": BUSY}, listen=[url("tcp")], timeout="2s", max_running="8")
    with Stream(server, 20) as stuck, Stream(server) as other:
        for _ in range(30):
            stuck.send(BOB)
        assert {stuck.receive().status for _ in range(24)} == {503}
        for _ in range(10):
            assert other.ask(BOB, method=b"INFO").status == 486
        assert {stuck.receive().status for _ in range(6)} == {504}
