"""Messages made from others: responses, ACK, CANCEL (RFC 3261 8.2.6, 17.1.1.3, 9.1)."""

from __future__ import annotations

from collections.abc import Iterable

from sipcgi.errors import ParseError
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Message, Request, Response
from sipcgi.sip.status import reason as standard_reason

_ECHOED = frozenset({"via", "from", "to", "call-id", "cseq"})  # RFC 3261 8.2.6.2
_ECHOED_IN_100 = _ECHOED | {"timestamp"}  # RFC 3261 8.2.6.1
_ECHOED_IN_DIALOG = _ECHOED | {"record-route"}  # RFC 3261 12.1.1
MAKES_DIALOG = frozenset({"INVITE", "SUBSCRIBE", "REFER"})


def response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """A response to `request`; its To gets `to_tag`, unless it has a tag already or this is a 100.

    Content-Length is made here, and not to be among `headers`.
    """
    echoed = _ECHOED
    if status == 100:
        echoed = _ECHOED_IN_100
    elif status < 300 and request.method in MAKES_DIALOG:
        echoed = _ECHOED_IN_DIALOG
    names: list[str] = []
    lines: list[str] = []
    for name, line in zip(request.headers.names, request.headers.lines, strict=True):
        if name in echoed:
            if name == "to" and to_tag and status > 100 and not _has_tag(request, line):
                line = f"{line};tag={to_tag}"
            names.append(name)
            lines.append(line)
    made = Headers.of(names, lines)
    for name, value in headers:
        made.add(name, value)
    names.append("content-length")
    lines.append(f"Content-Length: {len(body)}")
    return Response(status, standard_reason(status) if reason is None else reason, made, body)


def _has_tag(request: Request, line: str) -> bool:
    if "tag" not in line.lower():
        return False
    try:
        return request.to.tag is not None
    except ParseError:
        return True  # a To that does not parse goes back as it came


def ack(request: Request, response: Response) -> Request:
    """The ACK of a final response other than 2xx, hop by hop (RFC 3261 17.1.1.3)."""
    return _of_transaction(request, "ACK", response)


def cancel(request: Request) -> Request:
    """The CANCEL of a request that was sent (RFC 3261 9.1)."""
    return _of_transaction(request, "CANCEL", request)


def _of_transaction(request: Request, method: str, to: Message) -> Request:
    """A request of the same branch: top Via, From, Call-ID, CSeq number and Routes of `request`, the To of `to`."""
    top = request.headers.lines[request.headers.names.index("via")]
    made = Headers.of(["via"], [top if "," not in top else f"Via: {request.via}"])
    for name, line in zip(request.headers.names, request.headers.lines, strict=True):
        if name in ("from", "call-id", "route"):
            made.names.append(name)
            made.lines.append(line)
    made.names.append("to")
    made.lines.append(to.headers.lines[to.headers.names.index("to")])
    made.add("CSeq", f"{request.cseq.number} {method}")
    made.add("Max-Forwards", "70")
    made.add("Content-Length", "0")
    return Request(method, request.uri, made)
