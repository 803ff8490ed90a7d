import gc
import weakref

import pytest

from sipcgi.sip.remembered import LONGEST, Remembered


class Made:
    def __init__(self, text: str) -> None:
        self.text = text
        int(text)


def test_a_text_is_parsed_once() -> None:
    parse = Remembered(Made).__getitem__
    assert parse("1") is parse("1")
    assert parse("2").text == "2"


def test_an_error_is_not_kept() -> None:
    parse = Remembered(Made).__getitem__
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid"):
            parse("x")


def test_a_long_text_is_not_kept() -> None:
    remembered = Remembered(Made)
    assert remembered["1" * LONGEST] is not remembered["1" * LONGEST]
    assert not remembered


def test_the_oldest_gives_way() -> None:
    remembered = Remembered(Made, most=2)
    first = remembered["1"]
    for text in ("2", "1", "3", "2"):
        _ = remembered[text]
    assert list(remembered) == ["2", "3"]
    assert remembered["1"] is not first


def test_a_class_that_keeps_what_it_made_is_collected() -> None:
    class Own(Remembered[Made]):
        known: Remembered[Made]

    Own.known = Own(Made)
    gone = weakref.ref(Own)
    del Own
    gc.collect()
    assert gone() is None
