"""The copy of a request that leaves by a flow, with all that leads back to us: Via, Record-Route, Path.

RFC 3261 16.6 item 4, RFC 5658 (a Record-Route for each side), RFC 3327 5.2 and RFC 5626 5 (edge proxy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.compiled import plain_case
from sipcgi.dialog.dialog import REFRESHES_TARGET
from sipcgi.dialog.token import NO_FLOWS, Sides
from sipcgi.errors import ParseError
from sipcgi.flow import Flow
from sipcgi.proxy.edits import after_vias
from sipcgi.proxy.forward import forward
from sipcgi.registrar.nat import is_direct, way_back
from sipcgi.registrar.outbound import supports
from sipcgi.service import Edits
from sipcgi.sip.build import MAKES_DIALOG
from sipcgi.sip.message import Request

if TYPE_CHECKING:
    from sipcgi.engine.core import Core
    from sipcgi.engine.target import Target


@plain_case("plain_depart", MAKES_DIALOG, forward)
def depart(
    core: Core, request: Request, arrival: Flow, second: str, target: Target, flow: Flow, edits: Edits, breadth: int
) -> tuple[Request, str]:
    """The request, which came over `arrival`, as it leaves by `flow`, and the branch in its Via, with its second part.

    Raises as forward does. Plain is one for which there is nothing to tell of flows.
    """
    branch = core.ids.branch(second)
    sent_by = core.transport.sent_by(flow)
    via = f"SIP/2.0/{flow.transport} {sent_by};branch={branch};rport"
    # 16.6 item 4: in a dialog too, for a side that has lost its state
    if request.method not in MAKES_DIALOG:
        forwarded = forward(request, target.uri, via, None, edits, breadth)
        if request.method == "REGISTER":
            add_path(core, request, arrival, forwarded, flow, edits)
        return forwarded, branch
    # 5.3: what comes in the dialog goes to each side over the flow by which it was reached
    caller = flow_of_caller(request, arrival)
    sides = NO_FLOWS if caller is None and target.flow is None else Sides(caller, target.flow and flow)
    name = core.token_key.mint(request.call_id, request.from_.tag or "", sides)
    ours = theirs = hop(name, sent_by, flow)
    if arrival[:2] != flow[:2]:
        theirs = hop(name, core.transport.sent_by(arrival), arrival)
    forwarded = forward(request, target.uri, via, ours, edits, breadth)
    if theirs != ours:
        # 16.6 item 4, RFC 5658: each side gets the name by which it reaches us; ours, not one that a script printed
        headers = forwarded.headers
        at = headers.names.index("record-route")
        if name in headers.lines[at]:
            headers.insert(at + 1, "Record-Route", secured(theirs, request.uri))
    return forwarded, branch


def set_out(core: Core, request: Request, target: Target, flow: Flow, edits: Edits) -> tuple[Request, str]:
    """A request of our own (RFC 3261 8.1.1.7, 8.1.1.8), whose branch tells that it is one if it comes back."""
    mark = core.token_key.mark(request.call_id, request.from_.tag or "")
    branch = f"{core.ids.branch()}.{mark}"
    via = f"SIP/2.0/{flow.transport} {core.transport.sent_by(flow)};branch={branch};rport"
    forwarded = forward(request, uri=target.uri, via=via, edits=edits)
    if request.method in MAKES_DIALOG | REFRESHES_TARGET and "contact" not in request.headers.names:
        contact = own_contact(core, flow, secure=target.uri[:5].lower() == "sips:")
        forwarded.headers.insert(after_vias(forwarded.headers.names), "Contact", contact)
    return forwarded, branch


def own_contact(core: Core, flow: Flow, *, secure: bool) -> str:
    """Where requests in a dialog of ours go (12.1.1, 12.1.2)."""
    return f"<{'sips' if secure else 'sip'}:{core.transport.sent_by(flow)}{over(flow)}>"


def secured(value: str, uri: str) -> str:
    """16.6 item 4: a SIPS URI, where the Request-URI is one."""
    return value.replace("<sip:", "<sips:") if uri[:5].lower() == "sips:" else value


def hop(name: str, sent_by: str, flow: Flow) -> str:
    """The value that leads back to our end of a flow."""
    if flow.transport == "UDP":
        return f"<sip:{name}@{sent_by};lr>"
    return f"<sip:{name}@{sent_by};lr{over(flow)}>"


def over(flow: Flow) -> str:
    """The parameter of a URI that says so; none for UDP, which is meant without one."""
    return "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"


def flow_of_caller(request: Request, flow: Flow) -> Flow | None:
    """The flow to the client, where it is the first hop and its Contact is not the way (RFC 5626 5.3.2, RFC 7118 5)."""
    if is_direct(request, flow):
        return None
    try:
        if flow.transport != "UDP" and request.relayed:
            return None
        contacts = request.contacts
        return way_back(request, contacts[0], flow) if contacts else None
    except ParseError:  # none that anybody could send to
        return None


def add_path(core: Core, request: Request, arrival: Flow, forwarded: Request, flow: Flow, edits: Edits) -> None:
    """RFC 5626 5.1: of the first hop, if the client knows Path (RFC 3327 5.2) and the script does not see to it.

    RFC 3608 6.2: one value for each side, so that the route leads both ways; the client's is the last.
    """
    try:
        if request.relayed or not supports(request, "path"):
            return
    except ParseError:
        return
    if "path" in edits.remove or edits.sets("path"):
        return
    transport = core.transport
    name = core.token_key.path(arrival)
    ours, theirs = hop(name, transport.sent_by(flow), flow), hop(name, transport.sent_by(arrival), arrival)
    names = forwarded.headers.names
    at = names.index("path") if "path" in names else names.index("max-forwards")
    for value in (ours,) if theirs == ours else (theirs, ours):
        forwarded.headers.insert(at, "Path", secured(value, forwarded.uri).replace(">", ";ob>"))
