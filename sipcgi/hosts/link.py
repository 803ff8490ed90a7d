"""The launcher (hosts/launcher) as the server holds it: its process and the socket to it.

trio is imported where a loop runs: `sipcgi try` starts scripts without one.
"""

import os
import signal
import socket
import sys
from contextlib import suppress

from sipcgi.hosts import wire

LAUNCHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launcher.py")
FULL = 65536  # octets that one read of the socket takes; a record of reports is far smaller
SEND_BUFFER = 256 * 1024  # octets; the system's default may be smaller than one record
LAUNCHER_DESCRIPTOR = 3
ALL_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


class Link:
    """Starts a launcher. Raises OSError when that is not possible."""

    __slots__ = ("process", "socket")

    def __init__(self, python: str = sys.executable) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            # vfork and exec, and the launcher itself closes what it should not have inherited. It gets none of our
            # environment but what the interpreter may need to start: scripts can read /proc/PARENT/environ.
            try:
                self.process = os.posix_spawn(
                    python,
                    [python, "-I", "-S", LAUNCHER, str(LAUNCHER_DESCRIPTOR)],
                    {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), LAUNCHER_DESCRIPTOR),
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    ],
                    setsid=True,  # a Ctrl-C at the terminal is for the server alone
                    setsigmask=wire.SIGNALS_IGNORED,  # until it is so far as to ignore them
                    setsigdef=ALL_SIGNALS,
                )
            except OSError:
                ours.close()
                raise
        self.socket = ours

    def send(self, record: bytes, descriptors: list[int]) -> bool:
        """False when the socket is full, or the launcher gone: `receive` tells which."""
        try:
            if descriptors:
                packed = memoryview(wire.DESCRIPTORS.pack(*descriptors, *[0] * (4 - len(descriptors))))
                rights = packed[: 4 * len(descriptors)]
                self.socket.sendmsg([record], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            else:
                self.socket.send(record)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self) -> bytes | None:
        """A record of reports; None when none is there; empty when the launcher is gone."""
        while True:
            try:
                return self.socket.recv(FULL)
            except BlockingIOError:
                return None
            except ConnectionResetError:  # it died with unread orders; what it reported before still comes
                continue

    def close(self) -> None:
        """The launcher then ends its scripts and itself, which takes up to the grace."""
        self.socket.close()

    def bury(self) -> None:
        """Ends the launcher at once, if it is still there, and reaps it: its children are ours then."""
        self.close()
        with suppress(ProcessLookupError, ChildProcessError):  # somebody else reaped it
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)

    async def depart(self, patience: float) -> None:
        """After `close`: waits `patience` seconds for the launcher to end its scripts and itself."""
        import trio

        watch = os.pidfd_open(self.process)
        try:
            with trio.move_on_after(patience):
                await trio.lowlevel.wait_readable(watch)
        finally:
            os.close(watch)
            self.bury()
