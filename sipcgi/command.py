"""What must be known of the command before anything else is imported: a server may be told to stop while it loads."""

import os
import signal
import sys
from collections.abc import Sequence


def open_standard_streams() -> None:
    """Where whoever started us has closed one, the next file would take its number, and get what we print."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def serves(arguments: Sequence[str]) -> bool:
    """Whether the command is `serve`, as it is without the name of another."""
    if not arguments or arguments[0] == "serve":
        return True
    return arguments[0][:1] == "-" and arguments[0].partition("=")[0] not in ("--help", "-h", "--version")


def end_on_signals() -> None:
    """Until the server looks after signals itself, SIGTERM and SIGINT end the process with status 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    for number in (signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, _wait)


def _end(number: int, frame: object) -> None:
    """There is nothing yet to be cleaned up, and what is being imported might swallow an exception."""
    os._exit(0)


def _wait(number: int, frame: object) -> None:
    """The configuration is yet to be read. These signals are not ignored as such, for scripts would inherit that."""
