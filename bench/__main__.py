"""Measures whole calls through `sipcgi serve` on 127.0.0.1: `python -m bench --help`."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from bench.profile import Profile
from bench.server import SCRIPTS, Failed, Server
from bench.sipp import Callee, call

SETTLE = 1.0  # seconds for what follows the last BYE


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What one whole call costs the server.")
    parser.add_argument("--calls", type=int, default=1000, metavar="N", help="how many calls (default: 1000)")
    parser.add_argument("--rate", type=int, default=100, metavar="R", help="calls each second (default: 100)")
    parser.add_argument("--script", choices=[*SCRIPTS, "none"], default="none", help="what decides (default: none)")
    parser.add_argument("--transport", choices=["udp", "tcp"], default="udp")
    parser.add_argument(
        "--profile",
        nargs="?",
        const=True,
        metavar="FILE.svg",
        help="run py-spy on the server meanwhile: print the busiest functions, or write a flame graph",
    )
    return parser.parse_args()


def measure(options: argparse.Namespace, work: Path) -> int:
    """Prints the result; 0 when no call failed."""
    with Callee(work, options.transport) as callee:
        server = Server(work, options.script, callee.port, options.transport)
        with server:
            over = ";transport=tcp" if options.transport == "tcp" else ""
            uri = f"sip:bob@127.0.0.1:{callee.port}{over}" if options.script == "none" else "sip:bob@bench.test"
            call(work, server.port, uri, options.rate, options.rate, options.transport)  # warm up
            time.sleep(SETTLE)
            before, start = server.look(), time.monotonic()
            time.sleep(SETTLE)
            idle = (server.look().cpu - before.cpu) / (time.monotonic() - start)
            profile = None
            if options.profile:
                graph = None if options.profile is True else Path(options.profile)
                profile = Profile(server.process.pid, options.calls / options.rate, graph, work)
            before, start = server.look(), time.monotonic()
            calls = call(work, server.port, uri, options.calls, options.rate, options.transport)
            time.sleep(SETTLE)
            after, took = server.look(), time.monotonic() - start
            profiled = profile.finish() if profile else ""
        status = server.process.returncode
    cpu = after.cpu - before.cpu
    print(f"calls            {calls.successful} of {calls.offered} at {options.rate}/s, script: {options.script}")
    print(f"CPU per call     {1000 * cpu / max(1, calls.successful):.3f} ms (server and all its children)")
    print(f"CPU at rest      {1000 * idle:.1f} ms/s, during the load {100 * cpu / took:.0f} % of one processor")
    print(f"stand-still      {server.longest_stand_still()} at the longest")
    print(f"failed           {calls.failed}, retransmissions {calls.retransmissions}, over 100 ms {calls.slow}")
    print(f"processes        {before.processes} -> {after.processes}, zombies {before.zombies} -> {after.zombies}")
    print(f"descriptors      {before.descriptors} -> {after.descriptors}")
    print(f"resident         {before.resident_kib} -> {after.resident_kib} KiB")
    print(f"exit status      {status}")
    if calls.errors:
        print(f"\nSIPp says:\n{calls.errors}")
    if profiled:
        print(f"\n{profiled}")
    return 1 if calls.failed or status else 0


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        try:
            return measure(options, Path(work))
        except Failed as error:
            print(error, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
