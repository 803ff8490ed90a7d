"""What the compiled part takes of a request on its way through is what the Python way makes of it, for any request."""

import os
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sipcgi import compiled
from sipcgi.dialog.token import Sides, TokenKey, keyed_digits
from sipcgi.engine import departure, own_route
from sipcgi.engine.target import Target
from sipcgi.errors import ParseError, Refused, ScriptError
from sipcgi.flow import Flow, HostPort
from sipcgi.proxy import forward, loop, route, validate
from sipcgi.proxy.edits import FIXED
from sipcgi.registrar import nat
from sipcgi.service import NO_EDITS, Edits
from sipcgi.sip.build import MAKES_DIALOG
from sipcgi.sip.headers import KNOWN, SINGLE, Headers
from sipcgi.sip.message import CSeq, Request
from sipcgi.sip.uri import SipUri

RUNS = int(os.environ.get("SIPCGI_RUNS", "4000"))
LINES = [
    "Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK1", "v: SIP/2.0/TCP a;branch=z9hG4bK2, SIP/2.0/UDP b", "Via: x",
    "From: <sip:a@b>;tag=1", "f: a <sip:", "To: <sip:c@d>", "To: <sip:c@d>;tag=\xe9", "Call-ID: 1@x", "i: \udce9",
    "CSeq: 1 BYE", "CSeq: 007 BYE", "CSeq: x", "Max-Forwards: 70", "Max-Forwards: 1", "Max-Forwards: 0",
    "Max-Forwards: x", "Max-Breadth: 7", "Record-Route: <sip:r;lr>", "Route: <sip:T@OURS:5060;lr>", "Route: <sip:ours>",
    "Route: <sip:other;lr>", "Route:", "Route: <sip:", "Route: <sip:T@ours;lr>, <sip:U@ours:5062;lr>", "Route: <tel:1>",
    "Content-Length: 0", "l: 0", "Subject: x", "Subject: \xe9", "X-Odd: y", "Proxy-Require: path", "Proxy-Require: x",
]  # fmt: skip
NAMES = (KNOWN, FIXED | SINGLE | {"route", "record-route", "max-breadth"})
FORWARD: Any = forward.forward
PREPROCESS: Any = route.preprocess
VALIDATE: Any = validate.validate
LOOP_HASH: Any = loop.loop_hash
OWN_ROUTE: Any = own_route.own_route
DEPART: Any = departure.depart
SOUND = [
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    "From: <sip:a@b>;tag=1",
    "To: <sip:c@d>;tag=2",
    "Call-ID: 1",
    "CSeq: 1 BYE",
    "l: 0",
]
URIS = [
    "sip:a@b", "sip:a@b", "sip:a@b", "sips:a@b", "SIPS:a@b", "sip:a@b?x=y", "sip:a;METHOD=x@b", "sip:a@b;method=BYE",
    "sip:method=a@b", "tel:1", "sip:T@ours;lr", "sip:a@b;maddr=ours", "http:x", "sip:", "sip:\xe9@b", "=sip",
]  # fmt: skip
FIELDS = [
    ("X-New", "1"), ("x-new", "2"), ("X-Other", "\xe9"), ("Subject", "s"), ("s", "s"), ("Via", "SIP/2.0/UDP a"),
    ("To", "<sip:x@y>"), ("Route", "<sip:r;lr>"), ("Record-Route", "<sip:r>"), ("max-breadth", "3"),
    ("Max-Forwards", "9"),
    ("Content-Length", "7"), ("X A", "1"), ("", "1"), ("X-\xe9", "1"), ("X-Bad", "a\r\nb"), ("X-Bad", "a\nb"),
    ("X-Bad", "a\0b"), ("CALL-ID", "1"), ("P-Asserted-Identity", "<sip:a@b>"), ("p-asserted-identity", "<tel:1>"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def native(missing: Callable[[str], None]) -> Any:
    if os.environ.get("SIPCGI_PURE"):
        pytest.skip("SIPCGI_PURE is set: there is nothing to compare")
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}: apt install gcc libc6-dev python3-dev; pip install -e .")
    return compiled.native


def requests() -> Iterator[tuple[random.Random, Callable[[], Request]]]:
    """Each can be made as often as is wanted, for what is parsed stays with it."""
    draw = random.Random(5)
    for _ in range(RUNS):
        lines = draw.sample(LINES, draw.choice((0, 1, 1, 2, 3, 6)))
        if draw.random() < 0.9:
            lines += [line for line in SOUND if draw.random() < 0.97]
            draw.shuffle(lines)
        uri = draw.choice(URIS)
        yield draw, lambda uri=uri, lines=lines: Request("BYE", uri, Headers.parse([*lines]), b"body")  # type: ignore[misc]


def outcome(call: Callable[[], Any]) -> Any:
    try:
        found = call()
    except (ParseError, ScriptError, Refused) as error:
        return type(error), str(error), getattr(error, "status", None)
    return (*found, found[0].headers.names) if type(found) is route.Preprocessed else found


def is_ours(uri: SipUri) -> bool:
    return uri.address == "ours"


def test_forwarding(native: Any) -> None:
    taken = 0
    for draw, request in requests():
        fields = draw.sample(FIELDS, draw.choice((0, 0, 1, 1, 2, 3)))
        edits = draw.choice(
            (
                None,
                NO_EDITS,
                Edits(fields),
                Edits(fields),
                Edits(fields),
                Edits(fields, frozenset({"x"})),
                Edits(fields, body=b""),
            )
        )
        values = (
            draw.choice(URIS),
            "SIP/2.0/UDP us",
            draw.choice((None, "", "<sip:us;lr>")),
            edits,
            draw.choice((None, 0, 60)),
        )
        made = outcome(lambda: forward.forward(request(), *values))  # noqa: B023
        assert made == outcome(lambda: FORWARD.__wrapped__(request(), *values))  # noqa: B023
        if type(made) is Request:
            kept = native.plain_forward(NAMES, request(), *values)
            taken += kept is not None and bool(edits and edits.headers)
            assert kept is None or kept.headers.names == FORWARD.__wrapped__(request(), *values).headers.names
    assert taken > RUNS / 80


def test_preprocessing() -> None:
    taken = 0
    for draw, request in requests():
        one, other = request(), request()
        asked = draw.sample(("via", "routes", "to", "target", "contacts"), draw.randrange(4))
        for name in asked:
            outcome(lambda: getattr(one, name))  # noqa: B023
        found = outcome(lambda: route.preprocess(one, is_ours))  # noqa: B023
        assert found == outcome(lambda: PREPROCESS.__wrapped__(other, is_ours))  # noqa: B023
        assert one == other
        if len(found) == 4 and found[1]:
            taken += 1
            assert found[0] is not one
            assert "routes" not in found[0].__dict__
            parsed = {name for name in asked if name in one.__dict__} - {"routes"}
            assert all(found[0].__dict__.get(name) is one.__dict__[name] for name in parsed) or found[0].uri != one.uri
    assert taken > RUNS / 40


def test_validating(native: Any) -> None:
    sound = 0
    for _, request in requests():
        found = outcome(lambda: VALIDATE.__wrapped__(request()))  # noqa: B023
        if native.plain_validate((SipUri,), request()):
            sound += 1
            assert found is None
        else:
            assert outcome(lambda: VALIDATE(request())) == found  # noqa: B023
    assert sound > RUNS / 10


def test_hashing() -> None:
    for _, request in requests():
        assert outcome(lambda: loop.loop_hash(request())) == outcome(lambda: LOOP_HASH.__wrapped__(request()))  # noqa: B023


def test_own_routes(native: Any) -> None:
    key = TokenKey(bytes(16))
    core: Any = SimpleNamespace(token_key=key, transport=SimpleNamespace(is_open=lambda _: False))
    flow = Flow("UDP", HostPort("192.0.2.5", 5060), HostPort("192.0.2.1", 5060))
    taken = 0
    for draw, request in requests():
        made = request()
        call_id, tag = made.headers.get("call-id") or "", draw.choice(("1", "2", "", "\udce9"))
        sides = draw.choice((Sides(), Sides(), Sides(), Sides(None, flow)))
        right = key.mint(call_id, tag, sides)
        tokens = [draw.choice((right, right, right[:-1], right + ".", "flow.x", "", "\xe9", key.path(flow)))]
        found = route.Preprocessed(made, tuple(tokens * draw.choice((1, 1, 1, 2))), "us:5060")
        one = outcome(lambda: own_route.own_route(core, found, flow))  # noqa: B023
        assert one == outcome(lambda: OWN_ROUTE.__wrapped__(core, found, flow))  # noqa: B023
        taken += native.plain_own_route((own_route.OwnRoute,), core, found, flow) is not None
    assert taken > RUNS / 80


def test_direct_callers() -> None:
    draw, taken = random.Random(5), 0
    for _ in range(RUNS):
        host, port = draw.choice(("192.0.2.1", "192.0.2.2", "a.example.com")), draw.choice((":5060", "", ":5062", ":0"))
        contact = draw.choice(
            ("", "<sip:a@b{}>", "<sip:a@192.0.2.1{}>", "sip:a@b", "<tel:1>", "<sip:", "*", "<http:x>")
        )
        contact = contact.format(draw.choice(("", ";ob", ";transport=tcp"))) + draw.choice(
            ("", "", ";expires=1", ";reg-id=1;+sip.instance=x", ", <sip:c@d>")
        )
        lines = [f"Via: SIP/2.0/UDP {host}{port};branch=z9hG4bK1{draw.choice(('', ';rport'))}", f"Contact: {contact}"]
        lines += draw.choice(([], ["Path: <sip:x;lr>"], ["Via: SIP/2.0/UDP c"]))
        flow = Flow(
            draw.choice(("UDP", "UDP", "TCP")),
            HostPort("192.0.2.5", 5060),
            HostPort("192.0.2.1", draw.choice((5060, 5062))),
        )
        request = Request("INVITE", "sip:a@b", Headers.parse(lines))
        if nat.is_direct(request, flow):
            taken += 1
            assert not request.contacts or nat.way_back(request, request.contacts[0], flow) is None
    assert taken > RUNS / 80


def test_departing(native: Any) -> None:
    taken = 0
    for draw, request in requests():
        sent_by = draw.choice(("us:5060", "us.example.com"))
        ports = [draw.choice((5060, 5060, 5062)) for _ in range(2)]
        arrival, flow = [
            Flow(
                draw.choice(("UDP", "UDP", "UDP", "TCP")),
                HostPort("192.0.2.5", port),
                HostPort("192.0.2.1", draw.choice((5060, 5060, 1))),
            )
            for port in ports
        ]
        target = Target("sip:x@y", flow=draw.choice((None, None, None, flow)))
        method, contact = (
            draw.choice(("INVITE", "INVITE", "BYE", "REGISTER")),
            draw.choice(("<sip:a@b>", "<sip:a@b;ob>")),
        )
        edits, breadth = draw.choice((NO_EDITS, Edits([("X-A", "b")]), Edits([("Via", "x")]))), draw.choice((1, 60))

        def given() -> tuple[Any, ...]:
            made = request()  # noqa: B023
            if method == "INVITE":  # noqa: B023
                made.headers.add("Contact", contact)  # noqa: B023
            whose = Request(method, made.uri, made.headers, made.body)  # noqa: B023
            transport = SimpleNamespace(sent_by=lambda way: f"{way.transport}.{sent_by}")  # noqa: B023
            ids = SimpleNamespace(branch=lambda second: f"z9hG4bK.{second}")
            core = SimpleNamespace(ids=ids, transport=transport, token_key=TokenKey(bytes(16)))
            return core, whose, arrival, "second", target, flow, edits, breadth  # noqa: B023

        kinds = (MAKES_DIALOG, FORWARD)
        assert outcome(lambda: DEPART(*given())) == outcome(lambda: DEPART.__wrapped__(*given()))
        found = outcome(lambda: native.plain_depart(kinds, *given()))  # noqa: B023
        taken += found is not None and method == "INVITE"
    assert taken > RUNS / 80


def test_digits(native: Any) -> None:
    hasher = TokenKey(bytes(16)).dialog
    for texts in (("", ""), ("a", "b"), ("\xe9", "\udce9"), ("\ud800", "x"), ("\u20ac\U0001f600", "")):
        digest = hasher.copy()
        digest.update(f"{len(texts[0])}:{''.join(texts)}".encode("utf-8", "surrogatepass"))
        assert keyed_digits(hasher, *texts) == digest.hexdigest()


def test_misuse_is_an_error(native: Any) -> None:
    good = Request("BYE", "sip:a@b", Headers.parse([*SOUND]))
    uneven = Request("BYE", "sip:a@b", Headers.of([], ["a"]))
    uneven.cseq = CSeq(1, "BYE")
    kinds, hashing, ours = (SipUri, route.Preprocessed), (loop._HASHER, frozenset[str]()), (own_route.OwnRoute,)
    core = SimpleNamespace(token_key=TokenKey(bytes(16)))
    odd = SimpleNamespace(transport=SimpleNamespace(sent_by=lambda _: b""))
    flow, target = Flow("UDP", HostPort("a", 1), HostPort("b", 2)), Target("sip:a")
    for function, *arguments in (
        (native.plain_forward,),
        (native.plain_forward, (), good, "sip:a", ""),
        (native.plain_forward, ({}, {}), good, "sip:a", ""),
        (native.plain_forward, NAMES, good, "sip:a", None),
        (native.plain_forward, NAMES, good, "sip:a", "", 1),
        (native.plain_forward, NAMES, good, "sip:a", "", None, None, 7, 8),
        (native.plain_forward, NAMES, good, "sip:a"),
        (native.plain_forward, NAMES, good, "sip:a", "", None, None, ""),
        (native.plain_forward, NAMES, uneven, "sip:a", ""),
        (native.plain_validate, (SipUri,)),
        (native.plain_validate, (), good),
        (native.plain_preprocess, (), good, is_ours),
        (native.plain_preprocess, (SipUri, list), good, is_ours),
        (native.plain_preprocess, kinds, uneven, is_ours),
        (native.plain_preprocess, kinds, good),
        (native.keyed_digits, loop._HASHER, "a"),
        (native.keyed_digits, loop._HASHER, "a", None),
        (native.plain_loop_hash, (loop._HASHER, ()), good),
        (native.plain_loop_hash, hashing),
        (native.plain_own_route, ours, core, (), None),
        (native.plain_own_route, ours, core, (good, [], ""), None),
        (native.plain_own_route, (list,), core, (good, (), ""), None),
        (native.plain_own_route,),
        (native.is_direct, good),
        (native.plain_depart, (frozenset(), FORWARD), core, good, flow, "", target, flow, None),
        (native.plain_depart, (), core, good, flow, "", target, flow, None, None),
        (native.plain_depart, (frozenset(), FORWARD), core, good, flow, "", target, (), None, None),
        (native.plain_depart, (frozenset(), FORWARD), odd, good, flow, "", target, flow, None, None),
        (native.plain_response, (), None, None),
        (native.plain_response, (), None, SimpleNamespace(status="200"), None),
        (native.is_direct, good, ()),
        (native.plain_loop_hash, hashing, uneven),
    ):
        with pytest.raises(TypeError):
            function(*arguments)
    for function, *arguments in (
        (native.plain_forward, NAMES, good, "sip:a", "", None, object()),
        (native.keyed_digits, None, "a", "b"),
        (native.plain_depart, (frozenset(), FORWARD), object(), good, flow, "", target, flow, None, None),
        (native.plain_response, (), None, None, None),
        (native.plain_response, (), None, SimpleNamespace(status=200), None),
        (native.plain_loop_hash, (None, frozenset()), good),
        (native.plain_loop_hash, hashing, object()),
    ):
        with pytest.raises(AttributeError):
            function(*arguments)
    assert native.plain_forward(NAMES, good, None, "") is None
    assert native.plain_validate((SipUri,), object()) is None
    assert native.is_direct(object(), ("UDP", (), ("a", "b"), 0)) is False
    assert native.is_direct(good, ("UDP", 1, 2, 3)) is False
    assert native.is_direct(good, ("UDP", (), ("a", "b"), 0)) is False
    assert native.plain_own_route(ours, core, (object(), ("a",), ""), None) is None
    assert native.plain_preprocess(kinds, object(), is_ours) is None


def test_digits_that_are_no_text(native: Any) -> None:
    class Hasher:
        def copy(self) -> Any:
            return self

        def update(self, octets: bytes) -> None: ...

        def hexdigest(self) -> bytes:
            return b"no text"

    request = Request("INVITE", "sip:a@b", Headers.parse([*SOUND, "Contact: <sip:a@192.0.2.1>"]))
    core = SimpleNamespace(
        token_key=SimpleNamespace(dialog=Hasher()),
        ids=SimpleNamespace(branch=lambda second: "z9hG4bK"),
        transport=SimpleNamespace(sent_by=lambda flow: "us"),
    )
    flow = Flow("UDP", HostPort("192.0.2.9", 5060), HostPort("192.0.2.1", 5060))
    for call in (
        lambda: native.plain_depart(
            (MAKES_DIALOG, FORWARD), core, request, flow, "", Target("sip:x"), flow, NO_EDITS, 7
        ),
        lambda: native.keyed_digits(Hasher(), "a", "b"),
    ):
        with pytest.raises(TypeError, match="text"):
            call()


def test_what_goes_meanwhile_brings_nothing_down(native: Any) -> None:
    """Lists that are emptied by what stands in them."""
    contacts: list[Any] = []

    class Contact:
        uri = SimpleNamespace(params={})

        @property
        def params(self) -> dict[str, str]:
            contacts.clear()
            return {}

    contacts.append(Contact())
    via = SimpleNamespace(host="h", port=5060)
    assert native.is_direct(SimpleNamespace(via=via, contacts=contacts), ("UDP", (), ("h", 5060), 0))
    assert contacts == []

    class Name(str):
        def __hash__(self) -> int:
            fields.clear()
            return hash(str(self))

    request = Request("BYE", "sip:a@b", Headers.parse([*SOUND, "Max-Forwards: 70"]))
    fields = [(Name("X-" + "a" * number), "1") for number in range(3)]
    native.plain_forward(NAMES, request, "sip:a@b", "SIP/2.0/UDP us", None, Edits(fields))


def test_what_a_function_raises_goes_on(native: Any) -> None:
    request = Request("BYE", "sip:a@b", Headers.parse([*SOUND, "Route: <sip:T@ours;lr>"]))
    with pytest.raises(ZeroDivisionError):
        native.plain_preprocess((SipUri, route.Preprocessed), request, lambda _: 1 / 0)


def test_the_plain_case_comes_first(native: Any) -> None:
    def asked(kinds: tuple[object, ...], *arguments: object) -> object:
        return (kinds, arguments) if arguments[:1] == (1,) else None

    def function(*arguments: object, **named: object) -> object:
        """Documented."""
        return arguments, named

    both = native.PlainCase(asked, ("kind",), function)
    assert both(1, 2) == (("kind",), (1, 2))
    assert both(2) == ((2,), {})
    assert both() == ((), {})
    assert both(1, a=2) == ((1,), {"a": 2})
    assert both(*[1] * 9) == ((1,) * 9, {})
    assert (both.__doc__, both.__wrapped__) == ("Documented.", function)
    failing = native.PlainCase(lambda *_: 1 / 0, (), function)
    with pytest.raises(ZeroDivisionError):
        failing(1)
    for arguments in ((), (asked, [], function), (asked, ())):
        with pytest.raises(TypeError):
            native.PlainCase(*arguments)
    with pytest.raises(AttributeError):
        both.function = None
    owner = type("Owner", (), {"both": both})()
    assert owner.both(1) == ((owner, 1), {})
    assert type(owner).both is both
