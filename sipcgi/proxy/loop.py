"""Loops: the second part of the branch, and whether it came back (RFC 3261 16.3 item 4, RFC 5393 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from itertools import compress
from operator import not_

from sipcgi.compiled import plain_case
from sipcgi.errors import ParseError
from sipcgi.sip.grammar import split_list
from sipcgi.sip.message import Request
from sipcgi.sip.via import Via

# What changes at each hop, or with the method. All else is seen by scripts, and may decide where a request goes: a
# request that comes back with another field is a spiral (RFC 5393 4.2.1). The top Via of RFC 3261 16.6 item 8 is left
# out: with it no loop over a further hop would be found.
_OF_THE_HOP = frozenset({"via", "max-forwards", "max-breadth", "record-route", "content-length", "cseq"})

_HASHER = blake2b(digest_size=8)


@plain_case("plain_loop_hash", _HASHER, _OF_THE_HOP)
def loop_hash(request: Request) -> str:
    """The second part of the branch: 16 hexadecimal digits over all that decides where `request` goes.

    Of the request as it was preprocessed, before any target was chosen. The method has no part in it (RFC 5393 4.2.1).
    The body is not looked into. Where another hop writes fields in a way of its own, the loop is found one round
    later. Raises ParseError.
    """
    headers = request.headers
    lines = compress(headers.lines, map(not_, map(_OF_THE_HOP.__contains__, headers.names)))
    text = "\n".join([request.uri, str(request.cseq.number), *lines])
    digest = _HASHER.copy()
    digest.update(text.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def is_loop(request: Request, is_ours: Callable[[Via], bool]) -> bool:
    """Whether we forwarded this very request before: 482 (RFC 5393 4.2.2). Other values of the same are a spiral.

    Nothing loops with a single Via, the sender's own. `is_ours` tells whether the sent-by of a Via is one that we put
    there; Vias of others are not looked into (RFC 5393 4.2.4). Our branches end with "." and the second part.
    """
    second = "." + loop_hash(request)
    if not [line for line in request.headers.lines if second in line]:
        return False
    return any(second in value and _has_looped(value, second, is_ours) for value in request.headers.all("via"))


def _has_looped(value: str, second: str, is_ours: Callable[[Via], bool]) -> bool:
    try:
        vias = [Via.parse(element) for element in split_list(value) if second in element]
    except ParseError:
        return False  # another element's, in a shape that we do not know
    return any((via.branch or "").endswith(second) and is_ours(via) for via in vias)
