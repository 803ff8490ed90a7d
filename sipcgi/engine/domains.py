"""Which requests are ours, and what holds for each of our domains (RFC 3261 16.3, 16.4)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sipcgi.registrar.aliases import Aliases
from sipcgi.registrar.register import DEFAULT_LIMITS, Limits
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri


@dataclass(frozen=True, slots=True)
class DomainSettings:
    """What the configuration says of a domain."""

    redirect: bool = False
    """Whether the default action tells the caller the contacts, instead of proxying (RFC 3050 5.6.1.6)."""
    recurse: bool = False
    """Whether the contacts of a 3xx are tried here (RFC 3261 16.7 item 4)."""
    group_timeout: float | None = None
    """Seconds until contacts of the next q are tried instead of those that have not answered; None: no limit."""
    limits: Limits = DEFAULT_LIMITS
    service_route: tuple[str, ...] = ()
    """URIs that a phone is told to send its requests through (RFC 3608), the first hop first."""
    flow_timer: int | None = None
    """Seconds within which a phone is told to show that its flow is still there (RFC 5626 5.4)."""


DEFAULT_SETTINGS = DomainSettings()


class Domains:
    """`names` from the configuration; `is_ours(host, port)` knows the addresses that we listen on."""

    def __init__(self, names: Iterable[str], is_ours: Callable[[str, int | None], bool]) -> None:
        self.is_ours = is_ours
        self.general = DEFAULT_SETTINGS
        """For our own addresses and host name."""
        self.settings: Mapping[str, DomainSettings] = {}
        self.aliases = Aliases()
        self.configure(dict.fromkeys(names, DEFAULT_SETTINGS))

    def configure(
        self,
        settings: Mapping[str, DomainSettings],
        general: DomainSettings = DEFAULT_SETTINGS,
        aliases: Aliases | None = None,
    ) -> None:
        """All of it, by name of the domain; again, when the configuration was read again."""
        self.settings = {name.lower().rstrip("."): one for name, one in settings.items()}
        self.general = general
        self.aliases = aliases or Aliases()

    def hold(self, uri: SipUri) -> bool:
        """Whether a Request-URI, or a Route, names this server."""
        if uri.address in self.settings and (uri.port is None or self.is_ours("localhost", uri.port)):
            return True  # at a port that we listen on
        return self.is_ours(uri.address, uri.port)

    def of(self, uri: SipUri) -> DomainSettings:
        """What holds for a URI of ours."""
        return self.settings.get(uri.address, self.general)

    def of_register(self, request: Request) -> DomainSettings:
        """What holds for a REGISTER, whose address-of-record is ours."""
        uri = request.to.uri
        return self.of(uri) if type(uri) is SipUri else self.general

    def register(self, uri: SipUri) -> bool:
        """Whether it may be an address-of-record here (RFC 3261 10.3 item 5): ours, and not just another name.

        A binding of an alias would never be called, and if it were one of the user behind it, who may register for the
        alias could take that user's calls.
        """
        if not self.hold(uri):
            return False
        return not self.aliases.find(uri) or any(end.aor == uri.aor for end in self.ends(uri))

    def ends(self, uri: SipUri) -> list[SipUri]:
        """The users and others that a URI of ours stands for."""
        return self.aliases.expand(uri, self.hold)
