"""The lines that change in a message on its way through a proxy (RFC 3261 16.6, 16.7); all others stay as they are."""

from __future__ import annotations

from sipcgi.compiled import compiled
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Response

_MOST_PLAIN = 60_000
"""Octets that surely fit into a datagram, four for each character of a line."""


@compiled
def put_on_top(names: list[str], lines: list[str], hops: int, breadth: int, record_route: str, via: str) -> None:
    """What a proxy adds to a request, in place: Max-Forwards, Max-Breadth, Record-Route and Via with these values.

    A number below 0 and an empty Record-Route leave that field as it is. A new field goes behind the last Via.
    """
    if breadth >= 0:
        _keep_one(names, lines, "max-breadth")
    top = len(names) - names[::-1].index("via") if "via" in names else 0
    if hops >= 0:
        _put(names, lines, top, "max-forwards", f"Max-Forwards: {hops}")
    if breadth >= 0:
        _put(names, lines, top, "max-breadth", f"Max-Breadth: {breadth}")
    if record_route:  # 16.6 item 4: before the existing ones
        at = names.index("record-route") if "record-route" in names else top
        names.insert(at, "record-route")
        lines.insert(at, f"Record-Route: {record_route}")
    at = names.index("via") if top else 0  # 16.6 item 8: likewise; a request of our own has none
    names.insert(at, "via")
    lines.insert(at, f"Via: {via}")


def _put(names: list[str], lines: list[str], top: int, name: str, line: str) -> None:
    """In the place of the first one, else there."""
    if name in names:
        lines[names.index(name)] = line
    else:
        names.insert(top, name)
        lines.insert(top, line)


def _keep_one(names: list[str], lines: list[str], name: str) -> None:
    """Takes out all fields of that name but the first."""
    for at in range(len(names) - 1, -1, -1):
        if names[at] == name and names.index(name) != at:
            del names[at], lines[at]


@compiled
def forget_cgi_fields(headers: Headers) -> None:
    """Takes CGI- fields out of what came from the network: they are the server's and the script's alone."""
    if "cgi-" in "".join(headers.names):  # one search for all of them: this is asked of every message
        headers.remove(*[name for name in headers.names if name[:4] == "cgi-"])


@compiled
def ends_of(headers: Headers) -> tuple[str, str]:
    """The lines of From and To. Raises ValueError."""
    names, lines = headers.names, headers.lines
    return lines[names.index("from")], lines[names.index("to")]


@compiled
def plain_way_back(response: Response, sent: Headers) -> Response | None:
    """The response without the top Via and with the From and To of the request whose fields are `sent`.

    To keeps the tag of the response. None when more than that has to change, or another way, and where it has CGI-
    fields, no Content-Length or more octets than surely fit into a datagram: whoever calls sees to that.
    """
    names, lines = response.headers.names, response.headers.lines
    if (
        names.count("via") < 2
        or not {"from", "to", "content-length"} <= set(names)
        or not {"from", "to"} <= set(sent.names)
    ):
        return None
    at = names.index("via")
    line, to = lines[names.index("to")], sent.lines[sent.names.index("to")]
    if "," in lines[at] or (line != to and not line.startswith(f"{to};tag=")):
        return None
    names, lines = names.copy(), lines.copy()
    lines[names.index("from")] = sent.lines[sent.names.index("from")]
    del names[at], lines[at]
    if any(name[:4] == "cgi-" for name in names) or 4 * sum(map(len, lines)) + len(response.body) >= _MOST_PLAIN:
        return None
    return Response(response.status, response.reason, Headers.of(names, lines), response.body)
