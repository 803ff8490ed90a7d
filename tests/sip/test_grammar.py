import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import (
    MAX_LIST,
    MAX_LIST_TEXT,
    end_of_quoted,
    is_token,
    number,
    quote,
    split_list,
    split_outside,
    unquote,
)


@pytest.mark.rfc("3261", "25.1")
@pytest.mark.parametrize("text", ["INVITE", "!interesting-Method0123456789_*+`.%indeed'~", "a"])
def test_tokens(text: str) -> None:
    assert is_token(text)


@pytest.mark.rfc("3261", "25.1")
@pytest.mark.parametrize("text", ["", "a b", "a:b", "To\x01", "é", "a\n", "<a>", "a,b", "a;b", "a@b", "(a)", '"a"'])
def test_no_tokens(text: str) -> None:
    assert not is_token(text)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0009", 9), ("4294967295", 2**32 - 1)])
def test_numbers(text: str, value: int) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text", ["", "+5", "-5", " 5", "5 ", "1_0", "٣", "²", "5.0", "4294967296", "00000000001", "five"]
)
def test_int_would_take_more_than_digits(text: str) -> None:
    with pytest.raises(ParseError):
        number(text)


def test_a_number_has_a_limit() -> None:
    assert number("255", 255) == 255
    with pytest.raises(ParseError, match="above 255"):
        number("256", 255)


@pytest.mark.rfc("3261", "25.1")
def test_quoted_strings() -> None:
    assert unquote('"a \\"b\\" \\\\ c"') == 'a "b" \\ c'
    assert unquote('"plain"') == "plain"
    assert unquote('"\\\\\\" \\\\\\\\ \\a"') == '\\" \\\\ a'
    assert unquote("bare") == "bare"
    assert unquote('"') == '"'
    assert quote('a "b" \\ c') == '"a \\"b\\" \\\\ c"'
    assert end_of_quoted('x "a\\"b" y', 2) == 8
    with pytest.raises(ParseError, match="without its end"):
        end_of_quoted('"a\\"')


@pytest.mark.rfc("3261", "7.3.1")
@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" \t", []),
        ("one", ["one"]),
        (" one ,\ttwo ,three", ["one", "two", "three"]),
        ("a,,b, ", ["a", "b"]),
        ('"a, b" <sip:x,y@z>;p="1,2", <sip:c>', ['"a, b" <sip:x,y@z>;p="1,2"', "<sip:c>"]),
        ('"a\\", b", c', ['"a\\", b"', "c"]),
        ('<sip:a">,b', ['<sip:a">', "b"]),
    ],
)
def test_lists(text: str, elements: list[str]) -> None:
    assert split_list(text) == elements


@pytest.mark.parametrize("text", ['"a, b', "<sip:a, b", 'a, "b'])
def test_lists_that_have_no_end(text: str) -> None:
    with pytest.raises(ParseError):
        split_list(text)


def test_a_list_has_a_limit() -> None:
    assert len(split_list("a," * MAX_LIST)) == MAX_LIST
    for text in ("a," * (MAX_LIST + 1), "," * (MAX_LIST + 1), "<a>," * (MAX_LIST + 1), "," + '""' * 4 * MAX_LIST):
        with pytest.raises(ParseError, match="elements"):
            split_list(text)
    with pytest.raises(ParseError, match="characters"):
        split_list("," + "a" * MAX_LIST_TEXT)


def test_split_outside_keeps_empty_pieces() -> None:
    assert split_outside(';a="x;y"; ;b', ";") == ["", 'a="x;y"', "", "b"]
