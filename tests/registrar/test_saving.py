"""A change that is saved, and who waits for it."""

from sipcgi.registrar.saving import Saving


def test_the_outcome_is_told_when_it_comes() -> None:
    saving, told = Saving(), list[OSError | None]()
    saving.then(told.append)
    assert told == []
    saving.end()
    assert told == [None]


def test_the_outcome_is_told_at_once_when_it_is_there() -> None:
    saving, told, error = Saving(), list[OSError | None](), OSError("disk full")
    saving.end(error)
    saving.then(told.append)
    assert told == [error]


def test_nobody_has_to_wait() -> None:
    Saving().end(OSError("disk full"))
