"""A change of bindings on its way to where it is safe: what a store that saves gives to who has to wait for it."""

from collections.abc import Callable

Told = Callable[[OSError | None], None]


class Saving:
    """Ends once: with None when it is safe to answer 200, else with what went wrong (RFC 3261 10.3 item 7: a 500)."""

    __slots__ = ("_ended", "_error", "_told")

    def __init__(self) -> None:
        self._ended = False
        self._error: OSError | None = None
        self._told: Told | None = None

    def then(self, told: Told) -> None:
        """Calls `told` with the outcome, at once when it has ended already. For one listener."""
        if self._ended:
            told(self._error)
        else:
            self._told = told

    def end(self, error: OSError | None = None) -> None:
        self._ended, self._error = True, error
        if self._told is not None:
            told, self._told = self._told, None
            told(error)
