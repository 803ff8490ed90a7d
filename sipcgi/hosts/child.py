"""What a script with limits or isolation goes through between its birth and its first step (hosts/launcher).

A PLAIN one has nothing to go through: posix_spawn starts it, which costs half a millisecond less than a fork.
"""

import errno
import os
import resource
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from sipcgi.hosts import ending, wire
from sipcgi.profile import OFF, Profile

if TYPE_CHECKING:
    from sipcgi.hosts.confine import Confinement


class Terms:
    """What a profile demands of each birth. The launcher has one for each profile it was told."""

    def __init__(self, profile: Profile, tier: ending.Tier) -> None:
        self.profile = profile
        self.tier = tier
        self.limits = self._limits()
        self.confinement: Confinement | None = None

    def give_birth(
        self, run: int, program: wire.Program, keep: int, tell: Callable[[OSError, str], None]
    ) -> tuple[int, ending.Hold]:
        """Starts a run: its process id, and what holds it together. Raises OSError.

        What fails in the child, the child tells itself, through descriptor `keep`, with the step in which it failed.
        """
        self.prepare()
        hold = ending.Hold(self.tier, run, self.profile.limits)
        try:
            process = hold.fork()
        except OSError:
            hold.account(0, 0)
            raise
        if process == 0:
            live(program, self, hold, keep, tell)
        return process, hold

    def prepare(self) -> None:
        """In the launcher, before each birth. Raises OSError when the isolation that must be cannot be had."""
        profile = self.profile
        if profile.isolation == OFF and not (profile.user or profile.group):
            return
        if self.confinement is None:
            from sipcgi.hosts.confine import Confinement  # it takes memory that most launchers need not have

            self.confinement = Confinement(profile)
        self.confinement.prepare()

    def _limits(self) -> list[tuple[str, int, int, int]]:
        """Name, resource, soft and hard limit; without those that a control group counts, and never above what holds
        already, for only root may raise that.

        That of processor time kills only a second after SIGXCPU has asked the script to end: soft and hard at once
        would be a SIGKILL that says nothing. That of memory is the last, for all that is done in the child needs some.
        """
        limits = self.profile.limits
        wanted = [
            ("cpu", resource.RLIMIT_CPU, limits.cpu, limits.cpu + 1),
            ("processes", resource.RLIMIT_NPROC, limits.processes, limits.processes),
            ("files", resource.RLIMIT_NOFILE, limits.files, limits.files),
            ("file_size", resource.RLIMIT_FSIZE, limits.file_size, limits.file_size),
            ("memory", resource.RLIMIT_AS, limits.memory, limits.memory),
        ]
        found = []
        for name, kind, soft, hard in wanted:
            if soft and not (self.tier.groups and name in self.tier.groups.counted):
                most = resource.getrlimit(kind)[1]
                if most != resource.RLIM_INFINITY:
                    soft, hard = min(soft, most), min(hard, most)
                found.append((f"limits.{name}", kind, soft, hard))
        return found


def live(
    program: wire.Program, terms: Terms, hold: ending.Hold, keep: int, tell: Callable[[OSError, str], None]
) -> NoReturn:
    """In the child: becomes the program, or tells why not."""
    step = ""
    try:
        os.setsid()
        for ours, theirs in program.descriptors:
            os.dup2(ours, theirs)
        hold.enter()
        os.chdir(program.directory)  # RFC 3050 6.1; after the other mount namespace, which begins at its root
        limits = terms.limits
        for name, kind, soft, hard in limits:
            if kind != resource.RLIMIT_AS:
                step = name
                resource.setrlimit(kind, (soft, hard))
        if terms.confinement is not None:
            step = "isolation"
            terms.confinement.enter({0, keep, *(theirs for _, theirs in program.descriptors)})
        if limits and limits[-1][1] == resource.RLIMIT_AS:
            step = limits[-1][0]
            resource.setrlimit(resource.RLIMIT_AS, limits[-1][2:])
        step = ""
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a TERM that came meanwhile has its effect now
        execute(program)
    except OSError as error:
        tell(error, step)
    except ValueError as error:  # it is also how setrlimit says EPERM
        tell(OSError(errno.EPERM, str(error)), step)
    except MemoryError:
        tell(OSError(errno.ENOMEM, ""), step)
    except BaseException as error:
        tell(OSError(errno.EINVAL, f"{type(error).__name__}: {error}"), step)
    os._exit(127)


def execute(program: wire.Program) -> None:
    """Raises OSError. A file that is being written is tried twice."""
    try:
        os.execve(program.argv[0], program.argv, program.environment)
    except OSError as error:
        if error.errno == errno.EAGAIN:  # the only reason that execve(2) has for it
            text = "its user has as many processes as it may (limits.processes, ulimit -u)"
            raise OSError(errno.EAGAIN, text) from None
        if error.errno != errno.ETXTBSY:
            raise
    time.sleep(wire.TEXT_BUSY_PAUSE)
    os.execve(program.argv[0], program.argv, program.environment)
