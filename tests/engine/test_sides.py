"""From a datagram to its transaction and back alike with the compiled part and in pure Python, whatever comes."""

import contextlib
import gc
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

METHODS = ("INVITE", "INVITE", "ACK", "CANCEL", "OPTIONS")


class Peer:
    """Sends anything to transactions over an Intake, and is their transport, their core, their users and their log.

    Whatever it is asked to do fails at times.
    """

    def __init__(self, modules: SimpleNamespace, seed: int) -> None:
        self.modules = modules
        self.chance = random.Random(seed)
        self.now = 0.0
        self.said: list[object] = []
        self.counts: Counter[str] = Counter()
        self.overload = SimpleNamespace(most=self.chance.choice((2, 100)))
        self.timers = modules.timerqueue.TimerQueue(lambda: self.now, grain=0.2)
        settings = modules.timers.Timers()
        self.transactions = modules.transactions.Transactions(self, self.timers, self, settings, self.overload)
        self.transactions.core = self
        receive, answer = self.transactions.receive, self.transactions.answer
        self.intake = modules.intake.Intake(receive, answer, {"192.0.2.1:5060"}, self, guard=True)
        self.sent: list[Any] = []

    def fails(self) -> None:
        chance, errors = self.chance.random(), self.modules.errors
        if chance < 0.05:
            raise ZeroDivisionError("a bug")
        if chance < 0.1:
            raise errors.ParseError("bad it")
        if chance < 0.15:
            raise self.chance.choice((errors.Unreachable, errors.Oversized))("no way")

    def told(self, *what: object) -> None:
        self.said.append(what)
        self.fails()

    def say(self, kind: str, text: str) -> None:
        self.said.append((kind, text))

    def crash(self, text: str) -> None:
        self.said.append(("crash", text.splitlines()[0], text.splitlines()[-1]))

    def send(self, octets: bytes, flow: object) -> None:
        self.told("sent", octets, flow)

    def response_flow(self, message: Any, flow: object) -> object:
        return flow

    def is_open(self, flow: object) -> bool:
        return True

    def tag(self) -> str:
        return "ours"

    def request(self, request: Any, flow: object, server: Any) -> None:
        self.told("request", bytes(request), flow, server.key, server.state.name)
        if self.chance.random() < 0.5:
            server.user = self
        if self.chance.random() < 0.7:
            server.respond(self.modules.build.response(request, self.chance.choice((180, 180, 200, 404)), to_tag="2"))

    def ack(self, request: Any, flow: object) -> None:
        self.told("ack", bytes(request), flow)

    def admits(self, request: Any, flow: object, transactions: int) -> bool:
        self.told("admits", bytes(request), transactions)
        return self.chance.random() < 0.5

    def undelivered(self, octets: bytes, flow: object) -> None:
        self.told("undelivered", octets)

    def response(self, response: Any, flow: object) -> None:
        self.told("response", bytes(response), flow)

    def failed(self, status: int, why: str) -> None:
        self.told("failed", status, why)

    def cancel(self, request: Any) -> None:
        self.told("cancel", bytes(request))

    def trying(self) -> None:
        self.told("trying")

    @property
    def log(self) -> "Peer":
        return self

    def octets(self, start: str, cseq: str) -> bytes:
        """A message, now and then without what it must have, or in an unusual form."""
        chance = self.chance
        branch = chance.choice((*["z9hG4bK1"] * 4, "z9hG4bK2", "z9hG4bK3", "old", "z9hG4bK"))
        via = f"Via: SIP/2.0/UDP 192.0.2.{chance.choice((1, 1, 9))};branch={branch}"
        via += chance.choice(("", "", "", ";rport", ";received=1.2.3.4", ";rport=x", ", SIP/2.0/UDP b", ";branch"))
        fields = [start, via, "From: <sip:a@b>;tag=1", "To: <sip:b@b>", "Call-ID: 1", f"CSeq: 1 {cseq}"]
        if chance.random() < 0.1:
            del fields[chance.randrange(6)]
        if chance.random() < 0.1:
            fields.insert(chance.randrange(1, 5), chance.choice(("X: a\r\n b", "Via: what", "CSeq: 2 INVITE", "Max: ")))
        return chance.choice(("", "", "", "\r\n", "\0")).encode() + "\r\n".join([*fields, "", ""]).encode()

    def happens(self) -> None:
        chance, flow = self.chance, self.modules.flow.Flow
        hosts = [self.modules.flow.HostPort(f"192.0.2.{number}", 5060) for number in (1, 9, 8)]
        transport = chance.choice(("UDP", "UDP", "TCP"))
        way = flow(transport, hosts[0], chance.choice(hosts[1:]), 0 if transport == "UDP" else 1)
        method, kind = chance.choice(METHODS), chance.random()
        try:
            if kind < 0.1:
                self.now += chance.choice((0.1, 0.5, 5, 33))
                self.timers.fire()
            elif kind < 0.3:
                fields = [("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"), ("From", "<sip:a@b>"), ("To", "<sip:b@b>")]
                headers = self.modules.headers.Headers([*fields, ("Call-ID", "1"), ("CSeq", f"1 {method}")])
                request = self.modules.message.Request(method, "sip:b@192.0.2.9", headers)
                self.transactions.send(request, f"z9hG4bK{chance.randrange(1, 4)}", way, chance.choice((self, None)))
            elif kind < 0.35:
                self.transactions.lost(way, "lost")
            elif kind < 0.7:
                status = chance.choice((100, 180, 200, 302, 486))
                self.intake.datagram(self.octets(f"SIP/2.0 {status} X", method), way)
            else:
                self.intake.datagram(self.octets(f"{method} sip:b@192.0.2.9 SIP/2.0", method), way)
        except Exception as error:  # out of a timer, or of what sends
            self.said.append((type(error).__name__, str(error)))
        self.said.append(self.shown())

    def shown(self) -> list[object]:
        """All that can be told of the transactions."""
        layer = self.transactions
        sides = [*layer.clients.values(), *layer.servers.values()]
        return [
            [(one.key, one.state.name, one.last, one.flow, one.user is None, one.request is None) for one in sides],
            [(one.answered, one.domain) for one in layer.clients.values()],
            [(peer, [one.key for one in clients]) for peer, clients in layer.awaited.peers.items()],
            [(flow, one.key) for flow, one in layer.responded.items()],
            dict(self.counts),
            [timer.deadline for timer in self.timers.waiting()],
        ]


def play(modules: SimpleNamespace, seed: int) -> list[object]:
    peer = Peer(modules, seed)
    for _ in range(peer.chance.randrange(40)):
        peer.happens()
    return peer.said


def test_any_messages_have_the_same_effects(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    first = int(os.environ.get("SIPCGI_SEED", "1"))
    played = []
    for seed in range(first, first + int(os.environ.get("SIPCGI_RUNS", "300"))):
        one, other = (play(modules, seed) for modules in both)
        assert one == other, seed
        played.append(one)
    seen = Counter(line[0] for log in played for line in log if isinstance(line, tuple))
    words = ("sent", "request", "ack", "admits", "undelivered", "response", "failed", "cancel", "trying", "crash")
    assert {word for word in (*words, "does not parse", "ZeroDivisionError") if seen[word] < 5} == set()
    assert "response to another sent-by" in repr(played)


def test_nothing_stays(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    modules = both[0]
    kinds = (modules.transaction.ClientTransaction, modules.transaction.ServerTransaction, modules.message.Request)
    constants = (modules.transactions.Transactions.kinds, modules.transaction.Transaction.inputs)
    watched = (None, True, False, modules.intake.KINDS, *constants)
    for seed in range(50):
        play(modules, seed)
    gc.collect()
    before, blocks = [sys.getrefcount(one) for one in watched], sys.getallocatedblocks()
    for seed in range(300):
        play(modules, seed)
    gc.collect()
    after = [sys.getrefcount(one) for one in watched]
    assert all(abs(late - early) < 100 for early, late in zip(before, after, strict=True)), (before, after)
    assert sys.getallocatedblocks() - blocks < 3000
    assert not [one for one in gc.get_objects() if type(one) in kinds]


def test_misuse_brings_nothing_down(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    native: Any = both[0].compiled.native
    modules = both[0]

    class Layer:
        clients = awaited = servers = transport = responded = 5
        kinds = (int,)

    class Server(native.ServerSide):  # type: ignore[misc]
        inputs = (1, 2)

    class Matching(native.Matching):  # type: ignore[misc]
        kinds = (int, len)
        servers = clients = None

    class Awaited(native.ByPeer):  # type: ignore[misc]
        peers: Any = None

    client, server = native.ClientSide.__new__(native.ClientSide), Server.__new__(Server)
    awaited, odd = Awaited(), Awaited()
    odd.peers = {3: 4}
    waiting = SimpleNamespace(flow=(1, 2, 3))
    response = SimpleNamespace(status=200)
    calls: list[Callable[[], object]] = [
        lambda: native.ClientSide(),
        lambda: native.ClientSide(*range(7)),
        lambda: native.ServerSide(1, 2, 3),
        lambda: native.ServerSide(1, 2, 3, key=4),
        lambda: native.ServerSide(Layer(), 2, 3, 4),
        lambda: client.received(),
        lambda: client.received(response),
        lambda: client.received(response, None),
        lambda: client.received(SimpleNamespace(status="200"), None),
        lambda: client.send(None),
        lambda: client.hand_over(None),
        lambda: server.received(SimpleNamespace(method="ACK")),
        lambda: server.received(None),
        lambda: server.respond(response),
        lambda: server.respond(SimpleNamespace(status=10**30)),
        lambda: server.send("text"),
        lambda: server.transmit(b""),
        lambda: native.Matching().receive(1, 2),
        lambda: Matching().receive(),
        lambda: Matching().receive(1, 2),
        lambda: Matching().receive("text", 2),
        lambda: awaited.add(waiting),
        lambda: awaited.discard(waiting),
        lambda: awaited.add(SimpleNamespace(flow=(1, 2))),
        lambda: odd.add(waiting),
        lambda: odd.discard(waiting),
        lambda: native.Arrivals().plain(b"", (1, 2, 3)),
        lambda: native.Arrivals().plain(b""),
        lambda: native.Arrivals().plain(b"", None),
        lambda: native.Sender().send(b"", (1, 2, 3)),
        lambda: native.Sender().send(b"", (1, 2)),
        lambda: native.Datagrams().send(b"", (1, 2, 3)),
        lambda: native.Datagrams().send(b""),
        lambda: native.Datagrams().ready(1, 0.0),
        lambda: native.Datagrams().ready("1", 0.0),
        lambda: native.Datagrams().ready(1),
        lambda: native.Datagrams().received(b""),
        lambda: native.Datagrams().received(b"", None),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises((TypeError, AttributeError, OverflowError)):
            call()
    plain = modules.intake.Intake(None, None, set(), None, guard=False)
    assert not plain.plain(None, (1, 2, 3))
    plain.kinds = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        plain.plain(b"OPTIONS", (1, 2, 3))


def test_a_long_chain_ends_without_a_deep_stack(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    native: Any = both[0].compiled.native
    chain: Any = None
    for kind in (native.ClientSide, native.ServerSide) * 50_000:
        side = kind.__new__(kind)
        side.user = chain
        chain = side
    gone = sys.getallocatedblocks()
    del chain, side
    assert gone - sys.getallocatedblocks() > 90_000


def test_without_memory_an_error_is_all_that_happens(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    memory = pytest.importorskip("_testcapi")
    failed = 0
    for allocation in range(1, 120):
        peer = Peer(both[0], 4)
        peer.intake.guard = False
        peer.fails = lambda: None  # type: ignore[method-assign]
        octets = [peer.octets("INVITE sip:b@192.0.2.9 SIP/2.0", "INVITE") for _ in range(3)]
        flow = both[0].flow.Flow("UDP", both[0].flow.HostPort("192.0.2.1", 1), both[0].flow.HostPort("192.0.2.9", 2))
        gc.disable()  # what is called back by it had to do without memory, too
        memory.set_nomemory(allocation, allocation + 1)
        try:
            for one in octets:
                peer.intake.plain(one, flow)
        except MemoryError:
            failed += 1
        finally:
            memory.remove_mem_hooks()
            gc.enable()
        peer.intake.plain(octets[0], flow)
    assert failed > 10


def test_what_runs_meanwhile_brings_nothing_down(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    """A layer that takes from a transaction what it has, whatever it is asked for."""
    modules = both[0]
    flow = modules.flow.Flow("UDP", modules.flow.HostPort("192.0.2.1", 1), modules.flow.HostPort("192.0.2.9", 2))
    peer = Peer(modules, 1)
    layer, request = peer.transactions, modules.message.Request("INVITE", "sip:b@c", modules.headers.Headers())
    response = modules.message.Response(200, "OK", modules.headers.Headers())
    slots = ("flow", "key", "last", "layer", "request", "user")

    class Layer:
        after: Any = None
        taken: Any = ()

        def __getattr__(self, name: str) -> Any:
            if name == self.after:
                for slot in self.taken:
                    delattr(side, slot)
            return getattr(layer, name)

    names = ("clients", "servers", "awaited", "datagram", "transport", "responded")
    peer.fails = lambda: None  # type: ignore[method-assign]
    for kind, after, slot in [(kind, after, slot) for kind in "cs" for after in names for slot in (*slots, None)]:
        given = Layer()
        client, server = modules.transaction.ClientTransaction, modules.transaction.ServerTransaction
        side: Any = client.__new__(client) if kind == "c" else server.__new__(server)
        begins: tuple[Any, ...] = ("__init__", given, request, b"x", flow, None, ("b", "INVITE"), None)
        calls: list[tuple[Any, ...]] = [begins, ("received", response, flow), ("send", None), ("end", None)]
        if kind == "s":
            begins = ("__init__", given, request, flow, ("b", "c", "INVITE"))
            calls = [begins, ("respond", response), ("transmit", b""), ("end", None)]
        for name, *arguments in calls:
            given.after, given.taken = None, ()
            if name != "__init__":
                getattr(side, begins[0])(*begins[1:])
            given.after, given.taken = after, (slots if slot is None else (slot,))
            with contextlib.suppress(AttributeError, TypeError, KeyError):
                getattr(side, name)(*arguments)
            given.taken = ()
            layer.clients.clear()
            layer.servers.clear()
            layer.awaited.peers.clear()
            layer.responded.clear()


def test_a_key_that_is_replaced_meanwhile_brings_nothing_down(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    native: Any = both[0].compiled.native

    class Layer:
        def __getattr__(self, name: str) -> Any:
            side.key, side.flow = ("other", name), ("UDP", name, name)
            return {}

    for kind in (native.ClientSide, native.ServerSide):
        side = kind.__new__(kind)
        side.layer, side.last, side.request, side.user = None, b"", None, None
        side.key, side.flow = ("a", kind.__name__), ("UDP", "a", kind.__name__)  # which nobody else has
        side.layer = Layer()
        with contextlib.suppress(AttributeError):
            side.end(None)
        assert side.key[0] == "other"
