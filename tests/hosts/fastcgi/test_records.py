"""The records of FastCGI: octets and back, however they are cut."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.fastcgi_records import Decoder, MalformedRecord, Record

CONTENTS = st.binary(max_size=300) | st.sampled_from([b"x" * 65535, b"y" * 40000])
RECORDS = st.lists(
    st.builds(Record, kind=st.integers(0, 255), request=st.integers(0, 65535), content=CONTENTS), max_size=5
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), max_size=300)


@given(RECORDS, st.integers(0, 255), st.lists(st.integers(0, 200_000), max_size=8))
def test_any_chunking_gives_the_same_records(made: list[Record], padding: int, cuts: list[int]) -> None:
    octets = b"".join(records.record(*each, padding) for each in made)
    ends = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    decoder, found = Decoder(), []
    for start, end in pairwise(ends):
        found += decoder.feed(octets[start:end])
    assert found == made


def test_octet_by_octet() -> None:
    octets = records.whole_request(1, {"A": "b"}, b"body")
    decoder = Decoder()
    found = [record for at in range(len(octets)) for record in decoder.feed(octets[at : at + 1])]
    assert found == Decoder().feed(octets)
    assert [(kind, len(content)) for kind, _, content in found] == [
        (records.BEGIN_REQUEST, 8),
        (records.PARAMS, 4),
        (records.PARAMS, 0),
        (records.STDIN, 4),
        (records.STDIN, 0),
    ]


@pytest.mark.parametrize(
    ("octets", "made"),
    [
        # as the specification has them: version, type, request id, length, padding, reserved
        ("0101 0001 0008 00 00  0001 01 0000000000", records.begin(1)),
        ("0102 ffff 0000 00 00", records.record(records.ABORT_REQUEST, 65535)),
        ("0103 0002 0008 00 00  ffffffff 02 000000", records.end(2, 0xFFFFFFFF, records.OVERLOADED)),
        ("0104 0001 0000 00 00", records.stream(records.PARAMS, 1, b"")),
        ("0105 0001 0002 03 00  6869 000000", records.record(records.STDIN, 1, b"hi", 3)),
        ("010b 0000 0008 00 00  6300000000000000", records.record(records.UNKNOWN_TYPE, 0, b"c" + bytes(7))),
    ],
)
def test_as_the_specification_has_them(octets: str, made: bytes) -> None:
    assert made.hex() == octets.replace(" ", "")


@pytest.mark.parametrize("variables", [{}, {"A": "b"}, {f"N{number}": "v" * 60_000 for number in range(3)}])
@pytest.mark.parametrize("stdin", [b"", b"body", b"x" * 65535, b"x" * 65536])
@pytest.mark.parametrize("number", [1, 7])
def test_a_request_in_one_piece_is_its_records(number: int, variables: dict[str, str], stdin: bytes) -> None:
    pieces = [
        records.begin(number),
        records.stream(records.PARAMS, number, records.pairs(variables)),
        records.stream(records.STDIN, number, stdin),
    ]
    assert records.whole_request(number, variables, stdin) == b"".join(pieces)


OUTPUT = records.record(records.STDOUT, 1, b"printed")
EMPTY = records.record(records.STDOUT, 1)


@pytest.mark.parametrize("content", [b"", b"printed", b"x" * 300, b"x" * 65535, records.end(1), EMPTY + records.end(1)])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("empty", [b"", EMPTY])
def test_a_whole_answer_at_a_glance(content: bytes, padding: int, empty: bytes) -> None:
    octets = records.record(records.STDOUT, 1, content, padding) + empty + records.end(1)
    assert records.whole_output(octets) == content
    assert records.whole_output(octets[:-1]) is None
    assert records.whole_output(octets + b"\1") is None


@pytest.mark.parametrize(
    "octets",
    [
        OUTPUT + records.end(1, status=1),
        OUTPUT + records.end(1, protocol_status=records.OVERLOADED),
        OUTPUT + records.end(2),
        OUTPUT + OUTPUT + records.end(1),
        OUTPUT + records.record(records.STDERR, 1, b"oh") + records.end(1),
        records.record(records.STDERR, 1, b"oh") + records.end(1),
        records.record(records.STDOUT, 2, b"printed") + records.end(1),
        records.record(records.STDOUT, 1, records.end(1)),
        OUTPUT[:5] + records.end(1),
        records.end(1),
    ],
)
def test_all_other_answers_are_decoded(octets: bytes) -> None:
    assert records.whole_output(octets) is None


@given(st.lists(st.sampled_from([OUTPUT, EMPTY, records.end(1), b"\0", b"\1\6\0\1\0", b"\xff"]), max_size=6))
def test_a_glance_sees_what_the_decoder_does(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    output = records.whole_output(octets)
    if output is not None:
        found = Decoder().feed(octets)
        assert b"".join(content for kind, _, content in found if kind == records.STDOUT) == output
        assert found[-1] == Record(records.END_REQUEST, 1, bytes(8))


def test_a_stream_is_cut_into_records() -> None:
    octets = bytes(range(256)) * 600
    found = Decoder().feed(records.stream(records.STDIN, 7, octets))
    assert [len(content) for _, _, content in found] == [65535, 65535, 22530, 0]
    assert b"".join(content for _, _, content in found) == octets


@given(st.dictionaries(st.text("ABC_019", min_size=1, max_size=200), TEXTS | st.just("long" * 40000), max_size=6))
def test_names_and_values(variables: dict[str, str]) -> None:
    found = dict(records.unpack_pairs(records.pairs(variables)))
    assert found == {name.encode(): value.encode("utf-8", "surrogateescape") for name, value in variables.items()}


def test_lengths_of_names_and_values() -> None:
    """One octet up to 127, then four (3.4)."""
    assert records.pairs({"N": "v" * 127})[:3] == b"\x01\x7fN"
    assert records.pairs({"N": "v" * 128})[:6] == b"\x01\x80\x00\x00\x80N"
    assert records.pairs({"N" * 128: "\x00"})[:5] == b"\x80\x00\x00\x80\x01"
    assert records.pairs({"N": "é"}) == b"\x01\x02N\xc3\xa9"


@given(st.binary(max_size=40))
def test_no_octets_break_the_pairs(octets: bytes) -> None:
    with suppress(MalformedRecord):
        records.unpack_pairs(octets)


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_no_octets_break_the_decoder(chunks: list[bytes]) -> None:
    decoder = Decoder()
    with suppress(MalformedRecord):
        for chunk in chunks:
            decoder.feed(chunk)


def test_what_is_no_fastcgi() -> None:
    with pytest.raises(MalformedRecord, match="version 72"):
        Decoder().feed(b"HTTP/1.1 200 OK")
    with pytest.raises(MalformedRecord, match="3 octets"):
        records.ended(b"\0\0\0")
    assert records.ended(records.end(1, 3)[8:]) == (3, records.REQUEST_COMPLETE)


def test_the_question_and_its_answer() -> None:
    [(kind, number, content)] = Decoder().feed(records.question())
    assert (kind, number) == (records.GET_VALUES, records.MANAGEMENT)
    assert [name for name, _ in records.unpack_pairs(content)] == [
        b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS",
    ]  # fmt: skip
    told = {records.MAX_CONNS: "10", records.MPXS_CONNS: "1", "FCGI_OTHER": "many", records.MAX_REQS: "9" * 10}
    assert records.values(records.pairs(told)) == {records.MAX_CONNS: 10, records.MPXS_CONNS: 1}
