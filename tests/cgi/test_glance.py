"""What is read at a glance is what would be read word by word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.cgi.action import Findings, read_action
from sipcgi.cgi.glance import action_in
from sipcgi.cgi.message import messages
from sipcgi.service import Edits, Originate, Relay, Reply
from sipcgi.service import ForwardResponse as Forward
from sipcgi.sip.grammar import MAX_HEADERS


def word_by_word(output: bytes) -> Relay | Reply | Forward | Originate:
    """Raises ScriptError."""
    findings = Findings()
    [message] = messages(output, 64)
    action = read_action(message, "INVITE", findings)
    assert not findings.warnings
    assert not findings.claims
    return action


def test_a_request_that_goes_on() -> None:
    output = b"CGI-PROXY-REQUEST sip:bob@192.0.2.4 SIP/2.0\nX-Seen: a: b  c\nContact: <sip:a@b>\n\n"
    fields = [("X-Seen", "a: b  c"), ("Contact", "<sip:a@b>")]
    assert action_in(output) == word_by_word(output) == Relay("sip:bob@192.0.2.4", Edits(fields), line=1)


def test_an_answer() -> None:
    assert action_in(b"SIP/2.0 486 Busy Here\n") == Reply(486, "Busy Here", line=1)
    output = b"SIP/2.0 302 Moved\nContact: <sip:a@b>\nContact: <sip:c@d>"
    assert action_in(output) is None  # the last line has no end
    assert action_in(output + b"\n") == word_by_word(output)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\nCGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n",
        b"cgi-proxy-request sip:bob@example.com SIP/2.0\n\n",
        b"CGI-PROXY-REQUEST  sip:bob@example.com SIP/2.0\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\r\n\r\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n\n\tX-Seen: 1\n",
        b"CGI-PROXY-REQUEST bob SIP/2.0\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nX-Seen: \xc3\xa4\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nX-Seen: a\n b\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nX-Seen: a \n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nExpires: 3\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Timeout: 3\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nRoute: <sip:a@b;lr>\n\n",
        b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nContent-Type: a/b\n\nbody",
        b"SIP/2.0 200\n\n",
        b"SIP/2.0 200 OK\\n\n\n",
        b"SIP/2.0 700 Odd\n\n",
        b"SIP/2.0 200 OK\nVia: a\n\n",
        b"SIP/2.0 200 OK\nX-Null: a\0b\n\n",
    ],
)
def test_the_rest_is_for_who_reads_word_by_word(output: bytes) -> None:
    assert action_in(output) is None


PIECES = [
    "CGI-PROXY-REQUEST", "sip:bob@example.com", "SIP/2.0", "302", "Moved", "Contact", "X-Seen", "P-Seen", "Expires",
    "Via", "CGI-Remove", "Content-Type", ":", ": ", " ", "\t", "\n", "\n\n", "\r\n", "a", "\\n", "ä",
]  # fmt: skip
LINES = st.sampled_from(
    [
        "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n",
        "CGI-PROXY-REQUEST sip:bob@[::1 SIP/2.0\n",
        "SIP/2.0 302 Moved\n",
        "Contact: <sip:a@b>\n",
        "X-Seen: a b\n",
        "\n",
    ]
)


@given(st.lists(LINES | st.sampled_from(PIECES), max_size=8).map("".join).map(str.encode))
def test_both_readers_agree(output: bytes) -> None:
    action = action_in(output)
    if action is not None:
        assert action == word_by_word(output)


def test_blanks_without_end_take_no_time() -> None:
    long = b"CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n" + (b"X-Seen: a" + b" " * 500 + b"b\n") * MAX_HEADERS
    found = action_in(long)
    assert isinstance(found, Relay)
    assert len(found.edits.headers) == MAX_HEADERS
    assert action_in(long + b"X-Seen: b\n") is None
    assert action_in(long + b"X-Seen: a" + b" " * 500_000 + b"\n") is None
