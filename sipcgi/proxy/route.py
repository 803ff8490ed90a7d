"""Route information: what of it is ours, and where a request goes next (RFC 3261 16.4, 16.6 items 6 and 7, 16.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sipcgi.compiled import plain_case
from sipcgi.compiled.quick import quick
from sipcgi.errors import ParseError
from sipcgi.service import Edits
from sipcgi.sip.address import parse_address
from sipcgi.sip.grammar import split_list
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request
from sipcgi.sip.params import NONE
from sipcgi.sip.uri import SipUri, Uri, parse_uri


@quick
class Preprocessed(NamedTuple):
    """A request as if it had never named us as a hop."""

    request: Request
    tokens: tuple[str, ...] = ()
    """The user parts of our own entries, the first one first: there our Record-Route has its token."""
    sent_by: str = ""
    """Host and port of the last of them: our socket towards the next hop (RFC 5658 3.2)."""


@plain_case("plain_preprocess", SipUri, Preprocessed)
def preprocess(request: Request, is_ours: Callable[[SipUri], bool]) -> Preprocessed:
    """Takes out what names us (RFC 3261 16.4); `is_ours` tells whether a URI does. Raises ParseError.

    Plain is a request without a Route, or with a single one, as a phone sends it in a dialog.
    """
    target = request.target
    params = target.params if type(target) is SipUri else NONE
    if "route" not in request.headers.names and "maddr" not in params:
        return Preprocessed(request)
    routes = request.routes
    own: list[SipUri] = []
    # A strict router has put our Record-Route there. It has an lr parameter; an address-of-record has none.
    if routes and "lr" in params and type(target) is SipUri and is_ours(target):
        own.append(target)
        request = request.rerouted(_without(request, 0, 1), str(routes[-1].uri))
        request = _without_maddr(request, is_ours)
        routes = routes[:-1]
    elif "maddr" in params:
        request = _without_maddr(request, is_ours)
    count = 0
    for route in routes:
        uri = route.uri
        if type(uri) is not SipUri or not is_ours(uri):
            break
        count += 1  # more than one: a double Record-Route, one for each side, or a spiral; both end here
        own.append(uri)
    if count:
        request = request.rerouted(_without(request, count, 0))
    if not own:
        return Preprocessed(request)
    last = own[-1]
    tokens = tuple([uri.user for uri in own if uri.user is not None])
    return Preprocessed(request, tokens, f"{last.host}:{last.port or 5060}".lower())


def strip_routes(request: Request) -> Request:
    """The request without any Route: the Request-URI decides where it goes."""
    if "route" not in request.headers.names:
        return request
    headers = request.headers.copy()
    headers.remove("route")
    return request.rerouted(headers)


def next_hop(request: Request, *, uri: str | None = None, edits: Edits | None = None) -> Uri:
    """The URI that tells where to send `request`, not yet forwarded, towards `uri` (RFC 3261 16.6 item 7).

    The first Route of the edits, else of the request, else `uri`, or without it the Request-URI. A strict router in
    the first Route is the next hop as well, for 16.6 item 6 makes it the Request-URI. Raises ParseError, with status
    483 when the request may go no further.
    """
    if request.max_forwards == 0:
        raise spent()
    target = request.target if uri is None else parse_uri(uri)
    hop = target
    if "route" in request.headers.names or edits is not None:
        hop = _first_route(request, edits) or target
    if target.scheme == "sips" and type(hop) is SipUri and hop.scheme == "sip":
        return hop.with_(scheme="sips")  # 16.6 item 7: as if the input URI were a SIPS URI
    return hop


def spent() -> ParseError:
    """16.3 item 3: with Max-Forwards 0 a request is not forwarded, even if it was for us."""
    return ParseError("Max-Forwards is 0", status=483, header="max-forwards")


def _first_route(request: Request, edits: Edits | None) -> Uri | None:
    if edits is not None:
        for name, value in edits.headers:
            if name.lower() == "route" and (elements := split_list(value)):
                return parse_address(elements[0]).uri
        if "route" in edits.remove:
            return None
    routes = request.routes
    return routes[0].uri if routes else None


def _without(request: Request, first: int, last: int) -> Headers:
    """The header fields without so many Route values at the beginning and at the end; other lines stay."""
    count = len(request.routes)
    if first + last == count:
        names, lines = request.headers.names.copy(), request.headers.lines.copy()
        while "route" in names:
            at = names.index("route")
            del names[at], lines[at]
        return Headers.of(names, lines)
    names, lines = [], []
    at = 0
    for name, line in zip(request.headers.names, request.headers.lines, strict=True):
        if name == "route":
            values = split_list(line[line.index(":") + 1 :].replace("\r\n", " "))
            kept = [value for index, value in enumerate(values, at) if first <= index < count - last]
            at += len(values)
            if not kept:
                continue
            if len(kept) < len(values):
                line = f"Route: {', '.join(kept)}"
        names.append(name)
        lines.append(line)
    return Headers.of(names, lines)


def _without_maddr(request: Request, is_ours: Callable[[SipUri], bool]) -> Request:
    """RFC 3261 16.4: a maddr that is ours is taken out, if the request came by the port and transport of the URI."""
    target = request.target
    if type(target) is not SipUri or not (maddr := target.params.get("maddr")):
        return request
    host = f"[{maddr}]" if ":" in maddr and maddr[0] != "[" else maddr
    transport = (target.params.get("transport") or ("tls" if target.scheme == "sips" else "udp")).upper()
    if transport != request.via.transport or not is_ours(target.with_(host=host)):
        return request
    default = 5061 if transport == "TLS" else 5060
    port = target.port if target.port == default else None  # 16.4: any non-default port goes, too
    return request.with_(uri=str(target.with_(port=port, params=target.params.without("maddr", "transport"))))


def is_loose(route: str) -> bool:
    """Whether a Route value names a loose router (RFC 3261 19.1.1: lr). Raises ParseError."""
    uri = parse_address(route).uri
    if type(uri) is not SipUri:
        raise ParseError(f"a Route of another scheme: {route[:80]!r}", header="route")
    return "lr" in uri.params
