"""The service that is a script: from an event to a run, and from what it printed to actions (RFC 3050 section 5)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipcgi.cgi.metavars import Occasion, TooLarge, body, environment
from sipcgi.cgi.output import check_output, exit_error, parse_output
from sipcgi.cgi.routes import Route
from sipcgi.cgi.session import Session
from sipcgi.errors import ScriptError
from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.service import Action, Event, Pending, Reply, RequestReceived

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.core import Core


@dataclass(slots=True)
class Scripts:
    """What all runs share: where the scripts are, what starts them, and what they get of our own environment."""

    directory: ScriptDirectory
    host: ScriptHost
    server_environment: dict[str, str]
    server_name: str
    software: str


class CgiService:
    """One transaction's script. `choice` says how the script was chosen, for the log."""

    __slots__ = ("context", "core", "route", "run", "scripts", "session", "substitute")

    def __init__(self, core: Core, scripts: Scripts, context: RequestContext, route: Route) -> None:
        self.core = core
        self.scripts = scripts
        self.context = context
        self.session = Session(route)
        self.route = route
        self.run: Run | None = None
        self.substitute = False
        """Whether this run is one of an on_error script."""
        context.token = core.ids.token()

    def wants(self, event: Event) -> bool:
        return self.session.wants(event)

    def listening(self) -> bool:
        return self.session.listening()

    def decide(self, event: Event) -> Sequence[Action] | Pending:
        """Starts the script; without one that can be started, what on_error says."""
        pending = Pending(self.abandon)
        try:
            self.start(event, pending, self.route)
        except TooLarge as error:
            self.core.log.warning(f"{self.route.script}: {error} ({self.context.request.call_id})")
            self.session.fail()
            return [Reply(513, "")] if type(event) is RequestReceived else []
        except ScriptError as error:
            return self.failed(event, error, Outcome())
        return pending

    def start(self, event: Event, pending: Pending, route: Route) -> None:
        """Raises ScriptError when the script cannot be started, TooLarge when its environment would be."""
        context, scripts = self.context, self.scripts
        path = scripts.directory.locate(route.script)
        argv = scripts.directory.command(path)
        flow = context.flow
        occasion = Occasion(
            event=event,
            initial=context.request,
            transaction=context.token,
            run=self.session.begin(event),
            elapsed_ms=int(context.upstream.elapsed() * 1000),
            remote=flow.remote,
            transport=flow.transport.lower(),
            server_name=scripts.server_name,
            server_port=flow.local.port,
            software=scripts.software,
            cookie=self.session.cookie,
            registrations=self.core.locations.registrations(context.request),
            pass_authorization=route.pass_authorization,
        )
        made = environment(occasion)
        for name in made.dropped:
            text = f"header {name} is not passed, its variable is taken by another"
            self.core.log.warning(f"{route.script}: {text} ({context.request.call_id})")
        variables = scripts.server_environment | route.environment | made.variables
        invocation = Invocation(
            name=route.script,
            argv=argv,
            directory=os.path.dirname(path),
            environment=variables,
            stdin=body(event),
            timeout=route.timeout,
            max_output=route.max_output,
        )
        context.record.runs += 1
        call_id = context.request.call_id

        def stderr(line: str) -> None:
            self.core.log.script_stderr(route.script, call_id, line)

        def done(outcome: Outcome) -> None:
            self.run = None
            context.record.script_seconds += outcome.wall
            result = self.finished(event, outcome, route)
            if isinstance(result, Pending):
                result.then(pending.resolve)
            else:
                pending.resolve(result)

        self.run = scripts.host.start(invocation, done, stderr)

    def abandon(self) -> None:
        """Nobody waits for the run any more (a CANCEL came)."""
        if self.run is not None:
            self.run.end()

    def finished(self, event: Event, outcome: Outcome, route: Route) -> Sequence[Action] | Pending:
        """What the script printed as actions, or what takes their place when it failed."""
        if outcome.ended:
            return []
        context = self.context
        try:
            check_outcome(outcome, route, self.scripts.directory)
            printed = parse_output(outcome.stdout, method=context.request.method, max_messages=route.max_messages)
            output = check_output(printed, event, context.request)
        except ScriptError as error:
            return self.failed(event, error, outcome)
        for line, text in output.warnings:
            self.core.log.warning(f"{route.script}: output line {line}: {text} ({context.request.call_id})")
        self.session.take(output)
        return output.actions

    def failed(self, event: Event, error: ScriptError, outcome: Outcome) -> Sequence[Action] | Pending:
        """Says what went wrong, and does what on_error says in a run for a request (contract: exit status not 0)."""
        route = self.route
        self.core.log.script_error(
            route.script, self.context.request.call_id, error, status=outcome.status, signal=outcome.signal
        )
        self.session.fail()
        if type(event) is not RequestReceived:
            return []
        if self.substitute or route.on_error == "reject":
            return [Reply(504 if outcome.timed_out and not self.substitute else 500, "")]
        if route.on_error == "default":
            return []
        self.substitute = True
        self.route = replace(route, script=route.on_error)
        return self.decide(event)


def check_outcome(outcome: Outcome, route: Route, directory: ScriptDirectory) -> None:
    """Raises ScriptError for a run that did not end by itself with status 0 and within its limits."""
    if outcome.failure is not None:
        problems = directory.problems(directory.locate(route.script))
        raise ScriptError(outcome.failure, hint="; ".join(map(str, problems)))
    if outcome.timed_out:
        raise ScriptError(f"ended at its timeout of {route.timeout:g} s", hint="raise `timeout`, or answer sooner")
    if outcome.overflow:
        raise ScriptError(f"printed more than {route.max_output} octets", hint="raise `max_output`, or print less")
    if outcome.signal is not None:
        raise ScriptError("killed by a signal")
    if outcome.status != 0:
        raise exit_error(outcome.status or 0, outcome.stdout)
