"""Trying the contacts of a 3xx here, instead of sending it upstream (RFC 3261 16.5, 16.7 item 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.engine.target import Target
from sipcgi.errors import ParseError
from sipcgi.proxy.recursion import REDIRECTIONS, Redirection, remainder
from sipcgi.service import Relay
from sipcgi.sip.message import Response
from sipcgi.sip.uri import Uri, equivalent, parse_uri

if TYPE_CHECKING:
    from sipcgi.engine.branch import Branch
    from sipcgi.engine.context import RequestContext

MOST = 10
"""Contacts of one response that are tried."""
MOST_BRANCHES = 60
"""Branches of one request after which no response is followed: two servers that redirect to ever new URIs."""


def may_recurse(context: RequestContext, branch: Branch, response: Response) -> bool:
    """Whether the targets of the request are ours to choose, this one redirects, and more may be tried.

    A request in a dialog, or one with a Route, is told by others where to go.
    """
    return (
        response.status in REDIRECTIONS
        and context.initial
        and not (branch.hunt.stopped or context.cancelled or context.upstream.final is not None)
        and len(context.branches) < MOST_BRANCHES
        and context.core.locations.recurses(context.request)
    )


def recurse(context: RequestContext, branch: Branch, response: Response) -> None:
    """Starts branches for the contacts that were not tried before."""
    if not may_recurse(context, branch, response):
        return
    found = Redirection.of(response, secure=context.request.target.scheme == "sips", most=MOST)
    tried = [parse_uri(one.target.uri) for one in context.branches]
    groups = []
    for uris in found.groups:
        # a contact of our own domain is a user here, whose phones are of a q of their own
        ways = [context.core.locations.targets(Relay(str(uri)), context.request, True) for uri in uris]
        for nth in range(max(map(len, ways))):
            group = [target for way in ways if nth < len(way) for target in way[nth] if is_new(target, tried)]
            groups += [group] if group else []
    if not groups:
        return
    context.responses.replace(response, remainder(response, found.kept))
    context.record.targets += [target.uri for group in groups for target in group]
    branch.hunt.recurse(groups)


def is_new(target: Target, tried: list[Uri]) -> bool:
    """Notes a target; one that equals another by the rules of its scheme is none (16.5)."""
    if target.failure is not None:
        return False
    try:
        uri = parse_uri(target.uri)
    except ParseError:
        return False
    if any(equivalent(uri, one) for one in tried):
        return False
    tried.append(uri)
    return True
