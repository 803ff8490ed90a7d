"""The response context: what goes upstream, and the best of what must wait (RFC 3261 16.7)."""

from __future__ import annotations

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import split_list
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response
from sipcgi.sip.status import reason

_CHALLENGES = ("www-authenticate", "proxy-authenticate")

# 16.7 item 6: first those that help to send the request again; last those that say nothing of the called party
_PREFERRED = {401: 0, 407: 0, 415: 1, 420: 2, 484: 3}
_ORDINARY = 4
_AVOIDED = {408: 5, 487: 6, 503: 5}


class ResponseContext:
    """The final responses other than 2xx that wait, in the order in which they came (RFC 3261 16.7 items 4, 6, 7)."""

    __slots__ = ("candidates", "invite")

    def __init__(self, invite: bool = True) -> None:
        self.invite = invite
        """Only to an INVITE may a 408 go upstream (RFC 4320 4.2)."""
        self.candidates: list[tuple[Response, str]] = []

    def add(self, response: Response, token: str = "") -> None:
        """A candidate; `token` is what a script names it by."""
        self.candidates.append((response, token))

    def discard(self, token: str) -> None:
        """Takes back the candidate of that name, if there is one."""
        self.candidates = [candidate for candidate in self.candidates if candidate[1] != token]

    @property
    def status(self) -> int | None:
        """The status of the best candidate, as it was received; None without one."""
        chosen = self._choose()
        return None if chosen is None else chosen.status

    def best(self) -> Response | None:
        """The response to send when all branches have ended; None without a candidate."""
        chosen = self._choose()
        return None if chosen is None else self.presentable(chosen)

    def presentable(self, response: Response) -> Response:
        """`response` as it may leave: no 503, and a challenge with all others (16.7 items 6 and 7)."""
        if response.status == 503:
            # item 6: a 503 would say that we cannot serve any request, so it leaves as a 500
            return response.with_(status=500, reason=reason(500))
        return self.aggregated(response)

    def aggregated(self, response: Response) -> Response:
        """A 401 or 407 with the challenges of all others besides its own (16.7 item 7); any other as it is."""
        if response.status != 401 and response.status != 407:
            return response
        headers = response.headers.copy()
        seen = {(name, value) for name in _CHALLENGES for value in headers.all(name)}
        for other, _ in self.candidates:
            if other.status != 401 and other.status != 407:
                continue
            for name, line in zip(other.headers.names, other.headers.lines, strict=True):
                if name in _CHALLENGES:
                    value = Headers.of([name], [line]).all(name)[0]
                    if (name, value) not in seen:
                        seen.add((name, value))
                        headers.names.append(name)
                        headers.lines.append(line)
        return response if len(headers) == len(response.headers) else response.with_(headers=headers)

    def _choose(self) -> Response | None:
        """16.7 item 6: of 6xx if there is one, else of the lowest class; the first of equals."""
        best, least = None, (9, 9)
        for response, _ in self.candidates:
            status = response.status
            if status == 408 and not self.invite:
                continue
            rank = (status // 100 % 6, _PREFERRED.get(status, _AVOIDED.get(status, _ORDINARY)))
            if rank < least:
                best, least = response, rank
        return best


def upstream(response: Response, *, original: Request) -> Response:
    """`response`, from a branch of `original`, in the shape in which it goes upstream (RFC 3261 16.7 items 3 and 9).

    Our Via is gone; From and To are those of `original` again, whatever a script made of them, with the To tag of the
    response. Raises ParseError when no Via is left: then it was meant for us.
    """
    names, lines = response.headers.names.copy(), response.headers.lines.copy()
    _drop_top_via(names, lines)
    request = original.headers
    lines[names.index("from")] = request.lines[request.names.index("from")]  # RFC 3261 8.2.6.2
    at = names.index("to")
    line, sent = lines[at], request.lines[request.names.index("to")]
    if not line.startswith(sent) or line[len(sent) :][:5] not in ("", ";tag="):
        lines[at] = _restored(sent, original, response)
    return Response(response.status, response.reason, Headers.of(names, lines), response.body)


def without_top_via(response: Response) -> Response:
    """`response` without its top Via and otherwise as it is (RFC 3261 16.11). Raises ParseError when none is left."""
    headers = response.headers.copy()
    _drop_top_via(headers.names, headers.lines)
    return response.with_(headers=headers)


def _drop_top_via(names: list[str], lines: list[str]) -> None:
    """Takes the top Via out of the lists of a copy."""
    at = names.index("via")
    line = lines[at]
    if "," in line:
        values = split_list(line[line.index(":") + 1 :].replace("\r\n", " "))
        if len(values) > 1:
            lines[at] = f"Via: {', '.join(values[1:])}"
            return
    del names[at], lines[at]
    if "via" not in names:
        raise ParseError("no Via left: the response is for us", header="via")


def _restored(sent: str, original: Request, response: Response) -> str:
    """The To that `original` had, with the tag that the response brings, if it had none itself."""
    tag = response.to.tag if original.to.tag is None else None
    return f"{sent};tag={tag}" if tag else sent
