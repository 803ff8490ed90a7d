"""The keys of a configuration file and what each may say (pydantic). What they mean when absent is in model."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from sipcgi.config.document import Path, Plain
from sipcgi.config.place import Listener, Network, advertised, host, listener, network
from sipcgi.config.quantity import FALSE, TRUE, count, duration, scalar, size, switch
from sipcgi.config.unsupported import without_reroute

T = TypeVar("T")

METAVARIABLES = frozenset(
    {
        "AUTH_TYPE",
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "GATEWAY_INTERFACE",
        "REMOTE_ADDR",
        "REMOTE_HOST",
        "REMOTE_IDENT",
        "REMOTE_USER",
        "REGISTRATIONS",
        "REQUEST_METHOD",
        "REQUEST_TOKEN",
        "REQUEST_URI",
        "RESPONSE_STATUS",
        "RESPONSE_REASON",
        "RESPONSE_TOKEN",
        "SCRIPT_COOKIE",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "SERVER_SOFTWARE",
        "REMOTE_PORT",
        "SERVER_TRANSPORT",
    }
)
"""RFC 3050 5.5.1, and the two that the server adds."""
METAVARIABLE_PREFIXES = ("SIP_", "SIPCGI_")
ON_ERROR = ("reject", "default")

_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_TOKEN = _NAME | frozenset("-.!%*+`'~")  # RFC 3261 25.1: token


def script(value: object) -> str:
    """The name of a file below the scripts directory."""
    text = scalar(value)
    if not text or "\0" in text:
        raise ValueError("is no file name")
    return str(text)


def on_error(value: object) -> str:
    text = scalar(value)
    if isinstance(text, Plain) and text.lower() in TRUE | FALSE:
        raise ValueError(f"'{text}' says nothing here: write reject, default, or the name of a script")
    if text.lower() in ON_ERROR:
        return text.lower()
    return script(text)


def method(value: object) -> str:
    """A method; they are in capitals, every one that is in use."""
    text = scalar(value)
    if not text or not _TOKEN.issuperset(text):
        raise ValueError(f"'{text}' is no SIP method: it is one word like INVITE, and several are a list")
    return text.upper()


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
    text = scalar(value)
    if not text or "\0" in text:
        raise ValueError("is no folder")
    return str(text)


def file(value: object) -> str:
    text = scalar(value)
    if not text or "\0" in text:
        raise ValueError("is no file")
    return str(text)


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


def _mapping(value: object) -> object:
    """A key with nothing below it is an empty mapping."""
    return {} if value is None else value


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _url(value: object) -> object:
    return value if isinstance(value, dict) else {"url": value}


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
Reroute = Annotated[bool, PlainValidator(switch), AfterValidator(without_reroute)]
# By names of their own: in the body of a model the name of a field stands for its default.
# They may be absent, not empty.
MaybeFile = Annotated[str | None, PlainValidator(file)]
MaybeDirectory = Annotated[str | None, PlainValidator(directory)]
MaybeDuration = Annotated[float | None, PlainValidator(duration)]
MaybeOnError = Annotated[str | None, PlainValidator(on_error)]
MaybeSize = Annotated[int | None, PlainValidator(size)]
MaybeCount = Annotated[int | None, PlainValidator(count)]
MaybeSwitch = Annotated[bool | None, PlainValidator(switch)]
Store = Annotated[str, PlainValidator(store)]
Script = Annotated[str, PlainValidator(script)]
OnError = Annotated[str, PlainValidator(on_error)]
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
    pass_authorization: Switch = False
    environment: Environment = {}


class RouteEntry(Section):
    script: Script
    method: OneOrMore[Method] = []
    from_: OneOrMore[Glob] = Field([], alias="from")
    to: OneOrMore[Glob] = []
    uri: OneOrMore[Glob] = []
    source: OneOrMore[Net] = []
    in_dialog: Switch = False
    reroute: Reroute = False
    timeout: MaybeDuration = None
    on_error: MaybeOnError = None
    max_output: MaybeSize = None
    max_messages: MaybeCount = None
    pass_authorization: MaybeSwitch = None
    environment: Environment = {}


class Location(Section):
    store: Store = "memory://"


class File(Section):
    """The outermost level."""

    listen: OneOrMore[Annotated[ListenEntry, BeforeValidator(_url)]] = []
    tls: Tls = Tls()
    """For every listener that has none of its own."""
    domains: Several[Host] = []
    relay: Several[Net] = [IPv4Network("127.0.0.0/8"), IPv6Network("::1")]
    scripts: Scripts = Scripts()
    routes: list[RouteEntry] = []
    location: Location = Location()

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
    ("location",): Location,
}


def validate(values: Any) -> File:
    """Raises pydantic.ValidationError with everything that is wrong."""
    return File.model_validate(values)
