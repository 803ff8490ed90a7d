"""Outputs that are none: a 500 for the caller, a line in the log, and nothing of them happens (docs/threats.md)."""

import random
from collections.abc import Callable

from running import Server, field, url
from threats import BOB, BUSY
from wire_stream import Stream

Serve = Callable[..., Server]

SAYS = "#!/bin/sh\nexec cat ../outputs/$SIP_X_NUMBER\n"
WRONG = (
    b"hello world",
    b"<html><body>500</body></html>",
    b"Content-Type: text/plain\n\nhello",
    b"HTTP/1.1 200 OK\n",
    b"SIP/3.0 200 OK\n",
    b"SIP/2.0\n",
    b"SIP/2.0 OK\n",
    b"SIP/2.0 2000 OK\n",
    b"SIP/2.0 99 Low\n",
    b"SIP/2.0 700 High\n",
    b"SIP/2.0 -200 OK\n",
    b"SIP/2.0 20x OK\n",
    b"SIP/2.0 200 OK\nno colon here\n",
    b"SIP/2.0 200 OK\n: no name\n",
    b"SIP/2.0 200 OK\nX A: blank in the name\n",
    b"SIP/2.0 200 OK\nX-A: nul \0 inside\n",
    b"SIP/2.0 200 OK\nX-A: carriage \r inside\n",
    b"SIP/2.0 200 OK\nContent-Length: many\n\nbody",
    b"SIP/2.0 200 OK\nContent-Length: -1\n\nbody",
    b"SIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: 999999\n\nbody",
    b"SIP/2.0 200 OK\nCall-ID: another\n",
    b"SIP/2.0 200 OK\nCSeq: 17 INVITE\n",
    b"SIP/2.0 200 OK\nVia: SIP/2.0/UDP evil.example.net\n",
    b"CGI-PROXY-REQUEST\n",
    b"CGI-PROXY-REQUEST SIP/2.0\n",
    b"CGI-PROXY-REQUEST sip:a@example.net\n",
    b"CGI-PROXY-REQUEST sip:a@example.net SIP/1.0\n",
    b"CGI-PROXY-REQUEST sip:a b@example.net SIP/2.0\n",
    b"CGI-PROXY-REQUEST nothing SIP/2.0\n",
    b"CGI-PROXY-REQUEST sip:@ SIP/2.0\n",
    b"CGI-PROXY-REQUEST sip:a@example.net:99999 SIP/2.0\n",
    b"CGI-PROXY-REQUEST sip:a@example.net SIP/2.0\nCGI-Timeout: soon\n",
    b"CGI-AGAIN\n",
    b"CGI-FORWARD-RESPONSE this SIP/2.0\n",
    b"CGI-FORWARD-RESPONSE SIP/2.0\n",
    b"CGI-SET-COOKIE SIP/2.0\n",
    b"CGI-SET-COOKIE two words SIP/2.0\n",
    b"CGI-SET-COOKIE " + b"x" * 4097 + b" SIP/2.0\n",
    b"CGI-SET-COOKIE na\xc3\xafve SIP/2.0\n",
    b"CGI-AGAIN maybe SIP/2.0\n",
    b"CGI-AGAIN yes\n",
    b"CGI-AGAIN yes SIP/2.0\nCGI-After: later\n",
    b"CGI-LAUNCH missiles SIP/2.0\n",
    b"PROXY sip:a@example.net SIP/2.0\n",
    b"INVITE sip:a@example.net SIP/2.0\n",
    b"\x7fELF\x02\x01\x01\0\0\0",
    b"\x89PNG\r\n\x1a\n",
    bytes(range(256)),
    b"\xff\xfe\0S\0I\0P",
    b"\0",
)
AROUND = (
    (b"", b""),
    (b"CGI-SET-COOKIE before SIP/2.0\n\n", b""),
    (b"CGI-PROXY-REQUEST sip:elsewhere@example.net SIP/2.0\n\n", b""),
    (b"", b"\n\n\nCGI-SET-COOKIE after SIP/2.0\n\n"),
)


def test_two_hundred_wrong_outputs(serve: Serve) -> None:
    outputs = [before + wrong + after for before, after in AROUND for wrong in WRONG]
    chance = random.Random(3050)
    outputs += [chance.randbytes(chance.randrange(1, 3000)) for _ in range(10)]
    server = serve({"message.sh": SAYS, "info.sh": BUSY}, listen=[url("tcp")])
    folder = server.folder / "outputs"
    folder.mkdir()
    with Stream(server) as stream:
        for number, output in enumerate(outputs):
            (folder / str(number)).write_bytes(output)
            answer = stream.ask(BOB, b"X-Number: %d" % number)
            assert answer.status == 500, (output, answer)
        assert stream.ask(BOB, method=b"INFO").status == 486
    server.access("MESSAGE", 500, " actions=500 targets=- ", number=len(outputs))
    server.wait_for(" script script=message.sh ", number=len(outputs))
    for line in server.lines(" script script=message.sh "):
        assert int(field(line, "line")) >= 1, line
        assert field(line, "text"), line
        assert field(line, "call_id"), line
