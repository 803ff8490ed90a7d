"""What the configuration decides for a request: its script, and who may relay. Replaced whole on SIGHUP."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from sipcgi.cgi.routes import Route, Routes, fallback_names
from sipcgi.compiled.quick import quick
from sipcgi.engine.cgi_service import Scripts
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri

Network = IPv4Network | IPv6Network
Ours = Callable[[SipUri], bool]


@quick
@dataclass(slots=True)
class Choice:
    """The script that a request triggers. `name` says by what, for the log: `routes.2`, or a file name."""

    route: Route
    name: str

    @property
    def is_default(self) -> bool:
        """Whether it is only the script for whatever nothing else takes."""
        return self.name.partition(".")[0] == "default"


class Policy:
    """`fallback` holds the settings of a script that is found by its file name."""

    def __init__(self, routes: Routes, scripts: Scripts, relay: Sequence[Network], fallback: Route) -> None:
        self.routes = routes
        self.scripts = scripts
        self.any_in_dialog = any(route.in_dialog for route in routes.routes)
        self.by_number = {id(route): Choice(route, f"routes.{number}") for number, route in enumerate(routes.routes)}
        self.by_name = lru_cache(maxsize=256)(lambda name: Choice(replace(fallback, script=name), name))
        self.may_relay = lru_cache(maxsize=4096)(lambda host: is_within(host, relay))

    def choose(self, request: Request, source: str, in_dialog: bool, is_ours: Ours) -> Choice | None:
        """First match of the routes, then the file names (contract: a request that no route matches)."""
        route = self.routes.choose(request, source, in_dialog=in_dialog)
        if route is not None:
            return self.by_number[id(route)]
        if in_dialog:
            return None
        method, uri = request.method, request.target
        own = method == "OPTIONS" and type(uri) is SipUri and uri.user is None and is_ours(uri)
        path = self.scripts.directory.find(*fallback_names(method, own))
        return None if path is None else self.by_name(os.path.basename(path))


def is_within(host: str, networks: Sequence[Network]) -> bool:
    address = ip_address(host)
    return any(address in network for network in networks)
