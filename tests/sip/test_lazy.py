import pytest

from sipcgi.sip.lazy import lazy


class Thing:
    def __init__(self) -> None:
        self.asked = 0
        self.good = False

    @lazy
    def value(self) -> int:
        """What it is worth."""
        self.asked += 1
        if not self.good:
            raise ValueError("not yet")
        return self.asked


def test_it_is_made_once() -> None:
    thing, other = Thing(), Thing()
    thing.good = other.good = True
    assert (thing.value, thing.value) == (1, 1)
    assert other.asked == 0


def test_an_error_is_raised_each_time() -> None:
    thing = Thing()
    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            _ = thing.value
    thing.good = True
    assert thing.value == 3


def test_it_may_be_set_before() -> None:
    thing = Thing()
    thing.value = 7
    assert (thing.value, thing.asked) == (7, 0)


def test_it_says_what_it_is() -> None:
    assert vars(Thing)["value"].__doc__ == "What it is worth."
