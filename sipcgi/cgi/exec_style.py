"""Scripts written for the exec modules of Kamailio and OpenSIPS: what they find, and the list of URIs they print.

One run is what exec_dset (the Request-URI as argument, a list of URIs as output) and exec_msg (the whole message on
standard input) are there. Names and values are those that Kamailio 5.6 passes.
"""

from __future__ import annotations

from sipcgi.cgi.message import ACTIONS
from sipcgi.cgi.metavars import Environment, Occasion, check_size, protocol_variables
from sipcgi.cgi.output import Output
from sipcgi.errors import ParseError, ScriptError
from sipcgi.service import Relay
from sipcgi.sip.message import Request
from sipcgi.sip.uri import OtherUri, SipUri, TelUri, parse_uri

_CREDENTIALS = ("authorization", "proxy-authorization")
ONE_A_LINE = "one URI a line, like sip:bob@example.com; messages for people belong on standard error"


def exec_environment(occasion: Occasion) -> Environment:
    """SIP_HF_ and the name of each field, what is told of the request beside them, and on standard input the whole
    message. Raises TooLarge."""
    request = _shown(occasion)
    fields, dropped = protocol_variables(request.headers, ",")
    variables = {f"SIP_HF_{name.removeprefix('SIP_')}": value for name, value in fields.items()}
    variables["SIP_HF_CALLID"] = request.call_id  # so in the modules, Call-ID in their documentation
    for name in ("SIP_RURI", "SIP_ORURI", "SIP_ORUI", "SIP_OURI"):  # ORUI in the modules, ORURI in their documentation
        variables[name] = request.uri
    user = _user(request)
    if user is not None:
        variables["SIP_USER"] = variables["SIP_OUSER"] = user
    variables["SIP_SRCIP"] = occasion.flow.remote.host
    variables["SIP_TID"] = occasion.transaction
    variables["SIP_DID"] = request.to.tag or ""
    check_size(variables)
    return Environment(variables, dropped, bytes(request))


def _shown(occasion: Occasion) -> Request:
    """The request as far as the script may see it (RFC 3050 7.3)."""
    request = occasion.initial
    if occasion.pass_authorization or not any(name in request.headers for name in _CREDENTIALS):
        return request
    request = request.copy()
    request.headers.remove(*_CREDENTIALS)
    return request


def _user(request: Request) -> str | None:
    """The user part of the Request-URI as it stands there, escapes included; None where the scheme has none."""
    uri = request.target
    if isinstance(uri, SipUri):
        return uri.user or ""
    return uri.number if isinstance(uri, TelUri) else None


def exec_output(output: bytes, most: int) -> Output:
    """A parallel fork to the URIs in `output`, one a line; without any, the default action.

    Blanks behind a URI and empty lines do not count. Raises ScriptError with the line, also for more than `most` URIs.
    """
    result = Output()
    for number, line in enumerate(output.decode("utf-8", "surrogateescape").split("\n"), 1):
        uri = line.rstrip(" \t\r")
        if not uri:
            continue
        if len(result.actions) == most:
            hint = "max_messages in the configuration sets this limit"
            raise ScriptError(f"more than {most} URIs", line=number, column=1, hint=hint)
        try:
            if isinstance(parse_uri(uri), OtherUri):
                raise ParseError(f"neither a SIP nor a tel URI: {uri[:80]!r}")
        except ParseError as error:
            raise ScriptError(str(error), line=number, column=1, hint=_meant(uri)) from None
        result.actions.append(Relay(uri, line=number))
    return result


def _meant(line: str) -> str:
    """What was probably meant by a line that is no URI."""
    if line.partition(" ")[0].upper() in ACTIONS:
        return "the script speaks SIP-CGI: leave `style: exec` out"
    if "<" in line:
        return "write the URI alone, without name, < and >, and what follows them"
    if line[0] in " \t":
        return "the URI begins in the first column"
    return ONE_A_LINE
