"""Parameters of URIs and header fields: `;name=value;name` (RFC 3261 7.3.1, 19.1.1, 25.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_PARAMETERS, end_of_quoted, is_token, split_outside

# What nearly every message has: token names, values without quotes and blanks. One pass in C decides that.
# Values are taken wider than gen-value (RFC 3261 25.1), for "/", "=" and more are seen in them.
_PLAIN = re.compile(r"(?:;[A-Za-z0-9\-.!%*_+`'~]+(?:=[^\x00-\x20\x7f\",;<>]+)?)*")
# RFC 3261 25.1: paramchar, also in names
_URI = re.compile(r"(?:;[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]+(?:=[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]+)?)*")

Fields = dict[str, tuple[str, str | None]]
"""Lower-case name: name as spelt, value or None."""


class Params:
    """Ordered parameters, never changed after they are made; names are compared without case, spelling is kept.

    Values are the text as it stands, quotes and escapes included.
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Fields | None = None) -> None:
        self._fields = fields or {}

    @classmethod
    def parse(cls, text: str) -> Params:
        """Parameters of a header field, from the first ";" on. Raises ParseError, also for a name given twice."""
        if not text:
            return NONE
        if _PLAIN.fullmatch(text) is None:
            return cls._parse_slowly(text)
        return cls(_fields(text[1:].split(";")))

    @classmethod
    def parse_uri(cls, text: str) -> Params:
        """Parameters of a URI (RFC 3261 25.1: uri-parameters). Raises ParseError."""
        if not text:
            return NONE
        if _URI.fullmatch(text) is None:
            raise ParseError(f"bad URI parameter in {text[:80]!r}")
        return cls(_fields(text[1:].split(";")))

    @classmethod
    def _parse_slowly(cls, text: str) -> Params:
        """With blanks around ";" and "=" (RFC 3261 25.1: SEMI, EQUAL) or quoted strings."""
        pieces = split_outside(text, ";")
        if pieces.pop(0):
            raise ParseError(f"';' expected before {text[:80]!r}")
        for index, piece in enumerate(pieces):
            name, equals, value = piece.partition("=")
            name, value = name.rstrip(" \t"), value.lstrip(" \t")
            quoted = value[:1] == '"' and end_of_quoted(value) == len(value)
            if not is_token(name) or (equals and not quoted and _PLAIN.fullmatch(f";{name}={value}") is None):
                raise ParseError(f"bad parameter {piece[:80]!r}")
            pieces[index] = name + equals + value
        return cls(_fields(pieces))

    def get(self, name: str) -> str | None:
        """The value of a parameter named in lower case: "" when it has none, None when it is absent."""
        field = self._fields.get(name)
        return None if field is None else field[1] or ""

    def with_(self, name: str, value: str | None = None) -> Params:
        """The same with `name` set, in its place or at the end."""
        return Params({**self._fields, name.lower(): (name, value)})

    def with_values(self, values: dict[str, str]) -> Params:
        """The same with each of those, named in lower case, set like that."""
        return Params({**self._fields, **{name: (name, value) for name, value in values.items()}})

    def without(self, *names: str) -> Params:
        """The same without those, named in lower case."""
        return Params({name: field for name, field in self._fields.items() if name not in names})

    def items(self) -> Iterator[tuple[str, str]]:
        """Names in lower case and values, "" for none."""
        return ((name, value or "") for name, (_, value) in self._fields.items())

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __len__(self) -> int:
        return len(self._fields)

    def __str__(self) -> str:
        return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self._fields.values()])

    def __repr__(self) -> str:
        return f"Params({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Equal spelling in equal order; the comparison of URIs is uri.equivalent."""
        return isinstance(other, Params) and list(self._fields.values()) == list(other._fields.values())

    def __hash__(self) -> int:
        return hash(str(self))


def _fields(pieces: list[str]) -> Fields:
    """Of `name=value` and `name`. Raises ParseError."""
    if len(pieces) > MAX_PARAMETERS:
        raise ParseError(f"more than {MAX_PARAMETERS} parameters")
    fields: Fields = {}
    for piece in pieces:
        name, _, value = piece.partition("=")  # with "=" there is a value: the callers have seen to that
        fields[name.lower()] = (name, value or None)
    if len(fields) != len(pieces):
        raise ParseError("parameter given twice")  # RFC 3261 7.3.1, 19.1.1
    return fields


NONE = Params()
