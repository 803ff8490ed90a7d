"""A datagram goes to its socket, comes from it and finds its way alike with the compiled part and in pure Python."""

import errno
import os
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

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


def outcome(call: Any) -> object:
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)


def ways(modules: SimpleNamespace) -> list[object]:
    """What a transport with two sockets says of flows and Vias, the usual ones and all others."""
    host_port, flow = modules.flow.HostPort, modules.flow.Flow
    here, there, gone = (host_port("192.0.2.1", 5060), host_port("192.0.2.9", 5060), host_port("192.0.2.2", 5060))
    ours = modules.transport.Sources()
    transport = modules.transport.Transport.__new__(modules.transport.Transport)
    transport._endpoints = modules.transport._Endpoints()
    transport._ways, transport._sources, transport._pool, transport._choices = {}, ours, None, {}
    for kind in ("UDP", "TCP"):
        endpoint: Any = SimpleNamespace(local=here, sent_by=f"{kind}.example:5060", is_open=lambda flow: True)
        endpoint.flow = lambda remote, name, kind=kind: flow(kind, here, remote, 0 if kind == "UDP" else 7)
        transport._endpoints[kind, here] = endpoint
        transport._choices[kind, False] = [endpoint]
    asks, said = transport.flow_to, []
    for kind in ("UDP", "TCP", "SCTP", "udp", None, 5):
        for local in (here, gone):
            for way in (flow(kind, local, there, 0), flow(kind, local, host_port("192.0.2.9", 7), 1)):
                said.append(outcome(lambda way=way: transport.sent_by(way)))
                for via in (
                    "192.0.2.9",
                    "192.0.2.9:7",
                    "192.0.2.9:07",
                    "a.b;rport",
                    "a;maddr=192.0.2.8",
                    "a:1;received=b",
                ):
                    message = modules.message.Request("OPTIONS", "sip:b", modules.headers.Headers())
                    message.via = modules.message.Via.parse(f"SIP/2.0/UDP {via}")
                    said.append(outcome(lambda way=way, message=message: transport.response_flow(message, way)))
        for remote in (
            there,
            there,
            host_port("192.0.2.9", 0),
            host_port("b.example", 5060),
            host_port("2001:db8::1", 1),
        ):
            said += [
                outcome(lambda kind=kind, remote=remote: asks(kind, remote)),
                outcome(lambda kind=kind, remote=remote: asks(kind, remote, "b.example", "x")),
                outcome(lambda kind=kind, remote=remote: asks(kind, remote, sent_by="x", name=None)),
                outcome(lambda kind=kind, remote=remote: asks(kind, remote, None, sent_by="x")),
            ]
    return [*said, dict(transport._ways)]


def test_it_finds_its_way_alike(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    one, other = (ways(modules) for modules in both)
    assert one == other
    assert len({repr(answer) for answer in one}) > 25


def test_branches_are_the_same(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    made = []
    for modules in both:
        ids = modules.ids.Ids(7, random.Random(1).randbytes)
        made.append([(ids.branch(), ids.branch("0f"), ids.branch(""), ids.tag(), ids.token()) for _ in range(100)])
    assert made[0] == made[1]
    assert len({identifier for five in made[0] for identifier in five}) == 500


def test_misuse_of_the_small_ones_brings_nothing_down(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    native: Any = both[0].compiled.native

    class Odd(native.Branches):  # type: ignore[misc]
        _branch_prefix: Any = "z"
        _pool: Any = ()
        _hex: Any = staticmethod(lambda: 5)

    class Sender(native.Sender):  # type: ignore[misc]
        _endpoints = _ways = None

    pooled = Odd()
    pooled._pool = [5]
    message = SimpleNamespace(via=SimpleNamespace(bare=True, port=10**30))
    for call in (
        lambda: native.Branches().branch(),
        lambda: Odd().branch(),
        lambda: Odd().branch(5),
        lambda: Odd().branch("a", "b"),
        lambda: pooled.branch("a"),
        lambda: native.Sender().sent_by((1, 2)),
        lambda: native.Sender().sent_by((1,)),
        lambda: Sender().sent_by((1, 2, 3)),
        lambda: native.Sender().flow_to("UDP"),
        lambda: native.Sender().flow_to("UDP", 1),
        lambda: Sender().flow_to("UDP", 1),
        lambda: Sender().flow_to("TCP", 1, 2, 3, 4),
        lambda: Sender().flow_to("TCP", 1, 2, 3, name=4),
        lambda: Sender().response_flow(None),
        lambda: Sender().response_flow(None, (1, 2, 3)),
        lambda: Sender().response_flow(SimpleNamespace(via=None), (1, 2, 3)),
        lambda: Sender().response_flow(message, ("UDP", 2, (3, 4))),
        lambda: Sender().response_flow(message, ("TCP", 2, 3)),
    ):
        with pytest.raises((TypeError, AttributeError, OverflowError)):
            call()
