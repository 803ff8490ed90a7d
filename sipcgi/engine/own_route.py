"""What our own entries in the route set of a request say of it: its dialog, and the flow that it is to take.

The contract's "In a dialog"; RFC 5626 5.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sipcgi.compiled import plain_case
from sipcgi.compiled.quick import quick
from sipcgi.errors import Refused
from sipcgi.flow import Flow
from sipcgi.proxy.route import Preprocessed

if TYPE_CHECKING:
    from sipcgi.engine.core import Core


@quick
class OwnRoute(NamedTuple):
    """`in_dialog`: a To tag and a token that we made for this dialog. `flow`: the way that the token names. `sent_by`:
    the socket by which such a request leaves, as our Record-Route named it to this side (RFC 5658 3.2).
    """

    in_dialog: bool
    flow: Flow | None
    sent_by: str = ""


NOTHING = OwnRoute(False, None)


@plain_case("plain_own_route", OwnRoute)
def own_route(core: Core, found: Preprocessed, arrival: Flow) -> OwnRoute:
    """Of a request with such entries that came over `arrival`. Raises Refused: 403 for a token of a Path that is not
    ours, 430 for one whose flow is gone (RFC 5626 5.3.1). Plain is a single token that is valid and names no flow.
    """
    request, tokens, sent_by = found
    key, to_tag = core.token_key, request.to.tag
    if to_tag is not None:
        call_id, from_tag = request.call_id, request.from_.tag or ""
        in_dialog, flow = False, None
        for token in tokens:
            if key.valid(token, call_id, from_tag, to_tag):
                in_dialog = True
                if "." in token:
                    flow = key.flow(token, call_id, from_tag) or flow  # the last one is the nearest to the other side
        if in_dialog:
            return OwnRoute(True, flow, sent_by)
    try:
        flow = key.path_flow(tokens[0])
    except ValueError:
        raise Refused(403) from None
    if flow is None or flow == arrival:  # 5.3: from the one to whom it leads, so that it goes somewhere else
        return NOTHING
    if not core.transport.is_open(flow):
        raise Refused(430)
    return OwnRoute(False, flow)
