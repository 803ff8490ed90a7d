"""What the tests of threats share (docs/threats.md)."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import psutil
from running import Server

BOB = b"sip:bob@example.com"
ANSWER = "printf 'SIP/2.0 486 Busy Here\\n\\n'\n"
BUSY = "#!/bin/sh\n" + ANSWER
"""A script that behaves."""


def by_name(names: Iterable[str]) -> str:
    """Routes by which sip:NAME@example.com runs the script of that name."""
    return "\n".join(["routes:", *(f'  - {{script: {name}, uri: "{name}@example.com"}}' for name in names)])


def place_of(name: str) -> bytes:
    return f"sip:{name}@example.com".encode()


def tree(server: Server) -> list[psutil.Process]:
    """The server and all below it."""
    root = psutil.Process(server.process.pid)
    return [root, *root.children(recursive=True)]


def number_of(server: Server, known: Callable[[psutil.Process], bool]) -> int:
    """How many of them are known by that."""
    found = 0
    for process in tree(server):
        with suppress(psutil.NoSuchProcess):
            found += known(process)
    return found


def counted(server: Server) -> tuple[int, int, int]:
    """Of the server and its launchers: processes, descriptors and threads."""
    root = psutil.Process(server.process.pid)
    found = [root, *root.children()]
    return len(found), sum(one.num_fds() for one in found), sum(one.num_threads() for one in found)


def runs_nothing(server: Server) -> bool:
    """Below the launchers there is nothing but warm parents and PID namespaces, which wait; no zombie either."""
    root = psutil.Process(server.process.pid)
    return all(is_idle(one) for launcher in root.children() for one in launcher.children())


def is_idle(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        launcher, command = process.parent(), process.cmdline()
        waits = any("/zygotes" in word for word in command) or (launcher is not None and command == launcher.cmdline())
        return waits and process.status() != psutil.STATUS_ZOMBIE and not process.children()
    return True


def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
