"""More than the server can do: what is refused then, and how (RFC 3261 21.5.4, 8.2.7).

New requests alone are refused. Those in a dialog, CANCEL, ACK and responses end work that was begun; they are let in
until there are twice as many transactions.
"""

from __future__ import annotations

import os
from hashlib import blake2s
from math import ceil

from sipcgi.errors import ParseError, Refused
from sipcgi.net.complaint import Complaints
from sipcgi.sip import build
from sipcgi.sip.message import Request, Response

MOST_TRANSACTIONS = 100_000


class Overload:
    """`most` are the server transactions beyond which new requests are refused, before anything is kept of them."""

    def __init__(self, complaints: Complaints) -> None:
        self.most = MOST_TRANSACTIONS
        self.retry_after: float | None = None
        """Seconds that the refused are asked to stay away. A proxy in front of many callers obeys for all of them."""
        self._complaints = complaints
        self._key = os.urandom(16)
        self._answered = False

    def admits(self, request: Request, transactions: int) -> bool:
        """Whether a request may become one more transaction."""
        if transactions < self.most:
            return True
        if transactions >= 2 * self.most:
            return False
        if request.method == "CANCEL":
            return True
        try:
            return request.to.tag is not None
        except ParseError:
            return False

    def refusal(self, why: str) -> Refused:
        """Said at most once in ten seconds."""
        self._complaints.say(why, f"overload: {why}: new requests get 503")
        wait = () if self.retry_after is None else (("Retry-After", str(ceil(self.retry_after))),)
        return Refused(503, headers=wait)

    def response(self, request: Request) -> Response:
        """A stateless one, whose ACK is known by its tag."""
        self._answered = True
        refusal = self.refusal("too many transactions")
        return build.response(request, refusal.status, to_tag=self._tag(request), headers=refusal.headers)

    def acknowledged(self, request: Request) -> bool:
        """Whether this is the ACK of such a response: it ends here."""
        return self._answered and request.to.tag == self._tag(request)

    def _tag(self, request: Request) -> str:
        """8.2.7: the same for each repetition of a request, and what only we can make."""
        text = f"{request.call_id}\n{request.from_.tag}\n{request.cseq.number}"
        return blake2s(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).hexdigest()
