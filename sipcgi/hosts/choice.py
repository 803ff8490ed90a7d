"""Which host runs a script: its route says it, or its language."""

from collections.abc import Callable

from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost
from sipcgi.profile import EXEC, FASTCGI


class ChoiceHost:
    """A ScriptHost that hands each run to another one."""

    def __init__(self, exec_host: ScriptHost, warm: ScriptHost, fastcgi: ScriptHost) -> None:
        self.exec = exec_host
        self.warm = warm
        self.fastcgi = fastcgi

    def full(self, name: str) -> bool:
        """Never: the hosts below start all that they are asked for."""
        return False

    def start(self, invocation: Invocation, done: Callable[[Outcome], None], stderr: Callable[[str], None]) -> Run:
        hosting = invocation.hosting
        if hosting.host == EXEC and not hosting.warm:
            return self.exec.start(invocation, done, stderr)
        host = self.fastcgi if hosting.host == FASTCGI else self.warm
        return host.start(invocation, done, stderr)
