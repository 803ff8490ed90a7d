"""Measures `sipcgi serve` on 127.0.0.1: `python -m bench --help`."""

import argparse
import sys
import tempfile
from pathlib import Path

from bench import calls, connections, contacts, lingering, runs, starts, stuck
from bench.server import SCRIPTS, Failed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What calls cost the server, and much state.")
    state = parser.add_mutually_exclusive_group()
    state.add_argument("--contacts", type=int, metavar="N", help="registered in SQLite: start, memory, refreshes")
    state.add_argument("--connections", type=int, metavar="N", help="of phones over TCP: memory, calls beside them")
    state.add_argument("--lingering", type=int, metavar="N", help="transactions after calls over UDP: stand-stills")
    state.add_argument("--runs", type=int, metavar="N", help="of a script: what is left of them")
    state.add_argument("--starts-with-contacts", type=int, metavar="N", help="in memory: starts of scripts a second")
    state.add_argument("--stuck", type=int, metavar="N", help="scripts that hang: what others have of it")
    parser.add_argument("--refreshes", type=int, default=2000, metavar="R", help="each second (default: 2000)")
    parser.add_argument(
        "--seconds", type=int, default=20, metavar="S", help="of refreshes, held connections, or stuck scripts"
    )
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
    """The exit status."""
    if options.contacts:
        return contacts.measure(options.contacts, options.refreshes, options.seconds, work)
    if options.connections:
        return connections.measure(options.connections, options.seconds, work)
    if options.lingering:
        return lingering.measure(options.lingering, work)
    if options.runs:
        return runs.measure(options.runs, work)
    if options.starts_with_contacts:
        return starts.measure(options.starts_with_contacts, work)
    if options.stuck:
        return stuck.measure(options.stuck, options.seconds, work)
    return calls.measure(options, work)


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
