"""Durations, sizes, counts and switches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.config.quantity import count, duration, large_count, scalar, size, switch


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        ("5s", 5.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        (".5", 0.5),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("24h", 86400.0),
        ("5 s", 5.0),
        ("010", 10.0),
    ],
)
def test_a_duration_is_a_number_with_a_unit_or_bare_seconds(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "5S", "5sec", "5d", "1:30", "-1s", "1e3", "0x10", "1_000", "٥s", ".", "nan"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration: write a number with ms, s, m or h, like 500ms or 5s"):
        duration(text)


@pytest.mark.parametrize("text", ["0", "0ms", "0.0s", "25h", "86401", "999999999999999h"])
def test_a_duration_is_more_than_nothing_and_at_most_a_day(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' must be more than 0 and at most 24h"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("1", 1), ("65536", 65536), ("1KiB", 1024), ("1.5KiB", 1536), ("1MiB", 1 << 20), ("2 MiB", 1 << 21)],
)
def test_a_size_is_a_number_with_a_unit_or_bare_octets(text: str, octets: int) -> None:
    assert size(text) == octets


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1MB", "; did you mean 1MiB?"),
        ("64k", "; did you mean 64KiB?"),
        ("2mib", "; did you mean 2MiB?"),
        ("1GB", "; did you mean 1GiB?"),
        ("", ""),
    ],
)
def test_sizes_with_other_units_are_asked_back(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is no size: write a number with KiB, MiB or GiB, or bare") as raised:
        size(text)
    assert str(raised.value).endswith(f"octets{hint}")


@pytest.mark.parametrize("text", ["0", "0.5", "1025MiB"])
def test_a_size_has_limits(text: str) -> None:
    with pytest.raises(ValueError, match="must be at least 1 octet and at most 1024MiB"):
        size(text)


def test_a_count_is_a_whole_number() -> None:
    assert [count("1"), count("64"), count("10000")] == [1, 64, 10000]
    assert [large_count("1"), large_count("10000000")] == [1, 10_000_000]
    with pytest.raises(ValueError, match="is no whole number from 1 to 10000000"):
        large_count("10000001")


@pytest.mark.parametrize("text", ["0", "10001", "-1", "1.0", "", "many", "0000000001", "٣"])
def test_anything_else_is_no_count(text: str) -> None:
    with pytest.raises(ValueError, match="is no whole number from 1 to 10000"):
        count(text)


def test_switches_know_the_words_of_yaml() -> None:
    assert [switch(text) for text in ("true", "yes", "on", "True", "ON")] == [True] * 5
    assert [switch(text) for text in ("false", "no", "off", "False")] == [False] * 4


@pytest.mark.parametrize("text", ["1", "y", "", "enabled"])
def test_anything_else_is_no_switch(text: str) -> None:
    with pytest.raises(ValueError, match="is neither true nor false"):
        switch(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "has no value"), ([], "must be one value, not a list"), ({}, "must be one value, not a mapping")],
)
def test_what_is_no_single_value(value: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        scalar(value)


@given(st.text(max_size=30))
def test_any_text_gives_a_quantity_or_a_reason(text: str) -> None:
    for parse in (duration, size, count, switch):
        try:
            assert parse(text) is not None
        except ValueError as error:
            assert str(error)  # noqa: PT017
