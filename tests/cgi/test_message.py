"""Where the messages of a script's output begin and end, and what the errors say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.cgi.message import REQUEST, ScriptMessage, messages
from sipcgi.errors import ScriptError
from sipcgi.sip.grammar import MAX_HEADERS


def split(output: str | bytes, most: int = 64) -> list[ScriptMessage]:
    return list(messages(output.encode() if isinstance(output, str) else output, most))


def error(output: str | bytes, most: int = 64) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        split(output, most)
    return caught.value


def place(output: str | bytes) -> tuple[int, int, str]:
    found = error(output)
    return found.line, found.column, found.hint


def test_no_output_has_no_message() -> None:
    assert split("") == []
    assert split("\n \n\t\n") == []


@pytest.mark.rfc("3050", "5.6")
def test_a_blank_line_ends_a_message_without_body() -> None:
    first, second = split("SIP/2.0 180 Ringing\nX-A:  1 \n\nCGI-AGAIN yes SIP/2.0\n\n")
    assert (first.action, first.line, first.body) == ("SIP/2.0", 1, None)
    [field] = first.fields
    assert (field.name, field.canonical, field.value, field.line, field.column) == ("X-A", "x-a", "1", 2, 7)
    assert (second.action, second.line, [word.text for word in second.words]) == (
        "CGI-AGAIN",
        4,
        ["CGI-AGAIN", "yes", "SIP/2.0"],
    )


def test_the_last_blank_line_and_even_the_last_newline_may_be_missing() -> None:
    for end in ("", "\n", "\n\n", "\r\n", "\r"):
        [message] = split("SIP/2.0 486 Busy Here\nX-A: 1" + end)
        assert message.fields[0].value == "1"
    assert split("SIP/2.0 486")[0].fields == []


@pytest.mark.rfc("3050", "6.1-3")
def test_newlines_are_lf_or_crlf() -> None:
    one, two = split("SIP/2.0 180 Ringing\r\nX-A: 1\r\n\r\nSIP/2.0 486 Busy Here\nX-B: 2\n\n")
    assert (one.fields[0].value, two.fields[0].value, two.line) == ("1", "2", 4)


def test_action_words_in_any_case_but_only_in_ascii() -> None:
    assert [each.action for each in split("cgi-Again yes sip/2.0\n\nsip/2.0 200 OK\n\n")] == ["CGI-AGAIN", "SIP/2.0"]
    assert error("\u017fip/2.0 200 OK\n").line == 1


@pytest.mark.rfc("3050", "5.6")
def test_a_body_has_content_length_octets_and_the_next_message_follows() -> None:
    output = "SIP/2.0 200 OK\nc: text/plain\nl: 7\n\na\nb\n\nc\n\n\nCGI-AGAIN yes SIP/2.0\n"
    one, two = split(output)
    assert (one.body, two.line) == (b"a\nb\n\nc\n", 11)


def test_a_message_may_begin_right_after_a_body() -> None:
    one, two = split("SIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: 3\n\nxyzCGI-AGAIN yes SIP/2.0")
    assert one.body == b"xyz"
    assert (two.line, [word.column for word in two.words]) == (5, [4, 14, 18])
    assert error("SIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: 4\n\n\u00e4yzSAY no").column == 4


@pytest.mark.rfc("3050", "5.6")
def test_without_content_length_a_body_is_the_rest() -> None:
    [message] = split(b"SIP/2.0 200 OK\nContent-Type: a/b\n\n\0\r\xff\n\nCGI-AGAIN yes SIP/2.0\n")
    assert message.body == b"\0\r\xff\n\nCGI-AGAIN yes SIP/2.0\n"
    assert split("SIP/2.0 200 OK\nContent-Type: a/b\n")[0].body == b""


@pytest.mark.rfc("3050", "5.6")
def test_content_length_0_is_no_body_but_an_empty_one() -> None:
    for kind in ("", "Content-Type: a/b\n"):
        one, _ = split(f"SIP/2.0 200 OK\n{kind}Content-Length: 0\n\nCGI-AGAIN yes SIP/2.0\n\n")
        assert one.body == b""


@pytest.mark.rfc("3050", "5.6-7")
def test_a_body_that_ends_too_early_is_an_error() -> None:
    found = error("SIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: 5\n\nabc\n")
    assert (found.line, found.column) == (3, 17)
    assert found.text == "Content-Length says 5 octets, but 4 follow"
    assert "count octets" in found.hint


@pytest.mark.rfc("3050", "5.6-9")
def test_a_length_without_a_type_is_an_error() -> None:
    assert error("SIP/2.0 200 OK\nContent-Length: 5\n\nabcde").text == "Content-Length without Content-Type"


@pytest.mark.parametrize("length", ["-1", "+1", "1 2", "", "1_0", "\u0663", "99999999999"])
def test_a_length_that_is_no_number(length: str) -> None:
    assert "no number" in error(f"SIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: {length}\n\n").text


def test_type_and_length_stand_once() -> None:
    for name in ("Content-Type", "Content-Length"):
        found = error(f"SIP/2.0 200 OK\n{name}: 0\n{name}: 0\n\n")
        assert (found.text, found.line) == (f"{name} a second time in one message", 3)


def test_limits() -> None:
    assert len(split("SIP/2.0 180\n\n" * 3, most=3)) == 3
    found = error("SIP/2.0 180\n\n" * 4, most=3)
    assert (found.text, found.line, found.column) == ("more than 3 messages", 7, 1)
    assert len(split("SIP/2.0 200\n" + "A: b\n" * MAX_HEADERS)[0].fields) == MAX_HEADERS
    assert error("SIP/2.0 200\n" + "A: b\n" * (MAX_HEADERS + 1)).line == MAX_HEADERS + 2


@pytest.mark.parametrize(
    ("output", "line", "column", "hint"),
    [
        ("hello\n", 1, 1, "standard error"),
        ("\n\nSIP/2.0 200 OK\n\nhello\n", 5, 1, "standard error"),
        ("debug: here\nSIP/2.0 200 OK\n", 1, 1, "standard error"),
        ("  SIP/2.0 200 OK\n", 1, 1, "first column"),
        ("sip:bob@example.com\n", 1, 1, "style: exec"),
        ("SIP/3.0 200 OK\n", 1, 1, "SIP/2.0"),
        ("CGI-PROXY sip:bob@example.com SIP/2.0\n", 1, 1, "did you mean CGI-PROXY-REQUEST?"),
        ("CGI-AGAIN: yes\n", 1, 1, "did you mean CGI-AGAIN?"),
        ("PROXY sip:bob@example.com SIP/2.0\n", 1, 1, "did you mean CGI-PROXY-REQUEST?"),
        ("Proxi sip:bob@example.com SIP/2.0\n", 1, 1, "did you mean CGI-PROXY-REQUEST?"),
        ("FORWARD this SIP/2.0\n", 1, 1, "did you mean CGI-FORWARD-RESPONSE?"),
        ("\u00a0\n", 1, 1, "messages for people belong on standard error"),
        ("Proxy to bob\n", 1, 1, "messages for people belong on standard error"),
        ("CGI-MESSAGE sip:bob@example.com SIP/2.0\n", 1, 1, "did you mean CGI-AGAIN?"),
        ("SIP/2.0 200 OK\nMESSAGE sip:bob@example.com SIP/2.0\n", 2, 1, "did you forget the blank line"),
        ("SIP/2.0 302 Moved\n\nContact: <sip:x@y>\n", 3, 1, "echo, print and puts add a newline"),
        ("Content-Type: text/plain\n\nhello", 1, 1, "print SIP/2.0 200 OK"),
        ("Status: 302 Moved\n", 1, 1, "print SIP/2.0"),
        ("SIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: 2\n\nabcd\n", 5, 3, "is that the right number?"),
        ("SIP/2.0 200 OK\nSIP/2.0 200 OK\n", 2, 1, "did you forget the blank line"),
        ("CGI-AGAIN yes SIP/2.0\nCGI-PROXY-REQUEST sip:a@b SIP/2.0\n", 2, 1, "did you forget the blank line"),
        ("SIP/2.0 200 OK\nSubject: a\n b\n", 3, 1, "one line"),
        ("SIP/2.0 200 OK\n \n", 2, 1, "empty line"),
        ("SIP/2.0 200 OK\nTo\x01: a\n", 2, 1, "letters, digits"),
        ("SIP/2.0 200 OK\n: a\n", 2, 1, "letters, digits"),
        ("SIP/2.0 200 OK\nv=0\n", 2, 1, "Content-Type and a blank line"),
        ("SIP/2.0 200 OK\nA: b\0c\n", 2, 5, "output is text"),
        ("SIP/2.0 200 OK\nA: b\rc\n", 2, 5, "a line ends in LF"),
        ("SIP/2.0 200 OK\r\r\n", 1, 15, "a line ends in LF"),
    ],
)
@pytest.mark.rfc("3050", "5.6-4", "5.6-5")
def test_errors_name_the_place_and_what_was_probably_meant(output: str, line: int, column: int, hint: str) -> None:
    found = error(output)
    assert (found.line, found.column) == (line, column)
    assert hint in found.hint


def test_an_error_stands_at_a_word_or_behind_the_last_one() -> None:
    [message] = split("\nCGI-AGAIN  yes")
    assert [message.error("x", word).column for word in range(3)] == [1, 12, 15]
    found = message.error("text", 1, "hint")
    assert (found.text, found.line, found.hint) == ("text", 2, "hint")


def test_blanks_before_the_colon_are_no_part_of_the_name() -> None:
    [message] = split("SIP/2.0 200 OK\nSubject \t: a\n")
    assert (message.fields[0].name, message.fields[0].column) == ("Subject", 12)


LINES = st.sampled_from(
    [
        b"SIP/2.0 200 OK",
        b"CGI-AGAIN yes SIP/2.0",
        b"Content-Type: a/b",
        b"Content-Length: 3",
        b"X: y",
        b"",
        b"abc",
        b"\xff\0",
    ]
)


def outcome(output: bytes) -> list[ScriptMessage] | ScriptError:
    try:
        return split(output, 3)
    except ScriptError as found:
        return found


@given(st.lists(LINES, max_size=12), st.sampled_from([b"\n", b"\r\n", b""]))
def test_lines_of_all_kinds_give_messages_or_one_error_with_its_place(lines: list[bytes], newline: bytes) -> None:
    output = newline.join(lines)
    found = outcome(output)
    if isinstance(found, ScriptError):
        assert 1 <= found.line <= output.count(b"\n") + 1
        assert found.column >= 1
    else:
        assert len(found) <= 3
        assert not any("\n" in each.text for each in found)


@pytest.mark.rfc("3050", "3.1")
def test_a_request_line_begins_a_message() -> None:
    first, second = messages(b"message sip:bob@example.com SIP/2.0\nSubject: x\n\nSIP/2.0 200 OK\n", 2)
    assert (first.action, first.action_method) == (REQUEST, "MESSAGE")
    assert second.action == "SIP/2.0"


@pytest.mark.parametrize("line", ["MESSAGE sip:bob SIP/2.0 x", "Hello world SIP/2.0", "M,SSAGE sip:bob SIP/2.0"])
def test_what_is_no_request_line(line: str) -> None:
    with pytest.raises(ScriptError):
        list(messages(line.encode(), 1))
