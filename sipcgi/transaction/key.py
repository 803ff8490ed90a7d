"""Which transaction a message belongs to (RFC 3261 17.1.3, 17.2.3), as keys for a dict.

All functions raise ParseError when a field they need does not parse.
"""

from sipcgi.compiled import compiled
from sipcgi.sip.message import Request, Response

_COOKIE = "z9hG4bK"  # RFC 3261 8.1.1.7

ServerKey = tuple[str, ...]
"""Branch, sent-by and method; a longer one for clients of RFC 2543."""

ClientKey = tuple[str, str]
"""Branch and method."""


def client_key(message: Request | Response) -> ClientKey:
    """The key of the client transaction that sent this request, or that this response answers (17.1.3)."""
    return message.via.branch or "", message.cseq.method


@compiled
def plain_server_key(request: Request) -> ServerKey | None:
    """`server_key`, but None for a client of RFC 2543."""
    via, method = request.via, request.method
    branch = via.branch or ""
    # The cookie alone identifies nothing; RFC 4475 3.2.1 lets it fall back to the rules for RFC 2543.
    if branch.startswith(_COOKIE) and len(branch) > len(_COOKIE):
        return branch, via.sent_by, "INVITE" if method == "ACK" else method
    return None


def server_key(request: Request) -> ServerKey:
    """The key of the server transaction of this request; of an ACK: that of its INVITE (17.2.3)."""
    method = "INVITE" if request.method == "ACK" else request.method
    return plain_server_key(request) or _key_of_rfc2543(request, method)


def invite_key_of_cancel(request: Request) -> ServerKey:
    """The key of the INVITE that this CANCEL cancels (9.2: as if its method were that one's)."""
    key = plain_server_key(request)
    return _key_of_rfc2543(request, "INVITE") if key is None else (*key[:2], "INVITE")


def _key_of_rfc2543(request: Request, method: str) -> ServerKey:
    """Request-URI, tags, Call-ID, CSeq and top Via (17.2.3).

    Of an INVITE without the To tag: its ACK and CANCEL must find it, and the ACK has the To tag of the response. Of the
    Via without what the transport added to it.
    """
    via = request.via
    to_tag = "" if method == "INVITE" else request.to.tag or ""
    from_tag = request.from_.tag or ""
    number = str(request.cseq.number)
    return via.branch or "", via.sent_by, method, request.uri, request.call_id, number, from_tag, to_tag
