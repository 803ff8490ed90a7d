"""What happened, as the environment of a script: the metavariables of RFC 3050 5.5."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from sipcgi.compiled import compiled
from sipcgi.compiled.quick import quick
from sipcgi.flow import Flow
from sipcgi.service import AckReceived, Cancelled, Event, RequestReceived, ResponseReceived, TimerFired
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Message, Request

MAX_VARIABLE = 120 * 1024
"""Octets of one variable: name, "=", value. Linux takes 128 KiB."""
MAX_ENVIRONMENT = 1024 * 1024
"""Octets of all together."""

_OTHER = re.compile(r"[^A-Z0-9]")


class TooLarge(Exception):
    """A message that fits no environment: a request gets 513, anything else its default action.

    Caught in engine/cgi_service.
    """

    def __init__(self, variable: str, octets: int) -> None:
        super().__init__(f"{variable or 'the environment'} has {octets} octets, too many for a script")
        self.variable = variable
        """"" for all of them together."""


@quick
@dataclass(slots=True)
class Occasion:
    """One run of a script, and all that it may know."""

    event: Event
    initial: Request
    transaction: str
    """An id that stays the same for the transaction."""
    run: int
    elapsed_ms: int
    """Milliseconds since the initial request came."""
    flow: Flow
    """By which the initial request came."""
    server_name: str
    software: str
    cookie: str | None = None
    registrations: str | None = None
    """The Contact of a 302 that would hold them (RFC 3050 5.5.1.6)."""
    request_token: str | None = None
    """Of the dialog of a generated request that the initial one came in."""
    pass_authorization: bool = False


@quick
@dataclass(slots=True)
class Environment:
    """What a script finds: the variables, and its standard input (RFC 3050 5.5.2).

    `dropped` are the names of the header fields that had to give way to others.
    """

    variables: dict[str, str]
    dropped: list[str]
    stdin: bytes


def environment(occasion: Occasion) -> Environment:
    """The metavariables for one run, and the body of the message at hand. Raises TooLarge."""
    event, initial = occasion.event, occasion.initial
    message: Message
    happened: dict[str, str | int]
    if isinstance(event, RequestReceived):
        message = request = event.request
        stdin, request_token, way = request.body, occasion.request_token, _way(occasion.flow)
        happened = {"SIPCGI_EVENT": "request", "REQUEST_METHOD": request.method, "REQUEST_URI": request.uri}
    else:
        message, stdin, request_token, way, happened = _later(event, occasion)
    # RFC 3050 5.5.1: undefined, as None says here, is not the same as empty. AUTH_TYPE and REMOTE_USER are never
    # defined: the server itself has not checked anybody's credentials (5.5.1.1, 5.5.1.10)
    known: dict[str, str | int | None] = {
        "GATEWAY_INTERFACE": "SIP-CGI/1.1",
        "SERVER_NAME": occasion.server_name,
        "SERVER_PROTOCOL": "SIP/2.0",
        "SERVER_SOFTWARE": occasion.software,
        "SIPCGI_TRANSACTION": occasion.transaction,
        "SIPCGI_METHOD": initial.method,
        "SIPCGI_URI": initial.uri,
        "SIPCGI_RUN": occasion.run,
        "SIPCGI_ELAPSED_MS": occasion.elapsed_ms,
        "SIPCGI_PENDING": event.situation.pending,
        "SIPCGI_BEST": event.situation.best,
        "SCRIPT_COOKIE": occasion.cookie,
        "REGISTRATIONS": occasion.registrations,
    }
    known |= happened
    known["REQUEST_TOKEN"] = request_token
    known |= way
    if stdin:  # RFC 3050 5.5.1.2, 5.5.1.3
        known["CONTENT_LENGTH"] = len(stdin)
        known["CONTENT_TYPE"] = message.headers.get("content-type")
    variables = plain_variables(message.headers, known, occasion.pass_authorization, MAX_VARIABLE // 4)
    if variables is not None:
        return Environment(variables, [], stdin)
    variables, dropped = protocol_variables(message.headers)
    if not occasion.pass_authorization:  # RFC 3050 7.3
        variables.pop("SIP_AUTHORIZATION", None)
        variables.pop("SIP_PROXY_AUTHORIZATION", None)
    variables |= {name: f"{value}" for name, value in known.items() if value is not None}
    check_size(variables)
    return Environment(variables, dropped, stdin)


@compiled
def plain_variables(
    _headers: Headers, _known: Mapping[str, str | int | None], _pass_authorization: bool, _most: int
) -> dict[str, str] | None:
    """All of them, if the compiled part takes them: each field is the only one of its variable, and they have no more
    than `_most` characters."""
    return None


def _later(
    event: ResponseReceived | TimerFired | Cancelled | AckReceived, occasion: Occasion
) -> tuple[Message, bytes, str | None, dict[str, str | int], dict[str, str | int]]:
    """After the request: the message at hand and its body, the dialog, by which way it came, and what has happened."""
    flow, request_token = occasion.flow, occasion.request_token
    if isinstance(event, ResponseReceived):
        response, local = event.response, event.local
        happened: dict[str, str | int] = {
            "SIPCGI_EVENT": "timeout" if local and response.status == 408 else "response",
            "RESPONSE_STATUS": response.status,
            "RESPONSE_REASON": response.reason,
            "RESPONSE_TOKEN": event.token,
            "SIPCGI_TARGET": event.target,
        }
        return response, response.body, event.request_token, _way(event.flow or flow, local), happened
    if isinstance(event, TimerFired):
        return occasion.initial, b"", request_token, _way(flow), {"SIPCGI_EVENT": "timer"}
    name = "cancel"
    if isinstance(event, AckReceived):
        name, flow = "ack", event.flow
    request = event.request
    happened = {"SIPCGI_EVENT": name, "REQUEST_METHOD": request.method, "REQUEST_URI": request.uri}
    return request, request.body, request_token, _way(flow), happened


@lru_cache(maxsize=256)
def _way(flow: Flow, local: bool = False) -> dict[str, str | int]:
    """On which of our ports the message was received (RFC 3050 5.5.1.19), and from whom."""
    transport, ours, remote, _ = flow
    way: dict[str, str | int] = {"SERVER_PORT": ours.port, "SERVER_TRANSPORT": transport.lower()}
    if local:  # RFC 3050 5.5.1.7: the loopback address for locally-generated responses
        return way | {"REMOTE_ADDR": "::1" if ":" in remote.host else "127.0.0.1"}
    return way | {"REMOTE_ADDR": remote.host, "REMOTE_PORT": remote.port}


def protocol_variables(headers: Headers, separator: str = ", ") -> tuple[dict[str, str], list[str]]:
    """SIP_ and the name of each field (RFC 3050 5.5.1.5), and the names of those that others drove out.

    `separator` stands between the values of several fields.
    """
    values = headers.values()
    variables = dict(zip(map(_variable, headers.names), values, strict=True))
    if len(variables) == len(values) and "" not in variables:  # as mostly, each is the only one of its name
        return variables, []
    return _merged(headers.names, values, separator)


def _merged(names: list[str], values: list[str], separator: str) -> tuple[dict[str, str], list[str]]:
    variables: dict[str, str] = {}
    owners: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    dropped: list[str] = []
    for name, value in zip(names, values, strict=True):
        variable = _variable(name)
        if not variable:
            continue
        owner = owners.setdefault(variable, name)
        if owner is not name and owner != name:
            if not _is_dashed(name) or _is_dashed(owner):
                dropped.append(name)
                continue
            dropped.append(owner)
            owners[variable] = name
            several.pop(variable, None)
        elif variable in variables:
            several.setdefault(variable, [variables[variable]]).append(value)
            continue
        variables[variable] = value
    for variable, all_values in several.items():  # "as though they had been received as a single header field"
        variables[variable] = separator.join([value for value in all_values if value])
    return variables, list(dict.fromkeys(dropped))


@lru_cache(maxsize=1024)
def _variable(name: str) -> str:
    """The variable of a field's canonical name; "" for CGI- fields, which never come from the network."""
    return "" if name.startswith("cgi-") else "SIP_" + _OTHER.sub("_", name.upper())


def _is_dashed(name: str) -> bool:
    """Whether the name has nothing but letters, digits and "-"."""
    return name.replace("-", "x").isalnum()


def check_size(variables: dict[str, str]) -> None:
    """Raises TooLarge. Exact only where the limit is near: a character has four octets at most."""
    if 4 * len("=".join((*variables, *variables.values()))) <= MAX_VARIABLE:
        return
    total = 0
    for name, value in variables.items():
        octets = len(name) + 1 + len(value.encode("utf-8", "surrogateescape"))
        if octets > MAX_VARIABLE:
            raise TooLarge(name, octets)
        total += octets
    if total > MAX_ENVIRONMENT:
        raise TooLarge("", total)
