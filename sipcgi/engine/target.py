"""Where a branch of a request goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipcgi.compiled.quick import quick
from sipcgi.flow import Flow

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.rerouted import InnerServer
    from sipcgi.registrar.bindings import Binding
    from sipcgi.sip.message import Request

Reroute = Callable[["RequestContext", "Request", "InnerServer"], None]
"""Takes a request of a context through the routes once more. Raises Refused and ParseError."""


@quick
@dataclass(slots=True)
class Target:
    """The Request-URI, the Routes before it (RFC 3327 Path), the flow it registered on."""

    uri: str
    routes: tuple[str, ...] = ()
    flow: Flow | None = None
    failure: int | None = None
    """Nothing to send to: the status of the local response instead."""
    lost: int = 503
    """The status of the local response when the flow turns out to be gone: an edge proxy says 430 (RFC 5626 5.3.1)."""
    binding: Binding | None = None
    """What it was made of, which a failure of its flow may end."""
    others: Sequence[Target] = ()
    """Further flows to the same user agent, each to be tried when the one before it has failed (RFC 5626 7)."""
    reroute: Reroute | None = None
    """For a URI of ours: how it goes through the routes, instead of to its contacts."""
