"""Challenges and credentials (RFC 3261 20.7, 20.27, 20.28, 20.44, 25.1)."""

from __future__ import annotations

from typing import Self

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import end_of_quoted, is_token, quote, split_list, unquote


class _Scheme:
    """`Scheme name=value, name="value"`; names in lower case, values without quotes."""

    __slots__ = ("params", "scheme")
    bare: frozenset[str] = frozenset()
    """Parameters of Digest that are written without quotes."""

    def __init__(self, scheme: str, params: dict[str, str]) -> None:
        self.scheme = scheme
        self.params = params

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ParseError."""
        scheme, _, rest = text.replace("\t", " ").strip(" ").partition(" ")
        params: dict[str, str] = {}
        for element in split_list(rest):
            name, equals, value = element.partition("=")
            name, value = name.rstrip(" ").lower(), value.lstrip(" ")
            quoted = value[:1] == '"' and end_of_quoted(value) == len(value)
            if not equals or not is_token(name) or not (quoted or is_token(value)):
                raise ParseError(f"bad parameter {element[:80]!r}")
            if name in params:
                raise ParseError(f"{name} given twice")
            params[name] = unquote(value)
        if not is_token(scheme) or not params:
            raise ParseError(f"scheme and parameters expected: {text[:80]!r}")
        return cls(scheme, params)

    def __str__(self) -> str:
        fields = [f"{name}={value if name in self.bare else quote(value)}" for name, value in self.params.items()]
        return f"{self.scheme} {', '.join(fields)}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, type(self))
            and self.scheme.lower() == other.scheme.lower()
            and self.params == other.params
        )

    __hash__ = None  # type: ignore[assignment]


class Challenge(_Scheme):
    """WWW-Authenticate, Proxy-Authenticate."""

    __slots__ = ()
    bare = frozenset({"algorithm", "stale", "userhash"})


class Credentials(_Scheme):
    """Authorization, Proxy-Authorization."""

    __slots__ = ()
    bare = frozenset({"algorithm", "nc", "qop", "userhash"})
