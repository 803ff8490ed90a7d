"""Max-Breadth: how many branches of a request may be active at once, here and further on (RFC 5393 section 5.3)."""

from __future__ import annotations

from sipcgi.errors import ParseError, Refused
from sipcgi.sip.grammar import number
from sipcgi.sip.message import Request

MAXIMUM = 60  # RFC 5393 5.3.3: both the default and the maximum


class Breadth:
    """What a response context may still give to branches: Incoming less Outgoing Max-Breadth (RFC 5393 5.3.2)."""

    __slots__ = ("available", "turns")

    def __init__(self, incoming: int = MAXIMUM) -> None:
        self.available = incoming
        self.turns = 0
        """How often it went through our own routes once more (engine/rerouted), which takes no breadth."""

    @classmethod
    def of(cls, request: Request) -> Breadth:
        """Of the request that formed the context. Raises ParseError."""
        value = request.headers.get("max-breadth")
        if value is None:
            return cls()
        try:
            return cls(min(number(value), MAXIMUM))
        except ParseError as error:
            raise ParseError(str(error), header="max-breadth") from None

    def take(self, branches: int, *, keep: int = 0) -> list[int]:
        """The Max-Breadth of each of so many branches that start together, as equal as can be, and all there is.

        Up to `keep` of it stay here for branches that may be added while these are pending. Raises Refused 440 when
        there is not one for each (5.3.3): the same targets may then be tried one after the other.
        """
        if branches > self.available:
            raise Refused(440)
        if not branches:
            return []
        given = max(branches, self.available - keep)
        self.available -= given
        share, rest = divmod(given, branches)
        return [share + 1] * rest + [share] * (branches - rest)

    def put_back(self, share: int) -> None:
        """A branch got its final response: once for each, whatever comes later (RFC 5393 5.3.3.1, 5.4.2)."""
        self.available += share
