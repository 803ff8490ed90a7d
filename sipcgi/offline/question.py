"""`sipcgi try`: from what the command line says to a trial, and to an exit status."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sipcgi.cgi.routes import EXEC, Route
from sipcgi.errors import ParseError, Refused
from sipcgi.offline import request as make
from sipcgi.offline.stage import Setting, sockets
from sipcgi.offline.trial import Later, play
from sipcgi.profile import FASTCGI, Hosting
from sipcgi.sip.address import Address
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import SipUri

if TYPE_CHECKING:
    from sipcgi.config.model import Configuration
    from sipcgi.offline.trial import Trial

NOT_FOR_ITSELF = ("CANCEL", "ACK")
"""Methods whose requests run a script only later in a transaction."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the command line says."""

    words: make.Words = field(default_factory=make.Words)
    message: bytes | None = None
    """A raw one: the request, or the response of a later invocation."""
    response: str = ""
    """Code, and reason if it is another than the usual one."""
    cookie: str = ""
    request_token: str = ""
    registered: tuple[str, ...] = ()
    """Contacts of the called user."""
    domains: tuple[str, ...] = ()
    style: str | None = None
    host: str | None = None
    """None: those of its route."""

    @classmethod
    def of(
        cls,
        *,
        method: str,
        from_: str,
        to: str,
        uri: str,
        headers: tuple[str, ...],
        body: IO[bytes] | None,
        message: IO[bytes] | None,
        config: object = None,
        **rest: Any,
    ) -> Question:
        """Of the options as they were given. Raises ParseError."""
        fields = tuple(make.field(each) for each in headers)
        octets = body.read() if body is not None else b""
        words = make.Words(method, uri, from_ or make.ALICE, to, fields, octets)
        return cls(words, message.read() if message is not None else None, **rest)


def rehearse(script: Path, question: Question, configuration: Configuration | None = None) -> Trial:
    """Runs the script. Raises ParseError for a question that makes no sense."""
    request, later = _played(question)
    setting = _setting(script, configuration)
    style = question.style or setting.route.style
    if style == EXEC and later is not None:
        raise ParseError("a script of style exec is run for the request alone, not for what comes later")
    if style == EXEC and question.host == FASTCGI:
        raise ParseError("a FastCGI program has no arguments, which style exec needs")
    route = replace(setting.route, style=style)
    if question.host is not None:
        route = replace(route, hosting=Hosting.of_file(question.host, setting.script, route.environment))
    setting = replace(setting, route=route)
    domains = question.domains or setting.domains
    callee = request.to.uri if request.method == "REGISTER" else request.target
    if isinstance(callee, SipUri) and (question.registered or (request.method == "REGISTER" and not domains)):
        domains = (*domains, callee.address)
    registrations = []
    if question.registered:
        if not isinstance(callee, SipUri):
            raise ParseError(f"nobody registers as {callee}")
        registrations.append(make.registration(callee.aor, question.registered))
    setting = replace(setting, domains=domains, registrations=registrations)
    configured = bool(domains) or configuration is not None
    try:
        return play(setting, request, later, configured=configured)
    except Refused as error:
        raise ParseError(f"no registration: {error}") from None


def _played(question: Question) -> tuple[Request, Later | None]:
    """The initial request, and what comes later."""
    words, told = question.words, None if question.message is None else make.message(question.message)
    if isinstance(told, Response):
        if question.response:
            raise ParseError("--response beside a message that is a response")
        request = _answered_by(told, words)
        return request, _later(question, told)
    if isinstance(told, Request):
        if words != make.Words():
            raise ParseError("a message says all itself: leave out the options that make another one")
        if told.method in NOT_FOR_ITSELF:
            raise ParseError(f"a {told.method} runs no script: make it with --method {told.method}")
        return told, _later_if_asked(question)
    if words.method in NOT_FOR_ITSELF:
        if question.response:
            raise ParseError(f"--response beside --method {words.method}")
        later = Later(method=words.method, cookie=question.cookie, request_token=question.request_token)
        return replace(words, method="INVITE").request(), later
    return words.request(), _later_if_asked(question)


def _later_if_asked(question: Question) -> Later | None:
    if question.response:
        return _later(question)
    if question.cookie or question.request_token:
        raise ParseError("--cookie and --request-token belong to a later invocation: say --response CODE too")
    return None


def _later(question: Question, told: Response | None = None) -> Later:
    code, _, reason = question.response.partition(" ")
    status = told.status if told is not None else int(code) if code.isascii() and code.isdigit() else 0
    if not 101 <= status <= 699:
        raise ParseError(f"a script is run for responses from 101 to 699, not for {question.response or status}")
    return Later(status, reason, "", question.cookie, question.request_token, told)


def _answered_by(told: Response, words: make.Words) -> Request:
    """The request that a response may belong to."""
    callee = Address.parse(told.headers.get("to") or "")
    uri = words.uri or str(callee.uri)
    headers = (("Call-ID", told.call_id), ("CSeq", str(told.cseq)), *words.headers)
    to = words.to or str(callee.with_params(callee.params.without("tag")))
    from_ = words.from_ if words.from_ != make.ALICE else told.headers.get("from") or make.ALICE
    return make.Words(told.cseq.method, uri, from_, to, headers, words.body).request()


def _setting(script: Path, configuration: Configuration | None) -> Setting:
    """The script where it is; with a configuration, by its name in the folder of scripts too."""
    if configuration is None:
        return Setting(script.absolute().parent, script.name, Route(script="", originate=True))
    directory = configuration.scripts.directory
    programs = [route for route in configuration.routes if route.hosting.host == FASTCGI]
    for route in programs:  # which go by any name
        if Path(route.script) == script:
            return _on_route(configuration, directory, route.script, route)
    path = script.absolute()
    if not script.exists() and (directory / script).exists():
        path = directory / script
    inside = path.is_relative_to(directory)
    name = str(path.relative_to(directory)) if inside else path.name
    routes = configuration.routes if inside else ()
    named = (route for route in routes if name in (*route.scripts, *route.files))
    route = next(named, configuration.fallback)
    if name in route.then:  # in the middle of a sequence: those that follow it
        route = replace(route, then=route.then[route.then.index(name) + 1 :])
    return _on_route(configuration, directory if inside else path.parent, name, route)


def _on_route(configuration: Configuration, directory: Path, name: str, route: Route) -> Setting:
    return Setting(
        directory=directory,
        script=name,
        route=route,
        further_routes=configuration.routes,
        domains=configuration.domains,
        of_domain=configuration.of_domain,
        aliases=configuration.aliases,
        relay=configuration.relay,
        sockets=sockets(configuration),
    )
