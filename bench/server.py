"""The server under measurement: the installed `sipcgi serve`, with a configuration and scripts of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
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
CONFIGURATION = """listen: ["{transport}://127.0.0.1:{port}"]
domains: [bench.test]
scripts:
  directory: cgi-bin
  environment: {{CALLEE: "127.0.0.1:{callee}"}}
"""
OPTIONS = (
    "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};rport;branch=z9hG4bK{own}\r\n"
    "From: <sip:bench@bench.test>;tag=1\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: ready-{own}\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Failed(Exception):
    """The measurement cannot be made."""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server; a context manager that ends it."""

    def __init__(self, work: Path, script: str, callee: int, transport: str = "udp") -> None:
        self.port = free_port()
        self.log = work / "server.log"
        directory = work / "cgi-bin"
        directory.mkdir()
        if script != "none":
            name, text = SCRIPTS[script]
            (directory / name).write_text(text)
        configuration = work / "sipcgi.yaml"
        configuration.write_text(CONFIGURATION.format(transport=transport, port=self.port, callee=callee))
        command = shutil.which("sipcgi", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if command is None:
            raise Failed("sipcgi is not installed: pip install -e .")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [command, "serve", "--config", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"SIPCGI_LOOP_WATCH": "1"},
            )
        self.transport = transport

    def __enter__(self) -> "Server":
        """Waits until it answers."""
        end = time.monotonic() + 10
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failed(f"the server does not run:\n{self.log.read_text()}")
        return self

    def answers(self) -> bool:
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(("127.0.0.1", self.port))
                text = OPTIONS.format(port=self.port, own=probe.getsockname()[1])
                probe.send(text.replace("/UDP ", f"/{self.transport.upper()} ").encode())
                return probe.recv(100).startswith(b"SIP/2.0 ")
            except OSError:
                time.sleep(0.05)
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

    def longest_stand_still(self) -> str:
        """What the event loop's watch said at the end."""
        found = re.search(r"loop: longest stand-still (\S+ ms)", self.log.read_text(errors="replace"))
        return found[1] if found else "not told"
