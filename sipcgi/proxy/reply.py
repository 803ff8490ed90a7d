"""Responses that a script makes, and what it changes in those of others (RFC 3050 5.6.1.1, 5.6.1.3)."""

from __future__ import annotations

from sipcgi.errors import ParseError, ScriptError
from sipcgi.proxy.edits import edited, is_empty
from sipcgi.service import Edits, Reply
from sipcgi.sip import build
from sipcgi.sip.address import Address
from sipcgi.sip.headers import canonical
from sipcgi.sip.message import Request, Response


def reply(request: Request, action: Reply, *, to_tag: str | None) -> Response:
    """The answer that `action` gives to `request` (RFC 3261 8.2.6); its To gets `to_tag`.

    From, To, Call-ID, CSeq, Via and, where a dialog is made, Record-Route are the request's; a To that the script
    prints can give nothing but another tag. Contact and Content-Length: the engine, and here. Raises ScriptError.
    """
    tag = _tag_of_script(action.edits) or to_tag
    response = build.response(request, action.status, action.reason or None, to_tag=tag)
    return edit_response(response, action.edits)


def edit_response(response: Response, edits: Edits) -> Response:
    """`response`, in the shape in which it goes upstream, with the edits of a script. Raises ScriptError."""
    if is_empty(edits):
        return response
    headers, body, _ = edited(response, edits)
    return Response(response.status, response.reason, headers, body)


def withheld(request: Request, status: int) -> str | None:
    """Why a response of our own with that status must not be sent, or None if it may."""
    if request.method != "INVITE":
        if 100 < status < 200:
            return "no provisional response but 100 to another method than INVITE (RFC 4320 4.1)"
        if status == 408:
            return "no 408 to another method than INVITE (RFC 4320 4.2)"
    elif 100 < status < 200 and "100rel" in _required(request):
        return "an unreliable provisional response where 100rel is required (RFC 3262 3)"
    return None


def _required(request: Request) -> list[str]:
    """Option tags in lower case, whatever else a malformed Require may hold."""
    return [tag.strip(" \t").lower() for value in request.headers.all("require") for tag in value.split(",")]


def _tag_of_script(edits: Edits) -> str | None:
    for name, value in edits.headers:
        if canonical(name) == "to":
            try:
                return Address.parse(value).tag
            except ParseError as error:
                raise ScriptError(f"bad {name}: {error}") from None
    return None
