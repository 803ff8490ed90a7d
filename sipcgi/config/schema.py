"""The keys of a configuration file and what each may say (pydantic). What they mean when absent is in model."""

from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from sipcgi.cgi.routes import CGI, STYLES
from sipcgi.config.document import Path, Plain
from sipcgi.config.place import Listener, Network, advertised, host, listener, network
from sipcgi.config.quantity import FALSE, TRUE, count, duration, large_count, scalar, size, switch
from sipcgi.errors import ParseError
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


def style(value: object) -> str:
    text = scalar(value).lower()
    if text not in STYLES:
        raise ValueError(f"'{text}' is no style of scripts: there are {' and '.join(STYLES)}")
    return text


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


def _mapping(value: object) -> object:
    """A key with nothing below it is an empty mapping."""
    return {} if value is None else value


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _url(value: object) -> object:
    return value if isinstance(value, dict) else {"url": value}


def _name(value: object) -> object:
    return value if isinstance(value, dict) else {"name": value}


def _not_empty(value: list[T]) -> list[T]:
    if not value:
        raise ValueError("is an empty list")
    return value


Several = Annotated[list[T], BeforeValidator(_one_or_more)]
OneOrMore = Annotated[list[T], AfterValidator(_not_empty), BeforeValidator(_one_or_more)]
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
Host = Annotated[str, PlainValidator(host)]
Net = Annotated[Network, PlainValidator(network)]
Environment = Annotated[
    dict[Annotated[str, PlainValidator(variable)], Annotated[str, PlainValidator(variable_value)]],
    BeforeValidator(_mapping),
]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(Section):
    """Whether the files are any good is seen in certificates."""

    certificate: MaybeFile = None
    key: MaybeFile = None
    ca: MaybeFile = None


class ListenEntry(Section):
    url: Annotated[Listener, PlainValidator(listener)]
    advertise: Annotated[str | None, PlainValidator(advertised)] = None
    tls: Annotated[Tls, BeforeValidator(_mapping)] = Tls()


class Scripts(Section):
    directory: MaybeDirectory = None
    """None is cgi-bin, which need not exist."""
    timeout: Duration = 5.0
    on_error: OnError = "reject"
    max_output: Size = 1024 * 1024
    max_messages: Count = 64
    max_running: MaybeCount = None
    pass_authorization: Switch = False
    style: Style = CGI
    environment: Environment = {}


class RouteEntry(Section):
    script: OneOrMore[Script]
    method: OneOrMore[Method] = []
    from_: OneOrMore[Glob] = Field([], alias="from")
    to: OneOrMore[Glob] = []
    uri: OneOrMore[Glob] = []
    source: OneOrMore[Net] = []
    in_dialog: Switch = False
    reroute: Switch = False
    originate: Switch = False
    timeout: MaybeDuration = None
    on_error: MaybeOnError = None
    max_output: MaybeSize = None
    max_messages: MaybeCount = None
    pass_authorization: MaybeSwitch = None
    style: MaybeStyle = None
    environment: Environment = {}


class DomainKeys(Section):
    """What a domain may have of its own, and what holds for all that have it not."""

    default_action: MaybeAction = None
    group_timeout: MaybeDuration = None
    recurse: MaybeSwitch = None
    min_expires: MaybeMinExpires = None
    default_expires: MaybeExpires = None
    max_expires: MaybeExpires = None
    max_contacts: MaybeCount = None
    service_route: OneOrMore[ServiceRoute] = []
    flow_timer: MaybeFlowTimer = None
    aliases: Any = None
    """Whether they are any good is seen in aliases."""


class DomainEntry(DomainKeys):
    name: Host


class Overload(Section):
    """When new requests get 503."""

    max_transactions: MaybeLargeCount = None
    retry_after: MaybeDuration = None


class CredentialsEntry(Section):
    """Of one realm."""

    realm: Text
    user: Text
    password: Text


class Location(Section):
    store: Store = "memory://"


class File(DomainKeys):
    """The outermost level."""

    listen: OneOrMore[Annotated[ListenEntry, BeforeValidator(_url)]] = []
    tls: Tls = Tls()
    """For every listener that has none of its own."""
    domains: Several[Annotated[DomainEntry, BeforeValidator(_name)]] = []
    relay: Several[Net] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1")]
    scripts: Scripts = Scripts()
    routes: list[RouteEntry] = []
    location: Location = Location()
    overload: Overload = Overload()
    credentials: list[CredentialsEntry] = []

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """A key with nothing below it, all of it commented out perhaps, is as good as none."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None or key not in cls.model_fields}


SECTIONS: dict[Path, type[BaseModel]] = {
    (): File,
    ("tls",): Tls,
    ("scripts",): Scripts,
    ("routes", "*"): RouteEntry,
    ("listen", "*"): ListenEntry,
    ("listen", "*", "tls"): Tls,
    ("domains", "*"): DomainEntry,
    ("location",): Location,
    ("overload",): Overload,
    ("credentials", "*"): CredentialsEntry,
}


def validate(values: Any) -> File:
    """Raises pydantic.ValidationError with everything that is wrong."""
    return File.model_validate(values)
