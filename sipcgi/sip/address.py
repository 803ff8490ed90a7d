"""name-addr and addr-spec of From, To, Contact, Route and their kind (RFC 3261 20.10, 20.20, 25.1)."""

from __future__ import annotations

from collections.abc import Callable

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_ELEMENT, TOKEN, end_of_quoted, quote, split_list, unquote
from sipcgi.sip.params import NONE, Params
from sipcgi.sip.remembered import Remembered
from sipcgi.sip.uri import Uri, parse_uri

_DISPLAY = TOKEN + " \t"


class Address:
    """A URI with its display name and the parameters of the header field, never changed after it is made."""

    __slots__ = ("display", "params", "uri")

    def __init__(self, display: str, uri: Uri, params: Params = NONE) -> None:
        self.display = display
        """Without quotes."""
        self.uri = uri
        self.params = params

    @classmethod
    def parse(cls, text: str) -> Address:
        """One address. Raises ParseError; "*" is not one."""
        return plain_address(_KINDS, text) or cls._parse(text)

    @classmethod
    def _parse(cls, text: str) -> Address:
        if len(text) > MAX_ELEMENT:
            raise ParseError(f"address too long: {text[:80]!r}")
        text = text.strip(" \t")
        if text[:1] == '"':
            end = text.find('"', 1) + 1
            if not end or "\\" in text[:end]:
                end = end_of_quoted(text)
            display = unquote(text[:end])
            start = text.find("<", end)
            if start < 0 or text[end:start].strip(" \t"):
                raise ParseError(f"'<' expected after the display name in {text[:80]!r}")
        else:
            start = text.find("<")
            if start < 0:
                # RFC 3261 20.10: without "<" and ">" all parameters are those of the header field
                uri, semicolon, params = text.partition(";")
                if "?" in uri or "," in uri:
                    raise ParseError(f"a URI with '?' or ',' must be in '<' and '>': {text[:80]!r}")
                return cls("", parse_uri(uri.rstrip(" \t")), Params.parse(semicolon + params))
            display = text[:start].rstrip(" \t")
            # more than the tokens of RFC 3261 25.1 is seen here, above all words in UTF-8
            if "," in display or ";" in display or '"' in display or ">" in display:
                raise ParseError(f"display name must be quoted: {display[:80]!r}")
        end = text.find(">", start)
        if end < 0:
            raise ParseError(f"'<' without '>' in {text[:80]!r}")
        return cls(display, parse_uri(text[start + 1 : end]), Params.parse(text[end + 1 :]))

    @classmethod
    def parse_list(cls, text: str) -> list[Address]:
        """The addresses of a comma-separated value. Raises ParseError."""
        return [cls.parse(element) for element in split_list(text)]

    @property
    def tag(self) -> str | None:
        """The tag of From or To (RFC 3261 19.3), None without one."""
        return self.params.get("tag")

    @property
    def q(self) -> float:
        """The preference that a Contact has (RFC 3261 20.10, 25.1: qvalue); 1 when not given. Raises ParseError."""
        text = self.params.get("q")
        if text is None:
            return 1.0
        whole, _, decimals = text.partition(".")
        well_formed = text.isascii() and (whole + decimals).isdigit() and whole in ("0", "1", "") and len(decimals) <= 3
        if not well_formed or float(text) > 1:
            raise ParseError("a q is a number from 0 to 1", header="contact")
        return float(text)

    def with_params(self, params: Params) -> Address:
        return Address(self.display, self.uri, params)

    def __str__(self) -> str:
        if not self.display:
            return f"<{self.uri}>{self.params}"
        display = quote(self.display) if self.display.strip(_DISPLAY) else self.display
        return f"{display} <{self.uri}>{self.params}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


_KINDS = (Address, Params, NONE, parse_uri)
"""What the compiled `plain_address` makes and asks."""


@compiled
def plain_address(_kinds: object, _text: str) -> Address | None:
    """What `Address.parse` returns if the compiled part takes it: a name-addr with nothing escaped in its name."""
    return None


parse_address: Callable[[str], Address] = Remembered(Address.parse).__getitem__
"""`Address.parse`, remembered: the From of a call is the same in each of its messages. Raises ParseError."""
