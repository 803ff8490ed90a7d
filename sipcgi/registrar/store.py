"""What a location service offers to the server (RFC 3261 10.1); stores/ holds those that there are."""

from collections.abc import Sequence
from typing import Protocol

from sipcgi.registrar.bindings import Binding
from sipcgi.registrar.saving import Saving
from sipcgi.sip.uri import SipUri, TelUri, Uri, unescape


class LocationStore(Protocol):
    """Addresses-of-record, in the form of SipUri.aor, and their bindings; look-ups are answered at once."""

    def bindings(self, aor: str, now: float) -> list[Binding]:
        """The current bindings of `aor`, in the order they registered; the list is the caller's."""

    def replace(self, aor: str, bindings: Sequence[Binding]) -> Saving | None:
        """Makes `bindings` all that `aor` has, wholly or not at all (RFC 3261 10.3 item 7).

        None: it is done. Else it counts at once, and the Saving ends when it is safe to answer 200, or with an OSError
        when the bindings could not be saved: then the former ones are back in place, and the answer is 500.
        """

    def by_contact(self, uri: Uri, now: float, most: int = 16) -> list[tuple[str, Binding]]:
        """At most `most` current bindings whose URI equals `uri` (RFC 3261 19.1.4), with their addresses-of-record."""

    def known(self, aor: str) -> bool:
        """Whether `aor` is a user here: False is answered with 404. A store that has no list of users says True."""

    def count(self) -> int:
        """How many bindings are held, expired ones included that were not yet swept away."""

    def sweep(self, now: float, most: int = 100) -> int:
        """Forgets expired bindings, looking at no more than `most` addresses-of-record.

        Returns how many it looked at; fewer than `most`: nothing is left to do at this time.
        """


def contact_key(uri: Uri) -> str:
    """A text that URIs have in common whenever they are equal (RFC 3261 19.1.4, RFC 3966 5): the key of an index.

    URIs that differ may share it (parameters, passwords and headers do not count), so each found is still compared.
    """
    if isinstance(uri, SipUri):
        user = uri.user or ""
        if "%" in user:
            user = unescape(user)
        return f"{uri.scheme}:{user}@{uri.address}:{uri.port or ''}"
    if isinstance(uri, TelUri):
        return "tel:" + uri.digits.lower()
    return str(uri).lower()
