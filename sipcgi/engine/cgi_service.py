"""The service that is a script, or several: from an event to runs, and from what they print to actions (RFC 3050 5)."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipcgi import __version__
from sipcgi.cgi.exec_style import exec_environment, exec_input, exec_output
from sipcgi.cgi.metavars import Environment, Occasion, TooLarge, body, environment
from sipcgi.cgi.output import Output, check_output, exit_error, parse_output, signal_error
from sipcgi.cgi.routes import EXEC, Route
from sipcgi.cgi.session import Session
from sipcgi.engine.hearing import deaf
from sipcgi.engine.passage import handed_over
from sipcgi.errors import ScriptError
from sipcgi.hosts.base import Invocation, Outcome, Run, ScriptHost
from sipcgi.hosts.directory import ScriptDirectory, Startup
from sipcgi.hosts.kits import with_kits
from sipcgi.profile import FASTCGI, OFF
from sipcgi.service import Action, Edits, Event, Originate, Pending, Reply, RequestReceived, WakeAfter

if TYPE_CHECKING:
    from sipcgi.engine.context import RequestContext
    from sipcgi.engine.core import Core

SOFTWARE = f"sipcgi/{__version__}"
_RESIDENT = Startup("", "", [])
"""Of a program that runs already."""


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What scripts get of the server's own environment (contract: the rest of the environment)."""
    return with_kits({name: environment[name] for name in ("PATH", "LANG", "TZ", "HOME") if name in environment})


@dataclass(slots=True)
class Scripts:
    """What all runs share: where the scripts are, what starts them, and what they get of our own environment."""

    directory: ScriptDirectory
    host: ScriptHost
    server_environment: dict[str, str]
    server_name: str
    software: str
    guard: bool = True
    """Whether a bug that shows after a run ends in the log and a 500."""


@dataclass(slots=True)
class Turn:
    """The turn of one script at an event."""

    event: Event
    session: Session
    later: Sequence[Session]
    """The scripts that get the event if this one takes no action."""
    before: Sequence[Action] = ()
    """The timers and requests that the scripts before it asked for, which took none."""
    substitute: bool = False
    """Whether this is the run of an on_error script."""
    spoke: bool = False
    """Whether the script printed something on standard error."""


class CgiService:
    """The scripts of one transaction, each with a session of its own: what one takes no action for goes to the next."""

    __slots__ = ("context", "core", "refusable", "run", "scripts", "sessions")

    def __init__(self, core: Core, scripts: Scripts, context: RequestContext, route: Route) -> None:
        self.core = core
        self.scripts = scripts
        self.context = context
        self.sessions = [Session(route)]
        if route.then:
            self.sessions += [Session(replace(route, script=name)) for name in route.then]
        self.run: Run | None = None
        self.refusable = False
        """Whether the request is new, so that it can be refused when there is too much to do."""
        context.token = core.ids.token()
        if context.caller is not None:
            self.sessions[0].cookie = context.caller.calls.cookies.get(route.script)

    def wants(self, event: Event) -> bool:
        if len(self.sessions) == 1:
            return self.sessions[0].wants(event)
        return any(session.wants(event) for session in self.sessions)

    def listening(self) -> bool:
        if len(self.sessions) == 1:
            return self.sessions[0].listening()
        return any(session.listening() for session in self.sessions)

    def decide(self, event: Event) -> Sequence[Action] | Pending:
        """Starts the first script that wants it."""
        if len(self.sessions) == 1:
            return self.take(Turn(event, self.sessions[0], ()))
        first, *later = [session for session in self.sessions if session.wants(event)]
        return self.take(Turn(event, first, later))

    def take(self, turn: Turn) -> Sequence[Action] | Pending:
        """Starts the script whose turn it is; if it cannot be started, what on_error says."""
        pending = Pending(self.abandon)
        session = turn.session
        try:
            self.start(turn, pending)
        except TooLarge as error:
            self.core.log.warning(f"{session.route.script}: {error} ({self.context.request.call_id})")
            session.fail()
            return [Reply(513, ""), *turn.before] if type(turn.event) is RequestReceived else turn.before
        except ScriptError as error:
            return self.failed(turn, error, Outcome())
        return pending

    def invocation(self, turn: Turn) -> Invocation:
        """Raises ScriptError when the script cannot be started, TooLarge when its environment would be."""
        context, scripts = self.context, self.scripts
        event, session = turn.event, turn.session
        route = session.route
        if session is not self.sessions[0] and not session.run:
            context.record.script += f",{route.script}"
        resident = route.hosting.host == FASTCGI  # which has its environment, and gets what its route says
        startup = _RESIDENT if resident else scripts.directory.startup(route.script)
        occasion = Occasion(
            event=event,
            initial=context.request,
            transaction=context.token,
            run=session.begin(event),
            elapsed_ms=int(context.upstream.elapsed() * 1000),
            flow=context.flow,
            server_name=scripts.server_name,
            software=scripts.software,
            cookie=session.cookie,
            registrations=self.core.locations.registrations(context.request),
            request_token=context.caller.leg.token if context.caller and context.caller.leg else None,
            pass_authorization=route.pass_authorization,
        )
        made, stdin, arguments = given(route.style, occasion)
        for name in made.dropped:
            text = f"header {name} is not passed, its variable is taken by another"
            self.core.log.warning(f"{route.script}: {text} ({context.request.call_id})")
        common = route.environment if resident else scripts.server_environment | route.environment
        return Invocation(
            name=route.script,
            argv=startup.argv + arguments,
            directory=startup.folder,
            environment=common | made.variables,
            common=common,
            stdin=stdin,
            timeout=route.timeout,
            max_output=route.max_output,
            script=startup.path,
            profile=route.profile,
            hosting=route.hosting,
            max_running=route.max_running,
            refusable=self.refusable and type(event) is RequestReceived and not turn.substitute,
        )

    def start(self, turn: Turn, pending: Pending) -> None:
        """Raises as `invocation` does."""
        context, scripts = self.context, self.scripts
        route, call_id = turn.session.route, context.request.call_id
        invocation = self.invocation(turn)
        context.record.runs += 1

        def stderr(line: str) -> None:
            turn.spoke = True
            self.core.log.script_stderr(route.script, call_id, line)

        def done(outcome: Outcome) -> None:
            self.run = None
            record = context.record
            record.script_seconds += outcome.wall
            record.script_cpu += outcome.cpu
            record.script_peak_kib = max(record.script_peak_kib, outcome.peak_kib)
            try:
                result = self.finished(turn, outcome)
                if isinstance(result, Pending):
                    result.then(pending.resolve)
                elif self.listening() or type(turn.event) is not RequestReceived or not handed_over(context, result):
                    pending.resolve(result)
                    if not self.listening():
                        context.service = None  # what comes from now on takes its default action, unasked
            except Exception:
                if not scripts.guard:
                    raise
                self.core.log.crash(f"after a run of {route.script} ({call_id}):\n{traceback.format_exc()}")
                context.answer(context.upstream.local(500))

        self.run = scripts.host.start(invocation, done, stderr)

    def abandon(self) -> None:
        """Nobody waits for the run any more (a CANCEL came)."""
        if self.run is not None:
            self.run.end()

    def finished(self, turn: Turn, outcome: Outcome) -> Sequence[Action] | Pending:
        """What the script printed as actions, or what takes their place when it failed."""
        session = turn.session
        if outcome.ended:
            return []
        if outcome.refused:  # whatever on_error says: overload opens no door
            session.fail()
            self.context.record.runs -= 1
            refusal = self.core.overload.refusal(f"too many runs of {session.route.script}")
            return [Reply(refusal.status, "", Edits([*refusal.headers])), *turn.before]
        try:
            output = self.printed(turn, outcome)
        except ScriptError as error:
            return self.failed(turn, error, outcome)
        for line, text in output.warnings:
            self.core.log.script_warning(session.route.script, self.context.request.call_id, line, text)
        session.take(output)
        caller = self.context.caller
        if caller is not None:
            caller.calls.cookies[session.route.script] = session.cookie
        return self.hand_on(turn, output.actions)

    def printed(self, turn: Turn, outcome: Outcome) -> Output:
        """Raises ScriptError."""
        route, request = turn.session.route, self.context.request
        check_outcome(outcome, route, self.scripts.directory, turn.spoke)
        if route.style == EXEC:
            return exec_output(outcome.stdout, route.max_messages)
        most, originate = route.max_messages, route.originate
        printed = parse_output(outcome.stdout, method=request.method, max_messages=most, originate=originate)
        output = check_output(printed, turn.event, request, self.context.answers)
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
        return self.take(Turn(turn.event, following, later, actions))

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
        return self.take(Turn(turn.event, session, (), turn.before, substitute=True))


def given(style: str, occasion: Occasion) -> tuple[Environment, bytes, list[str]]:
    """What a script finds: environment, standard input, arguments. Raises TooLarge."""
    if style == EXEC:
        return exec_environment(occasion), exec_input(occasion), [occasion.initial.uri]
    return environment(occasion), body(occasion.event), []


def soonest(actions: Iterable[Action]) -> list[Action]:
    """With the timer alone that goes off first: a transaction has one."""
    timers = [action for action in actions if type(action) is WakeAfter]
    others = [action for action in actions if type(action) is not WakeAfter]
    return [*others, *sorted(timers, key=lambda timer: timer.seconds)[:1]]


def check_outcome(outcome: Outcome, route: Route, directory: ScriptDirectory, spoke: bool) -> None:
    """Raises ScriptError for a run that did not end by itself with status 0 and within its limits.

    `spoke` is whether it printed something on standard error.
    """
    if outcome.failure is not None:
        if route.hosting.host == FASTCGI:
            raise ScriptError(outcome.failure, hint="what it says itself is in the log, or where it was started")
        problems = problems_of(route, directory)
        confined = route.profile.isolation != OFF or route.profile.user
        otherwise = "see what `sipcgi check` says" if confined else "start it by hand, as the user of the server"
        raise ScriptError(outcome.failure, hint=problems or otherwise)
    if outcome.timed_out:
        raise ScriptError(f"ended at its timeout of {route.timeout:g} s", hint="raise `timeout`, or answer sooner")
    if outcome.overflow:
        raise ScriptError(f"printed more than {route.max_output} octets", hint="raise `max_output`, or print less")
    if outcome.signal is not None:
        raise signal_error(outcome.signal, route.profile.limits, outcome.limit)
    if outcome.status != 0:
        error = exit_error(outcome.status or 0, outcome.stdout, spoke)
        if outcome.status in (2, 126, 127):  # of env, which did not start what it was asked for, or of a shell
            error.hint = problems_of(route, directory) or error.hint
        raise error


def problems_of(route: Route, directory: ScriptDirectory) -> str:
    """What is wrong with the file of a script; empty where it is not a file that is started."""
    if route.hosting.host == FASTCGI:
        return ""
    return "; ".join(map(str, directory.problems(directory.locate(route.script))))
