"""Loops: the second part of the branch, and whether it came back (RFC 3261 16.3 item 4, RFC 5393 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2s

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import split_list
from sipcgi.sip.message import Request
from sipcgi.sip.via import Via

# What routes and the location service look at. The top Via of RFC 3261 16.6 item 8 is left out, as RFC 5393 4.2.1 says:
# with it no loop over a further hop would be found. Max-Forwards, Record-Route and the like change at each hop.
_DECISIVE = frozenset({"route", "from", "to", "call-id", "proxy-require", "proxy-authorization", "authorization"})


def loop_hash(request: Request) -> str:
    """The second part of the branch: 16 hexadecimal digits over all that decides where `request` goes.

    Of the request as it was preprocessed, before any target was chosen. The method has no part in it (RFC 5393 4.2.1),
    nor has the order of differently named fields. Raises ParseError.
    """
    headers = request.headers
    parts = [request.uri, str(request.cseq.number)]
    parts += sorted(
        [f"{name} {value}" for name in _DECISIVE.intersection(headers.names) for value in headers.all(name)]
    )
    return blake2s("\n".join(parts).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def is_loop(request: Request, is_ours: Callable[[Via], bool]) -> bool:
    """Whether we forwarded this very request before: 482 (RFC 5393 4.2.2). Other values of the same are a spiral.

    `is_ours` tells whether the sent-by of a Via is one that we put there. Vias of others are not looked into
    (RFC 5393 4.2.4). Our branches end with "." and the second part.
    """
    if len(request.headers.names) == len(set(request.headers.names)) and "," not in (request.headers.get("via") or ""):
        return False  # only one Via, and the sender put it there
    second = "." + loop_hash(request)
    for value in request.headers.all("via"):
        if second in value and _has_looped(value, second, is_ours):
            return True
    return False


def _has_looped(value: str, second: str, is_ours: Callable[[Via], bool]) -> bool:
    for element in split_list(value):
        try:
            via = Via.parse(element) if second in element else None
        except ParseError:
            continue  # another element's, in a shape that we do not know
        if via is not None and (via.branch or "").endswith(second) and is_ours(via):
            return True
    return False
