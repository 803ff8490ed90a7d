"""A datagram goes to its socket and comes from it alike with the compiled part and in pure Python."""

import errno
import os
from collections import Counter
from types import SimpleNamespace

import pytest


class Socket:
    """One of the system that has no room, or no way."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.sent: list[tuple[bytes, object]] = []

    def sendto(self, data: bytes, address: object) -> None:
        self.sent.append((data, address))
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number)) if number else ZeroDivisionError("a bug")


@pytest.mark.parametrize(
    "errors",
    [(), (errno.ENOBUFS,), (errno.EMSGSIZE,), (errno.ECONNREFUSED,), (errno.EACCES,) * 2, (errno.ENETDOWN,), (0,)],
)
def test_a_datagram_goes_the_same_way(both: tuple[SimpleNamespace, SimpleNamespace], errors: tuple[int, ...]) -> None:
    outcomes = []
    for modules in both:
        here, there = modules.flow.HostPort("192.0.2.1", 5060), modules.flow.HostPort("192.0.2.9", 5060)
        endpoint = modules.udp.UdpEndpoint.__new__(modules.udp.UdpEndpoint)
        endpoint.socket, endpoint.complaints = Socket(*errors), SimpleNamespace(counts=Counter())
        transport = modules.transport.Transport.__new__(modules.transport.Transport)
        transport._endpoints = modules.transport._Endpoints({("UDP", here): endpoint})
        said = []
        for flow in (modules.flow.Flow("UDP", here, there), modules.flow.Flow("TCP", here, there, 1)):
            try:
                said.append(transport.send(b"octets", flow))
            except Exception as error:
                said.append((type(error).__name__, str(error), type(error.__cause__)))
        outcomes.append((said, endpoint.socket.sent, dict(endpoint.complaints.counts)))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) == max(1, len(errors)) + (errors == (errno.ECONNREFUSED,))


class Incoming(Socket):
    """One of the system from which that comes, an error or octets."""

    def __init__(self, comes: object) -> None:
        super().__init__()
        self.comes = comes

    def fileno(self) -> int:
        return 3

    def recvfrom(self, most: int) -> object:
        if isinstance(self.comes, Exception):
            raise self.comes
        return self.comes if most == 65536 else None

    def recvmsg(self, *arguments: int) -> object:
        raise BlockingIOError


@pytest.mark.parametrize(
    "comes",
    [
        BlockingIOError(), OSError(errno.ECONNREFUSED, "refused"), OSError(errno.ENETDOWN, "down"), ZeroDivisionError(),
        None, (b"", ("192.0.2.9", 7)), (b"\r\n", ("192.0.2.9", 7)), (b"\0", ("192.0.2.9", 7)),
        (b"A", ("192.0.2.9", 7)), (b"A", ("2001:db8::1", 7, 0, 0)), (b"A", 5), (None, ("192.0.2.9", 7)),
        (b"OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
         b"To: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n", ("192.0.2.9", 7)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("events", [1, 8, 9])
def test_a_datagram_comes_the_same_way(
    both: tuple[SimpleNamespace, SimpleNamespace], comes: object, events: int
) -> None:
    outcomes = []
    for modules in both:
        said: list[object] = []
        endpoint = modules.udp.UdpEndpoint.__new__(modules.udp.UdpEndpoint)
        endpoint.local = modules.flow.HostPort("192.0.2.1", 5060)
        endpoint.socket, endpoint.flows = Incoming(comes), modules.udp._Flows(endpoint.local)
        endpoint.complaints = SimpleNamespace(say=lambda *what, said=said: said.append(what), counts=Counter())
        endpoint.complaints.log = SimpleNamespace(crash=lambda text, said=said: said.append(text[:40]))
        take = lambda message, flow, said=said: said.append((bytes(message), flow))  # noqa: E731
        answer = lambda *what, said=said: said.append(what)  # noqa: E731
        endpoint.intake = modules.intake.Intake(take, answer, set(), endpoint.complaints, guard=True)
        try:
            said.append(endpoint.ready(events, 0.0))
        except Exception as error:
            said.append(type(error).__name__)
        outcomes.append((said, list(endpoint.flows), endpoint.socket.sent))
    assert outcomes[0] == outcomes[1]
