import pytest

from sipcgi.sip.framing import PING, PONG, Item, StreamFramer
from sipcgi.sip.grammar import MAX_HEAD, MAX_STREAM_MESSAGE
from sipcgi.sip.message import Request
from sipcgi.sip.parser import MessageError


def message(cseq: int = 1, body: bytes = b"", length: str | None = None, more: str = "") -> bytes:
    text = (
        "MESSAGE sip:bob@example.com SIP/2.0\n"
        "Via: SIP/2.0/TCP client.example.com;branch=z9hG4bK1\n"
        "To: <sip:bob@example.com>\n"
        "From: <sip:alice@example.com>;tag=1\n"
        "Call-ID: abc\n"
        f"CSeq: {cseq} MESSAGE\n"
        f"{more}"
        f"{length or f'Content-Length: {len(body)}'}\n\n"
    )
    return text.replace("\n", "\r\n").encode() + body


def received(pieces: list[bytes]) -> tuple[list[Item | str], bool]:
    """What comes of it, errors as text, and whether the connection is to be closed."""
    framer = StreamFramer()
    found: list[Item | str] = []
    for piece in pieces:
        while True:
            try:
                items = framer.feed(piece)
            except MessageError as error:
                found.append(f"{error.status} {error} {error.message}")
                if error.fatal:
                    with pytest.raises(MessageError):
                        framer.feed(b"more")
                    return found, True
            else:
                found += items
                if not items:
                    break
            piece = b""
    return found, False


def in_all_cuts(stream: bytes) -> tuple[list[Item | str], bool]:
    whole = received([stream])
    assert received([stream[at : at + 1] for at in range(len(stream))]) == whole
    for at in range(len(stream)):
        assert received([stream[:at], stream[at:]]) == whole
    return whole


def cseqs(items: list[Item | str]) -> list[int]:
    assert all(isinstance(item, Request) for item in items)
    return [item.cseq.number for item in items if isinstance(item, Request)]


@pytest.mark.rfc("3261", "18.3-4")
def test_messages_one_after_the_other() -> None:
    items, closed = in_all_cuts(message(1) + message(2, b"two\r\n\r\n") + message(3, b"SIP") + message(4))
    assert cseqs(items) == [1, 2, 3, 4]
    assert [item.body for item in items if isinstance(item, Request)] == [b"", b"two\r\n\r\n", b"SIP", b""]
    assert not closed


@pytest.mark.rfc("5626", "4.4.1")
def test_keep_alives() -> None:
    items, closed = in_all_cuts(b"\r\n\r\n" + message(1) + b"\r\n" + message(2) + b"\r\n\r\n\r\n\r\n\r\n" + message(3))
    assert [item if item in (PING, PONG) else "message" for item in items] == [
        PING, "message", PONG, "message", PING, PING, PONG, "message",
    ]  # fmt: skip
    assert not closed


def test_pending() -> None:
    framer = StreamFramer()
    assert not framer.pending
    assert framer.feed(b"\r\n") == []
    assert not framer.pending
    assert framer.feed(b"\r") == []
    assert not framer.pending
    assert framer.feed(b"\nMESS") == [PING]
    assert framer.pending
    assert framer.feed(message(1, b"body")[4:-1]) == []
    assert framer.pending
    assert len(framer.feed(b"y")) == 1
    assert not framer.pending
    assert len(framer.feed(message(1) + message(2, b"body", more="CSeq: 1 X\n")[:-1])) == 1
    assert framer.pending
    with pytest.raises(MessageError):
        framer.feed(b"")
    assert framer.pending
    assert framer.feed(b"") == []
    assert framer.pending
    assert framer.feed(b"y") == []
    assert not framer.pending


def test_a_bad_message_does_not_take_the_next_one_with_it() -> None:
    items, closed = in_all_cuts(message(1) + message(2, b"two", more="Call-ID: x\n") + message(3, b"three"))
    assert items[1] == "400 call-id more than once <Request MESSAGE sip:bob@example.com SIP/2.0>"
    assert cseqs([items[0], items[2]]) == [1, 3]
    assert not closed


@pytest.mark.rfc("4475", "3.1.2.3-2", "3.3.9-2")
@pytest.mark.rfc("3261", "18.3-4", "20.14")
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (message(2, length="X: y"), "400 no Content-Length <Request"),
        (message(2, length="l: -1"), "400 content-length: not a number: '-1' <Request"),
        (message(2, length="l: 1_0"), "400 content-length: not a number: '1_0' <Request"),
        (message(2, length="l: 0\nl: 0"), "400 content-length more than once <Request"),
        (message(2, length="l: 2147483649"), "513 message too long <Request"),
        (message(2, length="l: 4294967328"), "400 content-length: number above"),
        (message(2, length="l: 18446744073709551617"), "400 content-length: not a number"),
        (message(2, length="l: 2147483649\nCSeq: 7 X"), "400 cseq more than once <Request"),
        (message(2, length="Content-Length\x01: 5"), "400 bad header field name"),
        (b"x" * 50 + b"\n\n\r\n\r\n", "400 CR, LF or NUL within a line None"),
    ],
)
def test_errors_that_end_the_connection(bad: bytes, error: str) -> None:
    items, closed = in_all_cuts(message(1) + bad + message(3))
    assert cseqs(items[:-1]) == [1]
    assert str(items[-1]).startswith(error)
    assert closed


def test_limits() -> None:
    longest = message(1, b"x" * (MAX_STREAM_MESSAGE - 1000))
    assert cseqs(received([longest])[0]) == [1]
    items, closed = received([message(1, length=f"l: {MAX_STREAM_MESSAGE}")])
    assert (str(items[0])[:3], closed) == ("513", True)
    endless = message(1)[:-4] + b"\r\nX: " + b"y" * MAX_HEAD
    expected = ["513 header fields too long <Request MESSAGE sip:bob@example.com SIP/2.0>"], True
    assert received([endless]) == expected
    assert received([endless[at : at + 65536] for at in range(0, len(endless), 65536)]) == expected
    assert received([endless + b"\r\n\r\n"]) == expected
