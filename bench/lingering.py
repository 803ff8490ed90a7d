"""Many transactions that linger after calls over UDP (RFC 3261 17, timers D, J, K; RFC 6026, timers L and M)."""

import time
from pathlib import Path

from bench.server import Server
from bench.sipp import Callee, call
from bench.witness import Witness, report

LINGER = 32.0  # seconds
EACH = 3
"""Of a relayed call: the INVITE's on both sides, and the BYE's upstream; downstream it ends after 5 s."""


def measure(number: int, work: Path) -> int:
    """Prints the result; 0 when no call failed."""
    rate = round(number / EACH / LINGER)
    with Callee(work, "udp") as callee, Server(work, callee=callee.port) as server:
        uri = f"sip:bob@127.0.0.1:{callee.port}"
        call(work, server.port, uri, rate, rate, "udp")  # warm up
        time.sleep(LINGER + 3)
        before = server.look()
        with Witness(server.port) as witness:
            calls = call(work, server.port, uri, int(rate * 2 * LINGER), rate, "udp")
            full = server.look()
            time.sleep(LINGER + 3)
        after = server.look()
        status = server.stop()
    each = (full.resident_kib - before.resident_kib) * 1024 / (rate * LINGER * EACH)
    print(f"lingering        {rate * LINGER * EACH:.0f} transactions after {rate} calls/s for {2 * LINGER:.0f} s")
    print(f"calls            {calls.successful} of {calls.offered}, {calls.retransmissions} sent again")
    print(
        f"memory           {each:.0f} octets each: {before.resident_kib} -> {full.resident_kib}, {after.resident_kib} K"
    )
    print(f"CPU              {1000 * (full.cpu - before.cpu) / calls.offered:.3f} ms a call")
    report(witness.report(), server.stand_stills())
    return 1 if calls.failed or status else 0
