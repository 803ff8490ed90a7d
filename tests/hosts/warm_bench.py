"""A warm host with real parents, in real time, and the exec host beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost
from sipcgi.hosts.exec import ExecHost
from sipcgi.hosts.parent import Parent
from sipcgi.hosts.warm import WarmHost
from sipcgi.profile import WARM, Hosting

COMMON = {
    "PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "HOME": "/nonexistent",
}


@dataclass
class Result:
    """What there is to see of a run."""

    outcome: Outcome
    lines: list[str] = field(default_factory=list)

    def seen(self) -> tuple[object, ...]:
        outcome = self.outcome
        return outcome.stdout, self.lines, outcome.status, outcome.signal, outcome.failure


class WarmBench:
    """Writes scripts and runs them."""

    def __init__(self, exec_host: ExecHost, folder: Path) -> None:
        self.said: list[str] = []
        self.exec = exec_host
        self.warm = WarmHost(exec_host, self.said.append)
        self.folder = folder
        self.hosting = Hosting(host=WARM)

    def write(self, name: str, text: str | bytes, mode: int = 0o755) -> str:
        """In one step, as an editor does it."""
        path = self.folder / name
        made = self.folder / f".{name}.new"
        made.write_bytes(text if isinstance(text, bytes) else text.encode())
        made.chmod(mode)
        made.replace(path)
        return str(path)

    def start(
        self, host: ScriptHost, script: str, done: Callable[[Outcome], None], **changes: object
    ) -> tuple[Run, list[str]]:
        lines: list[str] = []
        argv = changes.pop("argv", None) or [script, *changes.pop("arguments", [])]
        values: dict[str, object] = {
            "environment": COMMON | {"REQUEST_URI": "sip:bob@example.net", "SIP_FROM": "<sip:é@example.com>;tag=1=2"},
            "common": COMMON,
            "directory": os.path.dirname(script),
            "script": script,
            "hosting": self.hosting,
        }
        invocation = Invocation(os.path.basename(script), argv, **(values | changes))  # type: ignore[arg-type]
        return host.start(invocation, done, lines.append), lines

    async def run(self, host: ScriptHost, script: str, within: float = 10.0, **changes: object) -> Result:
        send, receive = trio.open_memory_channel[Outcome](2)
        _, lines = self.start(host, script, send.send_nowait, **changes)
        with trio.fail_after(within):
            return Result(await receive.receive(), lines)

    async def until(self, condition: Callable[[], object], within: float = 10.0) -> None:
        with trio.fail_after(within):
            while not condition():  # noqa: ASYNC110 - other processes set no event
                await trio.sleep(0.003)

    async def warm_up(self, script: str, **changes: object) -> None:
        """Until its parent is ready, which has settled files only."""
        common = changes.get("common", COMMON)
        with trio.fail_after(10):
            while not [
                one
                for one in self.warm.parents.values()
                if one.script[1] == os.stat(script).st_ino and one.environment == common
            ]:
                assert not [text for text in self.said if "no warm parent" in text], self.said
                await self.run(self.warm, script, **changes)
                await trio.sleep(0.02)

    async def until_said(self, text: str, script: str, **changes: object) -> None:
        """Until the host has said something about its parent."""
        with trio.fail_after(10):
            while not [line for line in self.said if text in line]:
                await self.run(self.warm, script, **changes)
                await trio.sleep(0.02)

    async def run_until(self, condition: Callable[[], object], script: str, **changes: object) -> None:
        """Runs the script until something is so."""
        with trio.fail_after(10):
            while not condition():
                await self.run(self.warm, script, **changes)
                await trio.sleep(0.02)

    def only(self) -> Parent:
        """The one parent that takes runs."""
        (parent,) = self.warm.parents.values()
        return parent
