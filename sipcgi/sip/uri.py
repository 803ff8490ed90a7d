"""SIP, SIPS and tel URIs, and any other as far as a server needs it (RFC 3261 19.1, RFC 3966)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any
from urllib.parse import unquote as _percent_decode

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.grammar import ALPHANUM, MAX_ELEMENT, number
from sipcgi.sip.params import NONE, Params
from sipcgi.sip.remembered import Remembered

_UNRESERVED = ALPHANUM + "-_.!~*'()"
_USER = _UNRESERVED + "&=+$,;?/"  # RFC 3261 25.1: user
# "#" and non-ASCII ought to be escaped, but phones send "*21#" as it was dialled
_USER_TEXT = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]++|%[0-9A-Fa-f]{2})++")
_PASSWORD_TEXT = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]++|%[0-9A-Fa-f]{2})*+")
_HEADERS_TEXT = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$&=]++|%[0-9A-Fa-f]{2})++")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# hostname of RFC 3261 25.1, and "_", which hosts of container networks have
_HOSTNAME = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_VISIBLE = re.compile(r"[!#-;=?-~]+")
# RFC 3966 3: phonedigit and visual-separator; local numbers have HEXDIG, "*" and "#" besides
_TEL = re.compile(r"\+[-.()]*[0-9][0-9\-.()]*|[-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*")
_SEPARATORS = str.maketrans("", "", "-.()")
_MAX_HOST = 255 + len(":65535")


@lru_cache(maxsize=4096)
def parse_hostport(text: str) -> tuple[str, int | None]:
    """host [":" port] of RFC 3261 25.1; an IPv6 address keeps its brackets. Raises ParseError."""
    if len(text) > _MAX_HOST:
        raise ParseError(f"host too long: {text[:80]!r}")
    if text[:1] == "[":
        host, bracket, rest = text.partition("]")
        host += bracket
        _ipv6(host)
        if rest and rest[0] != ":":
            raise ParseError(f"bad host {text[:80]!r}")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        if _HOSTNAME.fullmatch(host) is None:
            raise ParseError(f"bad host {text[:80]!r}")
        if host.rpartition(".")[2].isdigit():  # toplabel begins with a letter, so this can only be an address
            try:
                IPv4Address(host)
            except AddressValueError:
                raise ParseError(f"bad IPv4 address {host[:80]!r}") from None
    if not colon:
        return host, None
    value = number(port.lstrip("0"), 65535) if port.lstrip("0") else 0
    if not value:
        raise ParseError(f"bad port {port[:40]!r}")
    return host, value


def _ipv6(host: str) -> str:
    """The address in brackets in its one spelling of RFC 5952."""
    # RFC 5118 4.10: the grammar of RFC 3261 makes "2001:db8:::192.0.2.1", which means "2001:db8::192.0.2.1"
    text = host[1:-1].replace(":::", "::", 1)
    try:
        if host[-1:] != "]" or "%" in text:
            raise AddressValueError
        return str(IPv6Address(text))
    except AddressValueError:
        raise ParseError(f"bad IPv6 address {host[:80]!r}") from None


def unescape(text: str) -> str:
    """`text` with its "%" HEX HEX undone."""
    return _percent_decode(text, "utf-8", "surrogateescape") if "%" in text else text


def escape(text: str) -> str:
    """`text` as the user part of a SIP URI (RFC 3261 19.1.2)."""
    if not text.strip(_USER):
        return text
    octets = text.encode("utf-8", "surrogateescape")
    return "".join([chr(octet) if octet < 128 and chr(octet) in _USER else f"%{octet:02X}" for octet in octets])


class SipUri:
    """A SIP or SIPS URI (RFC 3261 19.1.1), never changed after it is made. Equality is that of the text."""

    __slots__ = ("_text", "address", "headers", "host", "params", "password", "port", "scheme", "user")

    def __init__(
        self,
        scheme: str,
        user: str | None,
        password: str | None,
        host: str,
        port: int | None = None,
        params: Params = NONE,
        headers: str = "",
    ) -> None:
        self.scheme = scheme
        """`sip` or `sips`."""
        self.user = user
        """As in the text: escaped."""
        self.password = password
        self.host = host
        """As in the text; an IPv6 address with its brackets."""
        self.address = _ipv6(host) if host[:1] == "[" else host.lower()
        """The host in lower case, an IPv6 address without brackets and in its one spelling (RFC 5954 section 4)."""
        self.port = port
        self.params = params
        self.headers = headers
        """`a=b&c=d`, escaped."""
        self._text: str | None = None

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Raises ParseError."""
        scheme, _, rest = text.partition(":")
        scheme = scheme.lower()
        if scheme != "sip" and scheme != "sips":
            raise ParseError(f"not a SIP URI: {text[:80]!r}")
        # "?" and ";" may stand in the user part, "@" nowhere else (RFC 3261 25.1)
        userinfo, at, rest = rest.rpartition("@")
        user = password = None
        if at:
            user, colon, secret = userinfo.partition(":")
            if _USER_TEXT.fullmatch(user) is None or _PASSWORD_TEXT.fullmatch(secret) is None:
                raise ParseError(f"bad user part in {text[:80]!r}")
            password = secret if colon else None
        rest, question, headers = rest.partition("?")
        if question and _HEADERS_TEXT.fullmatch(headers) is None:
            raise ParseError(f"bad headers in {text[:80]!r}")
        hostport, semicolon, params = rest.partition(";")
        host, port = parse_hostport(hostport)
        if "%" in params and _BAD_ESCAPE.search(params):
            raise ParseError(f"bad escape in {text[:80]!r}")
        uri = cls(scheme, user, password, host, port, Params.parse_uri(semicolon + params), headers)
        uri._text = text
        return uri

    @property
    def aor(self) -> str:
        """The canonical address-of-record (RFC 3261 10.3 item 5) without scheme: `user@host`, user unescaped."""
        host = f"[{self.address}]" if self.host[0] == "[" else self.address
        return host if self.user is None else f"{unescape(self.user)}@{host}"

    def with_(self, **changes: Any) -> SipUri:
        """The same with some parts changed, named as in the constructor."""
        parts = {
            "scheme": self.scheme,
            "user": self.user,
            "password": self.password,
            "host": self.host,
            "port": self.port,
            "params": self.params,
            "headers": self.headers,
        }
        return SipUri(**{**parts, **changes})

    def __str__(self) -> str:
        if self._text is None:
            user = "" if self.user is None else self.user
            secret = "" if self.password is None else f":{self.password}"
            at = "" if self.user is None else "@"
            port = "" if self.port is None else f":{self.port}"
            headers = f"?{self.headers}" if self.headers else ""
            self._text = f"{self.scheme}:{user}{secret}{at}{self.host}{port}{self.params}{headers}"
        return self._text

    def __repr__(self) -> str:
        return f"SipUri({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SipUri) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class TelUri:
    """A telephone number (RFC 3966 section 3). A local number without phone-context is taken, too."""

    __slots__ = ("_text", "number", "params")
    scheme = "tel"

    def __init__(self, number: str, params: Params = NONE) -> None:
        self.number = number
        """With its visual separators."""
        self.params = params
        self._text: str | None = None

    @classmethod
    def parse(cls, text: str) -> TelUri:
        """Raises ParseError."""
        scheme, _, rest = text.partition(":")
        digits, semicolon, params = rest.partition(";")
        if scheme.lower() != "tel" or _TEL.fullmatch(digits) is None or _BAD_ESCAPE.search(params):
            raise ParseError(f"bad tel URI {text[:80]!r}")
        uri = cls(digits, Params.parse_uri(semicolon + params))
        uri._text = text
        return uri

    @property
    def digits(self) -> str:
        """The number without visual separators (RFC 3966 section 3), "+" kept."""
        return self.number.translate(_SEPARATORS)

    def __str__(self) -> str:
        return self._text if self._text is not None else f"tel:{self.number}{self.params}"

    def __repr__(self) -> str:
        return f"TelUri({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TelUri) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class OtherUri:
    """A URI of any other scheme (RFC 3986), not looked into."""

    __slots__ = ("_text", "rest", "scheme")

    def __init__(self, scheme: str, rest: str) -> None:
        self.scheme = scheme.lower()
        self.rest = rest
        self._text = f"{scheme}:{rest}"

    @classmethod
    def parse(cls, text: str) -> OtherUri:
        """Raises ParseError."""
        scheme, _, rest = text.partition(":")
        if _SCHEME.fullmatch(scheme) is None or _VISIBLE.fullmatch(rest) is None:
            raise ParseError(f"not a URI: {text[:80]!r}")
        return cls(scheme, rest)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"OtherUri({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OtherUri) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


Uri = SipUri | TelUri | OtherUri


_KINDS = (SipUri, Params, NONE, parse_hostport)
"""What the compiled `plain_sip_uri` makes and asks."""


@compiled
def plain_sip_uri(_kinds: object, _text: str) -> SipUri | None:
    """What `SipUri.parse` returns if the compiled part takes it: without password, escapes, headers, IPv6."""
    return None


def _parse(text: str) -> Uri:
    return plain_sip_uri(_KINDS, text) or _parse_any(text)


def _parse_any(text: str) -> Uri:
    if len(text) > MAX_ELEMENT:
        raise ParseError(f"URI too long: {text[:80]!r}")
    scheme = text[:5].lower()
    if scheme.startswith(("sip:", "sips:")):
        return SipUri.parse(text)
    if scheme.startswith("tel:"):
        return TelUri.parse(text)
    return OtherUri.parse(text)


parse_uri: Callable[[str], Uri] = Remembered(_parse).__getitem__
"""Any absolute URI. Raises ParseError."""


def equivalent(a: Uri, b: Uri) -> bool:
    """Whether two URIs are the same by the rules of their scheme: RFC 3261 19.1.4, RFC 3966 section 4."""
    if isinstance(a, SipUri):
        return isinstance(b, SipUri) and _same_sip(a, b)
    if isinstance(a, TelUri):
        return isinstance(b, TelUri) and _same_tel(a, b)
    return isinstance(b, OtherUri) and a.scheme == b.scheme and a.rest == b.rest


_NEVER_IN_ONE_ONLY = ("user", "ttl", "method", "maddr", "transport")


def _same_sip(a: SipUri, b: SipUri) -> bool:
    if a.scheme != b.scheme or a.port != b.port or a.address != b.address:
        return False
    if (a.user is None) != (b.user is None) or (a.password is None) != (b.password is None):
        return False
    if _comparable(a.user or "") != _comparable(b.user or ""):
        return False
    if _comparable(a.password or "") != _comparable(b.password or ""):
        return False
    return _same_params(a.params, b.params) and _header_set(a.headers) == _header_set(b.headers)


def _same_params(a: Params, b: Params) -> bool:
    ours, theirs = _comparable_params(a), _comparable_params(b)
    if any((name in ours) != (name in theirs) for name in _NEVER_IN_ONE_ONLY):
        return False
    return all(value == theirs.get(name, value) for name, value in ours.items())


def _comparable_params(params: Params) -> dict[str, str]:
    return {_comparable(name).lower(): _comparable(value).lower() for name, value in params.items()}


def _comparable(text: str) -> str:
    """Escapes undone but for those of reserved characters, which differ from the bare ones (RFC 3261 19.1.4)."""
    if "%" not in text:
        return text
    head, *rest = text.split("%")
    parts = [head]
    for piece in rest:
        character = chr(int(piece[:2], 16))
        parts.append((character if character not in "%;/?:@&=+$," else f"%{piece[:2].upper()}") + piece[2:])
    return "".join(parts)


def _header_set(text: str) -> list[tuple[str, str]]:
    """Names without case; values as they are, for each header field has its own rules."""
    pairs = [header.partition("=") for header in text.split("&")]
    return sorted((_comparable(name).lower(), _comparable(value)) for name, _, value in pairs)


def _same_tel(a: TelUri, b: TelUri) -> bool:
    # RFC 3966 section 4: both global or both local, digits without separators, all parameters, order and case aside
    return a.digits.lower() == b.digits.lower() and _tel_params(a.params) == _tel_params(b.params)


def _tel_params(params: Params) -> dict[str, str]:
    compared = _comparable_params(params)
    for name, value in compared.items():
        if name == "ext" or (name == "phone-context" and value[:1] == "+"):
            compared[name] = value.translate(_SEPARATORS)
    return compared
