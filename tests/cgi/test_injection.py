"""A value from the network that a script prints again is one value: never another field, never another action."""

import random

from sipcgi.cgi.metavars import protocol_variables
from sipcgi.cgi.output import parse_output
from sipcgi.errors import ScriptError
from sipcgi.service import Relay, Reply
from sipcgi.sip.message import Message
from sipcgi.sip.parser import MessageError, parse

NUMBER = 20_000
HEAD = (
    b"MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nX-Seen: "
)
ACTION = b"CGI-PROXY-REQUEST sip:evil@example.net SIP/2.0"
# What one program or another takes for the end of a line, a word or a text, and what looks like an action
PIECES = [
    b"\r\n ",
    b"\r\n\t",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\x1a",
    b"\x04",
]
PIECES += [
    one.encode() for one in ("\x85", "\u2028", "\u2029", "\u010a", "\u0a0d", "\ufeff", " ", "\t", ":", "\\n", "\\")
]
PIECES += [
    b"\x85",
    b"\xc0\x8a",
    b"\xe0\x80\x8a",
    b"\xed\xa0\x80",
    b"\xff",
    ACTION,
    b"SIP/2.0 200 OK",
    b"CGI-AGAIN yes SIP/2.0",
]
PIECES += [b"X-Other: 1", b"Content-Length: 0", b"CGI-Remove: Via", b"a", b"b"]


def variable_of(value: bytes) -> str | None:
    """SIP_X_SEEN of a message whose field has this value; None when the parser does not take it."""
    try:
        message: Message = parse(HEAD + value + b"\r\nContent-Length: 0\r\n\r\n")
    except MessageError:
        return None
    return protocol_variables(message.headers)[0]["SIP_X_SEEN"]


def test_what_is_printed_is_one_action_with_one_value() -> None:
    chance = random.Random(3050)
    taken = 0
    for _ in range(NUMBER):
        value = b"".join(chance.choices(PIECES, k=chance.randrange(1, 9)))
        found = variable_of(value)
        if found is None:
            continue
        taken += 1
        printed = found.encode("utf-8", "surrogateescape")
        assert not set(printed) & set(b"\r\n\0")
        for output in (b"SIP/2.0 480 Seen\nX-Seen: %s\n\n", b"SIP/2.0 480 Seen\r\nX-Seen: %s"):
            [answer] = parse_output(output % printed, method="MESSAGE").actions
            assert isinstance(answer, Reply)
            assert answer.edits.headers == [("X-Seen", found)], value
        [relay] = parse_output(b"CGI-PROXY-REQUEST sip:a@b SIP/2.0\nX-Seen: %s\n\n" % printed, method="MESSAGE").actions
        assert isinstance(relay, Relay)
        assert (relay.uri, relay.edits.headers) == ("sip:a@b", [("X-Seen", found)])
    assert taken > NUMBER // 4


def test_as_a_reason_or_a_target_it_is_one_too() -> None:
    """Or an error of the script: a target has no blanks."""
    chance = random.Random(3050)
    wrong = 0
    for _ in range(NUMBER // 4):
        found = variable_of(b"".join(chance.choices(PIECES, k=chance.randrange(1, 5))))
        if not found:
            continue
        printed = found.encode("utf-8", "surrogateescape")
        [answer] = parse_output(b"SIP/2.0 480 %s\n\n" % printed, method="MESSAGE").actions
        assert isinstance(answer, Reply)
        try:
            actions = parse_output(b"CGI-PROXY-REQUEST %s SIP/2.0\n\n" % printed, method="MESSAGE").actions
        except ScriptError:
            wrong += 1
        else:
            assert len(actions) == 1
    assert wrong
