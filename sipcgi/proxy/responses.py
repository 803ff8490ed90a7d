"""The response context: what goes upstream, and the best of what must wait (RFC 3261 16.7)."""

from __future__ import annotations

from typing import NamedTuple

from sipcgi.compiled.quick import quick
from sipcgi.errors import ParseError
from sipcgi.sip.address import parse_address
from sipcgi.sip.grammar import split_list
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response
from sipcgi.sip.splice import ends_of, plain_way_back
from sipcgi.sip.status import reason

_CHALLENGES = ("www-authenticate", "proxy-authenticate")

# 16.7 item 6: first those that help to send the request again; last those that say nothing of the called party
_PREFERRED = {401: 0, 407: 0, 415: 1, 420: 2, 484: 3}
_ORDINARY = 4
_CLASSES = {2: 0, 6: 1, 3: 2, 4: 3, 5: 4}
_AVOIDED = {408: 5, 487: 6, 503: 5}


class ResponseContext:
    """The final responses, in the order in which they came (RFC 3261 16.7 items 4, 6, 7).

    A 2xx does not wait there for others, but where a script keeps back one to another method than INVITE.
    """

    __slots__ = ("candidates", "invite", "ours")

    def __init__(self, invite: bool = True, ours: bool = False) -> None:
        self.invite = invite
        """Only to an INVITE may a 408 go upstream (RFC 4320 4.2)."""
        self.ours = ours
        """Whether they answer a request of our own, and go no further."""
        self.candidates: list[Response] = []

    def add(self, response: Response) -> None:
        """One more candidate."""
        self.candidates.append(response)

    def replace(self, response: Response, by: Response | None) -> None:
        """What is left of a 3xx whose contacts are tried here (16.7 item 4); None: nothing."""
        self.candidates = [one for one in self.candidates if one is not response] + ([] if by is None else [by])

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
        if response.status == 503 and not self.ours:
            # item 6: a 503 would say that we cannot serve any request, so it leaves as a 500
            return response.with_(status=500, reason=reason(500))
        return self.aggregated(response)

    def aggregated(self, response: Response) -> Response:
        """A 401 or 407 with the challenges of all others besides its own (16.7 item 7); any other as it is."""
        if response.status != 401 and response.status != 407:
            return response
        headers = response.headers.copy()
        seen = {(name, value) for name in _CHALLENGES for value in headers.all(name)}
        for other in self.candidates:
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
        """16.7 item 6: a 2xx, else of 6xx if there is one, else of the lowest class; the first of equals."""
        best, least = None, (9, 9)
        for response in self.candidates:
            status = response.status
            if status == 408 and not self.invite:
                continue
            rank = (_CLASSES[status // 100], _PREFERRED.get(status, _AVOIDED.get(status, _ORDINARY)))
            if rank < least:
                best, least = response, rank
        return best


@quick
class Ends(NamedTuple):
    """What a request has to say of its responses."""

    fields: Headers
    """From and To among them."""
    ours: bool
    """Whether the request, without a Via, is one of our own: what answers it is for us."""

    @classmethod
    def of(cls, request: Request) -> Ends:
        return cls(request.headers, "via" not in request.headers.names)


def upstream(response: Response, ends: Ends) -> Response:
    """`response`, from a branch of a request, in the shape in which it goes upstream (RFC 3261 16.7 items 3 and 9).

    Our Via is gone; From and To are those of the request again, whatever a script made of them, with the To tag of the
    response. Raises ParseError when no Via is left: then it was meant for us.
    """
    if ends.ours:
        if response.relayed:  # 8.1.3.3
            raise ParseError("more than our Via: the response is for somebody else", header="via")
        return response
    plain = plain_way_back(response, ends.fields)
    if plain is not None:
        return plain
    names, lines = response.headers.names.copy(), response.headers.lines.copy()
    at = names.index("via")
    line = lines[at]
    if "," in line and (rest := _after_the_first(line)):
        lines[at] = f"Via: {rest}"
    else:
        del names[at], lines[at]
        if "via" not in names:
            raise ParseError("no Via left: the response is for us", header="via")
    return _between(ends, response, names, lines)


def side(response: Response) -> str:
    """What tells the 2xx of one side from that of another (RFC 3261 13.2.2.4): the To tag.

    Of a To that does not parse all of it: such a 2xx goes upstream, too, for a call needs its answer.
    """
    try:
        return response.to.tag or ""
    except ParseError:
        return response.headers.get("to") or ""


def between(response: Response, ends: Ends) -> Response:
    """`response` with the From and To of a request, and its own To tag; its Vias are those that are expected."""
    return _between(ends, response, response.headers.names.copy(), response.headers.lines.copy())


def _between(ends: Ends, response: Response, names: list[str], lines: list[str]) -> Response:
    from_, sent = ends_of(ends.fields)
    lines[names.index("from")] = from_  # RFC 3261 8.2.6.2
    at = names.index("to")
    line = lines[at]
    if line != sent and not line.startswith(f"{sent};tag="):
        lines[at] = _restored(sent, response)
    return Response(response.status, response.reason, Headers.of(names, lines), response.body)


def _after_the_first(line: str) -> str:
    """The further Vias of a field."""
    return ", ".join(split_list(line[line.index(":") + 1 :].replace("\r\n", " "))[1:])


def _restored(sent: str, response: Response) -> str:
    """The To that was sent to us, with the tag that the response brings, if it had none itself."""
    before = parse_address(Headers.of(["to"], [sent]).all("to")[0]).tag
    tag = response.to.tag if before is None else None
    return f"{sent};tag={tag}" if tag else sent
