"""What the compiled part takes of a request on its way through is what the Python way makes of it, for any request."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sipcgi import compiled
from sipcgi.dialog.token import TokenKey, keyed_digits
from sipcgi.errors import ParseError, Refused, ScriptError
from sipcgi.proxy import forward, loop, route, validate
from sipcgi.service import NO_EDITS, Edits
from sipcgi.sip.headers import Headers
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
SOUND = [
    "Via: SIP/2.0/UDP a;branch=z9hG4bK1",
    "From: <sip:a@b>;tag=1",
    "To: <sip:c@d>",
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


def test_forwarding() -> None:
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
        assert made == outcome(lambda: forward._forward(request(), *values))  # noqa: B023
        if type(made) is Request:
            uri, via, record_route, _, breadth = values
            kept = forward.plain_forward(forward._NAMES, request(), edits, uri, via, record_route, breadth)
            taken += kept is not None and bool(edits and edits.headers)
            assert kept is None or kept.headers.names == forward._forward(request(), *values).headers.names
    assert taken > RUNS / 80


def test_preprocessing() -> None:
    taken = 0
    for draw, request in requests():
        one, other = request(), request()
        asked = draw.sample(("via", "routes", "to", "target", "contacts"), draw.randrange(4))
        for name in asked:
            outcome(lambda: getattr(one, name))  # noqa: B023
        found = outcome(lambda: route.preprocess(one, is_ours))  # noqa: B023
        assert found == outcome(lambda: route._preprocess(other, is_ours))  # noqa: B023
        assert one == other
        if len(found) == 4 and found[1]:
            taken += 1
            assert found[0] is not one
            assert "routes" not in found[0].__dict__
            parsed = {name for name in asked if name in one.__dict__} - {"routes"}
            assert all(found[0].__dict__.get(name) is one.__dict__[name] for name in parsed) or found[0].uri != one.uri
    assert taken > RUNS / 40


def test_soundness(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [request for _, request in requests()]
    found = [outcome(lambda: validate.validate(request())) for request in every]  # noqa: B023
    sound = sum(validate.is_sound(request(), SipUri) for request in every)
    monkeypatch.setattr(validate, "is_sound", lambda *_: False)
    assert found == [outcome(lambda: validate.validate(request())) for request in every]  # noqa: B023
    assert RUNS / 10 < sound < found.count(None)


def test_hashing() -> None:
    for _, request in requests():
        assert outcome(lambda: loop.loop_hash(request())) == outcome(lambda: loop._loop_hash(request()))  # noqa: B023


def test_digits(native: Any) -> None:
    hasher = TokenKey(bytes(16))._dialog
    for texts in (("", ""), ("a", "b"), ("\xe9", "\udce9"), ("\ud800", "x"), ("\u20ac\U0001f600", "")):
        digest = hasher.copy()
        digest.update(f"{len(texts[0])}:{''.join(texts)}".encode("utf-8", "surrogatepass"))
        assert keyed_digits(hasher, *texts) == digest.hexdigest()


def test_misuse_is_an_error(native: Any) -> None:
    good = Request("BYE", "sip:a@b", Headers.parse([*SOUND]))
    uneven = Request("BYE", "sip:a@b", Headers.of([], ["a"]))
    uneven.cseq = CSeq(1, "BYE")
    names, kinds, hasher = forward._NAMES, route._KINDS, loop._HASHER
    for function, *arguments in (
        (native.plain_forward,),
        (native.plain_forward, (), good, None, "sip:a", "", None, None),
        (native.plain_forward, ({}, {}), good, None, "sip:a", "", None, None),
        (native.plain_forward, names, good, None, "sip:a", None, None, None),
        (native.plain_forward, names, good, None, "sip:a", "", 1, None),
        (native.plain_forward, names, good, None, "sip:a", "", None, ""),
        (native.plain_forward, names, uneven, None, "sip:a", "", None, None),
        (native.is_sound, good),
        (native.is_sound, good, None),
        (native.plain_preprocess, (), good, is_ours),
        (native.plain_preprocess, (SipUri, list), good, is_ours),
        (native.plain_preprocess, kinds, uneven, is_ours),
        (native.plain_preprocess, kinds, good),
        (native.keyed_digits, hasher, "a"),
        (native.keyed_digits, hasher, "a", None),
        (native.plain_loop_hash, hasher, (), good),
        (native.plain_loop_hash, hasher, frozenset(), uneven),
    ):
        with pytest.raises(TypeError):
            function(*arguments)
    for function, *arguments in (
        (native.plain_forward, names, good, object(), "sip:a", "", None, None),
        (native.keyed_digits, None, "a", "b"),
        (native.plain_loop_hash, None, frozenset(), good),
        (native.plain_loop_hash, hasher, frozenset(), object()),
    ):
        with pytest.raises(AttributeError):
            function(*arguments)
    assert native.plain_forward(names, good, None, None, "", None, None) is None
    assert native.is_sound(object(), SipUri) is False
    assert native.plain_preprocess(kinds, object(), is_ours) is None


def test_what_a_function_raises_goes_on(native: Any) -> None:
    request = Request("BYE", "sip:a@b", Headers.parse([*SOUND, "Route: <sip:T@ours;lr>"]))
    with pytest.raises(ZeroDivisionError):
        native.plain_preprocess(route._KINDS, request, lambda _: 1 / 0)
