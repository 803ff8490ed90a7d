"""Via (RFC 3261 20.42, 18.2; rport: RFC 3581)."""

from __future__ import annotations

from collections.abc import Callable

from sipcgi.compiled import compiled
from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_ELEMENT, is_token, number
from sipcgi.sip.params import NONE, Params
from sipcgi.sip.remembered import Remembered
from sipcgi.sip.uri import parse_hostport

_TRANSPORTS = ("UDP", "TCP", "TLS", "WS", "WSS", "SCTP", "TLS-SCTP")
_KNOWN = {f"SIP/2.0/{transport}": ("SIP/2.0", transport) for transport in _TRANSPORTS}
_WAY = frozenset({"maddr", "received", "rport"})
_DEFAULT_PORTS = {"TLS": 5061, "TLS-SCTP": 5061, "WS": 80, "WSS": 443}


class Via:
    """One Via element, never changed after it is made."""

    __slots__ = ("bare", "branch", "host", "params", "port", "protocol", "sent_by", "transport")

    def __init__(
        self, protocol: str, transport: str, host: str, port: int | None = None, params: Params = NONE
    ) -> None:
        self.protocol = protocol
        """`SIP/2.0`, as received."""
        self.transport = transport
        """In capitals."""
        self.host = host
        """As in the text; an IPv6 address with its brackets."""
        self.port = port
        self.params = params
        self.sent_by = f"{host.lower()}:{_DEFAULT_PORTS.get(transport, 5060) if port is None else port}"
        """`host:port` to compare (RFC 3261 18.1.2, 17.2.3): lower case, the default port made explicit."""
        self.branch: str | None = params.get("branch")
        self.bare = params.keys().isdisjoint(_WAY)
        """Whether no parameter says anything of the way that responses take (RFC 3261 18.2.2, RFC 3581)."""

    @classmethod
    def parse(cls, text: str) -> Via:
        """One element. Raises ParseError."""
        if len(text) > MAX_ELEMENT:
            raise ParseError(f"Via too long: {text[:80]!r}", header="via")
        return plain_via(KINDS, text) or cls._parse_slowly(text)

    @classmethod
    def _parse_slowly(cls, text: str) -> Via:
        """With blanks around "/" and ":" (RFC 3261 25.1: SLASH, COLON), unusual protocols, a comment of RFC 2543."""
        text = text.replace("\t", " ").strip(" ")
        if text.endswith(")"):
            text = text.partition("(")[0].rstrip(" ")
        head, semicolon, params = text.partition(";")
        pieces = head.split("/")
        if len(pieces) != 3:
            raise ParseError(f"bad Via {text[:80]!r}", header="via")
        name, version = pieces[0].strip(" "), pieces[1].strip(" ")
        transport, _, sent_by = pieces[2].strip(" ").partition(" ")
        if not (is_token(name) and is_token(version) and is_token(transport)):
            raise ParseError(f"bad protocol in Via {text[:80]!r}", header="via")
        before, colon, port = sent_by.rpartition(":")
        if colon and "]" not in port:
            sent_by = f"{before.rstrip(' ')}:{port.lstrip(' ')}"
        host, value = parse_hostport(sent_by.strip(" "))
        return cls(f"{name}/{version}", transport.upper(), host, value, Params.parse(semicolon + params))

    @property
    def received(self) -> str | None:
        """The source address (RFC 3261 18.2.1), an IPv6 one without brackets (RFC 5118 4.5: both are seen)."""
        value = self.params.get("received")
        return value if value is None else value.strip("[]")

    @property
    def rport(self) -> int | None:
        """None when absent, 0 for one without value, else the source port (RFC 3581). Raises ParseError."""
        value = self.params.get("rport")
        return value if value is None else number(value or "0", 65535)

    def with_(self, *, received: str | None = None, rport: int | None = None) -> Via:
        """The same with `received` and a value for `rport` (RFC 3261 18.2.1, RFC 3581 section 4)."""
        values = {}
        if received is not None:
            values["received"] = received
        if rport is not None:
            values["rport"] = str(rport)
        return Via(self.protocol, self.transport, self.host, self.port, self.params.with_values(values))

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.protocol}/{self.transport} {self.host}{port}{self.params}"

    def __repr__(self) -> str:
        return f"Via({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Via) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


KINDS = (Via, Params, NONE, parse_hostport)
"""What the compiled `plain_via` makes and asks."""


@compiled
def plain_via(_kinds: object, text: str) -> Via | None:
    """One in its plain form; None for any other, and for what is wrong."""
    head, _, rest = text.partition(" ")
    known = _KNOWN.get(head)
    if known is None:
        return None
    sent_by, semicolon, params = rest.partition(";")
    try:
        return Via(*known, *parse_hostport(sent_by), Params.parse(semicolon + params))
    except ParseError:
        return None


parse_via: Callable[[str], Via] = Remembered(Via.parse, 1024).__getitem__
"""`Via.parse`, remembered: ours is the same in each response of a branch. Raises ParseError."""
