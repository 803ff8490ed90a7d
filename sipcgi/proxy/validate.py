"""What a request must be before anything is done with it (RFC 3261 16.3, items 1, 2, 3 and 5)."""

from __future__ import annotations

from sipcgi.compiled import plain_case
from sipcgi.errors import ParseError, Refused
from sipcgi.sip.grammar import MAX_ELEMENT, is_token
from sipcgi.sip.headers import OPTION_TAGS
from sipcgi.sip.message import Request
from sipcgi.sip.uri import OtherUri, SipUri


@plain_case("plain_validate", SipUri)
def validate(request: Request) -> None:
    """Raises Refused with 400, 414, 416, 420 or 483.

    Item 4 is in proxy/loop, item 6 belongs to authentication. Unknown methods and fields, and malformed fields that a
    proxy does not look into, pass (item 1). Merged requests are no error (16.3).
    """
    try:
        target = request.target
    except ParseError as error:
        if len(request.uri) > MAX_ELEMENT:
            raise Refused(414) from None
        raise Refused(error.status, "Bad Request-URI") from None
    try:
        # 16.3 item 1: well-formed must be what the remaining steps and the forwarding use
        _ = request.via, request.from_, request.to, request.call_id, request.cseq, request.routes
        hops = request.max_forwards
    except ParseError as error:
        raise Refused(error.status, f"Bad {error.header}".title()) from None
    if type(target) is OtherUri:
        raise Refused(416)  # 16.3 item 2; tel URIs are understood: a script may turn them into others
    if hops == 0:
        raise Refused(483)  # 16.3 item 3
    if "proxy-require" in request.headers.names:
        _check_extensions(request)


def _check_extensions(request: Request) -> None:
    """16.3 item 5."""
    try:
        required = request.headers.elements("proxy-require")
    except ParseError:
        raise Refused(400, "Bad Proxy-Require") from None
    if not all(map(is_token, required)):
        raise Refused(400, "Bad Proxy-Require")
    unsupported = [tag for tag in required if tag.lower() not in OPTION_TAGS]
    # RFC 3261 8.2.2.3: never a reason to refuse an ACK or CANCEL
    if unsupported and request.method not in ("ACK", "CANCEL"):
        raise Refused(420, headers=(("Unsupported", ", ".join(unsupported)),))
