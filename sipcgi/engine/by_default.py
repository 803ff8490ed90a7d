"""What becomes of a request and its responses where no service decides (RFC 3050 5.6.1.6, RFC 3261 16.5, 16.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipcgi.engine.hunt import Hunt
from sipcgi.engine.recursion import may_recurse, recurse
from sipcgi.service import NO_EDITS, Edits, Relay
from sipcgi.sip.message import Response

if TYPE_CHECKING:
    from sipcgi.engine.branch import Branch
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.target import Target


def pass_on(context: RequestContext, target: Target) -> None:
    """A request for somebody else: what DefaultRoute says of it, without asking."""
    context.performing = True
    try:
        only_branch(context, target).start()
    finally:
        context.performing = False
    if not context.pending or context.queue:
        context.drain()


def only_branch(context: RequestContext, target: Target, edits: Edits = NO_EDITS) -> Branch:
    """Not yet started."""
    return Hunt(context, Relay(target.uri, edits), []).alone(target)


def received_by_default(context: RequestContext, branch: Branch, response: Response) -> None:
    """A response that no service is to hear of, as `context.received` takes it."""
    status, upstream = response.status, context.upstream
    if status < 200:
        upstream.progress(response)
        return
    if upstream.successes and upstream.repeated(response):
        return
    context.performing = True
    try:
        if status < 300:  # goes at once, and competes with none
            if not branch.left:
                branch.leave(status)
            if upstream.finish(response) and (context.pending or context.hunts > 1):  # its own hunt has just stopped
                context.cancel_branches()
        else:
            context.responses.add(response)
            redirects = may_recurse(context, branch, response)
            if not redirects:
                context.leave_hunt(branch)  # the next group may start before anybody hears of it
            default_response(context, branch, response)
            if redirects:
                context.leave_hunt(branch)
    finally:
        context.performing = False
    if context.queue:
        context.drain()
    elif not context.pending:
        context.settle()


def default_response(context: RequestContext, branch: Branch, response: Response) -> None:
    """RFC 3261 16.7 items 5 and 10: what is forwarded at once; `context.settle` does the rest."""
    status = response.status
    if status < 200:
        context.upstream.progress(response)
    elif status < 300:
        context.answer(response)
    elif status >= 600:
        context.cancel_branches()
    else:
        recurse(context, branch, response)
