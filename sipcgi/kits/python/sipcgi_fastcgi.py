"""Resident scripts in Python: one process that answers request after request (FastCGI 1.0, the responder).

    #!/usr/bin/env python3
    from sipcgi_fastcgi import serve

    def decline(request):
        return "SIP/2.0 603 Decline\n\n"

    serve(decline)

What stands above `serve` is done once, the function once for each run. It returns what a script would print, or prints
it; `request.environment` and `request.body` are the metavariables and the body of RFC 3050. Meanwhile `os.environ` and
the standard streams are those of the run, so that `Call` of sipcgi_kit does what it does elsewhere. `sys.exit(1)` and
an exception end the run, not the process. Started without FastCGI, it is an ordinary script (docs/fastcgi.md).
"""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Handler = Callable[["Request"], str | bytes | None]

LISTENSOCK = 0  # the descriptor on which a FastCGI program listens
BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN_TYPE = range(1, 12)
RESPONDER = 1
KEEP_CONN = 1
COMPLETE, CANNOT_MULTIPLEX, OVERLOADED, UNKNOWN_ROLE = range(4)
VALUES = {"FCGI_MAX_CONNS": "1", "FCGI_MAX_REQS": "1", "FCGI_MPXS_CONNS": "0"}  # one process, one request at a time
HEADER = struct.Struct(">BBHHBx")
MOST = 65535  # octets of content in a record
# A request 1 that came whole: what is before its variables and between them and the body, each with the length and the
# padding of what follows.
START, MIDDLE = struct.Struct(">20sHH"), struct.Struct(">12sHH")
WHOLE = (b"\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0\1\4\0\1", 0, b"\1\4\0\1\0\0\0\0\1\5\0\1", 0)
LAST = b"\1\5\0\1\0\0\0\0"
GOOD_END = b"\1\6\0\1\0\0\0\0\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0"  # behind its output


class Request:
    """One run: what a script finds in its environment and on its standard input."""

    __slots__ = ("_number", "_params", "body", "environment", "keep")

    def __init__(self, number: int, keep: bool, params: bytes = b"", body: bytes = b"") -> None:
        self.environment: dict[str, str]
        self.body = body
        self.keep = keep
        """Whether the connection goes on after it."""
        self._number = number
        self._params = params


def serve(handler: Handler) -> None:
    """Calls `handler` for each run, for ever; for one run if this is no FastCGI program but a script."""
    try:
        listening = socket.socket(fileno=os.dup(LISTENSOCK))
        is_fastcgi = bool(listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        is_fastcgi = False
    if not is_fastcgi:
        request = Request(0, keep=False)
        request.environment, request.body = dict(os.environ), sys.stdin.buffer.read()
        output = handler(request)
        sys.stdout.flush()
        sys.stdout.buffer.write(_octets(output))
        sys.stdout.flush()
        return
    listening.setblocking(True)
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # the server has closed the socket: another process has taken this one's place
            return
        with connection, suppress(OSError):  # nobody waits for the answer any more
            _Connection(connection, handler).attend()


class _Octets(Mapping[bytes, bytes]):
    """What os.environ is now, as os.environb has the environment of a process."""

    def __getitem__(self, name: bytes) -> bytes:
        return os.fsencode(os.environ[os.fsdecode(name)])

    def __iter__(self) -> Iterator[bytes]:
        return map(os.fsencode, os.environ)

    def __len__(self) -> int:
        return len(os.environ)


ENVIRONB = _Octets()


class _Streams:
    """The standard streams of a run; untouched ones are those of the next, too, for it takes long to make them."""

    def __init__(self, body: bytes) -> None:
        self.body, self.printed, self.complained = io.BytesIO(body), io.BytesIO(), io.BytesIO()
        self.texts = (
            io.TextIOWrapper(self.body, "utf-8", "surrogateescape"),
            io.TextIOWrapper(self.printed, "utf-8", "surrogateescape"),
            io.TextIOWrapper(self.complained, "utf-8", "backslashreplace"),
        )

    def for_next(self, body: bytes) -> _Streams:
        """Those of a run with that body."""
        try:
            io.BytesIO.__init__(self.body, body)
        except BufferError:  # the program still has a view of the one before
            return _Streams(body)
        return self

    def untouched(self) -> bool:
        """Whether nothing was read or printed, or closed, or put in their place."""
        try:
            moved = self.body.tell() or self.printed.tell() or self.complained.tell()
        except ValueError:
            return False
        return not moved and (sys.stdin, sys.stdout, sys.stderr) == self.texts


class _Connection:
    """One of the server, from its first record to its end."""

    def __init__(self, connection: socket.socket, handler: Handler) -> None:
        self.connection = connection
        self.handler = handler
        self.request: Request | None = None
        self.streams: _Streams | None = None
        """Those that the next run may have."""

    def attend(self) -> None:
        rest = b""
        while octets := self.connection.recv(65536):
            if not rest and self.request is None and (request := _whole(octets)) is not None:
                self.answer(request)
                continue
            rest += octets
            at, size = 0, len(rest)
            while size - at >= 8:
                _, kind, number, length, padding = HEADER.unpack_from(rest, at)
                after = at + 8 + length
                if after + padding > size:
                    break
                if not self.take(kind, number, rest[at + 8 : after]):
                    return
                at = after + padding
            rest = rest[at:]

    def take(self, kind: int, number: int, content: bytes) -> bool:
        """One record; False when the server wants the connection closed."""
        request = self.request
        if request is not None and number == request._number:
            if kind == PARAMS:
                request._params += content
            elif kind == STDIN and content:
                request.body += content
            elif kind == STDIN:
                self.request = None
                self.answer(request)
                return request.keep
            elif kind == ABORT:
                self.request = None
                self.connection.sendall(_end(number, 0, COMPLETE))
                return request.keep
        elif kind == BEGIN:
            role, flags = struct.unpack_from(">HB", content)
            if request is None and role == RESPONDER:
                self.request = Request(number, bool(flags & KEEP_CONN))
            else:
                why = CANNOT_MULTIPLEX if role == RESPONDER else UNKNOWN_ROLE
                self.connection.sendall(_end(number, 0, why))
        elif kind == GET_VALUES:
            told = {name: VALUES[name] for name in _pairs(content) if name in VALUES}
            texts = [chr(len(name)) + chr(len(value)) + name + value for name, value in told.items()]
            self.connection.sendall(_record(GET_VALUES_RESULT, 0, "".join(texts).encode()))
        elif number == 0:
            self.connection.sendall(_record(UNKNOWN_TYPE, 0, struct.pack(">B7x", kind)))
        return True

    def answer(self, request: Request) -> None:
        """Calls the handler as a process of its own would find itself."""
        environment = request.environment = _pairs(request._params)
        number, status, output = request._number, 0, b""
        streams = _Streams(request.body) if self.streams is None else self.streams.for_next(request.body)
        kept = os.environ, os.environb, sys.stdin, sys.stdout, sys.stderr
        os.environ = environment  # type: ignore[assignment]  # noqa: B003 - of the run, not of the process
        os.environb = ENVIRONB  # type: ignore[assignment]
        sys.stdin, sys.stdout, sys.stderr = streams.texts
        try:
            output = _octets(self.handler(request))
        except SystemExit as end:
            status = _status(end)
        except BaseException:
            status = 1
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        printed, complaints = streams.printed.getvalue(), streams.complained.getvalue()
        self.streams = None if printed or complaints or not streams.untouched() else streams
        os.environ, os.environb, sys.stdin, sys.stdout, sys.stderr = kept
        said = printed + output
        if number == 1 and 0 < len(said) <= MOST and not (status or complaints):  # nearly each time
            self.connection.sendall(HEADER.pack(1, STDOUT, 1, len(said), 0) + said + GOOD_END)
            return
        errors = _stream(STDERR, number, complaints) if complaints else b""
        self.connection.sendall(errors + _stream(STDOUT, number, said) + _end(number, status, COMPLETE))


def _octets(output: str | bytes | None) -> bytes:
    if isinstance(output, str):
        return output.encode("utf-8", "surrogateescape")
    return output if type(output) is bytes else bytes(memoryview(output or b""))  # which a number is not


def _status(end: SystemExit) -> int:
    """As the interpreter makes one of what sys.exit was given."""
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    print(end.code, file=sys.stderr)
    return 1


def _whole(octets: bytes) -> Request | None:
    """The request, if what came is all of one and nothing more: nearly each time."""
    try:
        start, params, padding = START.unpack_from(octets)
        middle, body, more_padding = MIDDLE.unpack_from(octets, 24 + params)
    except struct.error:  # too short
        return None
    last = 40 + params + body
    if (start, padding, middle, more_padding) != WHOLE or octets[last:] != (LAST if body else b""):
        return None
    return Request(1, True, octets[24 : 24 + params], octets[40 + params : last])


def _pairs(octets: bytes) -> dict[str, str]:
    """Names and values. Texts are cut up more quickly than octets are decoded, and hardly any is not ASCII."""
    text, ascii_alone = octets.decode("latin-1"), octets.isascii()
    found, at, size = {}, 0, len(octets)
    while at < size:
        name_size, value_size = octets[at], octets[at + 1]
        if name_size < 128 and value_size < 128:
            at += 2
        else:
            name_size, at = _length(octets, at)
            value_size, at = _length(octets, at)
        middle = at + name_size
        after = middle + value_size
        value = text[middle:after]
        if not (ascii_alone or value.isascii()):
            value = octets[middle:after].decode("utf-8", "surrogateescape")
        found[text[at:middle]] = value
        at = after
    return found


def _length(octets: bytes, at: int) -> tuple[int, int]:
    """A length in one octet or four, and where it ends."""
    if octets[at] < 128:
        return octets[at], at + 1
    return int.from_bytes(octets[at : at + 4], "big") & 0x7FFFFFFF, at + 4


def _record(kind: int, number: int, content: bytes = b"") -> bytes:
    return HEADER.pack(1, kind, number, len(content), 0) + content


def _stream(kind: int, number: int, octets: bytes) -> bytes:
    if len(octets) <= MOST:
        return (_record(kind, number, octets) if octets else b"") + _record(kind, number)
    return b"".join([_record(kind, number, octets[at : at + MOST]) for at in range(0, len(octets), MOST)]) + _record(
        kind, number
    )


def _end(number: int, status: int, protocol_status: int) -> bytes:
    return _record(END, number, struct.pack(">IB3x", status, protocol_status))
