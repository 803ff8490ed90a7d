"""A transport on the loopback, with what it received and logged; and a peer that speaks octets."""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.lowlevel
import trustme

from sipcgi.errors import Closed
from sipcgi.flow import Flow, HostPort
from sipcgi.logs import Log
from sipcgi.net.endpoint import TlsSettings
from sipcgi.net.transport import Transport
from sipcgi.sip.message import Request, Response


@dataclass
class _Listener:
    scheme: str = "udp"
    host: str = "127.0.0.1"
    port: int = 0
    advertise: str | None = None
    tls: TlsSettings | None = None


@dataclass
class Heard:
    """What a transport gave upwards."""

    messages: list[tuple[Request | Response, Flow]] = field(default_factory=list)
    failures: list[tuple[Flow, str]] = field(default_factory=list)
    closed: list[Flow] = field(default_factory=list)
    error: Exception | None = None

    def receive(self, message: Request | Response, flow: Flow) -> None:
        self.messages.append((message, flow))
        if self.error is not None:
            raise self.error

    def failed(self, flow: Flow, error: Exception) -> None:
        if isinstance(error, Closed):
            self.closed.append(flow)
        else:
            self.failures.append((flow, str(error)))

    async def one(self) -> tuple[Request | Response, Flow]:
        """The next message."""
        await _until(lambda: self.messages)
        return self.messages.pop(0)


async def _until(condition) -> None:
    with trio.fail_after(5):
        while not condition():
            await trio.lowlevel.checkpoint()


class Steps(trio.abc.Instrument):
    """How many messages are heard at most before the loop turns to another task."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.before = self.most = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.before = len(self.heard.messages)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.most = max(self.most, len(self.heard.messages) - self.before)


class _Peer:
    """A UDP socket that is somebody else's."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.socket = trio.socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.host = host

    async def bind(self) -> "_Peer":
        await self.socket.bind((self.host, 0))
        return self

    @property
    def address(self) -> HostPort:
        return HostPort(*self.socket.getsockname()[:2])

    async def send(self, text: str | bytes, to: HostPort) -> None:
        await self.socket.sendto(_octets(text), to)

    async def receive(self) -> str:
        with trio.fail_after(5):
            return (await self.socket.recv(65536)).decode()


class _Authority:
    """Makes certificates, and the contexts of peers that trust them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def settings(self, *names: str) -> TlsSettings:
        """Files with a certificate for names and addresses."""
        certificate = self.ca.issue_cert(*names)
        path = self.folder / f"{names[0]}.pem"
        key = path.with_suffix(".key")
        certificate.private_key_pem.write_to_path(key)
        path.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        return TlsSettings(path, key, self.file)

    def client(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context

    def server(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode()


def _local(transport: Transport, number: int = 0) -> HostPort:
    """Where a transport listens."""
    host, _, port = transport.listening()[number].partition("://")[2].rpartition(":")
    return HostPort(host.strip("[]"), int(port))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return _Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def Listener():
    return _Listener


@pytest.fixture
def Peer():
    return _Peer


@pytest.fixture
def until():
    return _until


@pytest.fixture
def local():
    return _local


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
async def steps(heard):
    steps = Steps(heard)
    trio.lowlevel.add_instrument(steps)
    yield steps
    trio.lowlevel.remove_instrument(steps)


@pytest.fixture
def log():
    return Log(lambda: 0.0)


@pytest.fixture
def transport(heard, log):
    return Transport(heard.receive, log, failed=heard.failed, guard=False)


@pytest.fixture
async def peer():
    peer = await _Peer().bind()
    yield peer
    peer.socket.close()
