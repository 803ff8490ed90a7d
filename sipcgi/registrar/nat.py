"""Decides, when a contact registers or makes a dialog, by which way requests will go back to it."""

from ipaddress import ip_address

from sipcgi.compiled import compiled
from sipcgi.flow import Flow
from sipcgi.sip.address import Address
from sipcgi.sip.message import Request
from sipcgi.sip.uri import SipUri
from sipcgi.sip.via import Via

_DEFAULT_PORT = 5060
_SECURE = ("TLS", "WSS")


def way_back(request: Request, contact: Address, flow: Flow) -> Flow | None:
    """The flow to use for `contact`, which `request` brought and which came over `flow`.

    None where the contact's own URI says the way, or the path does that came with it (RFC 3327 5.4).
    Otherwise `flow` itself:

    - over a stream, its connection;
    - over UDP, when the contact asks for its flow by RFC 5626, no proxy between: reg-id and +sip.instance, or in a
      dialog `ob` in its URI (4.3);
    - over UDP, when the contact is the address that the client put into its Via, no proxy is between, and the
      request came from somewhere else: a NAT is on the way. That is so when the IP address differs, or when the
      client asks for symmetric responses (rport, RFC 3581) and its port differs. A port that differs without rport
      is that of a client which sends from one port and listens at another.
    """
    uri = contact.uri
    if type(uri) is not SipUri or "path" in request.headers.names:
        return None
    if flow.transport != "UDP":
        return flow if uri.scheme == "sip" or flow.transport in _SECURE else None
    via = request.via
    asks = "ob" in uri.params or ("reg-id" in contact.params and "+sip.instance" in contact.params)
    if not asks and (via.host, via.port or _DEFAULT_PORT) == flow[2]:
        return None  # nothing is on the way
    if uri.scheme != "sip" or request.relayed:
        return None
    if asks:
        return flow
    if (uri.params.get("transport") or "udp").lower() != "udp":
        return None
    if (uri.port or _DEFAULT_PORT) != (via.port or _DEFAULT_PORT) or _differ(uri.host, via.host):
        return None
    return flow if _changed(via, flow) else None


@compiled
def is_direct(_request: Request, _flow: Flow) -> bool:
    """Whether surely nothing is on the way for the first Contact: over UDP, from the address in the Via, it asks for no
    flow.
    """
    return False


def _changed(via: Via, flow: Flow) -> bool:
    """Whether a NAT stands between the client that wrote `via` and us."""
    moved = _differ(via.host, flow.remote.host)
    if "rport" in via.params:
        return moved or (via.port or _DEFAULT_PORT) != flow.remote.port
    return moved and _is_address(_host(via.host))  # what a name stands for is not known here


def _differ(one: str, other: str) -> bool:
    return one != other and _host(one) != _host(other)


def _host(text: str) -> str:
    """One spelling for each host, so that texts can be compared."""
    bare = text.strip("[]").lower()
    return str(ip_address(bare)) if ":" in bare and _is_address(bare) else bare


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
