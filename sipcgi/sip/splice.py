"""The lines that change in a message on its way through a proxy (RFC 3261 16.6, 16.7); all others stay as they are."""

from __future__ import annotations

from sipcgi.compiled import compiled
from sipcgi.sip.headers import Headers


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
def plain_way_back(headers: Headers, from_: str, to: str) -> Headers | None:
    """The fields of a response without the top Via and with these lines for From and To, the latter with its tag.

    None when more than that has to change, or another way: it is for whoever calls to see to that.
    """
    names, lines = headers.names, headers.lines
    if names.count("via") < 2 or "from" not in names or "to" not in names:
        return None
    at = names.index("via")
    line = lines[names.index("to")]
    if "," in lines[at] or (line != to and not line.startswith(f"{to};tag=")):
        return None
    names, lines = names.copy(), lines.copy()
    lines[names.index("from")] = from_
    del names[at], lines[at]
    return Headers.of(names, lines)
