"""Which contacts of a 3xx become targets, and what is left of the response (RFC 3261 16.5, 16.7 item 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sipcgi.errors import ParseError
from sipcgi.sip.address import Address
from sipcgi.sip.message import Response
from sipcgi.sip.uri import SipUri

REDIRECTIONS = frozenset({300, 301, 302})
"""305 names a proxy for this one request (21.3.4), and 380 says in its body what else there is (21.3.5)."""


@dataclass(slots=True)
class Redirection:
    """The contacts of a 3xx to a request, as groups of equal q; the others are for the next element upstream."""

    groups: list[list[SipUri]]
    """The highest q first."""
    kept: list[Address]

    @classmethod
    def of(cls, response: Response, *, secure: bool, most: int) -> Redirection:
        """`secure`: the request had a SIPS URI, so that nothing is tried that is none; at most so many are tried."""
        groups: dict[float, list[SipUri]] = {}
        kept = []
        try:
            contacts = response.contacts
        except ParseError:
            contacts = []
        for number, contact in enumerate(sorted(contacts, key=preference, reverse=True)):
            uri = contact.uri
            if type(uri) is SipUri and (uri.scheme == "sips" or not secure) and number < most:
                groups.setdefault(preference(contact), []).append(uri)
            else:
                kept.append(contact)
        return cls(list(groups.values()), kept)


def preference(contact: Address) -> float:
    """The q of a contact; of one that is malformed, as of none, 1."""
    try:
        return contact.q
    except ParseError:
        return 1.0


def remainder(response: Response, kept: Sequence[Address]) -> Response | None:
    """The response without the contacts that were tried; None, for there is none without contacts, if all were."""
    if not kept:
        return None
    headers = response.headers.copy()
    headers.remove("contact")
    headers.add("Contact", ", ".join(map(str, kept)))
    return response.with_(headers=headers)
