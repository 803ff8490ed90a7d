"""Which host runs a script: its route says it, or its language."""

from collections.abc import Callable

from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost


class ChoiceHost:
    """A ScriptHost that hands each run to another one."""

    def __init__(self, exec_host: ScriptHost) -> None:
        self.exec = exec_host

    def full(self, name: str) -> bool:
        """Never: the hosts below start all that they are asked for."""
        return False

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> Run:
        return self.exec.start(invocation, done, stderr)
