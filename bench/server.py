"""The server under measurement: the installed `sipcgi serve`, with a configuration and scripts of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from bench.process import Reading, look

SCRIPTS = {
    "sh": ("invite.sh", 'echo "CGI-PROXY-REQUEST sip:bob@$CALLEE SIP/2.0"\necho "X-Bench: sh"\necho\nexit 0\n'),
    "perl": ("invite.pl", 'print "CGI-PROXY-REQUEST sip:bob\\@$ENV{CALLEE} SIP/2.0\\nX-Bench: perl\\n\\n";\n'),
    "python": (
        "invite.py",
        "import os\n\nprint(f\"CGI-PROXY-REQUEST sip:bob@{os.environ['CALLEE']} SIP/2.0\\nX-Bench: python\\n\")\n",
    ),
}
CONFIGURATION = """listen: ["udp://127.0.0.1:{port}", "tcp://127.0.0.1:{port}"]
domains: [bench.test]
scripts:
  directory: cgi-bin
  environment: {{CALLEE: "127.0.0.1:{callee}"}}
{more}
location: {{store: "{store}"}}
"""
BUSY = "#!/bin/sh\nprintf 'SIP/2.0 486 Busy Here\\n\\n'\n"
"""The least a script can do."""
OPTIONS = (
    "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};rport;branch=z9hG4bK{own}\r\n"
    "From: <sip:bench@bench.test>;tag=1\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: ready-{own}\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Failed(Exception):
    """The measurement cannot be made."""


def free_port() -> int:
    """Of UDP and of TCP."""
    while True:
        with socket.socket() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
            stream.bind(("127.0.0.1", 0))
            with suppress(OSError):
                datagram.bind(stream.getsockname())
                return int(stream.getsockname()[1])


class Server:
    """A running server; a context manager that ends it. It listens on UDP and TCP."""

    def __init__(
        self,
        work: Path,
        script: str = "none",
        callee: int = 5060,
        store: str = "memory://",
        port: int = 0,
        scripts: dict[str, str] | None = None,
        more: str = "",
    ) -> None:
        """`script` is one of SCRIPTS, `scripts` are others by file name, `more` follows the keys of `scripts`."""
        self.port = port or free_port()
        self.log = work / "server.log"
        directory = work / "cgi-bin"
        directory.mkdir(exist_ok=True)
        for name, text in [*([SCRIPTS[script]] if script != "none" else []), *(scripts or {}).items()]:
            (directory / name).write_text(text)
            (directory / name).chmod(0o755 if text.startswith("#!") else 0o644)
        configuration = work / "sipcgi.yaml"
        configuration.write_text(CONFIGURATION.format(port=self.port, callee=callee, store=store, more=more))
        command = shutil.which("sipcgi", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if command is None:
            raise Failed("sipcgi is not installed: pip install -e .")
        self.began = time.monotonic()
        self.took = 0.0
        """Seconds from its start to its first answer."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [command, "serve", "--config", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"SIPCGI_LOOP_WATCH": "1"},
            )

    def __enter__(self) -> "Server":
        """Waits until it answers."""
        end = self.began + 30
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failed(f"the server does not run:\n{self.log.read_text()}")
        self.took = time.monotonic() - self.began
        return self

    def answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.send(OPTIONS.format(port=self.port, own=probe.getsockname()[1]).encode())
                return probe.recv(100).startswith(b"SIP/2.0 ")
            except OSError:
                time.sleep(0.02)
                return False

    def look(self) -> Reading:
        return look(self.process.pid)

    def stop(self) -> int:
        """Ends it and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stand_stills(self) -> list[str]:
        """What the event loop's watch said at the end."""
        found = re.findall(r"^loop: (.+)$", self.log.read_text(errors="replace"), re.MULTILINE)
        return found or ["stand-stills were not told"]
