"""Very many scripts that hang: what everybody else has of it."""

import time
from pathlib import Path

from bench.load import Load, Outcome
from bench.runs import MESSAGE
from bench.server import BUSY, Server, free_port
from bench.witness import Witness, spread

RATE = 50  # requests a second that need another script
STARTS = 200  # hanging ones a second
SPARE = 64
TARGET = 50.0  # milliseconds that 99 of 100 may take
HANGS = "#!/bin/sh\nexec sleep 3600\n"
MORE = """routes:
  - {{script: hangs.sh, uri: "hangs@bench.test", timeout: 1h, max_running: {stuck}}}
"""


def measure(stuck: int, seconds: int, work: Path) -> int:
    """Prints the result; 0 when 99 of 100 requests were answered in time with all of them hanging."""
    port = free_port()
    more = f"  max_running: {stuck + SPARE}\n" + MORE.format(stuck=stuck)
    scripts = {"hangs.sh": HANGS, "message.sh": BUSY}
    with Load(port) as hanging, Load(port) as load, Server(work, port=port, scripts=scripts, more=more) as server:

        def others() -> tuple[Witness, Outcome, float]:
            """With the share of a processor that it took."""
            began, cpu = time.monotonic(), server.look().cpu
            with Witness(port) as witness:
                number = RATE * seconds
                outcome = load.send(
                    number, RATE, lambda n, id_: MESSAGE.format(transport="UDP", port=load.port, id=id_), 486
                )
            return witness, outcome, (server.look().cpu - cpu) / (time.monotonic() - began)

        without = others()
        alone = server.look()
        request = MESSAGE.replace("sip:bob@", "sip:hangs@")
        hanging.throw(stuck, STARTS, lambda n, id_: request.format(transport="UDP", port=hanging.port, id=id_))
        time.sleep(1.0)
        beside = others()
        crowded = server.look()
        status = server.stop()
    each = (crowded.resident_kib - alone.resident_kib) / stuck
    print(f"stuck            {crowded.processes - alone.processes} of {stuck} scripts in sleep, {each:.0f} KiB each")
    good = crowded.processes - alone.processes == stuck and not status
    for title, (witness, outcome, cpu) in (("without them", without), ("beside them", beside)):
        print(f"{title:16} {RATE} runs of another script a second, {100 * cpu:.0f} % of a processor")
        print(f"                 runs answered in ms: {spread(outcome.latencies)}")
        print("\n".join(f"{'':16} {line}" for line in witness.report()))
        good &= outcome.answered == outcome.offered and late(outcome.latencies) < TARGET > late(witness.answers)
    print(f"target           99 % of both in {TARGET:.0f} ms beside them; the server ended with status {status}")
    return 0 if good else 1


def late(values: list[float]) -> float:
    """What 99 of 100 stay below."""
    return sorted(values)[int(0.99 * (len(values) - 1))]
