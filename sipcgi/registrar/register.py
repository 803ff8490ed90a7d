"""What a REGISTER does to the bindings of an address-of-record (RFC 3261 10.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sipcgi.compiled.quick import quick
from sipcgi.errors import ParseError, Refused
from sipcgi.flow import Flow
from sipcgi.registrar.bindings import Binding, current
from sipcgi.registrar.nat import way_back
from sipcgi.registrar.outbound import applies, flow_number, instance, supports
from sipcgi.sip.address import Address
from sipcgi.sip.grammar import end_of_quoted
from sipcgi.sip.headers import OPTION_TAGS
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri, equivalent

_MOST_SECONDS = 2**32 - 1
_MALFORMED_SECONDS = 3600  # RFC 3261 10.2: malformed values are treated as 3600
_HOUR = 3600


@dataclass(slots=True, frozen=True)
class Limits:
    """What a registrar grants: expiration intervals in seconds, and sizes."""

    minimum: int = 60
    default: int = 3600
    maximum: int = 7200
    most_contacts: int = 20
    """Contacts of one address-of-record."""
    most_octets: int = 4096
    """Characters of one contact, its Call-ID and its path."""


DEFAULT_LIMITS = Limits()


@quick
@dataclass(slots=True)
class Registered:
    """The outcome of a REGISTER."""

    bindings: list[Binding]
    """All that the address-of-record has now; to be stored before the 200 leaves."""
    headers: list[tuple[str, str]]
    """Header fields of the 200 (RFC 3261 10.3 item 8): the Contacts, and Path where it was given (RFC 3327 5.3)."""
    changed: bool
    """False for a mere query: there is nothing to store."""
    outbound: bool = False
    """Whether a flow was registered, or removed, of a client that knows of it (RFC 5626 6): `Require: outbound`."""


def address_of_record(request: Request, is_ours: Callable[[SipUri], bool]) -> str:
    """Whose bindings a REGISTER is about, in the canonical form that names them (RFC 3261 10.3 item 5).

    Raises Refused(404) when To is no SIP URI of ours.
    """
    try:
        uri = request.to.uri
    except ParseError as error:
        raise _malformed("to") from error
    if not isinstance(uri, SipUri) or not is_ours(uri):
        raise Refused(404)
    return uri.aor


def register(
    request: Request, bindings: Sequence[Binding], *, now: float, flow: Flow, limits: Limits = DEFAULT_LIMITS
) -> Registered:
    """Applies `request`, which came over `flow`, to the `bindings` of its address-of-record: to all or to none.

    `now` is in seconds of the clock that Binding.expires_at counts in. Raises Refused: 400 for a malformed contact or a
    misused `*`, reg-id or SIPS, 403 for too many contacts, 420 for an extension that is not there, 423 for too short an
    interval, 439 for a flow through a proxy that does not keep it, 500 for a request that is older than the bindings it
    would change.
    """
    unsupported = [tag for tag in _elements(request, "require") if tag.lower() not in OPTION_TAGS]
    if unsupported:  # RFC 3261 10.3 item 2, 8.2.2.3
        raise Refused(420, headers=(("Unsupported", ", ".join(unsupported)),))
    before = current(bindings, now)
    contacts = _elements(request, "contact")
    outbound = False
    if not contacts:  # RFC 3261 10.3 item 6: without a contact it is a query
        after = before
    elif "*" in contacts:
        after = _without_all(request, before, contacts)
    else:
        update = _Update(request, before, now, flow, limits)
        after = update.apply(contacts)
        outbound = update.numbered and supports(request, "outbound")
    headers = [("Contact", binding.text(now)) for binding in after]
    headers += [("Path", value) for value in request.headers.all("path")]
    if outbound:
        headers.append(("Require", "outbound"))  # RFC 5626 6
    return Registered(after, headers, changed=bool(contacts), outbound=outbound)


def _without_all(request: Request, before: list[Binding], contacts: list[str]) -> list[Binding]:
    """RFC 3261 10.3 item 6: `Contact: *` removes everything, with an expiration of zero and no further contact."""
    expires = request.headers.get("expires")
    if len(contacts) > 1 or expires is None or _seconds(expires) != 0:
        raise Refused(400, "Contact * Needs Expires 0 And Nothing Else")
    for binding in before:
        _check_order(request, binding)
    return []


def _check_order(request: Request, binding: Binding) -> None:
    """RFC 3261 10.3 items 6 and 7: of one Call-ID only a higher CSeq may change a binding, else the request fails."""
    if binding.call_id == request.call_id and binding.cseq >= request.cseq.number:
        raise Refused(500, "CSeq Out Of Order")


class _Update:
    """RFC 3261 10.3 item 7 under way: a copy of the bindings, to which one contact after the other is applied."""

    def __init__(self, request: Request, before: list[Binding], now: float, flow: Flow, limits: Limits) -> None:
        self.request = request
        self.now = now
        self.flow = flow
        self.limits = limits
        self.expires = request.headers.get("expires")
        self.path = _path(request)
        self.most = max(limits.most_contacts, len(before))  # what is there may stay, even if the limit was lowered
        self.bindings = list(before)
        self.made: list[Binding] = []
        self.numbered = False
        """Whether there is a reg-id that counts (RFC 5626 6)."""

    def apply(self, contacts: list[str]) -> list[Binding]:
        if len(contacts) > 2 * self.most:  # as many may be removed as are added
            raise Refused(403, "Too Many Contacts")
        try:
            addresses = [Address.parse(text) for text in contacts]
            if any("reg-id" in address.params for address in addresses) and applies(self.request):
                self.numbered = any(flow_number(address) for address in addresses)
            for text, address in zip(contacts, addresses, strict=True):
                self._apply(text, address)
        except ParseError as error:
            raise _malformed(error.header or "contact") from error
        # RFC 5626 6: a flow registers alone
        if len(self.made) > 1 and any(binding.reg_id for binding in self.made):
            raise Refused(400, "A Contact With reg-id Stands Alone")
        self._check_secure()
        if len(self.bindings) > self.most:
            raise Refused(403, "Too Many Contacts")
        return self.bindings

    def _check_secure(self) -> None:
        """RFC 5630 5.2: a SIPS contact, only where the Request-URI, all contacts and the Path are SIPS, too."""
        uris = [binding.uri for binding in self.made]
        if any(map(_is_secure, uris)):
            path = [str(Address.parse(value).uri) for value in self.path]
            if not all(map(_is_secure, [self.request.uri, *uris, *path])):
                raise Refused(400, "A SIPS Contact Needs SIPS Throughout")

    def _apply(self, text: str, address: Address) -> None:
        seconds = self._interval(address)
        user_agent, reg_id = instance(address), flow_number(address) if self.numbered else None
        place = self._find(address, user_agent, reg_id)
        if place is not None and self.bindings[place] not in self.made:  # a contact named twice: the last one counts
            _check_order(self.request, self.bindings[place])
        if seconds == 0:
            if place is not None:
                del self.bindings[place]
            return
        binding = self._binding(text, address, seconds)
        binding.instance, binding.reg_id = user_agent, reg_id
        self.made.append(binding)
        if place is not None and not user_agent:
            self.bindings[place] = binding
            return
        if place is not None:
            del self.bindings[place]  # the flow that was registered last stands last
        self.bindings.append(binding)

    def _interval(self, address: Address) -> int:
        """The expiration interval in seconds: the contact's parameter, else Expires, else the default."""
        text = address.params.get("expires")
        if text is None:
            text = self.expires
        requested = self.limits.default if text is None else _seconds(text)
        if 0 < requested < min(self.limits.minimum, _HOUR):  # RFC 3261 10.3 item 7: an hour is never too brief
            raise Refused(423, headers=(("Min-Expires", str(self.limits.minimum)),))
        return min(requested, self.limits.maximum)

    def _find(self, address: Address, user_agent: str, reg_id: int | None) -> int | None:
        """Where the binding of this contact is: by instance and flow (RFC 5626 6), else by URI (RFC 3261 19.1.4).

        Equality is not transitive: where several are equal to it, the one that is spelt alike is meant.
        """
        uri, text = address.uri, str(address.uri)
        equal = None
        for place, binding in enumerate(self.bindings):
            if reg_id is not None or binding.reg_id is not None:
                if (binding.instance, binding.reg_id) == (user_agent, reg_id):
                    return place
                continue
            if binding.uri == text:
                return place
            if equal is None and equivalent(binding.target, uri):
                equal = place
        return equal

    def _binding(self, text: str, address: Address, seconds: int) -> Binding:
        display = text[: end_of_quoted(text)] if text[0] == '"' else address.display  # as it is spelt
        contact = f"{display}{' ' * bool(display)}<{address.uri}>{address.params.without('expires')}"
        call_id = self.request.call_id
        if len(contact) + len(call_id) + sum(map(len, self.path)) > self.limits.most_octets:
            raise Refused(400, "Contact Too Long")
        return Binding(
            contact=contact,
            uri=str(address.uri),
            q=address.q,
            expires_at=self.now + seconds,
            call_id=call_id,
            cseq=self.request.cseq.number,
            flow=way_back(self.request, address, self.flow),
            path=self.path,
        )


def _is_secure(uri: str) -> bool:
    return uri[:5].lower() == "sips:"


def _seconds(text: str) -> int:
    """A number of seconds, where what is no number is an hour and what is too large the largest (RFC 3261 10.2)."""
    if not (text.isascii() and text.isdigit()):
        return _MALFORMED_SECONDS
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) < 10 else _MOST_SECONDS


def _path(request: Request) -> tuple[str, ...]:
    """The path vector, the nearest proxy first (RFC 3327 5.3)."""
    values = tuple(_elements(request, "path"))
    try:
        good = all(isinstance(Address.parse(value).uri, SipUri) for value in values)
    except ParseError as error:
        raise _malformed("path") from error
    if not good:
        raise _malformed("path")
    return values


def _elements(request: Request, name: str) -> list[str]:
    try:
        return request.headers.elements(name)
    except ParseError as error:
        raise _malformed(name) from error


def _malformed(name: str) -> Refused:
    return Refused(400, f"Malformed {name.title()}")
