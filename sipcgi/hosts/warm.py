"""Runs scripts by warm parents: processes that have an interpreter and a compiled script ready, and fork for each run.

A run for which there is no parent (yet), or whose parent dies, goes by the exec host: nothing fails here that would not
fail there. The first run of a script has its parent started beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple

from sipcgi.hosts.base import Invocation, Outcome, Run
from sipcgi.hosts.directory import SETTLED
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.languages import LANGUAGES, Identity, identity, interpreter, parent_command
from sipcgi.hosts.parent import Parent
from sipcgi.timerqueue import Timer

if TYPE_CHECKING:
    import trio

MOST_PARENTS = 32
MOST_COMING = 2  # parents that compile at the same time: the calls need the processors, too
IDLE = 300.0  # seconds without a run after which a parent ends
LOOK = 60.0  # seconds between two looks for such
RETRY = 60.0  # seconds until a script that did not compile is tried again, unless it changes
MOST_UNFIT = 1000


class Unfit(NamedTuple):
    """Why there is no parent for a script."""

    identity: Identity
    until: float


class WarmHost:
    """A ScriptHost over the exec host. `say` is told why a script is not run warm."""

    def __init__(self, exec_host: ExecHost, say: Callable[[str], None] = lambda text: None) -> None:
        self.exec = exec_host
        self.say = say
        self.timers = exec_host.timers
        self.parents: dict[Hashable, Parent] = {}  # those that take runs
        self._all: dict[Parent, None] = {}  # and those that are not ready, or have runs to end
        self._coming: dict[Hashable, Parent] = {}
        self._unfit: dict[Hashable, Unfit] = {}
        self._timer: Timer | None = None

    def full(self, name: str) -> bool:
        """Never, as the exec host."""
        return False

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> Run:
        parent = self._parent(invocation)
        if parent is None:
            return self.exec.start(invocation, done, stderr)
        parent.last_used = self.timers.now()
        return WarmRun(self.exec, parent, invocation, done, stderr)

    def renew(self) -> None:
        """Has all parents replaced: an interpreter or a library may be another one now."""
        self._unfit.clear()
        for parent in [*self._all]:
            self._retire(parent)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Ends all parents when it is cancelled, which has to be together with the exec host."""
        import trio

        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            self.close()

    def close(self) -> None:
        """Ends all parents and what they run; no `done` is called any more."""
        if self._timer is not None:
            self._timer.cancel()
        for parent in [*self._all]:
            parent.close()

    def is_coming(self, invocation: Invocation) -> bool:
        """Whether a parent for that is being made, for who would rather wait for it. Begins it, if it can be."""
        key = _key(invocation)
        if key not in self.parents:
            self._bring(key, invocation)
        return key in self._coming

    # Which parent

    def _parent(self, invocation: Invocation) -> Parent | None:
        key = _key(invocation)
        parent = self.parents.get(key)
        if parent is not None and parent.is_current():
            if parent.is_worn():
                self._bring(key, invocation)
            return parent
        if parent is not None:
            self._retire(parent)
        self._bring(key, invocation)
        return None

    def _bring(self, key: Hashable, invocation: Invocation) -> None:
        """Starts a parent, if there is reason to think that it will be one."""
        known = identity(invocation.script)
        if key in self._coming or known is None or time.time_ns() - known[-1] < SETTLED:
            return
        unfit = self._unfit.get(key)
        if unfit is not None and unfit.identity == known and self.timers.now() < unfit.until:
            return
        found = interpreter(invocation.argv, invocation.script)
        if found is None or not invocation.hosting.is_warm(found[0]):
            self._note(key, Unfit(known, float("inf")))
            return
        if len(self._coming) >= MOST_COMING or not self._has_room():
            return
        command = parent_command(*found, invocation.script, invocation.hosting.preload)
        variables = LANGUAGES[found[0]].environment
        try:
            parent = Parent(self, key, known, invocation, command, variables)
        except OSError as error:  # no descriptors left
            self.say(f"no warm parent for {invocation.name}: {error.strerror}")
            self._note(key, Unfit(known, self.timers.now() + RETRY))
            return
        self._coming[key] = parent
        self._all[parent] = None
        if self._timer is None:
            self._timer = self.timers.start(LOOK, self._look)

    def _has_room(self) -> bool:
        """Makes some, if one of the parents has nothing to do."""
        if len(self._all) < MOST_PARENTS:
            return True
        idle = [parent for parent in self.parents.values() if not parent.runs.busy()]
        if idle:
            self._retire(min(idle, key=lambda parent: parent.last_used))
        return len(self._all) < MOST_PARENTS

    def _note(self, key: Hashable, unfit: Unfit) -> None:
        if len(self._unfit) >= MOST_UNFIT:
            self._unfit.clear()
        self._unfit[key] = unfit

    def _retire(self, parent: Parent) -> None:
        self._forget(parent)
        parent.retire()

    def _forget(self, parent: Parent) -> None:
        for among in (self.parents, self._coming):
            if among.get(parent.key) is parent:
                del among[parent.key]

    def _look(self) -> None:
        """Ends those that nobody needs."""
        now = self.timers.now()
        for parent in [*self.parents.values()]:
            if now - parent.last_used > IDLE and not parent.runs.busy():
                self._retire(parent)
        self._timer = self.timers.start(LOOK, self._look) if self._all else None

    # What parents say of themselves

    def is_ready(self, parent: Parent) -> None:
        self._forget(parent)
        before = self.parents.get(parent.key)
        self.parents[parent.key] = parent
        parent.last_used = self.timers.now()
        if before is not None:
            before.retire()

    def has_failed(self, parent: Parent, why: str) -> None:
        self.say(f"no warm parent for {parent.name}, which is started anew for each run: {why}")
        self._note(parent.key, Unfit(parent.script, self.timers.now() + RETRY))

    def is_gone(self, parent: Parent) -> None:
        self._forget(parent)
        self._all.pop(parent, None)


def _key(invocation: Invocation) -> Hashable:
    """Runs for which one parent would do."""
    common = frozenset(invocation.common.items())
    return invocation.script, invocation.argv[0], invocation.hosting, invocation.profile, common


def own_variables(environment: dict[str, str], common: dict[str, str]) -> dict[str, str]:
    """Without those that it has of the parent, which are as the interpreter found them, or whatever started that."""
    own = environment.copy()
    for name, _ in common.items() & environment.items():
        del own[name]
    return own


class WarmRun:
    """A run that a parent has begun, or the exec host after the parent failed."""

    __slots__ = ("_done", "_exec", "_invocation", "_parent", "_run", "_stderr")

    def __init__(
        self,
        exec_host: ExecHost,
        parent: Parent,
        invocation: Invocation,
        done: Callable[[Outcome], None],
        stderr: Callable[[str], None],
    ) -> None:
        self._exec = exec_host
        self._parent = parent
        self._invocation = invocation
        self._done = done
        self._stderr = stderr
        self._run: Run = parent.start(
            Invocation(
                name=invocation.name,
                argv=invocation.argv[invocation.argv.index(invocation.script) :],
                directory=invocation.directory,
                environment=own_variables(invocation.environment, parent.environment),
                stdin=invocation.stdin,
                timeout=invocation.timeout,
                max_output=invocation.max_output,
            ),
            self._ended,
            stderr,
        )

    def end(self) -> None:
        """As Run says."""
        self._run.end()

    def _ended(self, outcome: Outcome) -> None:
        self._parent.left()
        if outcome.failure is not None and not (outcome.ended or outcome.timed_out or outcome.overflow):
            self._run = self._exec.start(self._invocation, self._done, self._stderr)
        else:
            self._done(outcome)
