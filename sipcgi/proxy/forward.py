"""The copy of a request that goes to one target (RFC 3261 16.6 items 1 to 6, 8 and 9; RFC 3050 5.6.1.2).

The hot path: header lines that nothing changes are never made again.
"""

from __future__ import annotations

from sipcgi.compiled import plain_case
from sipcgi.proxy.edits import FIXED, edited, is_empty
from sipcgi.proxy.route import is_loose, spent
from sipcgi.service import NO_EDITS, Edits
from sipcgi.sip.address import parse_address
from sipcgi.sip.grammar import split_list
from sipcgi.sip.headers import KNOWN, SINGLE, Headers
from sipcgi.sip.message import Request
from sipcgi.sip.splice import put_on_top
from sipcgi.sip.uri import SipUri, parse_uri

INITIAL_HOPS = 70  # RFC 3261 16.6 item 3


@plain_case("plain_forward", KNOWN, FIXED | SINGLE | {"route", "record-route", "max-breadth"})
def forward(
    request: Request,
    uri: str,
    via: str,
    record_route: str | None = None,
    edits: Edits | None = None,
    breadth: int | None = None,
) -> Request:
    """`request`, validated and preprocessed, for the target `uri`.

    `via` and `record_route` are the values to put on top, `breadth` the share of Max-Breadth (RFC 5393 5.3.3). A
    Record-Route, Max-Forwards or Max-Breadth of the edits takes the place of ours. Raises ScriptError for edits that
    are not allowed, and ParseError for a Max-Forwards of 0, or one or a first Route that does not parse.

    Plain is one without a Route, and with new fields alone in the edits, of other names than those above.
    """
    hops = request.max_forwards
    if hops == 0:
        raise spent()
    printed: set[str] | tuple[str, ...] = ()
    body = request.body
    if edits is None or edits is NO_EDITS or is_empty(edits):
        headers = request.headers
        names, lines = headers.names.copy(), headers.lines.copy()
    else:
        headers, body, printed = edited(request, edits)
        names, lines = headers.names, headers.lines
    if printed:  # these take the place of ours
        record_route = None if "record-route" in printed else record_route
        breadth = None if "max-breadth" in printed else breadth
    if "?" in uri or "method=" in uri.lower():
        uri = request_uri(uri)
    if "route" in names:
        uri = _strict(names, lines, uri)
        if record_route and (uri[:5].lower() == "sips:" or _has_secure_route(names, lines)):
            record_route = record_route.replace("<sip:", "<sips:")
    elif record_route and uri[:5].lower() == "sips:":  # 16.6 item 4
        record_route = record_route.replace("<sip:", "<sips:")
    hops = INITIAL_HOPS if hops is None else hops - 1  # 16.6 item 3
    if "max-forwards" in printed:
        hops = -1
    put_on_top(names, lines, hops, -1 if breadth is None else breadth, record_route or "", via)
    if "content-length" not in names:  # 16.6 item 9
        names.append("content-length")
        lines.append(f"Content-Length: {len(body)}")
    return Request(request.method, uri, Headers.of(names, lines), body)


def request_uri(text: str) -> str:
    """`text` without what is not allowed in a Request-URI (RFC 3261 16.6 item 2, 19.1.1). Raises ParseError."""
    uri = parse_uri(text)
    if type(uri) is not SipUri or not (uri.headers or "method" in uri.params):
        return text
    return str(uri.with_(headers="", params=uri.params.without("method")))


def _first_route(names: list[str], lines: list[str]) -> tuple[int, list[str]]:
    """The index of the first Route field with a value, and its values; -1 without one."""
    for index, name in enumerate(names):
        if name == "route":
            line = lines[index]
            values = split_list(line[line.index(":") + 1 :].replace("\r\n", " "))
            if values:
                return index, values
    return -1, []


def _strict(names: list[str], lines: list[str], uri: str) -> str:
    """16.6 item 6: before a strict router the Request-URI becomes the last Route, and the first the Request-URI."""
    index, values = _first_route(names, lines)
    if not values or is_loose(values[0]):
        return uri
    hop = str(parse_address(values[0]).uri)
    if len(values) == 1:
        del names[index], lines[index]
    else:
        lines[index] = f"Route: {', '.join(values[1:])}"
    last = len(names) - names[::-1].index("route") if "route" in names else index
    names.insert(last, "route")
    lines.insert(last, f"Route: <{uri}>")
    return request_uri(hop)


def _has_secure_route(names: list[str], lines: list[str]) -> bool:
    """16.6 item 4: whether the top Route is a SIPS URI, so that our Record-Route must be one, as for a Request-URI."""
    values = _first_route(names, lines)[1]
    return bool(values) and parse_address(values[0]).uri.scheme == "sips"
