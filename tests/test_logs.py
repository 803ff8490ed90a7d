"""The log: one line each, whatever comes; stamped, escaped, bounded."""

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi import compiled
from sipcgi.errors import ScriptError
from sipcgi.logs import MAX_TEXT, MAX_VALUE, AccessRecord, Log, line_of

STAMP = "2024-11-24T21:18:00.250Z"


class Wall:
    def __init__(self) -> None:
        self.now = 1732483080.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log() -> Log:
    return Log(Wall())


def record(**changes: object) -> AccessRecord:
    values: dict[str, object] = {
        "method": "INVITE",
        "from_": "alice@example.com",
        "to": "bob@example.com",
        "uri": "sip:bob@example.com",
        "source": "192.0.2.1:5060",
        "call_id": "a84b4c76e66710@pc33",
        "route": "routes.2",
        "script": "block.pl",
        "runs": 2,
        "script_seconds": 0.01234,
        "script_cpu": 0.00567,
        "script_peak_kib": 3456,
        "actions": ["relay"],
        "targets": ["sip:bob@192.0.2.4"],
        "status": 200,
        "to_100": 0.2,
        "to_final": 1.5,
    }
    made = AccessRecord("", "", "", "", "", "")
    for name, value in (values | changes).items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def test_texts_are_stamped_with_their_kind(log: Log) -> None:
    log.info("listening on udp://0.0.0.0:5060")
    log.warning("w")
    log.error("e")
    assert log.take().decode() == (
        f"{STAMP} info listening on udp://0.0.0.0:5060\n{STAMP} warning w\n{STAMP} error e\n"
    )
    assert log.take() == b""


def test_milliseconds_advance_within_and_beyond_a_second() -> None:
    wall = Wall()
    log = Log(wall)
    for now in (0.0, 0.001, 0.9999, 59.5, 86400.0):
        wall.now = now
        log.info("x")
    assert [line.split()[0] for line in log.take().decode().splitlines()] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.001Z",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:00:59.500Z",
        "1970-01-02T00:00:00.000Z",
    ]


def test_access_is_one_line_in_fixed_order(log: Log) -> None:
    log.access(record())
    assert log.take().decode() == (
        f"{STAMP} access method=INVITE from=alice@example.com to=bob@example.com uri=sip:bob@example.com"
        " source=192.0.2.1:5060 call_id=a84b4c76e66710@pc33 route=routes.2 script=block.pl runs=2 script_seconds=0.0123"
        " script_cpu=0.0057 script_peak_kib=3456"
        " actions=relay targets=sip:bob@192.0.2.4 status=200 to_100=0.2000 to_180=- to_final=1.5000\n"
    )


def test_access_without_script_targets_or_answer(log: Log) -> None:
    log.access(record(route="default", script="", actions=[], targets=[], status=None, to_100=None, to_final=None))
    line = log.take().decode()
    assert " route=default script=- " in line
    assert line.endswith(" actions=- targets=- status=- to_100=- to_180=- to_final=-\n")


def test_several_targets_stand_in_quotes(log: Log) -> None:
    log.access(record(actions=["reply:180", "relay", "relay"], targets=["sip:a,b@x", "sip:c@x"]))
    assert ' actions="reply:180 relay relay" targets="sip:a,b@x sip:c@x" ' in log.take().decode()


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ("a b", '"a b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("a\\b", r'"a\\b"'),
        ("\x1b[2J", r'"\x1b[2J"'),
        ("x\r\nfake", r'"x\x0d\x0afake"'),
        ("\u202ercs", r'"\u202ercs"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("\udcff", r'"\xff"'),
        ("zoë@example.com", "zoë@example.com"),
        ("", "-"),
    ],
)
def test_what_strangers_send_is_escaped(log: Log, sent: str, logged: str) -> None:
    log.access(record(from_=sent))
    assert f" from={logged} to=bob@example.com " in log.take().decode()


def test_long_values_are_cut(log: Log) -> None:
    log.access(record(uri="sip:" + "x" * 5000))
    assert f' uri="sip:{"x" * (MAX_VALUE - 4)}..." source' in log.take().decode()
    log.info("y" * 20000)
    assert log.take().decode().endswith(f" info {'y' * MAX_TEXT}...\n")


def test_standard_error_of_a_script(log: Log) -> None:
    log.script_stderr("block.pl", "a b", "Use of uninitialized value\tat block.pl line 3.")
    assert log.take().decode() == (
        f'{STAMP} stderr script=block.pl call_id="a b" text="Use of uninitialized value\\x09at block.pl line 3."\n'
    )


def test_an_error_of_a_script_with_everything_is_one_line(log: Log) -> None:
    problem = ScriptError("bad URI", line=3, column=19, hint="end a line\nwith LF")
    log.script_error("block.pl", "c1", problem, status=1)
    assert log.take().decode() == (
        f"{STAMP} script script=block.pl call_id=c1 status=1 line=3 column=19"
        ' text="bad URI" hint="end a line\\x0awith LF"\n'
    )


def test_an_error_of_a_script_with_little(log: Log) -> None:
    log.script_error("a.sh", "c1", ScriptError("timeout"), signal=9)
    log.script_error("a.sh", "c1", "cannot be started", signal=999)
    assert log.take().decode().splitlines() == [
        f'{STAMP} script script=a.sh call_id=c1 signal=SIGKILL text="timeout"',
        f'{STAMP} script script=a.sh call_id=c1 signal=999 text="cannot be started"',
    ]


def test_a_traceback_is_a_line_for_each_of_its_lines(log: Log) -> None:
    log.crash("Traceback:\n  File x\nValueError: \x07\n")
    assert (
        log.take().decode()
        == f"{STAMP} error | Traceback:\n{STAMP} error |   File x\n{STAMP} error | ValueError: \\x07\n"
    )


def test_lines_are_taken_some_at_a_time_and_in_order(log: Log) -> None:
    filled = 0

    def count() -> None:
        nonlocal filled
        filled += 1

    log.filled = count
    for number in range(5):
        log.info(f"line {number}")
        log.access(record(runs=number))
    assert filled == 1
    taken = [log.take(4).decode().splitlines() for _ in range(4)]
    assert [len(lines) for lines in taken] == [4, 4, 2, 0]
    kinds = [line.split()[1] for lines in taken for line in lines]
    assert kinds == ["info", "access"] * 5
    log.info("again")
    assert filled == 2


def test_a_flood_is_dropped_and_counted() -> None:
    log = Log(Wall(), most=100)
    for number in range(10):
        log.info(f"line {number} " + "x" * 30)
    taken = log.take().decode().splitlines()
    assert [line.split()[2:4] for line in taken[:-1]] == [["line", "0"], ["line", "1"]]
    assert taken[-1] == f"{STAMP} warning 8 log lines dropped: more came than can be written"
    log.info("again")
    assert log.take().decode() == f"{STAMP} info again\n"


@given(st.text(max_size=50))
def test_any_text_makes_one_printable_line(text: str) -> None:
    log = Log(Wall())
    log.info(text)
    log.access(record(from_=text, targets=[text, text]))
    log.script_stderr(text, text, text)
    lines = log.take().decode().split("\n")
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


PLAIN = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
SEVERAL = st.lists(PLAIN, max_size=4)
SECONDS = st.floats() | st.floats(0, 2e5) | st.integers(0, 2**31).map(lambda number: number / 20000) | st.just(-0.0)
USUAL = {
    **dict.fromkeys(("method", "from_", "to", "uri", "source", "call_id", "route", "script"), PLAIN),
    **dict.fromkeys(("actions", "targets"), SEVERAL),
    **dict.fromkeys(("runs", "script_peak_kib"), st.integers(0, 2**40)),
    **dict.fromkeys(("script_seconds", "script_cpu"), SECONDS),
    **dict.fromkeys(("to_100", "to_180", "to_final"), st.none() | SECONDS),
    "status": st.none() | st.integers(100, 699),
    "logged": st.floats(0, 4e9) | st.integers(0, 4 * 10**12).map(lambda number: number / 2000),
}
PIECES = st.sampled_from(
    [*'a é" \\\t\x7f\x00\xa0\u202e\U000e0001\udcff', "\ud800", "\n", "x" * 300, " " * 512, '"' * 1023]
)
ODD_TEXT = st.lists(PIECES, max_size=6).map("".join)
ODD_NUMBER = st.integers() | st.booleans() | st.sampled_from([2**63 - 1, 2**63, -1, -(2**63), 10**100])
ODD_SECONDS = SECONDS | st.integers(-5, 10**20)
ODD = {
    str: ODD_TEXT,
    list: st.lists(ODD_TEXT, max_size=4) | st.lists(PLAIN, max_size=3).map(tuple),
    int: ODD_NUMBER,
    float: ODD_SECONDS,
}


class Asked(AccessRecord):
    """One whose line pure Python makes."""

    asked = 0

    def line(self) -> str:
        self.asked += 1
        return super().line()


@pytest.fixture(scope="module")
def native(missing: Callable[[str], None]) -> Callable[[AccessRecord], str]:
    if os.environ.get("SIPCGI_PURE"):
        pytest.skip("SIPCGI_PURE is set: there is nothing to compare")
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")
    assert line_of is compiled.native.line_of
    return compiled.native.line_of


def asked(values: dict[str, object]) -> Asked:
    made = Asked("", "", "", "", "", "")
    for name, value in values.items():
        setattr(made, name, value)
    return made


@given(st.fixed_dictionaries(USUAL))
def test_a_usual_line_is_made_without_python_and_is_the_same(
    native: Callable[[AccessRecord], str], values: dict[str, object]
) -> None:
    made = asked(values)
    line = native(made)
    assert made.asked == 0
    assert line == made.line()


@given(
    st.fixed_dictionaries(USUAL),
    st.lists(st.sampled_from(sorted(USUAL)), min_size=1, max_size=3, unique=True),
    st.data(),
)
def test_an_odd_value_makes_the_same_line(
    native: Callable[[AccessRecord], str], values: dict[str, object], names: list[str], data: st.DataObject
) -> None:
    for name in names:
        kind = float if name.startswith("to_") else int if name == "status" else type(values[name])
        values[name] = data.draw(st.floats(0, 2e11) if name == "logged" else ODD[kind], name)
    made = asked(values)
    assert native(made) == made.line()


def test_a_line_is_a_text_or_that_of_a_record(native: Callable[[object], str]) -> None:
    assert native("a line\n") == "a line\n"
    for odd in (None, 1, b"octets", asked({"status": "200", "to_100": "soon"})):
        with pytest.raises((AttributeError, ValueError)):
            native(odd)
    with pytest.raises(TypeError):
        native(asked({"script_seconds": None}))
    with pytest.raises(TypeError):
        native(asked({"targets": ["a", 1]}))


@pytest.mark.parametrize("wall", [-1.5, 0.0005, 0.0015, 59.9995, 86399.9999, 253402300799.9989])
def test_a_time_is_rounded_alike(native: Callable[[AccessRecord], str], wall: float) -> None:
    made = asked({"logged": wall})
    assert native(made) == made.line()
