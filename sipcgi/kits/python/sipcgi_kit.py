"""SIP-CGI for scripts in Python: what happened as values, what is to happen as calls (RFC 3050 section 5).

    from sipcgi_kit import Call

    with Call() as call:
        if call.event == "request":
            call.proxy(call.uri, timeout=15)
            call.again()
        elif 100 <= call.status < 200 or call.pending:
            call.again()
        elif call.status in (408, 480, 486, 503):
            call.proxy("sip:voicemail@example.com")

All is printed when the `with` ends, and nothing when an exception or another exit status than 0 ends it. A value that
would break its line or mean something else where it is put raises ValueError. `docs/kits.md` has the whole vocabulary.
"""

from __future__ import annotations

import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # a script is started for each event: what only a type checker needs is not imported
    from collections.abc import Iterable, Mapping
    from typing import Any, Self

    HeaderFields = Mapping[str, object]

MAX_COOKIE = 4096
# Patterns are compiled where they are used: a script is started for each event. A quoted string is written so that one
# without an end costs no more than its length.
TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # RFC 3261 25.1
QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
LIST_ELEMENT = r'(?s)(?:"[^"\\]*(?:\\.[^"\\]*)*"?|<[^>]*>?|[^,"<]+)+'
NAME_ADDR = rf'(?s)(?:{QUOTED}[ \t]*|([^<>",;]*))<([^<>]*)>(.*)'
ADDR_SPEC = r'(?s)([^\s<>",;?]+)[ \t]*(;.*)?'
PARAMETER = rf'(?s)[ \t]*;[ \t]*([^\s;=",<>]+)(?:[ \t]*=[ \t]*(?:{QUOTED}|([^\s;",<>]+)))?[ \t]*'
URI = r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-~]+"
DIALOG = "sip:dialog.invalid"  # what stands for the URI where the dialog has it (RFC 2606: there is no such name)
ESCAPED = r"%([0-9A-Fa-f]{2})"
UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")  # RFC 3261 25.1


class Address:
    """One address of From, To, Contact and their kind; as text it is its URI."""

    __slots__ = ("display", "host", "params", "port", "scheme", "uri", "user")

    def __init__(self, display: str, uri: str, params: dict[str, str]) -> None:
        self.display = display
        """The display name without quotes: anything at all, and never to be trusted."""
        self.uri = uri
        self.params = params
        """Those of the header field, names in lower case, "" where one has no value."""
        scheme, _, rest = uri.partition(":")
        self.scheme = scheme.lower()
        self.user: str | None = None
        """What needs no escape is not escaped, the rest still is: fit to be compared and to be put into another URI."""
        self.host: str | None = None
        """In lower case, without a dot at its end; an IPv6 address with its brackets."""
        self.port: int | None = None
        if self.scheme == "tel":
            self.user = re.sub(r"[-.()]", "", rest.partition(";")[0])
        elif self.scheme in ("sip", "sips"):
            userinfo, at, rest = rest.rpartition("@")
            if at:
                self.user = re.sub(ESCAPED, _unescape, userinfo.partition(":")[0])
            found = re.match(r"(\[[^\]]*\]|[^:;?]*)(?::([0-9]{1,5})(?![0-9]))?", rest)
            assert found is not None  # it matches nothing at all, too
            self.host = found[1].lower().removesuffix(".")
            self.port = int(found[2]) if found[2] else None

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    @property
    def q(self) -> float:
        """The preference of a contact, 1.0 where none is said."""
        text = self.params.get("q", "")
        return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 1.0

    @property
    def expires(self) -> int | None:
        """Seconds that a registration is still valid."""
        text = self.params.get("expires", "")
        return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None

    def __str__(self) -> str:
        return self.uri


class Call:
    """One run of the script; `environment` is the process's own unless a test gives another."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._process = os.getpid()
        self._output: list[bytes] = []
        self._body: bytes | None = None
        get = self._environment.get
        self.event = get("SIPCGI_EVENT", "")
        """request, response, timeout (a local 408), timer, cancel or ack."""
        self.method = get("REQUEST_METHOD") or get("SIPCGI_METHOD", "")
        """Of the request at hand, in other runs of the one that all began with; `uri` likewise."""
        self.uri = get("REQUEST_URI") or get("SIPCGI_URI", "")
        self.status = int(get("RESPONSE_STATUS") or 0)
        """Of the response at hand; 0 without one."""
        self.is_response = self.status > 0
        self.reason = get("RESPONSE_REASON", "")
        self.target = get("SIPCGI_TARGET", "")
        """The URI that the response at hand answers for."""
        self.token = get("RESPONSE_TOKEN", "")
        """Names the response at hand in a later `forward`."""
        self.request_token = get("REQUEST_TOKEN", "")
        """What `token` of `proxy` or `request` called the request that the response at hand answers."""
        self.pending = int(get("SIPCGI_PENDING") or 0)
        """Branches that have no final response yet."""

    # What happened

    @property
    def from_(self) -> Address | None:
        return parse_address(self.header("From") or "")

    @property
    def to(self) -> Address | None:
        return parse_address(self.header("To") or "")

    def header(self, name: str) -> str | None:
        """The whole value of a header field, None without one."""
        return self._environment.get("SIP_" + re.sub(r"[^A-Z0-9]", "_", name.upper()))

    def headers(self, name: str) -> list[str]:
        """The elements of a header field that is a list: split at commas, but not in quotes and brackets."""
        return split_list(self.header(name) or "")

    def addresses(self, name: str) -> list[Address]:
        """The addresses of a header field like P-Asserted-Identity; what is none is left out."""
        return [address for address in map(parse_address, self.headers(name)) if address]

    def get_regs(self) -> list[Address]:
        """The phones that the called user has registered, the first is preferred; each has `q` and `expires`."""
        found = map(parse_address, split_list(self._environment.get("REGISTRATIONS", "")))
        return [address for address in found if address and address.scheme in ("sip", "sips")]

    @property
    def body(self) -> bytes:
        if self._body is None:
            self._body = sys.stdin.buffer.read()
        return self._body

    @property
    def cookie(self) -> Any:
        """What an earlier run of this transaction assigned, None before: None, booleans, numbers, texts, lists, dicts.

        The server keeps it between the runs; no message carries it, and none can set SCRIPT_COOKIE. It is JSON.
        """
        text = self._environment.get("SCRIPT_COOKIE")
        if text is None:
            return None
        import json

        return json.loads(text)

    # What is to happen

    @cookie.setter
    def cookie(self, state: Any) -> None:
        import json

        text = json.dumps(state, separators=(",", ":"), allow_nan=False)  # ASCII; blanks and DEL stand in texts alone
        text = text.replace(" ", "\\u0020").replace("\x7f", "\\u007f")
        if len(text) > MAX_COOKIE:
            raise ValueError(f"cookie: {len(text)} octets, and {MAX_COOKIE} at most are kept: keep its key only")
        self._output.append(f"CGI-SET-COOKIE {text} SIP/2.0\n\n".encode())

    def proxy(
        self,
        uri: object,
        headers: HeaderFields | None = None,
        *,
        timeout: float | None = None,
        expires: int | None = None,
        token: str | None = None,
        remove: str | Iterable[str] = (),
        content_type: str | None = None,
        body: str | bytes | None = None,
    ) -> None:
        """Sends the request to `uri`, a text or an Address; several calls fork it.

        After `timeout` or `expires` seconds without a final response the branch ends with a 408; `expires` tells the
        callee, too.
        """
        lines = [f"CGI-PROXY-REQUEST {_uri(uri)} SIP/2.0", *_limits(timeout, expires, token)]
        self._message(lines, headers, remove, content_type, body)

    def request(
        self,
        method: str,
        uri: object = "",
        headers: HeaderFields | None = None,
        *,
        timeout: float | None = None,
        expires: int | None = None,
        token: str | None = None,
        content_type: str | None = None,
        body: str | bytes | None = None,
    ) -> None:
        """Sends a request of the server's own; with the `token` of an earlier INVITE in that dialog, without `uri`."""
        word = _token(method, "method", "[A-Za-z]+", "a method")  # with "-" it could be an action of RFC 3050
        line = f"{word} {_uri(uri if token is None else str(uri) or DIALOG)} SIP/2.0"
        self._message([line, *_limits(timeout, expires, token)], headers, (), content_type, body)

    def reply(
        self,
        status: int,
        reason: str = "",
        headers: HeaderFields | None = None,
        *,
        remove: str | Iterable[str] = (),
        content_type: str | None = None,
        body: str | bytes | None = None,
    ) -> None:
        """Answers the request; without a reason with the standard one."""
        line = f"SIP/2.0 {_whole(status, 'status', 100, 699)} {_line(reason, 'reason')}"
        self._message([line.rstrip(" ")], headers, remove, content_type, body)

    def forward(
        self,
        token: str = "this",
        headers: HeaderFields | None = None,
        *,
        remove: str | Iterable[str] = (),
        content_type: str | None = None,
        body: str | bytes | None = None,
    ) -> None:
        """Sends a response to the caller: the one at hand, or the one that had this token."""
        self._message([f"CGI-FORWARD-RESPONSE {_token(token, 'token')} SIP/2.0"], headers, remove, content_type, body)

    def again(self, after: float | None = None) -> None:
        """Asks to be run at the next message of this transaction, or after so many seconds without one."""
        lines = ["CGI-AGAIN yes SIP/2.0"]
        if after is not None:
            lines.append(f"CGI-After: {_seconds(after, 'after')}")
        self._message(lines, None, (), None, None)

    def _message(
        self,
        lines: list[str],
        headers: HeaderFields | None,
        remove: str | Iterable[str],
        content_type: str | None,
        body: str | bytes | None,
    ) -> None:
        for name, values in (headers or {}).items():
            each = values if isinstance(values, (list, tuple)) else (values,)
            lines += [f"{_field_name(name)}: {_line(value, f'header {name}')}" for value in each]
        names = [remove] if isinstance(remove, str) else list(remove)
        if names:
            lines.append(f"CGI-Remove: {', '.join(_token(name, 'remove') for name in names)}")
        octets = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        if octets:
            if not content_type:
                raise ValueError("content_type: a body needs one")
            lines.append(f"Content-Type: {_line(content_type, 'content_type')}")
        elif content_type is not None:
            raise ValueError("content_type: there is no body of that type")
        if octets is not None:
            lines.append(f"Content-Length: {len(octets)}")
        head = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        self._output.append(head + b"\n" + (octets + b"\n" if octets else b""))

    # When it counts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        ended_well = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
        if ended_well and os.getpid() == self._process:  # not in a child that the script has forked
            sys.stdout.flush()
            sys.stdout.buffer.write(b"".join(self._output))
            sys.stdout.flush()


# Reading


def split_list(text: str) -> list[str]:
    """The elements of a comma-separated value."""
    return [element for found in re.findall(LIST_ELEMENT, text) if (element := found.strip(" \t"))]


def parse_address(text: str) -> Address | None:
    """One address, None where there is none."""
    text = text.strip(" \t")
    display = ""
    if found := re.fullmatch(NAME_ADDR, text):
        display = found[2].rstrip(" \t") if found[1] is None else _unquoted(found[1])
        uri, rest = found[3], found[4]
    elif found := re.fullmatch(ADDR_SPEC, text):  # RFC 3261 20.10: all parameters are those of the header field
        uri, rest = found[1], found[2] or ""
    else:
        return None
    params: dict[str, str] = {}
    at = 0
    parameter = re.compile(PARAMETER)
    while at < len(rest):
        found = parameter.match(rest, at)
        if found is None:
            return None
        params.setdefault(found[1].lower(), _unquoted(found[2]) if found[2] is not None else found[3] or "")
        at = found.end()
    return Address(display, uri, params) if re.fullmatch(URI, uri) else None


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in UNRESERVED else found[0].upper()


# Writing


def escape(text: str) -> str:
    """`text` as the user part of a SIP URI, whatever is in it."""
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(one) if chr(one) in UNRESERVED or one == 0x2B else f"%{one:02X}" for one in octets)


def quote(text: str) -> str:
    """`text` as a quoted string, as a display name has to be."""
    return '"' + re.sub(r'(["\\])', r"\\\1", _line(text, "text")) + '"'


def address(uri: object, display: str = "", params: Mapping[str, object] | None = None) -> str:
    """An address for From, Contact, Diversion and their kind: `"display" <uri>;name=value`."""
    parts = [f"{quote(display)} " if display else "", f"<{_uri(uri)}>"]
    for name, value in (params or {}).items():
        text = _line(value, f"parameter {name}")
        written = text if not text or re.fullmatch(TOKEN, text) else quote(text)
        parts.append(f";{_token(name, 'parameter')}" + (f"={written}" if written else ""))
    return "".join(parts)


def _line(value: object, what: str) -> str:
    if value is None:
        raise ValueError(f"{what}: None")
    text = str(value)
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError(f"{what}: CR, LF or NUL in {text!r:.80}")
    return text


def _token(value: object, what: str, syntax: str = TOKEN, name: str = "a token") -> str:
    text = str(value)
    if re.fullmatch(syntax, text) is None:
        raise ValueError(f"{what}: not {name}: {text!r:.80}")
    return text


def _field_name(name: str) -> str:
    if _token(name, "header").lower() in ("content-length", "content-type", "l", "c"):
        raise ValueError(f"header {name}: use body and content_type")
    if name.lower().startswith("cgi-"):
        raise ValueError(f"header {name}: use the argument that means it")
    return name


def _uri(value: object) -> str:
    return _token(value, "uri", URI, "a URI")


def _limits(timeout: float | None, expires: int | None, token: str | None) -> list[str]:
    """The fields of a request that say how long it may take, and what its responses are called."""
    lines = [] if timeout is None else [f"CGI-Timeout: {_seconds(timeout, 'timeout')}"]
    lines += [] if expires is None else [f"Expires: {_whole(expires, 'expires', 0, 2**32 - 1)}"]
    return lines if token is None else [*lines, f"CGI-Request-Token: {_token(token, 'token')}"]


def _seconds(value: float, what: str) -> str:
    text = str(value) if isinstance(value, int) else f"{float(value):.3f}"
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{3})?", text) is None or not float(text):
        raise ValueError(f"{what}: not a number of seconds above 0: {value!r:.80}")
    return text


def _whole(value: int, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{what}: not a whole number from {least} to {most}: {value!r:.80}")
    return value
