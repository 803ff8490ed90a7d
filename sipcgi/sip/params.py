"""Parameters of URIs and header fields: `;name=value;name` (RFC 3261 7.3.1, 19.1.1, 25.1)."""

from __future__ import annotations

import re

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_PARAMETERS, end_of_quoted, is_token, split_outside

# What nearly every message has: token names, values without quotes and blanks. One pass in C decides that.
# Values are taken wider than gen-value (RFC 3261 25.1), for "/", "=" and more are seen in them.
_PLAIN = re.compile(r"(?:;[A-Za-z0-9\-.!%*_+`'~]++(?:=[^\x00-\x20\x7f\",;<>]++)?+)*+")
# RFC 3261 25.1: paramchar, also in names
_URI = re.compile(r"(?:;[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]++(?:=[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]++)?+)*+")


class Params(dict[str, str]):
    """Ordered parameters by their names in lower case, never changed after they are made.

    Values are the text as it stands, quotes and escapes included; "" for none. `text` is all of it, as it was spelt.
    """

    __slots__ = ("text",)

    def __init__(self, text: str = "") -> None:
        self.text = text

    @classmethod
    def parse(cls, text: str) -> Params:
        """Parameters of a header field, from the first ";" on. Raises ParseError, also for a name given twice."""
        if not text:
            return NONE
        return plain_params(cls, text) or cls._parse_slowly(text)

    @classmethod
    def parse_uri(cls, text: str) -> Params:
        """Parameters of a URI (RFC 3261 25.1: uri-parameters). Raises ParseError."""
        if not text:
            return NONE
        return plain_uri_params(cls, text) or cls._parse_uri_slowly(text)

    @classmethod
    def _parse_uri_slowly(cls, text: str) -> Params:
        """What is not plain, or wrong."""
        if _URI.fullmatch(text) is None:
            raise ParseError(f"bad URI parameter in {text[:80]!r}")
        return _made(text, text[1:].split(";"))

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
        return _made("".join([f";{piece}" for piece in pieces]), pieces)

    def with_(self, name: str, value: str | None = None) -> Params:
        """The same with `name` set, in its place or at the end."""
        lower = name.lower()
        spelt = {**self._spelt(), lower: name if value is None else f"{name}={value}"}
        return _joined(spelt, {**self, lower: value or ""})

    def with_values(self, values: dict[str, str]) -> Params:
        """The same with each of those, named in lower case, set like that."""
        spelt = {**self._spelt(), **{name: f"{name}={value}" for name, value in values.items()}}
        return _joined(spelt, {**self, **values})

    def without(self, *names: str) -> Params:
        """The same without those, named in lower case."""
        spelt = {name: piece for name, piece in self._spelt().items() if name not in names}
        return _joined(spelt, {name: self[name] for name in spelt})

    def _spelt(self) -> dict[str, str]:
        """Each as it was spelt, by its name in lower case."""
        return dict(zip(self, split_outside(self.text, ";")[1:], strict=True))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Params({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        """Equal spelling in equal order; the comparison of URIs is uri.equivalent."""
        return isinstance(other, Params) and self.text == other.text

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.text)


@compiled
def plain_params(kind: type[Params], text: str) -> Params | None:
    """Parameters of a header field in their plain form; None for any other, and for what is wrong."""
    return _plain(kind, text, text[1:].split(";")) if _PLAIN.fullmatch(text) is not None else None


@compiled
def plain_uri_params(kind: type[Params], text: str) -> Params | None:
    """The same of a URI."""
    return _plain(kind, text, text[1:].split(";")) if _URI.fullmatch(text) is not None else None


def _plain(kind: type[Params], text: str, pieces: list[str]) -> Params | None:
    """Of `name=value` and `name`, which `text` has; None for too many, or one that is given twice."""
    if len(pieces) > MAX_PARAMETERS:
        return None
    params = kind(text)
    for piece in pieces:
        name, _, value = piece.partition("=")  # with "=" there is a value: the callers have seen to that
        params[name.lower()] = value
    return params if len(params) == len(pieces) else None


def _made(text: str, pieces: list[str]) -> Params:
    """The same. Raises ParseError."""
    if len(pieces) > MAX_PARAMETERS:
        raise ParseError(f"more than {MAX_PARAMETERS} parameters")
    params = _plain(Params, text, pieces)
    if params is None:
        raise ParseError("parameter given twice")  # RFC 3261 7.3.1, 19.1.1
    return params


def _joined(spelt: dict[str, str], values: dict[str, str]) -> Params:
    params = Params("".join([f";{piece}" for piece in spelt.values()]))
    params.update(values)
    return params


NONE = Params()
