"""The kit for resident scripts in Python, record by record."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.hosts import fastcgi_records as records
from sipcgi.hosts.kits import with_kits
from sipcgi.kits.python.sipcgi_fastcgi import _pairs, _whole

TEXT = """#!/usr/bin/env python3
import os
import sys
from sipcgi_fastcgi import serve
from sipcgi_kit import Call

def answer(request):
    if request.environment.get("A") == "kit":
        with Call() as call:
            call.reply(480, "Kit")
        return
    if request.environment.get("A") == "return":
        return eval(request.environment["RETURN"])
    if "DO" in request.environment:
        exec(request.environment["DO"])
        return sys.stdin.read()
    assert os.environ is request.environment and os.environb[b"A"] == os.environ["A"].encode()
    return f"{request.environment['A']} {len(request.body)}"

serve(answer)
"""


class Program:
    """The program with a listening socket, and connections to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "socket"
        (folder / "program.py").write_text(TEXT)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.path))
        self.listening.listen(5)
        command = [sys.executable, folder / "program.py"]
        environment = with_kits({"PATH": os.environ["PATH"]})
        self.process = subprocess.Popen(command, stdin=self.listening, env=environment)
        self.open()

    def open(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(str(self.path))
        self.decoder = records.Decoder()
        self.read: list[records.Record] = []

    def say(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def record(self) -> records.Record | None:
        while not self.read:
            octets = self.socket.recv(65536)
            if not octets:
                return None
            self.read += self.decoder.feed(octets)
        return self.read.pop(0)

    def answer(self) -> tuple[bytes, tuple[int, int]]:
        """Output and end of a request."""
        output = b""
        while (found := self.record()) is not None:
            if found.kind == records.STDOUT:
                output += found.content
            elif found.kind == records.END_REQUEST:
                return output, records.ended(found.content)
        raise AssertionError("the connection was closed")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.socket.close()
    made.listening.close()
    made.process.kill()
    made.process.wait()


def test_a_request_octet_by_octet(program: Program) -> None:
    for octet in records.whole_request(7, {"A": "é"}, b"body"):
        program.say(bytes([octet]))
    assert program.answer() == ("é 4".encode(), (0, records.REQUEST_COMPLETE))


def test_several_in_one_piece_and_large_ones(program: Program) -> None:
    large = {"A": "x" * 200, "N" * 200: "y" * 70_000}
    program.say(records.whole_request(1, {"A": "1"}, b""), records.whole_request(1, large, b"b" * 150_000))
    assert program.answer()[0] == b"1 0"
    assert program.answer()[0] == b"x" * 200 + b" 150000"


def test_padding_is_passed_over(program: Program) -> None:
    parts = [
        records.record(records.BEGIN_REQUEST, 1, b"\0\1\1\0\0\0\0\0", 5),
        records.record(records.PARAMS, 1, records.pairs({"A": "a"}), 255),
        records.record(records.PARAMS, 1, b"", 3),
        records.record(records.DATA, 1, b"?"),
        records.record(records.STDIN, 1, b"", 8),
    ]
    program.say(*parts)
    assert program.answer()[0] == b"a 0"


def test_call_of_the_other_kit(program: Program) -> None:
    program.say(records.whole_request(1, {"A": "kit", "SIPCGI_EVENT": "request"}, b""))
    assert program.answer()[0] == b"SIP/2.0 480 Kit\n\n"


@pytest.mark.parametrize(
    ("does", "output", "status"),
    [
        ("print('first')", b"first\nbody", 0),
        ("sys.stdout.buffer.write(b'1st'); sys.stdout.buffer.seek(0)", b"1stbody", 0),
        ("print('first'); sys.stdout.flush(); sys.stdout.seek(0); sys.stdout.truncate()", b"body", 0),
        ("sys.stdin.buffer.read(1)", b"ody", 0),
        ("sys.stdin.readline(); sys.stdin.seek(0)", b"body", 0),
        ("sys.stdin.close()", b"", 1),
        ("sys.stdin = open('/dev/null')", b"", 0),
        ("sys.modules['kept'] = sys.stdin.buffer.getbuffer()", b"body", 0),
        ("sys.stdout = open('/dev/null', 'w')", b"body", 0),
        ("sys.stdout = type(sys.stdout)(sys.stdout.buffer)", b"body", 0),
        ("print('!', file=sys.stderr)", b"body", 0),
        ("sys.exit(3)", b"", 3),
        ("os.environ = {}; os.environb = {}", b"body", 0),
    ],
)
def test_a_run_finds_nothing_of_the_one_before(program: Program, does: str, output: bytes, status: int) -> None:
    for body in (b"body", b"", b"body"):
        program.say(records.whole_request(1, {"DO": ""}, body))
        assert program.answer() == (body, (0, records.REQUEST_COMPLETE))
    program.say(records.whole_request(1, {"DO": does}, b"body"))
    assert program.answer() == (output, (status, records.REQUEST_COMPLETE))
    for variables in ({"A": "a"}, {"A": "kit"}, {"A": "a"}):
        program.say(records.whole_request(1, variables, b"body"))
        assert program.answer()[0] == (b"SIP/2.0 480 Kit\n\n" if variables["A"] == "kit" else b"a 4")
    program.say(records.whole_request(1, {"DO": "print(os.environ['DO'][:0] + 'x')"}, b"body"))
    assert program.answer() == (b"x\nbody", (0, records.REQUEST_COMPLETE))


@pytest.mark.parametrize("returned", ["b'octets'", "bytearray(b'octets')", "memoryview(b'octets')", "'octets'", "7"])
def test_what_a_function_may_return(program: Program, returned: str) -> None:
    """Text and octets, and what is neither is a fault of its own."""
    program.say(records.whole_request(1, {"A": "return", "RETURN": returned}, b""))
    expected = (b"", (1, 0)) if returned == "7" else (b"octets", (0, 0))
    assert program.answer() == expected


def test_what_it_can_do(program: Program) -> None:
    program.say(records.question())
    found = program.record()
    assert found is not None
    assert found[:2] == (records.GET_VALUES_RESULT, 0)
    assert records.values(found.content) == {records.MAX_CONNS: 1, records.MAX_REQS: 1, records.MPXS_CONNS: 0}


def test_what_it_does_not_know(program: Program) -> None:
    """FastCGI 4.2."""
    program.say(records.record(99, 0, b"?"))
    assert program.record() == (records.UNKNOWN_TYPE, 0, b"\x63" + bytes(7))


def test_one_request_at_a_time_and_as_a_responder(program: Program) -> None:
    program.say(records.begin(1), records.begin(2), records.record(records.BEGIN_REQUEST, 3, b"\0\2\1\0\0\0\0\0"))
    assert program.answer()[1] == (0, records.CANT_MPX_CONN)
    assert program.answer()[1] == (0, records.UNKNOWN_ROLE)
    program.say(records.record(records.ABORT_REQUEST, 1))
    assert program.answer() == (b"", (0, records.REQUEST_COMPLETE))
    program.say(records.whole_request(1, {"A": "a"}, b""))
    assert program.answer()[0] == b"a 0"


def test_the_connection_is_closed_if_it_is_not_to_be_kept(program: Program) -> None:
    whole = records.whole_request(1, {"A": "a"}, b"")
    program.say(whole.replace(records.begin(1), records.record(records.BEGIN_REQUEST, 1, b"\0\1\0\0\0\0\0\0")))
    assert program.answer()[0] == b"a 0"
    assert program.record() is None
    program.socket.close()
    program.open()
    program.say(records.whole_request(1, {"A": "b"}, b""))
    assert program.answer()[0] == b"b 0"


def test_who_goes_away_is_not_missed(program: Program) -> None:
    for part in (b"", b"\1\1", records.whole_request(1, {"A": "a"}, b"")):
        program.say(part)
        program.socket.close()
        program.open()
    program.say(records.whole_request(1, {"A": "b"}, b""))
    assert program.answer()[0] == b"b 0"


def test_it_ends_when_the_socket_is_closed(program: Program) -> None:
    program.socket.close()
    program.listening.shutdown(socket.SHUT_RDWR)
    assert program.process.wait(5) == 0


def test_as_a_script(tmp_path: Path) -> None:
    """What is no FastCGI program is started for one run."""
    (tmp_path / "program.py").write_text(TEXT)
    environment = with_kits({"PATH": os.environ["PATH"], "A": "1"})
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], env=environment, input=b"body", capture_output=True, check=False
    )
    assert (done.stdout, done.returncode) == (b"", 1)  # os.environ is the process's own: the assertion of the program
    environment["A"] = "kit"
    environment["SIPCGI_EVENT"] = "request"
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"], env=environment, input=b"", capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"SIP/2.0 480 Kit\n\n", b"")


@given(st.dictionaries(st.text("AB", min_size=1, max_size=150), st.text(max_size=300), max_size=5))
def test_names_and_values_as_the_server_sends_them(variables: dict[str, str]) -> None:
    octets = records.pairs(variables)
    assert _pairs(octets) == variables


@given(
    st.dictionaries(st.text("AB", min_size=1, max_size=150), st.text(max_size=300), min_size=1, max_size=5),
    st.binary(max_size=600),
    st.data(),
)
def test_a_whole_request_is_known_and_nothing_else(variables: dict[str, str], body: bytes, data: st.DataObject) -> None:
    octets = records.whole_request(1, variables, body)
    found = _whole(octets)
    assert found is not None
    assert (_pairs(found._params), found.body, found.keep) == (variables, body, True)
    cut = data.draw(st.integers(0, len(octets) - 1) | st.integers(len(octets) - 20, len(octets) - 1))
    assert _whole(octets[:cut]) is None
    assert _whole(octets + octets[:cut] + b"\1") is None
    assert _whole(records.whole_request(2, variables, body)) is None
    assert _whole(records.stream(records.PARAMS, 1, octets)) is None
