"""The records of FastCGI 1.0 as octets (its specification, section 3 on); nothing is opened here.

https://fastcgi-archives.github.io/FastCGI_Specification.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from struct import Struct, error
from typing import NamedTuple

from sipcgi.compiled import compiled

VERSION = 1
BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA = range(1, 9)
GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = range(9, 12)
MANAGEMENT = 0
"""The request id of records that belong to no request (3.3)."""
RESPONDER = 1
KEEP_CONN = 1
REQUEST_COMPLETE, CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE = range(4)
MAX_CONTENT = 65535
MAX_REQUEST = 65535
"""The highest id."""
MAX_CONNS, MAX_REQS, MPXS_CONNS = "FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"

_HEADER = Struct(">BBHHBx")
_BEGIN = Struct(">HB5x")
_END = Struct(">IB3x")
_LONG = Struct(">I")


class MalformedRecord(Exception):
    """What came is no FastCGI. Caught in hosts/fastcgi_connection."""


class Record(NamedTuple):
    kind: int
    request: int
    content: bytes


def record(kind: int, request: int, content: bytes = b"", padding: int = 0) -> bytes:
    """One record with at most MAX_CONTENT octets of content."""
    return _HEADER.pack(VERSION, kind, request, len(content), padding) + content + bytes(padding)


def stream(kind: int, request: int, octets: bytes) -> bytes:
    """As many records as it takes, and the empty one that ends a stream (3.3)."""
    whole = [record(kind, request, octets[at : at + MAX_CONTENT]) for at in range(0, len(octets), MAX_CONTENT)]
    return b"".join([*whole, record(kind, request)])


def begin(request: int) -> bytes:
    """Has a responder take a request and keep the connection open after it (5.1)."""
    return record(BEGIN_REQUEST, request, _BEGIN.pack(RESPONDER, KEEP_CONN))


def whole_request(request: int, variables: dict[str, str], stdin: bytes) -> bytes:
    """All records of a request in one piece, for one system call."""
    return b"".join([begin(request), stream(PARAMS, request, pairs(variables)), stream(STDIN, request, stdin)])


@compiled
def plain_request(_variables: dict[str, str], _stdin: bytes) -> bytes | None:
    """What `whole_request` returns for request 1 if the compiled part takes it: short, and ASCII but for the body."""
    return None


def end(request: int, status: int = 0, protocol_status: int = REQUEST_COMPLETE) -> bytes:
    """What a program says at the end of a request (5.5)."""
    return record(END_REQUEST, request, _END.pack(status, protocol_status))


def ended(content: bytes) -> tuple[int, int]:
    """Exit status and protocolStatus in an END_REQUEST. Raises MalformedRecord."""
    try:
        status, protocol_status = _END.unpack_from(content)
    except error:
        raise MalformedRecord(f"an FCGI_END_REQUEST of {len(content)} octets") from None
    return status, protocol_status


@compiled
def whole_output(octets: bytes) -> bytes | None:
    """Standard output, when what came is the whole answer to request 1, and nothing went wrong: nearly each time."""
    if octets.startswith(_OUTPUT) and octets.endswith(_GOOD_END):
        after = 8 + (octets[4] << 8) + octets[5]
        if octets[after + octets[6] :] in _GOOD_ENDS:
            return octets[8:after]
    return None


_OUTPUT = record(STDOUT, 1)[:4]
_GOOD_END = end(1)
_GOOD_ENDS = (record(STDOUT, 1) + _GOOD_END, _GOOD_END)


def question() -> bytes:
    """Asks a program what it can do (4.1)."""
    return record(GET_VALUES, MANAGEMENT, pairs(dict.fromkeys((MAX_CONNS, MAX_REQS, MPXS_CONNS), "")))


def values(content: bytes) -> dict[str, int]:
    """The numbers in a GET_VALUES_RESULT; what is none is left out. Raises MalformedRecord."""
    found = [(name.decode("latin-1"), value) for name, value in unpack_pairs(content)]
    return {name: int(value) for name, value in found if len(value) < 10 and value.isdigit()}


def pairs(variables: Mapping[str, str]) -> bytes:
    """Names and values, each length in one octet or four (3.4)."""
    values: Collection[str] = variables.values()
    if not "".join(values).isascii():
        values = [value.encode("utf-8", "surrogateescape").decode("latin-1") for value in values]
    lengths = map(_LENGTHS.__getitem__, map(len, variables)), map(_LENGTHS.__getitem__, map(len, values))
    # A text of octets is put together, which is far quicker than octets are.
    return "".join(chain.from_iterable(zip(*lengths, variables, values, strict=True))).encode("latin-1")


class _Lengths(dict[int, str]):
    """By number of octets; only short ones, which nearly all are, are kept."""

    def __missing__(self, number: int) -> str:
        return _LONG.pack(number | 0x80000000).decode("latin-1")


_LENGTHS = _Lengths({number: chr(number) for number in range(128)})


def unpack_pairs(content: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Raises MalformedRecord."""
    found, at = [], 0
    try:
        while at < len(content):
            sizes = []
            for _ in range(2):
                if content[at] < 128:
                    sizes.append(content[at])
                    at += 1
                else:
                    sizes.append(_LONG.unpack_from(content, at)[0] & 0x7FFFFFFF)
                    at += 4
            middle = at + sizes[0]
            after = middle + sizes[1]
            if after > len(content):
                raise MalformedRecord("a name-value pair that is cut off")
            found.append((content[at:middle], content[middle:after]))
            at = after
    except (IndexError, error):
        raise MalformedRecord("a name-value pair that is cut off") from None
    return found


class Decoder:
    """Makes records of octets, however they come."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""
        """The begin of a record."""

    def feed(self, octets: bytes) -> list[Record]:
        """Those that are complete now. Raises MalformedRecord, after which there is nothing more to be had."""
        octets = self.rest + octets if self.rest else octets
        found, at, size = [], 0, len(octets)
        while size - at >= 8:
            version, kind, request, length, padding = _HEADER.unpack_from(octets, at)
            if version != VERSION:
                raise MalformedRecord(f"what comes is no FastCGI: a record of version {version}")
            after = at + 8 + length
            if after + padding > size:
                break
            found.append(Record(kind, request, octets[at + 8 : after]))
            at = after + padding
        self.rest = octets[at:]
        return found
