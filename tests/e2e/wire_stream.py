"""Requests and their answers over one TCP connection, octet by octet: what no telephone would send."""

import itertools
import socket
from dataclasses import dataclass
from typing import Self

from running import Server

NUMBERS = itertools.count(1)


@dataclass
class Answer:
    """A final response; of several fields of one name the last."""

    status: int
    reason: bytes
    fields: dict[bytes, bytes]
    body: bytes


class Stream:
    """A connection to a server that listens on TCP; a context manager that closes it."""

    def __init__(self, server: Server, within: float = 10.0) -> None:
        host, _, port = server.place("tcp").rpartition(":")
        self.host = host.encode()
        self.socket = socket.create_connection((host, int(port)), within)
        self.reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.reader.close()
        self.socket.close()

    def send(self, uri: bytes, *lines: bytes, body: bytes = b"", method: bytes = b"MESSAGE") -> None:
        """A request outside a dialog; `lines` are header fields without the CRLF at the end."""
        number = b"%d" % next(NUMBERS)
        head = [b"%s %s SIP/2.0" % (method, uri)]
        head += [b"Via: SIP/2.0/TCP %s;branch=z9hG4bK-s%s" % (self.host, number), b"Max-Forwards: 70"]
        head += [b"From: <sip:alice@example.com>;tag=s" + number, b"To: <sip:bob@example.com>"]
        head += [b"Call-ID: s" + number, b"CSeq: 1 " + method, *lines, b"Content-Length: %d" % len(body), b"", body]
        self.socket.sendall(b"\r\n".join(head))

    def receive(self) -> Answer:
        """The next final response. Raises TimeoutError."""
        while True:
            start, *lines = iter(lambda: self.reader.readline().removesuffix(b"\r\n"), b"")
            fields = dict(line.split(b": ", 1) for line in lines)
            body = self.reader.read(int(fields[b"Content-Length"]))
            status, _, reason = start.removeprefix(b"SIP/2.0 ").partition(b" ")
            if status >= b"200":
                return Answer(int(status), reason, fields, body)

    def is_closed(self) -> bool:
        """Whether the server ends it, without an answer. Raises TimeoutError."""
        return self.reader.read(1) == b""

    def ask(self, uri: bytes, *lines: bytes, body: bytes = b"", method: bytes = b"MESSAGE") -> Answer:
        self.send(uri, *lines, body=body, method=method)
        return self.receive()
