"""The keys of a configuration file (pydantic). What each may say is in fields, what they mean when absent in model."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator

from sipcgi.cgi.routes import CGI
from sipcgi.config.document import Path
from sipcgi.config.fields import (
    Count,
    Directory,
    Duration,
    Environment,
    Glob,
    Host,
    MaybeAccount,
    MaybeAction,
    MaybeCount,
    MaybeDirectory,
    MaybeDuration,
    MaybeExpires,
    MaybeFastCgi,
    MaybeFile,
    MaybeFlowTimer,
    MaybeIsolation,
    MaybeLargeCount,
    MaybeLargeSize,
    MaybeMinExpires,
    MaybeOnError,
    MaybeScriptHost,
    MaybeSeconds,
    MaybeSize,
    MaybeStyle,
    MaybeSwitch,
    Method,
    Module,
    Net,
    OneOrMore,
    OnError,
    Script,
    ServiceRoute,
    Several,
    Size,
    Store,
    Style,
    Switch,
    Text,
    WarmLanguages,
    mapping,
    name,
    url,
)
from sipcgi.config.place import Listener, advertised, listener


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
    tls: Annotated[Tls, BeforeValidator(mapping)] = Tls()


class LimitKeys(Section):
    """What one run may use."""

    cpu: MaybeSeconds = None
    memory: MaybeLargeSize = None
    processes: MaybeCount = None
    files: MaybeCount = None
    file_size: MaybeLargeSize = None


class RunKeys(Section):
    """How a script is run: for all of them, or for those of a route."""

    preload: Several[Module] = []
    limits: Annotated[LimitKeys, BeforeValidator(mapping)] = LimitKeys()
    isolation: MaybeIsolation = None
    user: MaybeAccount = None
    group: MaybeAccount = None
    readable: Several[Directory] = []
    writable: Several[Directory] = []


class Scripts(RunKeys):
    directory: MaybeDirectory = None
    """None is cgi-bin, which need not exist."""
    timeout: Duration = 5.0
    on_error: OnError = "reject"
    max_output: Size = 1024 * 1024
    max_messages: Count = 64
    max_running: MaybeCount = None
    max_running_per_script: MaybeCount = None
    host: WarmLanguages = frozenset()
    pass_authorization: Switch = False
    style: Style = CGI
    environment: Environment = {}


class RouteEntry(RunKeys):
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
    host: MaybeScriptHost = None
    fastcgi: MaybeFastCgi = None
    command: OneOrMore[Text] = []
    processes: MaybeCount = None
    max_running: MaybeCount = None
    environment: Environment = {}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: Any) -> Any:
        """A FastCGI program needs no script: then it goes by where it listens, or by how it is started."""
        if isinstance(values, dict) and "script" not in values:
            command = values.get("command")
            name = values.get("fastcgi") or (command[0] if isinstance(command, list) and command else command)
            return {**values, "script": name} if isinstance(name, str) else values
        return values


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

    listen: OneOrMore[Annotated[ListenEntry, BeforeValidator(url)]] = []
    tls: Tls = Tls()
    """For every listener that has none of its own."""
    domains: Several[Annotated[DomainEntry, BeforeValidator(name)]] = []
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
    ("scripts", "limits"): LimitKeys,
    ("routes", "*"): RouteEntry,
    ("routes", "*", "limits"): LimitKeys,
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
