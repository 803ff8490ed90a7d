"""baresip as a process: a telephone with an account at the server."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from running import HOST, PATIENCE, START, Server, free_port, wait_or_kill

DOMAIN = "example.com"
CONFIGURATION = """
poll_method epoll
sip_listen {host}:{port}
net_interface {host}
audio_player aubridge,nil
audio_source aubridge,nil
audio_alert aubridge,nil
rtcp_mux yes
module_path {modules}
module g711.so
module aubridge.so
module dtls_srtp.so
module ice.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
"""
TLS = """
sip_certificate {certificate}
sip_cafile {authority}
"""
ACCOUNT = '<sip:{user}@{domain}>;auth_pass=none;outbound="sip:{server};transport={transport}";regint=60{more}\n'


def modules() -> str:
    """Where the distribution puts them."""
    found = [*Path("/usr/lib").glob("baresip/modules"), *Path("/usr/lib").glob("*/baresip/modules")]
    assert found, "baresip has no modules"
    return str(found[0])


class Agent:
    """One baresip, driven through its module ctrl_tcp: netstrings of JSON."""

    def __init__(
        self,
        baresip: str,
        folder: Path,
        user: str,
        server: Server,
        more: str = "",
        transport: str = "udp",
        authority: Authority | None = None,
    ) -> None:
        folder.mkdir()
        control = free_port()
        # It listens for TLS at the port after that for UDP and TCP
        places = {"host": HOST, "port": free_port(), "control": control, "modules": modules()}
        configuration = CONFIGURATION.format(**places)
        if authority is not None:
            configuration += TLS.format(certificate=authority.certificate(HOST, user), authority=authority.file)
        (folder / "config").write_text(configuration)
        place = {"server": server.place(transport), "transport": transport}
        (folder / "accounts").write_text(ACCOUNT.format(user=user, domain=DOMAIN, **place, more=more))
        self.output = folder / "output.log"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [baresip, "-f", folder], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self.aor = f"sip:{user}@{DOMAIN}"
        self.control = self.connect(control)
        self.octets = b""

    def connect(self, port: int) -> socket.socket:
        end = time.monotonic() + START
        while True:
            try:
                return socket.create_connection((HOST, port), PATIENCE)
            except ConnectionRefusedError:
                assert time.monotonic() < end, self.says()
                time.sleep(0.05)

    def says(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def command(self, name: str, parameters: str = "") -> None:
        text = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))

    def message(self) -> dict[str, Any]:
        """The next that it sends: an event, or the response to a command."""
        while True:
            length, colon, rest = self.octets.partition(b":")
            if colon and len(rest) > int(length):
                self.octets = rest[int(length) + 1 :]
                return dict(json.loads(rest[: int(length)]))
            received = self.control.recv(65536)
            assert received, self.says()
            self.octets += received

    def event(self, kind: str) -> dict[str, Any]:
        """Waits for an event of this kind; others are passed over, but for the end of the call."""
        end = time.monotonic() + PATIENCE
        passed = []
        while time.monotonic() < end:
            try:
                message = self.message()
            except TimeoutError:
                break
            if message.get("type") == kind:
                return message
            passed.append(message)
            if message.get("type") == "CALL_CLOSED":
                break
        pytest.fail(f"{self.aor} waits for {kind}, after {passed}. It says:\n{self.says()[:5000]}")

    def quit(self) -> None:
        self.control.close()
        self.process.terminate()
        wait_or_kill(self.process)
