"""Header fields in order, as they were received, with lazy access by canonical name (RFC 3261 7.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from sys import intern
from typing import Self

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_HEADERS, MAX_LINES, MAX_LIST, MAX_LIST_TEXT, is_token, split_list

_COMPACT = {
    "a": "accept-contact",  # RFC 3841
    "b": "referred-by",  # RFC 3892
    "c": "content-type",
    "d": "request-disposition",  # RFC 3841
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",  # RFC 3841
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",  # RFC 4474
    "o": "event",  # RFC 6665
    "r": "refer-to",  # RFC 3515
    "s": "subject",
    "t": "to",
    "u": "allow-events",  # RFC 6665
    "v": "via",
    "x": "session-expires",  # RFC 4028
    "y": "identity",  # RFC 8224
}

_SPELLINGS = """
Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events
Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-Language
Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires Flow-Timer From Geolocation History-Info
Identity Identity-Info In-Reply-To Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE Organization
P-Access-Network-Info P-Asserted-Identity P-Called-Party-ID P-Charging-Vector P-Early-Media P-Preferred-Identity
P-Visited-Network-ID Path Priority Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason
Record-Route Recv-Info Refer-Sub Refer-To Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To
Request-Disposition Require Retry-After Route RSeq Server Service-Route Session-Expires SIP-ETag SIP-If-Match Subject
Subscription-State Supported Target-Dialog Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate
""".split()  # noqa: SIM905

# interned, as the names that code asks for are: most comparisons are of one object with itself
_CANONICAL = {form: intern(spelling.lower()) for spelling in _SPELLINGS for form in (spelling, spelling.lower())}
_CANONICAL |= {form: name for letter, name in _COMPACT.items() for form in (letter, letter.upper())}

AUTHENTICATION = frozenset({"www-authenticate", "authorization", "proxy-authenticate", "proxy-authorization"})
"""Fields whose commas do not part elements (RFC 3261 7.3.1)."""

OPTION_TAGS = frozenset({"path", "outbound"})
"""The extensions that the server has, as registrar and as proxy (RFC 3261 19.2; RFC 3327, RFC 5626)."""

SINGLE = frozenset({"from", "to", "call-id", "cseq", "max-forwards", "content-length"})
"""Fields that a message has once at most and without which it cannot be understood when they differ."""

_END_OF_FIELD = re.compile(r"\r\n(?![ \t])")


def canonical(name: str) -> str:
    """The long form in lower case of a field name in any spelling, compact ones included (RFC 3261 7.3.3)."""
    known = _CANONICAL.get(name)
    if known is not None:
        return known
    name = name.lower()
    return _CANONICAL.get(name, name)


class _Known(dict[str, str]):
    """What a line has before its colon, to its canonical name. Only an unseen spelling costs a check."""

    def __missing__(self, spelling: str) -> str:
        name = spelling.rstrip(" \t")  # RFC 3261 25.1: HCOLON; nothing but SP and HTAB before the colon
        if not is_token(name):
            raise ParseError(f"bad header field name {spelling[:40]!r}")
        return canonical(name)


KNOWN = _Known(_CANONICAL)
"""By what a line has before its colon. Raises ParseError for what is no name."""


def _names(lines: list[str]) -> list[str]:
    """The canonical name of each field. Raises ParseError."""
    names, known = [], KNOWN
    for line in lines:
        spelling, colon, _ = line.partition(":")
        if not colon:
            raise ParseError(f"header field without a colon: {line[:40]!r}")
        names.append(known[spelling])
    return names


def _unfolded(lines: list[str]) -> list[str]:
    return _END_OF_FIELD.split("\r\n".join(lines))


def _value(line: str) -> str:
    value = line.partition(":")[2].strip(" \t")
    return _unfold(value) if "\r" in value else value


def _unfold(value: str) -> str:
    """RFC 3261 7.3.1: a fold is a single SP."""
    return " ".join([part.strip(" \t") for part in value.split("\r\n")]).strip(" \t")


@compiled
class Fields:
    """Header fields and finding one by its name, of the canonical ones ("call-id").

    `names[i]` is the canonical name of `lines[i]`, the field as received, folds kept, without its final CRLF.
    """

    __slots__ = ("lines", "names")

    names: list[str]
    lines: list[str]

    @classmethod
    def of(cls, names: list[str], lines: list[str]) -> Self:
        """Made of the two lists as they are."""
        fields = cls.__new__(cls)
        fields.names = names
        fields.lines = lines
        return fields

    def get(self, name: str) -> str | None:
        """The value of the first field of that name, unfolded and stripped."""
        names = self.names
        if name not in names:
            return None
        value = self.lines[names.index(name)].partition(":")[2].strip(" \t")
        return _unfold(value) if "\r" in value else value  # `_value`, without a call

    def all(self, name: str) -> list[str]:
        """The values of all fields of that name."""
        if name not in self.names:
            return []
        return [_value(line) for found, line in zip(self.names, self.lines, strict=True) if found == name]

    def values(self) -> list[str]:
        """The values of all fields, in order."""
        return [_value(line) for line in self.lines]

    def sole(self, name: str) -> str | None:
        """The value of the only field of that name, if it is surely one element: without a comma. Else None."""
        names = self.names
        return self.get(name) if names.count(name) == 1 and "," not in self.lines[names.index(name)] else None

    def count(self, name: str) -> int:
        return self.names.count(name)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __len__(self) -> int:
        return len(self.names)


class Headers(Fields):
    """The fields of a message. Whoever sets one gives the spelling to print."""

    __slots__ = ()

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.names = []
        self.lines = []
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def parse(cls, lines: list[str]) -> Headers:
        """Of lines that were cut at each CRLF, folded ones too. Raises ParseError."""
        if len(lines) > MAX_HEADERS:
            raise ParseError(f"more than {MAX_HEADERS} header fields", status=513)
        try:
            return cls.of(_names(lines), lines)
        except ParseError:
            # a line that continues the one before begins with a blank, as no name does (RFC 3261 7.3.1)
            lines = _unfolded(lines)
            return cls.of(_names(lines), lines)

    @classmethod
    def salvage(cls, lines: list[str]) -> Headers:
        """What is good in a bad message, so that it can be answered; of fields that occur once only the first."""
        headers = cls()
        for line in _unfolded(lines[:MAX_LINES])[:MAX_HEADERS]:
            try:
                (name,) = _names([line])
            except ParseError:
                continue
            if name not in SINGLE or name not in headers.names:
                headers.names.append(name)
                headers.lines.append(line)
        return headers

    def elements(self, name: str) -> list[str]:
        """The comma-separated elements over all fields of that name (RFC 3261 7.3.1). Raises ParseError."""
        value = self.sole(name)
        if value:
            return [value]
        count = self.names.count(name)
        if count <= 1 and name not in AUTHENTICATION:
            return split_list(self.get(name) or "") if count else []
        values = self.all(name)
        if name in AUTHENTICATION:
            return values
        if sum(map(len, values)) > MAX_LIST_TEXT:
            raise ParseError(f"more than {MAX_LIST_TEXT} characters in a list", header=name)
        elements = []
        for value in values:
            elements += split_list(value)
            if len(elements) > MAX_LIST:
                raise ParseError(f"more than {MAX_LIST} elements in a list", header=name)
        return elements

    @property
    def one_via(self) -> bool:
        """Whether there is one Via, the sender's own. One with a comma in it may be taken for several."""
        return self.sole("via") is not None

    def add(self, name: str, value: str) -> None:
        """Appends a field."""
        self.insert(len(self.names), name, value)

    def insert(self, index: int, name: str, value: str) -> None:
        """Raises ParseError for a value that would end the line."""
        if "\n" in value or "\r" in value or "\0" in value:
            raise ParseError(f"CR, LF or NUL in a value of {name}")
        self.names.insert(index, canonical(name))
        self.lines.insert(index, f"{name}: {value}")

    def set(self, name: str, value: str) -> None:
        """Replaces the first field of that name where it stands and drops the others, or appends one."""
        found = canonical(name)
        if found not in self.names:
            self.add(name, value)
            return
        index = self.names.index(found)
        if self.names.count(found) > 1:
            self.remove(found)
        else:
            del self.names[index], self.lines[index]
        self.insert(index, name, value)

    def remove(self, *names: str) -> None:
        """Drops all fields of those names."""
        if len(names) == 1 and self.names.count(names[0]) == 1:
            index = self.names.index(names[0])
            del self.names[index], self.lines[index]
            return
        kept = [index for index, name in enumerate(self.names) if name not in names]
        if len(kept) != len(self.names):
            self.lines = [self.lines[index] for index in kept]
            self.names = [self.names[index] for index in kept]

    def prepend(self, name: str, value: str) -> None:
        """Puts a field before the first one of that name, else at the top."""
        found = canonical(name)
        self.insert(self.names.index(found) if found in self.names else 0, name, value)

    def copy(self) -> Headers:
        return Headers.of(self.names.copy(), self.lines.copy())

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Name as spelt, value unfolded and stripped."""
        for line in self.lines:
            yield line[: line.index(":")].rstrip(" \t"), _value(line)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.lines == other.lines

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"
