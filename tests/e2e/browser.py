"""A telephone in a browser as a process: browser/phone.mjs, which runs SIP.js in Chromium."""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from running import PATIENCE, Server, wait_or_kill
from wire_phone import Message

FOLDER = Path(__file__).parent / "browser"
DOMAIN = "example.com"


class Browser:
    """`sip:USER@example.com` on a connection of WSS to the server."""

    def __init__(self, node: str, chromium: str, folder: Path, user: str, server: Server) -> None:
        self.aor = f"sip:{user}@{DOMAIN}"
        self.errors = folder / f"{user}.log"
        script, place = FOLDER / "phone.mjs", server.place("wss")
        command: list[str | Path] = [node, script, chromium, folder / user, f"wss://{place}", self.aor]
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.told: queue.Queue[list[str]] = queue.Queue()
        self.events: list[str] = []
        self.messages: list[Message] = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.put(json.loads(line))
        self.told.put(["error", "it has ended"])

    def does(self, method: str, *parameters: str) -> None:
        """Calls a method of SIP.js's SimpleUser."""
        assert self.process.stdin is not None
        print(json.dumps([method, *parameters]), file=self.process.stdin, flush=True)

    def event(self, name: str, within: float = PATIENCE) -> None:
        """Waits for an event of the SimpleUser, like CallAnswered; others are passed over."""
        self.wait_for(lambda: name in self.events, name, within)
        self.events.remove(name)

    def message(self, start: str) -> Message:
        """Waits for a message that begins so; each counts once."""
        self.wait_for(lambda: any(message.start.startswith(start) for message in self.messages), start, PATIENCE)
        found = next(message for message in self.messages if message.start.startswith(start))
        self.messages.remove(found)
        return found

    def wait_for(self, done: Callable[[], bool], what: str, within: float) -> None:
        end = time.monotonic() + within
        while not done():
            try:
                kind, text = self.told.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                kind, text = "error", f"no {what}"
            if kind == "received":
                self.messages.append(Message(text))
            elif kind == "happened":
                self.events.append(text)
            else:
                log = f"{self.events} {self.messages}\n{self.errors.read_text()}"
                pytest.fail(f"{self.aor} waits for {what}: {text}\n{log}")

    def quit(self) -> None:
        """It closes Chromium when its input ends, and Chromium itself when it is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        wait_or_kill(self.process)
        self.reader.join()
        self.process.stdout.close()
