"""Who has a port: a process, or advice when that is hidden from us."""

import os
import socket

import psutil
import pytest

from sipcgi.flow import HostPort
from sipcgi.net.holder import holder


@pytest.mark.parametrize("asked", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize(("transport", "kind"), [("UDP", socket.SOCK_DGRAM), ("TLS", socket.SOCK_STREAM)])
def test_the_process_that_has_it(asked: str, transport: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as ours:
        ours.bind(("127.0.0.1", 0))
        if transport != "UDP":
            ours.listen()
        port = ours.getsockname()[1]
        assert holder(transport, HostPort(asked, port)).startswith(f"process {os.getpid()} (")
        assert holder("TCP" if transport == "UDP" else "UDP", HostPort(asked, port)).startswith("`ss -l")
        assert holder(transport, HostPort("127.0.0.2", port)).startswith("`ss -l")


def test_a_connection_does_not_hold_a_port() -> None:
    with socket.socket() as listening, socket.socket() as connected:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        connected.connect(listening.getsockname())
        local = HostPort(*connected.getsockname())
        assert holder("TCP", local) == f"`ss -ltnp sport = :{local.port}` as root tells who has it"


@pytest.mark.parametrize("error", [psutil.AccessDenied(), OSError("no /proc")])
def test_what_cannot_be_seen(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(kind: str) -> None:
        raise error

    monkeypatch.setattr(psutil, "net_connections", refuse)
    assert holder("UDP", HostPort("127.0.0.1", 5060)) == "`ss -lunp sport = :5060` as root tells who has it"
