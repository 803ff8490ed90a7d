"""What holds for any input: a message or a ParseError, in time that grows with its length, however it is cut."""

import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sipcgi.errors import ParseError
from sipcgi.sip import build
from sipcgi.sip.address import Address
from sipcgi.sip.authentication import Challenge
from sipcgi.sip.framing import StreamFramer
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Message, Request
from sipcgi.sip.params import Params
from sipcgi.sip.parser import MessageError, parse
from sipcgi.sip.uri import equivalent, escape, parse_uri, unescape
from sipcgi.sip.via import Via

SEEDS = [path.read_bytes() for path in sorted((Path(__file__).parent / "torture").rglob("*.dat"))]
TYPED = (
    "target",
    "via",
    "vias",
    "from_",
    "to",
    "call_id",
    "cseq",
    "max_forwards",
    "contacts",
    "routes",
    "record_routes",
)
PIECES = st.sampled_from(
    [b"\r\n", b"\r\n ", b"\r\n\r\n", b":", b",", b";", b"<", b">", b'"', b"\\", b"%", b"@", b"=", b" ", b"\t", b"\0",
     b"\xff", b"\x85", b"[", b"]", b"Via: SIP/2.0/UDP a\r\n", b"Content-Length: 3\r\n", b"l:0\r\n", b"To: a",
     b"SIP/2.0 200 OK\r\n"]
)  # fmt: skip
TEXT = st.text(st.sampled_from('aZ0 \t<>"\\,;:=@%41?&[]()*+-._/#sipteludébr\x00\x1f\x7f\udcff'), max_size=60)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A torture message with some octets replaced, inserted or lost."""
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(octets)))
        octets[at : at + draw(st.integers(0, 3))] = draw(PIECES | st.binary(max_size=3))
    return bytes(octets)


FIELDS = st.lists(
    st.sampled_from(
        ["Via: SIP/2.0/UDP a;branch=z9hG4bK1", "v: SIP/2.0/TCP b", "To: <sip:b@c>", "f: sip:a@b;tag=1", "Call-ID: 1@2",
         "X-\r\n: y", "X: a\r\n b", "Subject: \udcff", "Content-Length: 4", "m: <sip:x>", "CSeq: 1 INFO"]
    )
)  # fmt: skip


def use(message: Message) -> None:
    for name in TYPED:
        with suppress(ParseError):
            getattr(message, name, None)


@given(st.binary(max_size=400) | mutated())
@example(b"")
@settings(max_examples=600, deadline=None)
def test_any_octets_give_a_message_or_a_parse_error(octets: bytes) -> None:
    try:
        parsed = parse(octets)
    except MessageError as error:
        if error.message is not None:
            use(error.message)
            octets = bytes(build.response(error.message, error.status, to_tag="x"))
            lines = octets.removesuffix(b"\r\n\r\n").split(b"\r\n")
            assert not any(octet in b"".join(lines) for octet in (b"\r", b"\n", b"\0"))
    else:
        assert parse(bytes(parsed)) == parsed
        use(parsed)


@given(FIELDS, st.binary(max_size=20))
@settings(max_examples=200, deadline=None)
def test_what_was_made_and_parses_is_the_same(lines: list[str], body: bytes) -> None:
    fields = ["To: a", "From: b", "Call-ID: c", "CSeq: 1 INFO", "Via: SIP/2.0/UDP a", *lines]
    octets = "\r\n".join(["INFO sip:a@b SIP/2.0", *fields, "", ""]).encode("utf-8", "surrogateescape") + body
    try:
        message = parse(octets)
    except ParseError:
        return
    assert parse(bytes(message)) == message
    with_body = message.with_body(body)
    assert parse(bytes(with_body)) == with_body
    assert with_body.body == body


def outcome(pieces: list[bytes]) -> list[object]:
    framer = StreamFramer()
    found: list[object] = []
    for piece in pieces:
        while True:
            try:
                items = framer.feed(piece)
            except MessageError as error:
                found.append(str(error))
                if error.fatal:
                    return found
            else:
                found += items
                if not items:
                    break
            piece = b""
    return found


STREAM = st.lists(PIECES | st.sampled_from(SEEDS) | st.just(b"\r\n\r\n"), max_size=6).map(b"".join)


@given(STREAM | mutated(), st.data())
@settings(max_examples=300, deadline=None)
def test_any_cuts_of_a_stream_give_the_same(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    edges = [0, *cuts, len(stream)]
    assert outcome([stream[a:b] for a, b in pairwise(edges)]) == outcome([stream])


@given(TEXT, TEXT)
@settings(max_examples=600, deadline=None)
def test_any_text_gives_a_value_or_a_parse_error(text: str, other: str) -> None:
    for kind in (
        parse_uri,
        Via.parse,
        Params.parse,
        Params.parse_uri,
        Address.parse,
        Address.parse_list,
        Challenge.parse,
    ):
        try:
            value = kind(text)
        except ParseError:
            continue
        if not isinstance(value, list):
            assert kind(str(value)) == value
    for prefix in ("sip:", "tel:", "sip:a@b;", "sip:a@b?"):
        try:
            a, b = parse_uri(prefix + text), parse_uri(prefix + other)
        except ParseError:
            continue
        assert equivalent(a, a)
        assert equivalent(a, b) == equivalent(b, a)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_user_can_be_escaped(user: str) -> None:
    assert unescape(escape(user)) == user
    if user:
        assert str(parse_uri(f"sip:{escape(user)}@host")) == f"sip:{escape(user)}@host"


PLAIN = "x" * 60_000
HARD = {
    "commas": "," * 60_000,
    "elements": "a," * 1_900,
    "quotes": '"' * 60_000,
    "pairs": '"' + "\\" * 60_000,
    "brackets": "<" * 60_000,
    "closed brackets": "<>" * 30_000,
    "blanks": " " * 60_000 + "x",
    "folds": "\r\n x" * 15_000,
    "blank folds": "\r\n  " * 15_000 + "x",
    "parameters": "SIP/2.0/UDP a" + ";a" * 30_000,
    "equals": "SIP/2.0/UDP a;" + "=" * 60_000,
    "comments": "SIP/2.0/UDP a" + "(" * 30_000 + ")" * 30_000,
    "labels": "sip:" + "a." * 30_000 + "-",
    "hyphens": "sip:a" + "-" * 60_000,
    "escapes": "sip:" + "%41" * 20_000 + "%4@b",
    "digits": "1" * 60_000,
    "colons": "sip:[" + ":" * 60_000 + "]",
    "slashes": "/" * 60_000,
}


@pytest.mark.parametrize("name", HARD)
def test_the_time_grows_with_the_length_alone(name: str) -> None:
    def seconds(value: str) -> float:
        start = time.perf_counter()
        for field in ("Via", "To", "From", "CSeq", "Contact", "Route", "Call-ID", "Max-Forwards"):
            headers = Headers.salvage([f"{field}: x{value}"])
            headers = Headers.salvage(f"{field}: {value}".split("\r\n")) if "\r\n" in value else headers
            use(Request("INVITE", value, headers))
            use(Request("INVITE", value, Headers.salvage([f"{field}: {value}"])))
        return time.perf_counter() - start

    seconds(PLAIN)
    assert min(seconds(HARD[name]) for _ in range(2)) < 0.4  # quadratic ones take minutes
