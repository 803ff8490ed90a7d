"""Values that are made on first use."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sipcgi.compiled import compiled

Made = TypeVar("Made")


@compiled
class lazy(Generic[Made]):
    """An attribute whose value `make` makes when it is first asked for; from then on asking costs no call.

    What `make` raises is raised on each use, until there is a value. Whoever knows the value may set it before. Unlike
    functools.cached_property, of Python 3.11, it takes no lock.
    """

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self.make = make
        self.name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: object, kind: type) -> Made:
        value = self.make(owner)
        setattr(owner, self.name, value)
        return value
