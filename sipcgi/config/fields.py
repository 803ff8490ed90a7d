"""What the value of each key may say: texts to values, and pydantic's types of them."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, PlainValidator

from sipcgi.cgi.routes import STYLES
from sipcgi.config.document import Plain
from sipcgi.config.place import Network, host, network
from sipcgi.config.quantity import FALSE, TRUE, count, duration, large_count, large_size, scalar, size, switch
from sipcgi.errors import ParseError
from sipcgi.profile import EXEC, HOSTS, ISOLATIONS, WARM, WARM_LANGUAGES
from sipcgi.sip.uri import SipUri

T = TypeVar("T")

METAVARIABLES = frozenset(
    {
        "AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "REMOTE_ADDR", "REMOTE_HOST",
        "REMOTE_IDENT", "REMOTE_USER", "REGISTRATIONS", "REQUEST_METHOD", "REQUEST_TOKEN", "REQUEST_URI",
        "RESPONSE_STATUS", "RESPONSE_REASON", "RESPONSE_TOKEN", "SCRIPT_COOKIE", "SERVER_NAME", "SERVER_PORT",
        "SERVER_PROTOCOL", "SERVER_SOFTWARE", "REMOTE_PORT", "SERVER_TRANSPORT",
    }
)  # fmt: skip
"""RFC 3050 5.5.1, and the two that the server adds."""
MOST_FLOW_TIMER = 240
"""Seconds: less than net/stream.IDLE, for the server waits longer than it says (RFC 5626 5.4)."""
METAVARIABLE_PREFIXES = ("SIP_", "SIPCGI_")
ON_ERROR = ("reject", "default")
METHODS = (
    "BYE",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
)
"""Those registered for SIP but for ACK and CANCEL, which trigger no script."""
_MISSPELT = 0.82
"""How alike a word and a method are of which it is no other one: INVTE and INVITE, but not INFORM and INFO."""
DEFAULT_ACTIONS = ("proxy", "redirect")

_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_TOKEN = _NAME | frozenset("-.!%*+`'~")  # RFC 3261 25.1: token


def triggers(stem: str) -> bool:
    """Whether a script of that name, without its ending, is run for requests that no route takes."""
    return stem == "default" or (stem.islower() and stem.upper() in METHODS)


def _path(value: object, otherwise: str) -> str:
    text = scalar(value)
    if not text or "\0" in text:
        raise ValueError(otherwise)
    return str(text)


def script(value: object) -> str:
    """The name of a file below the scripts directory."""
    return _path(value, "is no file name")


def on_error(value: object) -> str:
    text = scalar(value)
    if isinstance(text, Plain) and text.lower() in TRUE | FALSE:
        raise ValueError(f"'{text}' says nothing here: write reject, default, or the name of a script")
    if text.lower() in ON_ERROR:
        return text.lower()
    return script(text)


def method(value: object) -> str:
    """A method; they are in capitals, every one that is in use. It may be one that only others know."""
    text = scalar(value)
    if not text or not _TOKEN.issuperset(text):
        raise ValueError(f"'{text}' is no SIP method: it is one word like INVITE, and several are a list")
    name = text.upper()
    known = (*METHODS, "ACK", "CANCEL", "BENOTIFY")  # the last one is Microsoft's
    if name not in known and (meant := get_close_matches(name, known, 1, _MISSPELT)):
        raise ValueError(f"'{text}' is no SIP method; did you mean {meant[0]}?")
    return name


def glob(value: object) -> str:
    """A glob over user@host of a URI, or over a tel URI."""
    text = scalar(value).strip()
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in ("sip", "sips"):
        raise ValueError(f"'{text}' matches nothing, for it is compared with user@host: write '{rest}'")
    if not text or text[:1] == "<" or any(char.isspace() for char in text):
        raise ValueError(f"'{text}' matches no user@host")
    return str(text)


def variable(value: object) -> str:
    """The name of an environment variable that is not the server's to set."""
    text = scalar(value)
    if not text or not _NAME.issuperset(text) or text[0].isdigit():
        raise ValueError(f"'{text}' is no name of an environment variable: letters, digits and '_'")
    # RFC 3050 5.5.1: no two names differ in case only
    if text.upper() in METAVARIABLES or text.upper().startswith(METAVARIABLE_PREFIXES):
        raise ValueError(f"'{text}' is a metavariable of RFC 3050: only the server sets it")
    return str(text)


def variable_value(value: object) -> str:
    text = "" if value is None else scalar(value)
    if "\0" in text:
        raise ValueError("holds a NUL")
    return str(text)


def directory(value: object) -> str:
    return _path(value, "is no folder")


def file(value: object) -> str:
    return _path(value, "is no file")


def store(value: object) -> str:
    """memory://, or sqlite:/// and a path."""
    text = scalar(value).strip()
    scheme, slashes, rest = text.partition("://")
    if slashes and scheme == "memory":
        if rest:
            raise ValueError(f"'{text}': memory:// takes no path")
    elif slashes and scheme == "sqlite":
        if rest[:1] != "/":
            raise ValueError(f"'{text}': three slashes before a relative path, four before an absolute one")
        if not rest.strip("/") or rest[-1] == "/" or "\0" in rest:
            raise ValueError(f"'{text}' names no file")
    else:
        raise ValueError(f"'{text}' is no store: there are memory:// and sqlite:///FILE")
    return str(text)


def text(value: object) -> str:
    """Of a protected space, as a challenge shows it, or what answers one."""
    found = scalar(value)
    if not found or any(ord(char) < 32 for char in found):
        raise ValueError("must be a text of one line")
    return str(found)


def default_action(value: object) -> str:
    text = scalar(value).lower()
    if text not in DEFAULT_ACTIONS:
        raise ValueError(f"'{text}' is neither proxy nor redirect")
    return text


def expires(value: object) -> int:
    """Whole seconds of a registration."""
    seconds = int(duration(value))
    if not seconds:
        raise ValueError("must be at least 1s")
    return seconds


def min_expires(value: object) -> int:
    seconds = expires(value)
    if seconds > 3600:
        raise ValueError("must be at most 1h: no registrar refuses an hour as too brief (RFC 3261 10.3)")
    return seconds


def service_route(value: object) -> str:
    """The URI of a proxy (RFC 3608 6.3)."""
    text = scalar(value).strip()
    try:
        uri = SipUri.parse(text.removeprefix("<").removesuffix(">"))
    except ParseError:
        raise ValueError(f"'{text}' is no SIP URI: write it like sip:proxy.example.com;lr") from None
    if "lr" not in uri.params:
        raise ValueError(f"'{text}' must name a loose router: append ;lr")
    return str(uri)


def flow_timer(value: object) -> int:
    seconds = expires(value)
    if seconds > MOST_FLOW_TIMER:
        raise ValueError("must be at most 4m: a silent connection is closed after 5 minutes")
    return seconds


def one_of(words: Sequence[str], what: str) -> Callable[[object], str]:
    """A parser of one of some words."""

    def parse(value: object) -> str:
        text = scalar(value).strip().lower()
        if text not in words:
            raise ValueError(f"'{scalar(value)}' is no {what}: there are {listed(words)}")
        return text

    return parse


def listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def warm_languages(value: object) -> frozenset[str]:
    """`exec`, `warm` for all scripts of a language that has a warm host, or one of both for each of some languages."""
    parse = one_of((EXEC, WARM), "host for all scripts")
    if not isinstance(value, dict):
        return frozenset(WARM_LANGUAGES if parse(value) == WARM else ())
    language = one_of(WARM_LANGUAGES, "language with a warm host")
    return frozenset(language(key) for key, host in value.items() if parse(host) == WARM)


def module(value: object) -> str:
    """The name of a module of a language."""
    text = scalar(value).strip()
    parts = text.replace("::", ".").replace("/", ".").split(".")
    if not all(part and _NAME.issuperset(part) for part in parts):
        raise ValueError(f"'{text}' is no name of a module")
    return text


def fastcgi(value: object) -> str:
    """unix:///PATH or tcp://HOST:PORT."""
    text = scalar(value).strip()
    scheme, slashes, rest = text.partition("://")
    if slashes and scheme == "unix" and rest[:1] == "/" and rest != "/" and "\0" not in rest:
        return text
    if slashes and scheme == "tcp":
        name, colon, port = rest.rpartition(":")
        if colon and name and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            host(name)
            return text
    raise ValueError(f"'{text}' is no place of a FastCGI program: write unix:///PATH or tcp://HOST:PORT")


def account(value: object) -> str:
    """A user or group of the system, by name or number."""
    text = scalar(value).strip()
    if not text or not text.isprintable() or ":" in text or " " in text:
        raise ValueError(f"'{text}' is no name of a user or group")
    return text


def whole_seconds(value: object) -> int:
    """Of processor time, which the system counts in seconds: at least one."""
    return max(1, round(duration(value)))


def mapping(value: object) -> object:
    """A key with nothing below it is an empty mapping."""
    return {} if value is None else value


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list) else [value]


def url(value: object) -> object:
    """A URL that stands alone, as a section."""
    return value if isinstance(value, dict) else {"url": value}


def name(value: object) -> object:
    """A name that stands alone, as a section."""
    return value if isinstance(value, dict) else {"name": value}


def _not_empty(value: list[T]) -> list[T]:
    if not value:
        raise ValueError("is an empty list")
    return value


Several = Annotated[list[T], BeforeValidator(_one_or_more)]
OneOrMore = Annotated[list[T], AfterValidator(_not_empty), BeforeValidator(_one_or_more)]
style = one_of(STYLES, "style of scripts")
script_host = one_of(HOSTS, "host of scripts")

Duration = Annotated[float, PlainValidator(duration)]
Size = Annotated[int, PlainValidator(size)]
Count = Annotated[int, PlainValidator(count)]
Switch = Annotated[bool, PlainValidator(switch)]
# By names of their own: in the body of a model the name of a field stands for its default.
# They may be absent, not empty.
MaybeFile = Annotated[str | None, PlainValidator(file)]
MaybeDirectory = Annotated[str | None, PlainValidator(directory)]
MaybeDuration = Annotated[float | None, PlainValidator(duration)]
MaybeOnError = Annotated[str | None, PlainValidator(on_error)]
MaybeStyle = Annotated[str | None, PlainValidator(style)]
MaybeSize = Annotated[int | None, PlainValidator(size)]
MaybeCount = Annotated[int | None, PlainValidator(count)]
MaybeLargeCount = Annotated[int | None, PlainValidator(large_count)]
MaybeSwitch = Annotated[bool | None, PlainValidator(switch)]
MaybeAction = Annotated[str | None, PlainValidator(default_action)]
MaybeFlowTimer = Annotated[int | None, PlainValidator(flow_timer)]
MaybeExpires = Annotated[int | None, PlainValidator(expires)]
MaybeMinExpires = Annotated[int | None, PlainValidator(min_expires)]
ServiceRoute = Annotated[str, PlainValidator(service_route)]
Text = Annotated[str, PlainValidator(text)]
Store = Annotated[str, PlainValidator(store)]
Script = Annotated[str, PlainValidator(script)]
OnError = Annotated[str, PlainValidator(on_error)]
Style = Annotated[str, PlainValidator(style)]
Method = Annotated[str, PlainValidator(method)]
Glob = Annotated[str, PlainValidator(glob)]
Net = Annotated[Network, PlainValidator(network)]
Host = Annotated[str, PlainValidator(host)]
MaybeScriptHost = Annotated[str | None, PlainValidator(script_host)]
WarmLanguages = Annotated[frozenset[str], PlainValidator(warm_languages)]
Module = Annotated[str, PlainValidator(module)]
MaybeFastCgi = Annotated[str | None, PlainValidator(fastcgi)]
MaybeSeconds = Annotated[int | None, PlainValidator(whole_seconds)]
MaybeLargeSize = Annotated[int | None, PlainValidator(large_size)]
MaybeIsolation = Annotated[str | None, PlainValidator(one_of(ISOLATIONS, "isolation"))]
MaybeAccount = Annotated[str | None, PlainValidator(account)]
Directory = Annotated[str, PlainValidator(directory)]
Environment = Annotated[
    dict[Annotated[str, PlainValidator(variable)], Annotated[str, PlainValidator(variable_value)]],
    BeforeValidator(mapping),
]
