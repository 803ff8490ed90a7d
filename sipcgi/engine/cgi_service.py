"""The service that is a script, or several: from an event to runs, and from what they print to actions (RFC 3050 5)."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sipcgi import __version__
from sipcgi.cgi.exec_style import exec_environment, exec_output
from sipcgi.cgi.metavars import Occasion, TooLarge, environment
from sipcgi.cgi.output import Output, exit_error, read_output, signal_error
from sipcgi.cgi.routes import EXEC, Route
from sipcgi.cgi.session import Session
from sipcgi.compiled.quick import quick
from sipcgi.engine.hearing import deaf
from sipcgi.engine.passage import handed_over
from sipcgi.errors import ScriptError
from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost
from sipcgi.hosts.directory import ScriptDirectory, Startup
from sipcgi.hosts.kits import with_kits
from sipcgi.profile import FASTCGI, OFF
from sipcgi.service import Action, Edits, Event, Originate, Pending, Relay, Reply, RequestReceived, WakeAfter

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.core import Core

SOFTWARE = f"sipcgi/{__version__}"
MOST_TARGETS = 200
"""Of one request. A script that is called again when one fails, and only ever names another, would go on for ever."""
_RESIDENT = Startup("", "", [])
"""Of a program that runs already."""


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What scripts get of the server's own environment (contract: the rest of the environment)."""
    return with_kits({name: environment[name] for name in ("PATH", "LANG", "TZ", "HOME") if name in environment})


class Terms(NamedTuple):
    """What is the same for each run of a script by a route, as long as its file is."""

    route: Route
    startup: Startup
    common: dict[str, str]
    """What its environment begins with."""
    invocation: Callable[..., Invocation]
    """Takes the rest."""


class Scripts:
    """What all runs share: where the scripts are, what starts them, and what they get of our own environment."""

    def __init__(
        self,
        directory: ScriptDirectory,
        host: ScriptHost,
        server_environment: dict[str, str],
        server_name: str,
        software: str,
        *,
        guard: bool = True,
    ) -> None:
        self.directory = directory
        self.host = host
        self.server_environment = server_environment
        self.server_name = server_name
        self.software = software
        self.guard = guard
        """Whether a bug that shows after a run ends in the log and a 500."""
        self._terms: dict[str, Terms] = {}

    def terms(self, route: Route) -> Terms:
        """Of the next run. Raises ScriptError when the script cannot be started."""
        name = route.script
        known = self._terms.get(name)
        if known is not None and known.route is route:
            startup = known.startup
            if startup is _RESIDENT or startup is self.directory.startup(name):
                return known
        startup, common = _RESIDENT, route.environment  # it has its own, and gets what its route says
        if route.hosting.host != FASTCGI:
            startup, common = self.directory.startup(name), self.server_environment | common
        invocation = partial(
            Invocation,
            name=name,
            argv=startup.argv,
            directory=startup.folder,
            common=common,
            timeout=route.timeout,
            max_output=route.max_output,
            script=startup.path,
            profile=route.profile,
            hosting=route.hosting,
            max_running=route.max_running,
        )
        self._terms[name] = terms = Terms(route, startup, common, invocation)
        return terms


@quick
@dataclass(slots=True, eq=False)
class Turn(Pending):
    """The turn of one script at an event: its run, and the decision that comes of it."""

    service: CgiService
    event: Event
    session: Session
    later: Sequence[Session] = ()
    """The scripts that get the event if this one takes no action."""
    before: Sequence[Action] = ()
    """The timers and requests that the scripts before it asked for, which took none."""
    substitute: bool = False
    """Whether this is the run of an on_error script."""
    spoke: bool = False
    """Whether the script printed something on standard error."""

    def abandon(self) -> None:
        """Nobody waits for the run any more (a CANCEL came)."""
        Pending.abandon(self)
        run = self.service.run
        if run is not None:
            run.end()

    def heard(self, line: str) -> None:
        """A line of its standard error."""
        self.spoke = True
        self.service.core.log.script_stderr(self.session.route.script, self.service.context.request.call_id, line)

    def ended(self, outcome: Outcome) -> None:
        """Its run."""
        service = self.service
        context = service.context
        record = context.record
        service.run = None
        record.script_seconds += outcome.wall
        record.script_cpu += outcome.cpu
        if outcome.peak_kib > record.script_peak_kib:
            record.script_peak_kib = outcome.peak_kib
        try:
            result = service.finished(self, outcome)
            if isinstance(result, Pending):
                result.then(self.resolve)
                return
            if type(self.event) is RequestReceived and not service.listening() and handed_over(context, result):
                return
            self.resolve(result)
            if not service.listening():
                context.service = None  # what comes from now on takes its default action, unasked
        except Exception:
            if not service.scripts.guard:
                raise
            where = f"after a run of {self.session.route.script} ({context.request.call_id})"
            service.core.log.crash(f"{where}:\n{traceback.format_exc()}")
            context.answer(context.upstream.local(500))


class CgiService:
    """The scripts of one transaction, each with a session of its own: what one takes no action for goes to the next."""

    run: Run | None = None
    others: Sequence[Session] = ()
    refusable = False
    """Whether the request is new, so that it can be refused when there is too much to do."""

    def __init__(self, core: Core, scripts: Scripts, context: RequestContext, route: Route) -> None:
        self.core = core
        self.scripts = scripts
        self.context = context
        self.first = session = Session(route)
        if route.then:
            self.others = [Session(replace(route, script=name)) for name in route.then]
        context.token = core.ids.token()
        if context.caller is not None:
            session.cookie = context.caller.calls.cookies.get(route.script)

    def wants(self, event: Event) -> bool:
        return any(session.wants(event) for session in (self.first, *self.others))

    def listening(self) -> bool:
        listening = self.first.listening
        return listening or any(session.listening for session in self.others) if self.others else listening

    def decide(self, event: Event) -> Sequence[Action] | Pending:
        """Starts the first script that wants it."""
        if not self.others:
            return self.take(Turn(self, event, self.first))
        first, *later = [session for session in (self.first, *self.others) if session.wants(event)]
        return self.take(Turn(self, event, first, later))

    def take(self, turn: Turn) -> Sequence[Action] | Pending:
        """Starts the script whose turn it is; if it cannot be started, what on_error says."""
        try:
            invocation = self.invocation(turn)
        except TooLarge as error:
            session = turn.session
            self.core.log.warning(f"{session.route.script}: {error} ({self.context.request.call_id})")
            session.fail()
            return [Reply(513, ""), *turn.before] if type(turn.event) is RequestReceived else turn.before
        except ScriptError as error:
            return self.failed(turn, error, Outcome())
        self.context.record.runs += 1
        self.run = self.scripts.host.start(invocation, turn.ended, turn.heard)
        return turn

    def invocation(self, turn: Turn) -> Invocation:
        """Raises ScriptError when the script cannot be started, TooLarge when its environment would be."""
        context, scripts, core = self.context, self.scripts, self.core
        event, session, request = turn.event, turn.session, context.request
        route = session.route
        terms = scripts.terms(route)
        occasion = Occasion(
            event=event,
            initial=request,
            transaction=context.token,
            run=session.begin(event),
            elapsed_ms=int(context.upstream.elapsed() * 1000),
            flow=context.flow,
            server_name=scripts.server_name,
            software=scripts.software,
            cookie=session.cookie,
            registrations=core.locations.registrations(request),
            request_token=context.caller.leg.token if context.caller and context.caller.leg else None,
            pass_authorization=route.pass_authorization,
        )
        made = exec_environment(occasion) if route.style == EXEC else environment(occasion)
        if made.dropped:
            for name in made.dropped:
                text = f"header {name} is not passed, its variable is taken by another"
                core.log.warning(f"{route.script}: {text} ({request.call_id})")
        invocation = terms.invocation(
            environment=terms.common | made.variables,
            stdin=made.stdin,
            refusable=self.refusable and type(event) is RequestReceived and not turn.substitute,
        )
        if route.style == EXEC:
            invocation.argv = [*invocation.argv, request.uri]
        return invocation

    def finished(self, turn: Turn, outcome: Outcome) -> Sequence[Action] | Pending:
        """What the script printed as actions, or what takes their place when it failed."""
        if not outcome.complete:
            return self.unfinished(turn, outcome)
        session = turn.session
        try:
            output = self.printed(turn, outcome)
        except ScriptError as error:
            return self.failed(turn, error, outcome)
        if output.warnings:
            for line, text in output.warnings:
                self.core.log.script_warning(session.route.script, self.context.request.call_id, line, text)
        session.take(output)
        caller = self.context.caller
        if caller is not None:
            caller.calls.cookies[session.route.script] = session.cookie
        return self.hand_on(turn, output.actions) if turn.later or turn.before else output.actions

    def unfinished(self, turn: Turn, outcome: Outcome) -> Sequence[Action] | Pending:
        """What takes the place of its actions."""
        route = turn.session.route
        if outcome.ended:
            return []
        if not outcome.refused:
            return self.failed(turn, run_error(outcome, route, self.scripts.directory, turn.spoke), outcome)
        turn.session.fail()  # whatever on_error says: overload opens no door
        self.context.record.runs -= 1
        refusal = self.core.overload.refusal(f"too many runs of {route.script}")
        return [Reply(refusal.status, "", Edits([*refusal.headers])), *turn.before]

    def printed(self, turn: Turn, outcome: Outcome) -> Output:
        """Raises ScriptError."""
        route, context = turn.session.route, self.context
        if route.style == EXEC:
            return exec_output(outcome.stdout, route.max_messages)
        most, originate = route.max_messages, route.originate
        output = read_output(outcome.stdout, turn.event, context.request, context.answers, most, originate)
        if len(context.record.targets) >= MOST_TARGETS and any(type(action) is Relay for action in output.actions):
            hint = "count them in a cookie, or by SIPCGI_RUN, and print nothing to give up"
            raise ScriptError(f"more than {MOST_TARGETS} targets for one request", hint=hint)
        if originate:
            for action in output.actions:
                if type(action) is Originate:
                    action.script = route.script
        return output

    def hand_on(self, turn: Turn, actions: Sequence[Action]) -> Sequence[Action] | Pending:
        """The next script's turn, if this one took no action (RFC 3050 5.6.1.6) and nothing has ended meanwhile.

        What takes the place of a script that failed is the end: on_error opens no door to the next one.
        """
        if turn.before:
            actions = soonest([*turn.before, *actions])
        if not turn.later or turn.substitute or deaf(self.context, turn.event):
            return actions
        if any(type(action) not in (WakeAfter, Originate) for action in actions):
            return actions
        following, *later = turn.later
        if not following.run:
            self.context.record.script += f",{following.route.script}"
        return self.take(Turn(self, turn.event, following, later, actions))

    def failed(self, turn: Turn, error: ScriptError, outcome: Outcome) -> Sequence[Action] | Pending:
        """Says what went wrong, and does what on_error says in a run for a request (contract: exit status not 0)."""
        session = turn.session
        route = session.route
        self.core.log.script_error(
            route.script, self.context.request.call_id, error, status=outcome.status, signal=outcome.signal
        )
        session.fail()
        if type(turn.event) is not RequestReceived:
            return turn.before
        if turn.substitute or route.on_error == "reject":
            return [Reply(504 if outcome.timed_out and not turn.substitute else 500, ""), *turn.before]
        if route.on_error == "default":
            return turn.before
        session.route = replace(route, script=route.on_error, hosting=route.hosting.of_files)
        if session is not self.first and not session.run:  # it could not start: what runs in its place is named, too
            self.context.record.script += f",{route.on_error}"
        return self.take(Turn(self, turn.event, session, (), turn.before, substitute=True))


def soonest(actions: Iterable[Action]) -> list[Action]:
    """With the timer alone that goes off first: a transaction has one."""
    timers = [action for action in actions if type(action) is WakeAfter]
    others = [action for action in actions if type(action) is not WakeAfter]
    return [*others, *sorted(timers, key=lambda timer: timer.seconds)[:1]]


def run_error(outcome: Outcome, route: Route, directory: ScriptDirectory, spoke: bool) -> ScriptError:
    """Of a run that did not end by itself with status 0 and within its limits.

    `spoke` is whether it printed something on standard error.
    """
    if outcome.failure is not None:
        if route.hosting.host == FASTCGI:
            return ScriptError(outcome.failure, hint="what it says itself is in the log, or where it was started")
        problems = problems_of(route, directory)
        confined = route.profile.isolation != OFF or route.profile.user
        otherwise = "see what `sipcgi check` says" if confined else "start it by hand, as the user of the server"
        return ScriptError(outcome.failure, hint=problems or otherwise)
    if outcome.timed_out:
        return ScriptError(f"ended at its timeout of {route.timeout:g} s", hint="raise `timeout`, or answer sooner")
    if outcome.overflow:
        return ScriptError(f"printed more than {route.max_output} octets", hint="raise `max_output`, or print less")
    if outcome.signal is not None:
        return signal_error(outcome.signal, route.profile.limits, outcome.limit)
    error = exit_error(outcome.status or 0, outcome.stdout, spoke)
    if outcome.status in (2, 126, 127):  # of env, which did not start what it was asked for, or of a shell
        error.hint = problems_of(route, directory) or error.hint
    return error


def problems_of(route: Route, directory: ScriptDirectory) -> str:
    """What is wrong with the file of a script; empty where it is not a file that is started."""
    if route.hosting.host == FASTCGI:
        return ""
    return "; ".join(map(str, directory.problems(directory.locate(route.script))))
