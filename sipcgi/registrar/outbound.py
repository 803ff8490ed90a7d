"""Registration of flows: when it takes place, and what its bindings are known by (RFC 5626 section 6)."""

from sipcgi.errors import ParseError, Refused
from sipcgi.sip.address import Address
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri

_MOST = 2**31 - 1  # RFC 5626 section 10


def instance(contact: Address) -> str:
    """The instance that a contact names, in one spelling for equal ones (RFC 5626 4.1); empty where it names none."""
    text = (contact.params.get("+sip.instance") or "").strip('"').strip("<>")
    return text.lower() if text[:9].lower() == "urn:uuid:" else text  # RFC 4122 3


def flow_number(contact: Address) -> int | None:
    """The reg-id of a contact; None without one, and without an instance, for then it is ignored (RFC 5626 6).

    Raises ParseError for what is no number from 1 to 2^31 - 1 (section 10).
    """
    text = contact.params.get("reg-id")
    if text is None or not instance(contact):
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= _MOST):
        raise ParseError("a reg-id is a number from 1 to 2147483647", header="contact")
    return int(text)


def supports(request: Request, tag: str) -> bool:
    """Whether the client says that it has an extension (RFC 3261 8.1.1.9). Raises ParseError."""
    headers = request.headers
    return any(tag == one.lower() for name in ("supported", "require") for one in headers.elements(name))


def applies(request: Request) -> bool:
    """Whether a REGISTER with a reg-id registers a flow: it came from the client itself, or the first hop keeps it.

    The first hop tells that by `ob` in its value of Path, which is the last one (RFC 5626 5.1, RFC 3327 5.2). Raises
    Refused(439) where it does not, and the client counts on it.
    """
    if len(request.vias) == 1:
        return True
    path = request.headers.elements("path")
    first = Address.parse(path[-1]).uri if path else None
    if isinstance(first, SipUri) and "ob" in first.params:
        return True
    if supports(request, "outbound"):
        raise Refused(439)
    return False
