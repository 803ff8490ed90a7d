"""What a text was parsed to, kept for the next time: the same URIs and addresses come in message after message."""

from collections.abc import Callable
from typing import TypeVar

from sipcgi.compiled import compiled

Made = TypeVar("Made")

LONGEST = 256
"""Characters of a text that is kept."""
MOST = 4096


@compiled
class Kept(dict[str, Made]):
    """What a text was parsed to; a new one is made."""

    make: Callable[[str], Made]
    most: int

    def __missing__(self, text: str) -> Made:
        made = self.make(text)
        if len(text) < LONGEST:
            if len(self) >= self.most:
                del self[next(iter(self))]
            self[text] = made
        return made


class Remembered(Kept[Made]):
    """By text what `make` makes of it; what it raises is not kept.

    `remembered[text]`, and `remembered.__getitem__` as a function, cost no call of Python for a text that is known,
    nor would its length be looked at, as with functools.lru_cache. The oldest gives way.
    """

    def __init__(self, make: Callable[[str], Made], most: int = MOST) -> None:
        super().__init__()
        self.make = make
        self.most = most
