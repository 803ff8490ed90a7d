"""The servers of a next hop (RFC 3263 section 4), at once where they are remembered, else as soon as they are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcgi.errors import Unreachable
from sipcgi.sip.uri import SipUri

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.net.resolver import Target as Server

    Found = Callable[[list[Server]], None]
    Nothing = Callable[[str], None]


def find_servers(core: Core, hop: SipUri, found: Found, nothing: Nothing) -> None:
    """Calls `found` with the servers in the order in which they are to be tried, or `nothing` with why there are none.

    Raises what they raise.
    """
    try:
        servers = core.resolver.resolve_now(hop)
    except Unreachable as error:
        nothing(str(error))
        return
    if servers is None:
        core.spawn(_ask, core, hop, found, nothing)
    else:
        found(servers)


async def _ask(core: Core, hop: SipUri, found: Found, nothing: Nothing) -> None:
    try:
        servers = await core.resolver.resolve(hop)
    except Unreachable as error:
        nothing(str(error))
        return
    found(servers)


def domain(hop: SipUri) -> str:
    """What the certificate of a next hop must be for."""
    return hop.params.get("maddr") or hop.host
