"""What changes in the lines of a message on its way: the Python way, and the compiled twin beside it."""

import itertools
import os
import random
from pathlib import Path
from types import BuiltinFunctionType

import pytest

from sipcgi import compiled
from sipcgi.sip import splice
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Response


def pure(name):
    """The Python twin, which the compiled one has replaced in its module."""
    namespace = {}
    source = Path(splice.__file__).read_text("utf-8").replace("@compiled\n", "")
    exec(compile(source, splice.__file__, "exec"), namespace)
    return namespace[name]


def ways(name):
    twin = getattr(splice, name)
    return [pure(name), twin] if isinstance(twin, BuiltinFunctionType) else [pure(name)]


def on_top(put, fields, hops=-1, breadth=-1, record_route="", via="new"):
    names, lines = [name for name, _ in fields], [line for _, line in fields]
    assert put(names, lines, hops, breadth, record_route, via) is None
    return list(zip(names, lines, strict=True))


@pytest.fixture(params=["pure", "compiled"])
def way(request, missing):
    found = ways("put_on_top"), ways("plain_way_back")
    if request.param == "compiled" and len(found[0]) == 1:
        if os.environ.get("SIPCGI_PURE"):
            pytest.skip("SIPCGI_PURE is set")
        missing(f"the compiled part: {compiled.reason}")
    return [each[request.param == "compiled"] for each in found]


V1, V2, MF, MB, RR, S = (
    ("via", "Via: 1"),
    ("via", "Via: 2"),
    ("max-forwards", "max-forwards : 5"),
    ("max-breadth", "Max-Breadth: 9"),
    ("record-route", "Record-Route: <sip:a>"),
    ("subject", "Subject: x"),
)
NEW = ("via", "Via: new")


def test_what_is_there_is_replaced_where_it_stands(way):
    put, _ = way
    assert on_top(put, [S, V1, MF, V2, RR, MB, RR], 4, 3, "<sip:us>") == [
        S, NEW, V1, ("max-forwards", "Max-Forwards: 4"), V2, ("record-route", "Record-Route: <sip:us>"), RR,
        ("max-breadth", "Max-Breadth: 3"), RR,
    ]  # fmt: skip


def test_what_is_new_goes_behind_the_last_via(way):
    put, _ = way
    assert on_top(put, [S, V1, V2, S], 70, 60, "<sip:us>") == [
        S, NEW, V1, V2, ("record-route", "Record-Route: <sip:us>"), ("max-breadth", "Max-Breadth: 60"),
        ("max-forwards", "Max-Forwards: 70"), S,
    ]  # fmt: skip


def test_a_request_of_our_own_has_no_via(way):
    put, _ = way
    assert on_top(put, [S], 70) == [NEW, ("max-forwards", "Max-Forwards: 70"), S]


def test_several_of_what_occurs_once(way):
    put, _ = way
    assert on_top(put, [MB, V1, MB, MB, S], -1, 1) == [("max-breadth", "Max-Breadth: 1"), NEW, V1, S]
    assert on_top(put, [V1, MB, MB]) == [NEW, V1, MB, MB]


def test_text_beyond_ascii(way):
    put, back = way
    assert on_top(put, [V1], via="ü\udcff") == [("via", "Via: ü\udcff"), V1]
    assert back(response(), sent("From: ü")).headers.lines == ["Via: 2", "From: ü", "To: b;tag=1", SUBJECT, LENGTH]


SUBJECT, LENGTH = "Subject: x", "Content-Length: 2"


def sent(from_="From: a", to="To: b"):
    return Headers.of(["subject", "to", "from"], ["Subject: y", to, from_])


def response(*changes):
    fields = {
        "via": "Via: 1", "via2": "Via: 2", "from": "From: x", "to": "To: b;tag=1", "subject": SUBJECT,
        "content-length": LENGTH,
    }  # fmt: skip
    fields |= dict(changes)
    kept = [(name[:3] if name[:3] == "via" else name, line) for name, line in fields.items() if line is not None]
    return Response(200, "OK", Headers.of([name for name, _ in kept], [line for _, line in kept]), b"ab")


def test_the_way_back(way):
    _, back = way
    before = response()
    found = back(before, sent())
    assert (type(found), type(found.headers)) == (Response, Headers)
    assert (found.status, found.reason, found.body) == (200, "OK", b"ab")
    assert found.headers.names == ["via", "from", "to", "subject", "content-length"]
    assert found.headers.lines == ["Via: 2", "From: a", "To: b;tag=1", SUBJECT, LENGTH]
    assert before.headers.lines[0] == "Via: 1"
    assert back(response(("to", "To: b")), sent()) is not None


@pytest.mark.parametrize(
    "change",
    [
        ("via2", None),
        ("via", "Via: 1, 2"),
        ("from", None),
        ("to", None),
        ("to", "To: c;tag=1"),
        ("to", "To: b;other=1"),
        ("to", "To: "),
        ("content-length", None),
        ("cgi-x", "CGI-X: y"),
        ("subject", "x" * 15000),
    ],
)
def test_what_another_way_is_for(way, change):
    _, back = way
    assert back(response(change), sent()) is None


def test_a_large_body_is_for_another_way(way):
    _, back = way
    large = response()
    large.body = bytes(60000)
    assert back(large, sent()) is None
    assert back(response(), Headers.of(["from"], ["From: a"])) is None


@pytest.mark.parametrize("forget", [pure("forget_cgi_fields"), splice.forget_cgi_fields])
def test_cgi_fields_are_forgotten(forget):
    fields = Headers.of(["cgi-a", "via", "cgi-b", "cgi", "x-cgi-c", "cgi-", "é"], ["1", "2", "3", "4", "5", "6", "7"])
    forget(fields)
    assert (fields.names, fields.lines) == (["via", "cgi", "x-cgi-c", "é"], ["2", "4", "5", "7"])
    forget(fields)
    assert len(fields) == 4


@pytest.mark.parametrize("ends", [pure("ends_of"), splice.ends_of])
def test_the_ends(ends):
    assert ends(Headers.of(["to", "via", "from", "to"], ["1", "2", "3", "4"])) == ("3", "1")
    with pytest.raises(ValueError, match=r"is not in list|has From and To"):
        ends(Headers.of(["to"], ["1"]))


def test_both_ways_are_one():
    """Any order and number of fields."""
    ways_of_putting = ways("put_on_top")
    draw = random.Random(1)
    numbers = [-1, 0, 70]
    for length, hops, breadth, route in itertools.product(range(8), numbers, numbers, ["", "<sip:us>"]):
        for _ in range(10):
            fields = draw.choices([V1, V2, MF, MB, RR, S], k=length)
            found = [on_top(put, fields, hops, breadth, route) for put in ways_of_putting]
            assert all(one == found[0] for one in found)
    ways_back = ways("plain_way_back")
    for _ in range(3000):
        extra = [("to", "To: b;tag=1"), ("via", "Via: 1, 2"), ("cgi-x", "CGI-X: y"), ("content-length", "l:0")]
        fields = draw.choices([V1, V2, S, ("from", "From: x"), ("from", "From: z"), *extra], k=draw.randrange(12))
        headers = Headers.of([name for name, _ in fields], [line for _, line in fields])
        request = draw.choice([sent(), sent(), sent(to="To: c"), Headers.of([], [])])
        found = [back(Response(180, "é", headers), request) for back in ways_back]
        assert all(one == found[0] for one in found)
        assert all(one is None or one.headers.names == found[0].headers.names for one in found)


@pytest.mark.skipif(len(ways("put_on_top")) == 1, reason="the compiled part is not there")
def test_what_is_no_message_is_refused():
    put, back = splice.put_on_top, splice.plain_way_back
    for arguments in (
        ([], [], 1, 1, "", None),
        ([], ["a"], 1, 1, "", ""),
        ((), (), 1, 1, "", ""),
        ([], [], "1", 1, "", ""),
        ([],),
    ):
        with pytest.raises(TypeError):
            put(*arguments)
    uneven = Headers.of([], ["a"])
    for arguments in ((response(),), (response(), None), (response(), uneven), (Response(200, "", uneven), Headers())):
        with pytest.raises(TypeError):
            back(*arguments)
    with pytest.raises(AttributeError):
        back(object(), Headers())
    for fields in (None, uneven):
        for function in (splice.forget_cgi_fields, splice.ends_of):
            with pytest.raises(TypeError):
                function(fields)
