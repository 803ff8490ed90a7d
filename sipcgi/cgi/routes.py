"""Which script a request triggers (RFC 3050 3.4): the routes of the configuration, and file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sipcgi.errors import ParseError
from sipcgi.profile import EXECUTED, FASTCGI, PLAIN, Hosting, Profile
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri, TelUri, Uri

Network = IPv4Network | IPv6Network
Source = IPv4Address | IPv6Address

CGI = "cgi"
EXEC = "exec"
STYLES = (CGI, EXEC)
"""What a script sees and says: RFC 3050, or what the exec modules of Kamailio and OpenSIPS have (cgi/exec_style)."""
_WITHOUT_DEFAULT = frozenset({"REGISTER", "ACK", "CANCEL", "PRACK"})
_SEPARATORS = str.maketrans("", "", "-.()")  # RFC 3966 3: visual-separator


@dataclass(slots=True)
class Route:
    """A script, those that follow it, and when they are run; all conditions must hold, and a missing one always does.

    `from_`, `to` and `uri` are globs, of which one must match; `source` are networks. Then the settings of its runs:
    `timeout` in seconds, `max_output` in octets.
    """

    script: str
    method: frozenset[str] | None = None
    from_: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    source: tuple[Network, ...] = ()
    in_dialog: bool = False
    reroute: bool = False
    timeout: float = 5.0
    on_error: str = "reject"
    """`reject`, `default`, or the name of another script."""
    max_output: int = 1024 * 1024
    max_messages: int = 64
    pass_authorization: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    style: str = CGI
    then: tuple[str, ...] = ()
    """The scripts that get what the ones before them took no action for, in this order."""

    originate: bool = False
    """Whether the scripts may generate requests."""
    max_running: int | None = None
    """How many runs of one of them there may be at once; None: as many as of any script."""
    hosting: Hosting = EXECUTED
    profile: Profile = PLAIN

    @property
    def scripts(self) -> tuple[str, ...]:
        """All of them in their order."""
        return (self.script, *self.then)

    @property
    def files(self) -> tuple[str, ...]:
        """Those that are files below the scripts directory: a FastCGI program need not be one."""
        if self.hosting.host != FASTCGI:
            return self.scripts
        return tuple(word for word in self.hosting.command[:1] if not word.startswith("/"))


class Routes:
    """All routes in their order."""

    __slots__ = ("_conditions", "routes")

    def __init__(self, routes: Sequence[Route] = ()) -> None:
        self.routes = tuple(routes)
        self._conditions = [(route, route.method, _Conditions(route)) for route in routes]

    def choose(self, request: Request, source: str, *, in_dialog: bool = False) -> Route | None:
        """The first route that matches a request from the IP address `source`.

        `in_dialog` leaves out those that do not ask for requests in a dialog.
        """
        subjects: dict[str, str | None] = {}
        for route, methods, conditions in self._conditions:
            if (
                (methods is None or request.method in methods)
                and (not in_dialog or route.in_dialog)
                and (conditions.none or conditions.hold(request, source, subjects))
            ):
                return route
        return None


class _Conditions:
    """Those of one route besides its methods, its globs compiled."""

    __slots__ = ("globs", "none", "source")

    def __init__(self, route: Route) -> None:
        self.source = route.source
        parts = (("uri", route.uri), ("from", route.from_), ("to", route.to))
        self.globs = [(part, [_compile(glob) for glob in globs]) for part, globs in parts if globs]
        self.none = not (self.globs or route.source)

    def hold(self, request: Request, source: str, subjects: dict[str, str | None]) -> bool:
        """`subjects` keeps what the globs are matched with for the next route."""
        for part, globs in self.globs:
            if part not in subjects:
                subjects[part] = _subject(request, part)
            subject = subjects[part]
            if subject is None or not any(glob.match(subject) for glob in globs):
                return False
        if not self.source:
            return True
        address = _address(source)
        return address is not None and any(address in network for network in self.source)


def fallback_names(method: str, own_options: bool = False) -> tuple[str, ...]:
    """File names, without ending, of the scripts for a request that no route matches, in order.

    `own_options` says that it is an OPTIONS to the server itself.
    """
    if method in _WITHOUT_DEFAULT or own_options:
        return (method.lower(),)
    return (method.lower(), "default")


def _compile(glob: str) -> re.Pattern[str]:
    """A glob with the case of its host part, which does not count, that of the subjects."""
    if glob[:4].lower() == "tel:":
        number = glob[4:]
        return re.compile(translate("tel:" + (number if "[" in number else number.translate(_SEPARATORS))))
    user, at, host = glob.rpartition("@")
    if not at:
        # which part it belongs to is not said: what follows the last "*" is the end of a host
        user, at, host = glob.rpartition("*")
    if host[:1] == "[" and host[-1:] == "]" and ":" in host:  # an IPv6 address, not a set of characters
        host = "[[]" + host[1:]
    return re.compile(translate(user + at + host.lower()))


def _subject(request: Request, part: str) -> str | None:
    """What the globs of a condition are matched with; None, which no glob matches, when it does not parse."""
    try:
        if part == "uri":
            return _shown(request.target)
        return _shown((request.from_ if part == "from" else request.to).uri)
    except ParseError:
        return None


def _shown(uri: Uri) -> str:
    if isinstance(uri, SipUri):
        return uri.aor
    return f"tel:{uri.digits}" if isinstance(uri, TelUri) else f"{uri.scheme}:{uri.rest}"


@lru_cache(maxsize=1024)
def _address(text: str) -> Source | None:
    """The address, an IPv4 one in IPv6 clothes as what it is."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
