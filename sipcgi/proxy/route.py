"""Route information: what of it is ours, and where a request goes next (RFC 3261 16.4, 16.6 items 6 and 7, 16.12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sipcgi.errors import ParseError
from sipcgi.service import Edits
from sipcgi.sip.address import Address
from sipcgi.sip.grammar import split_list
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri, Uri, parse_uri


@dataclass(slots=True)
class Preprocessed:
    """A request as if it had never named us as a hop."""

    request: Request
    tokens: tuple[str, ...] = ()
    """The user parts of our own entries, the first one first: there our Record-Route has its token."""
    strict: bool = False
    """Whether a strict router sent it, so that our entry was the Request-URI."""


def preprocess(request: Request, is_ours: Callable[[SipUri], bool]) -> Preprocessed:
    """Takes out what names us (RFC 3261 16.4); `is_ours` tells whether a URI does. Raises ParseError."""
    target = request.target
    params = target.params if type(target) is SipUri else None
    if "route" not in request.headers.names and not (params and "maddr" in params):
        return Preprocessed(request)
    tokens: list[str] = []
    strict = False
    # Our Record-Route has an lr parameter; an address-of-record has none, and needs no Route to come here.
    if type(target) is SipUri and "lr" in target.params and (elements := _elements(request)) and is_ours(target):
        strict = True
        _keep(tokens, target)
        request = request.with_(uri=str(Address.parse(elements[-1]).uri), headers=_without(request, 0, 1))
    request = _without_maddr(request, is_ours)
    count = 0
    for element in _elements(request):
        uri = Address.parse(element).uri
        if type(uri) is not SipUri or not is_ours(uri):
            break
        count += 1  # more than one: a double Record-Route, one for each side, or a spiral; both end here
        _keep(tokens, uri)
    if count:
        request = request.with_(headers=_without(request, count, 0))
    return Preprocessed(request, tuple(tokens), strict)


def strip_routes(request: Request) -> Request:
    """The request without any Route: the Request-URI decides where it goes."""
    if "route" not in request.headers.names:
        return request
    headers = request.headers.copy()
    headers.remove("route")
    return request.with_(headers=headers)


def next_hop(request: Request, *, uri: str | None = None, edits: Edits | None = None) -> Uri:
    """The URI that tells where to send `request`, not yet forwarded, towards `uri` (RFC 3261 16.6 item 7).

    The first Route of the edits, else of the request, else `uri`, or without it the Request-URI. A strict router in
    the first Route is the next hop as well, for 16.6 item 6 makes it the Request-URI. Raises ParseError.
    """
    target = request.target if uri is None else parse_uri(uri)
    route = _first_route(request, edits)
    hop = target if route is None else Address.parse(route).uri
    if target.scheme == "sips" and type(hop) is SipUri and hop.scheme == "sip":
        return hop.with_(scheme="sips")  # 16.6 item 7: as if the input URI were a SIPS URI
    return hop


def _first_route(request: Request, edits: Edits | None) -> str | None:
    if edits is not None:
        for name, value in edits.headers:
            if name.lower() == "route" and (elements := split_list(value)):
                return elements[0]
        if "route" in edits.remove or any(name.lower() == "route" for name, _ in edits.headers):
            return None
    elements = _elements(request)
    return elements[0] if elements else None


def _elements(request: Request) -> list[str]:
    return request.headers.elements("route")


def _keep(tokens: list[str], uri: SipUri) -> None:
    if uri.user is not None:
        tokens.append(uri.user)


def _without(request: Request, first: int, last: int) -> Headers:
    """The header fields without so many Route values at the beginning and at the end; other lines stay."""
    left = len(_elements(request)) - last
    headers = Headers()
    at = 0
    for name, line in zip(request.headers.names, request.headers.lines, strict=True):
        if name == "route":
            values = split_list(line[line.index(":") + 1 :].replace("\r\n", " "))
            kept = [value for index, value in enumerate(values, at) if first <= index < left]
            at += len(values)
            if not kept:
                continue
            if len(kept) < len(values):
                line = f"Route: {', '.join(kept)}"
        headers.names.append(name)
        headers.lines.append(line)
    return headers


def _without_maddr(request: Request, is_ours: Callable[[SipUri], bool]) -> Request:
    """RFC 3261 16.4: a maddr that is ours is taken out, if the request came by the port and transport of the URI."""
    target = request.target
    if type(target) is not SipUri or not (maddr := target.params.get("maddr")):
        return request
    host = f"[{maddr}]" if ":" in maddr and maddr[0] != "[" else maddr
    transport = (target.params.get("transport") or ("tls" if target.scheme == "sips" else "udp")).upper()
    if transport != request.via.transport or not is_ours(target.with_(host=host)):
        return request
    return request.with_(uri=str(target.with_(port=None, params=target.params.without("maddr", "transport"))))


def is_loose(route: str) -> bool:
    """Whether a Route value names a loose router (RFC 3261 19.1.1: lr). Raises ParseError."""
    uri = Address.parse(route).uri
    if type(uri) is not SipUri:
        raise ParseError(f"a Route of another scheme: {route[:80]!r}", header="route")
    return "lr" in uri.params
