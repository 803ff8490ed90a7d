"""Other names of users, as mail systems have them: one of the mechanisms of a location service (RFC 3261 16.5)."""

from collections.abc import Callable, Mapping, Sequence

from sipcgi.sip.uri import SipUri, escape, parse_uri, unescape

Name = tuple[str, str]
"""A user in lower case and a domain: "" as the domain is any, "" as the user whoever nothing else names."""


class Aliases:
    """Names and what each stands for: `user`, which is in the same domain, `user@host`, or a SIP or SIPS URI.

    The names are ours and no part of any URI's comparison, so that they match in any case, as they do in mail; the
    users that they lead to are compared as RFC 3261 19.1.4 says.
    """

    __slots__ = ("entries",)

    def __init__(self, entries: Mapping[Name, Sequence[str]] | None = None) -> None:
        self.entries = entries or {}

    def find(self, uri: SipUri) -> Sequence[str]:
        """What a URI of ours stands for; nothing where it is no alias."""
        if not self.entries or uri.user is None:
            return ()
        user = unescape(uri.user).lower()
        return self.entries.get((user, uri.address)) or self.entries.get((user, "")) or ()

    def expand(self, uri: SipUri, is_ours: Callable[[SipUri], bool]) -> list[SipUri]:
        """Where a URI of ours leads, each once: itself, where it is no alias."""
        texts = self.find(uri)
        return self._ends(uri, texts, is_ours) if texts else [uri]

    def catch_all(self, uri: SipUri, is_ours: Callable[[SipUri], bool]) -> list[SipUri]:
        """Where a user leads that nothing else is known of; nowhere, if its domain has no such entry."""
        if uri.user is None:
            return []
        return self._ends(uri, self.entries.get(("", uri.address), ()), is_ours)

    def _ends(self, uri: SipUri, texts: Sequence[str], is_ours: Callable[[SipUri], bool]) -> list[SipUri]:
        """The ends of all chains; one that comes back, which no configuration holds, is not followed again."""
        ends: dict[str, SipUri] = {}
        seen = {name_of(uri)}
        following = [(text, uri) for text in texts]
        while following:
            text, around = following.pop(0)
            target = leads_to(text, around)
            # an alias that names itself stands for the user of that name, too
            further = self.find(target) if is_ours(target) and name_of(target) != name_of(around) else ()
            if not further:
                ends.setdefault(str(target), target)
            elif name_of(target) not in seen:
                seen.add(name_of(target))
                following[:0] = [(one, target) for one in further]
        return list(ends.values())


def leads_to(text: str, uri: SipUri) -> SipUri:
    """The URI that one of the texts of an alias means when `uri` is asked for: SIPS stays SIPS. Raises ParseError."""
    if text[:5].lower().startswith(("sip:", "sips:")):
        target = parse_uri(text)
        assert type(target) is SipUri
        return target
    user, at, host = text.rpartition("@")
    return user_at(user, host, uri.scheme) if at else user_at(text, uri.address, uri.scheme)


def user_at(user: str, host: str, scheme: str = "sip") -> SipUri:
    """The URI of a user, whose name is not yet escaped, at a name or an address; IPv6 without brackets."""
    return SipUri(scheme, escape(user), None, f"[{host}]" if ":" in host else host)


def name_of(uri: SipUri) -> Name:
    """What the names of aliases are compared with."""
    return unescape(uri.user or "").lower(), uri.address
