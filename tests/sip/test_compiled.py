"""The compiled part and pure Python are one: the same message, the same value or the same error for any octets."""

import importlib
import math
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sipcgi import compiled
from sipcgi.errors import ParseError

MODULES = ("address", "headers", "lazy", "message", "params", "parser", "framing", "uri", "via")
TYPED = (
    "via", "vias", "relayed", "from_", "to", "call_id", "cseq", "max_forwards", "contacts", "routes", "record_routes",
    "target", "start_line",
)  # fmt: skip
NAMES = ("via", "from", "to", "call-id", "cseq", "max-forwards", "content-length", "contact", "subject", "x-odd")


def load(pure: bool) -> SimpleNamespace:
    """A copy of the modules of its own, with the compiled part or without."""
    ours = [name for name in sys.modules if name.startswith(("sipcgi.sip", "sipcgi.compiled", "sipcgi.timerqueue"))]
    kept = {name: sys.modules.pop(name) for name in ours}
    environment = os.environ.pop("SIPCGI_PURE", None)
    if pure:
        os.environ["SIPCGI_PURE"] = "1"
    else:
        sys.modules |= {name: module for name, module in kept.items() if name.startswith("sipcgi.compiled")}
    try:
        found = {name: importlib.import_module(f"sipcgi.sip.{name}") for name in MODULES}
        return SimpleNamespace(**found, timerqueue=importlib.import_module("sipcgi.timerqueue"))
    finally:
        for name in [
            name for name in sys.modules if name.startswith(("sipcgi.sip", "sipcgi.compiled", "sipcgi.timer"))
        ]:
            del sys.modules[name]
        sys.modules |= kept
        for name, module in kept.items():  # an import sets the attribute of the package, too
            package, _, last = name.rpartition(".")
            setattr(sys.modules[package], last, module)
        os.environ.pop("SIPCGI_PURE", None)
        if environment is not None:
            os.environ["SIPCGI_PURE"] = environment


@pytest.fixture
def both(missing: Callable[[str], None]) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The modules with the compiled part, and those without."""
    if os.environ.get("SIPCGI_PURE"):
        pytest.skip("SIPCGI_PURE is set: there is nothing to compare")
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}: apt install gcc libc6-dev python3-dev; pip install -e .")
    fast, pure = load(pure=False), load(pure=True)
    assert fast.via.plain_via is compiled.native.plain_via  # type: ignore[union-attr]
    assert isinstance(pure.via.plain_via, type(load))
    return fast, pure


def shown(value: object) -> object:
    """All that can be told from a value, without its class, of which there are two."""
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return [str(value), dict(value)]
    parts = [
        shown(getattr(value, name))
        for name in getattr(value, "__slots__", ())
        if name != "_text" or type(value).__name__ == "SipUri"
    ]
    return [type(value).__name__, str(value), value if isinstance(value, int | bool) else None, *parts]


def outcome(call: Callable[[], object]) -> object:
    try:
        return shown(call())
    except ParseError as error:
        return ["error", str(error), error.status, error.header]


def described(message: Any) -> list[object]:
    """A message by all that can be asked of it, asked twice."""
    headers = message.headers
    asks = (headers.get, headers.all, headers.sole, headers.count, headers.__contains__)
    asked = [(ask(name)) for name in NAMES for ask in asks]
    typed = [outcome(lambda name=name: getattr(message, name, None)) for name in TYPED * 2]  # type: ignore[misc]
    lists = [outcome(lambda name=name: headers.elements(name)) for name in NAMES]  # type: ignore[misc]
    rest = [headers.names, headers.lines, headers.one_via, len(headers), list(headers)]
    return [type(message).__name__, message.body, bytes(message), asked, typed, lists, rest]


def parsed(modules: SimpleNamespace, octets: bytes) -> object:
    try:
        return described(modules.parser.parse(octets))
    except modules.parser.MessageError as error:
        message = None if error.message is None else described(error.message)
        return [str(error), error.status, error.header, error.content_length, message]


def framed(modules: SimpleNamespace, octets: bytes) -> object:
    framer, found = modules.framing.StreamFramer(), []
    for piece in (octets, b"", b""):
        try:
            found += [item.name if hasattr(item, "name") else described(item) for item in framer.feed(piece)]
        except modules.parser.MessageError as error:
            found.append([str(error), error.status, error.header, error.content_length])
    return found


INVITE = (
    b"INVITE sip:bob@192.0.2.8:5998;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.7:5997;branch=z9hG4bK-4711-1-0;rport\r\n"
    b"From: sipp <sip:sipp@192.0.2.7:5997>;tag=4711\r\nTo: bob <sip:bob@example.com>\r\nCall-ID: 1-4711@192.0.2.7\r\n"
    b"CSeq: 1 INVITE\r\nContact: sip:sipp@192.0.2.7:5997\r\nMax-Forwards: 70\r\nRoute: <sip:a.example.com;lr>\r\n"
    b"Subject: Performance Test\r\nContent-Length:   3\r\n\r\nv=0"
)
PLAIN = [
    INVITE,
    INVITE.replace(b"INVITE", b"BYE").replace(b"From:", b"f:").replace(b"Via:", b"v :"),
    INVITE.replace(b"UDP", b"TLS").replace(b"Subject", b"X-Odd").replace(b"CSeq", b"CSEQ"),
    b"\r\n\r\nSIP/2.0 180 Ringing\r\nVia: SIP/2.0/TCP b.example.com;branch=z9hG4bK1;received=192.0.2.1\r\n"
    b"v: SIP/2.0/UDP a;branch=z9hG4bK0\r\nFrom: <sip:a@b>;tag=1\r\nTo: \xc3\xa9 <sip:c@d>;tag=2\r\nCall-ID: x\r\n"
    b"CSeq: 4294967295 PRACK\r\nRecord-Route: <sip:r;lr>\r\nl: 0\r\n\r\n",
    b"ACK sip:a SIP/2.0\r\nVia:SIP/2.0/WSS [2001:db8::1]:9;Branch=z9hG4bK\r\nTo:a\r\nFrom:b\r\nCall-ID:c\r\n"
    b"CSeq:0 ACK\r\n\r\n",
]  # fmt: skip
EDGES = [
    *(INVITE.replace(b"70", hops) for hops in (b"", b"0", b"255", b"256", b"00000000070", b"+7", b"7 0")),
    *(INVITE.replace(b"q: 1", b"q: " + number) for number in (b"", b"0", b"4294967295", b"4294967296", b"1 ", b"1\t")),
    *(INVITE.replace(b"  3", b"  " + length) for length in (b"", b"0", b"2", b"4", b"03", b"4294967296", b"3,3")),
    *(PLAIN[3].replace(b"180", status) for status in (b"099", b"100", b"699", b"700", b"1000", b"18 ", b"+18", b"")),
    *(INVITE.replace(b"sip:bob@192.0.2.8:5998;transport=udp", uri) for uri in (b"", b"a", b"a\tb", b"\xff", b"a b")),
    *(INVITE.replace(b"INVITE", method) for method in (b"", b"(", b"\xc3\xa9", b"invite", b"SIP/2.0", b"a" * 999)),
    b"INVITE sip:a SIP/2.0", b"INVITE SIP/2.0\r\n\r\n", b" SIP/2.0\r\n\r\n", b"SIP/2.0 \r\n\r\n", b"\r\n\r\n", b"\n",
    INVITE + b"more", b"\r\n" + INVITE, b"\r" + INVITE, INVITE.replace(b"\r\n\r\n", b"\r\n"),
]  # fmt: skip
TORTURE = [path.read_bytes() for path in sorted((Path(__file__).parent / "torture").rglob("*.dat"))]
PIECES = [
    b"\r\n", b"\r\n ", b"\r\n\r\n", b"\r", b"\n", b"\0", b":", b",", b";", b"<", b">", b'"', b"\\", b"%", b"@", b"=",
    b" ", b"\t", b"/", b"\xff", b"\xe2\x82", b"\xc3\xa9", b"\x85", b"[", b"]", b"0", b"65536", b"4294967296", b"256",
    b"-1", b"Via: SIP/2.0/UDP a\r\n", b"Content-Length: 3\r\n", b"l:0\r\n", b"To: a\r\n", b"CALL-ID: a\r\n",
    b"CSeq: 1 INVITE\r\n", b"Max-Forwards: 0\r\n", b"SIP/2.0 200 OK\r\n", b"sip/2.0", b"SIP/2.0", b"SCTP", b";tag=1",
    b";TAG", b';x="a,b"', b";a" * 40, b"X:\r\n" * 140, b"a" * 300,
]  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """A message with some octets replaced, inserted or lost."""
    octets = bytearray(chance.choice(PLAIN if chance.random() < 0.7 else TORTURE))
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        at = chance.randrange(len(octets) + 1)
        piece = chance.choice(PIECES) if chance.random() < 0.7 else chance.randbytes(chance.randrange(3))
        octets[at : at + chance.choice((0, 0, 1, 1, 2, 9))] = piece
    return bytes(octets)


def text(chance: random.Random) -> str:
    seeds = (
        "SIP/2.0/UDP a.b-c.d:5060;branch=z9hG4bK;rport", ";lr;transport=tcp;a=[::1]", ";a=b;q=0.5;x", "",
        "sip:a.b@c.d:5060;lr;x=y", "sips:A.B-c", "sip:+1;x=y?z@1.2.3.4", '"A, B" <sip:a@b>;tag=1',
        "A B <sips:a;lr>;q=0.1;x", '<sip:a>;+sip.instance="<urn:uuid:1;2>";reg-id=1', ';a="b";c="d,\te";f=""',
        "<sip:a@b>", "sip:a@b;tag=1", "<tel:+1>",
    )  # fmt: skip
    letters = [*'aZ0 \t<>"\\,;;;==:@%?&[]()*+-._/#é\x00\x7f\udcff', ";A", "=1", ":70000", "127.0.0.1", ";tag"]
    found = list(chance.choice(seeds))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(found) + 1)
        found[at : at + chance.randrange(2)] = [chance.choice(letters)]
    return "".join(found)


def test_any_octets_are_the_same(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    fast, pure = both
    chance = random.Random(int(os.environ.get("SIPCGI_SEED", "1")))
    plain = 0
    for octets in [
        *PLAIN,
        *EDGES,
        *TORTURE,
        *(mutated(chance) for _ in range(int(os.environ.get("SIPCGI_RUNS", "2000")))),
    ]:
        assert parsed(fast, octets) == parsed(pure, octets), octets
        assert framed(fast, octets) == framed(pure, octets), octets
        plain += fast.parser.plain_message(octets, fast.parser.KINDS) is not None
    assert all(fast.parser.plain_message(octets, fast.parser.KINDS) is not None for octets in PLAIN)
    assert plain > 500  # else the comparison shows nothing


def test_any_text_is_the_same(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    fast, pure = both
    chance = random.Random(int(os.environ.get("SIPCGI_SEED", "1")))
    forms = (
        ";a{0}=b{0}c",
        "sip:a{0}b@c",
        "sip:a{0}b",
        "A{0}B <sip:a>",
        '"{0}" <sip:a>',
        "<sip:a{0}b>",
        "SIP/2.0/UDP a{0}b",
    )
    every = [form.format(chr(code)) for form in forms for code in range(300)] + [
        ";a" * count for count in (1, 101, 501)
    ]
    every += [
        "sip:[::1]",
        "sip:a@[::1]:5060",
        "sip:@a",
        "sip:a@",
        "sip:",
        "sips:",
        "sip:a:b@c",
        "sip:a%41@b",
        "sip:%@b",
    ]
    every += [
        "sip:a@b?c=d",
        "sip:a;method=b?c",
        "SIP:a",
        "tel:1",
        "sip:a:0",
        "sip:a:007",
        "sip:1.2.3.256",
        ';c="d\\";x="e"',
    ]
    every += [f"{' ' * count}<sip:a>" for count in (1, 8190, 8200)] + [f"sip:{'a' * count}@b" for count in (1015, 9000)]
    several = [";" + ";".join(f"p{number}" for number in range(count)) for count in (31, 32, 33, 100, 101)]
    for piece in [*every, *several, *(text(chance) for _ in range(int(os.environ.get("SIPCGI_RUNS", "4000"))))]:
        for module, kind, way in (
            ("params", "Params", "parse"),
            ("params", "Params", "parse_uri"),
            ("via", "Via", "parse"),
            ("uri", "SipUri", "parse"),
            ("address", "Address", "parse"),
        ):
            one, other = (getattr(getattr(getattr(modules, module), kind), way) for modules in both)
            assert outcome(lambda one=one: one(piece)) == outcome(lambda other=other: other(piece)), (way, piece)  # noqa: B023
        assert outcome(lambda: fast.uri._parse(piece)) == outcome(lambda: pure.uri._parse(piece)), piece  # noqa: B023
        lines = ["A: b", f"X: {piece}", f"Y: {piece}\r\n {piece}", piece]
        folds = [modules.headers.Headers.of(["a", "x", "y", "z"], lines) for modules in both]
        assert [[fields.get(name) for name in "axyzq"] for fields in folds[:1]] == [
            [fields.get(name) for name in "axyzq"] for fields in folds[1:]
        ]
        for kind, first in (("Request", piece), ("Request", "INVITE"), ("Response", 200), ("Response", 2**70)):
            one, other = (
                getattr(modules.message, kind)(first, piece, modules.headers.Headers.of([], lines), b"\r\n")
                for modules in both
            )
            assert bytes(one) == bytes(other)


def test_a_surrogate_that_stands_for_no_octet_is_refused(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    for modules in both:
        with pytest.raises(UnicodeEncodeError):
            bytes(modules.message.Response(200, "OK", modules.headers.Headers.of(["x"], ["X: \ud800"])))


def test_any_timers_are_the_same(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    def run(timerqueue: ModuleType, grain: float) -> list[object]:
        chance, done, time = random.Random(7), [], 0.0
        queue = timerqueue.TimerQueue(lambda: time, lambda: done.append(("wake", queue.next_deadline())), grain)
        timers = []
        for number in range(1500):
            # multiples of the grain, which a division misses by a bit, and any others
            delay = chance.choice((0, 0.1, 0.5, 1, 4, chance.randrange(330) * 0.1, chance.random() * 33))
            timers.append(queue.start(delay, done.append, number))
            if chance.random() < 0.6:
                chance.choice(timers).cancel()
            if chance.random() < 0.2:
                time += chance.choice((0.1, 0.2, chance.random()))
                done.append(("fired", queue.fire(chance.choice((0, 1, 50))), queue.next_deadline()))
        left = [(timer.deadline, timer.arguments) for timer in queue.waiting()]
        return [*done, left, [(timer.deadline, timer.callback is None, timer.arguments) for timer in timers]]

    for grain in (0.0, 0.2, 0.1, 1 / 3):
        one, other = (run(modules.timerqueue, grain) for modules in both)
        assert one == other


def test_misuse_is_a_type_error(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    """What Python code gets wrong must not bring the process down."""
    native: Any = compiled.native
    fast, _ = both
    kinds = fast.parser.KINDS
    of = fast.headers.Headers.of
    nameless = of([], [])
    nameless.names = ("via",)
    strange = fast.timerqueue.TimerQueue(float)
    strange._heap.append(0.0)
    strange._timers[0.0] = {"no timer": None}
    calls = [
        lambda: native.plain_message(INVITE),
        lambda: native.plain_message(INVITE, ()),
        lambda: native.plain_message(INVITE, (*kinds[:4], dict, kinds[5])),
        lambda: native.plain_message(INVITE, (*kinds[:3], object, *kinds[4:])),
        lambda: native.plain_message(INVITE, (kinds[0], native.Timer, *kinds[2:])),
        lambda: native.plain_message(INVITE, (*kinds[:5], ())),
        lambda: native.plain_head(INVITE, None),
        lambda: native.plain_params(list, ";a"),
        lambda: native.plain_via("SIP/2.0/UDP a"),
        lambda: native.plain_via((1, 2, 3, 4), "SIP/2.0/UDP a"),
        lambda: native.plain_sip_uri("sip:a"),
        lambda: native.plain_sip_uri((), "sip:a"),
        lambda: native.plain_address("<sip:a>"),
        lambda: native.plain_address((), "<sip:a>"),
        lambda: bytes(fast.message.Request("A", "b", SimpleNamespace(lines=()))),
        lambda: bytes(fast.message.Request("A", "b", SimpleNamespace(lines=[1]))),
        lambda: bytes(fast.message.Response(200, "b", SimpleNamespace(lines=["c"]), "d")),
        lambda: fast.message.Request.__bytes__(1),
        lambda: fast.address.parse_address(1),
        lambda: native.Fields().get("a"),
        lambda: native.Fields().values(),
        lambda: len(nameless),
        lambda: of(["a"], []).get("a"),
        lambda: of(["a"], [1]).get("a"),
        lambda: of([], ()),
        lambda: native.lazy(),
        lambda: native.lazy.__new__(native.lazy).__get__(None, int),
        lambda: native.Timer(),
        lambda: native.Deadlines().start(1, print),
        lambda: native.Deadlines().next_deadline(),
        lambda: setattr(native.Deadlines(), "_timers", []),
        lambda: native.Deadlines().fire(),
        lambda: fast.timerqueue.TimerQueue(float).next_deadline(1),
        lambda: fast.timerqueue.TimerQueue(float).fire("1"),
        lambda: fast.timerqueue.TimerQueue(str).fire(),
        lambda: strange.fire(),
        lambda: fast.timerqueue.TimerQueue(float).start(1),
        lambda: fast.timerqueue.TimerQueue(float).start("1", print),
        lambda: fast.timerqueue.TimerQueue(str).start(1, print),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    assert native.plain_message(bytearray(INVITE), kinds) is None
    assert native.plain_message(INVITE + bytes(0x10000), kinds) is None
    assert native.plain_params(dict, 7) is None
    assert native.plain_via(kinds[5], None) is None
    assert native.plain_sip_uri(fast.uri._KINDS, 7) is None
    assert native.plain_address(fast.address._KINDS, 7) is None
    assert native.plain_sip_uri((*fast.uri._KINDS[:3], str), "sip:a") is None
    assert of([1, "a"], ["", "a:b"]).get("a") == "b"
    assert of(["a"], ["a:b"]).get(1) is None


def test_a_stranger_s_exception_goes_on(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    """Whoever presses Ctrl-C while a name or a host is looked at is obeyed."""

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    class Names(dict[str, str]):
        __missing__ = lambda self, name: interrupted(name)  # noqa: E731

    fast, _ = both
    kinds = fast.parser.KINDS
    via = (*kinds[5][:3], interrupted)
    for changed in ((Names(), *kinds[1:]), (*kinds[:5], via, kinds[6]), (*kinds[:6], interrupted)):
        with pytest.raises(KeyboardInterrupt):
            compiled.native.plain_message(INVITE, changed)  # type: ignore[union-attr]


def test_endless_time_is_refused(both: tuple[SimpleNamespace, SimpleNamespace]) -> None:
    for modules in both:
        timer = modules.timerqueue.TimerQueue(lambda: 0.0, grain=0.2).start(math.inf, print)
        assert not timer.deadline <= 1e300


def test_what_is_older_than_its_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIPCGI_PURE", raising=False)
    monkeypatch.setattr(compiled, "checksum", lambda: "other")
    native, reason = compiled._native()
    assert native is None
    assert reason in ("older than its sources: install again", "not built")


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIPCGI_PURE", "1")
    assert compiled._native() == (None, "SIPCGI_PURE is set")
    monkeypatch.setattr(compiled, "native", None)

    def plain_via() -> None: ...

    assert compiled.compiled(plain_via) is plain_via
