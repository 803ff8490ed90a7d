"""Whole calls: INVITE, 180, 200, ACK, BYE, 200."""

import argparse
import time
from pathlib import Path

from bench.profile import Profile
from bench.server import Server
from bench.sipp import Callee, call

SETTLE = 1.0  # seconds for what follows the last BYE


def measure(options: argparse.Namespace, work: Path) -> int:
    """Prints the result; 0 when no call failed."""
    with Callee(work, options.transport) as callee:
        server = Server(work, options.script, callee.port)
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
    print("\n".join(f"{'the loop' if not n else '':16} {line}" for n, line in enumerate(server.stand_stills())))
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
