"""What the server says when it starts: where it listens, which script runs when, what is wrong, and who may do what."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sipcgi import __version__
from sipcgi.cgi.routes import CGI, Route, fallback_names
from sipcgi.config.ending import ending, limit_notes
from sipcgi.config.fields import METHODS, ON_ERROR, triggers
from sipcgi.config.isolation import isolation
from sipcgi.config.model import Configuration
from sipcgi.errors import ScriptError
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.fastcgi import program_of
from sipcgi.hosts.languages import runs_warm
from sipcgi.hosts.statistics import Statistics
from sipcgi.logs import printable
from sipcgi.net.descriptors import shortage
from sipcgi.profile import FASTCGI, WARM

if TYPE_CHECKING:
    import psutil

_LABEL = 15
_MOST = 40


def start_up_report(configuration: Configuration, scripts: ScriptDirectory, listening: list[str]) -> list[str]:
    """Lines of plain text; `listening` are the URLs of the open sockets."""
    folder = scripts.path if os.path.isdir(scripts.path) else f"{scripts.path}, which is missing"
    relay = ", ".join(map(str, configuration.relay)) or "nobody"
    confined = isolation(configuration, scripts)
    lines = [
        f"sipcgi {__version__}",
        *_entry("configuration", configuration.source, *["is empty: the defaults hold"] * configuration.is_empty),
        *_entry("listening on", *(listening or ["nothing"]), *without_tcp(listening)),
        *_entry("domains", ", ".join(_domains(configuration))),
        *_entry("open files", *filter(None, [shortage()])),
        *_entry("may relay", f"to other domains: {relay}"),
        *_entry("may register", "anyone: there is no authentication yet"),
        *_entry("ending", *ending(configuration), *(f"note: {note}" for note in limit_notes(configuration))),
        *_entry("isolation", *confined.lines, *(f"note: {note}" for note in confined.notes)),
        *_entry("scripts in", folder),
        *_scripts(configuration, scripts),
    ]
    return [printable(line).rstrip() for line in lines]


def changes(before: list[str], after: list[str]) -> list[str]:
    """What a report says that the one before did not, what is wrong still, and what is gone; entries as a whole."""
    known = {_words(entry) for entry in _entries(before)}
    entries = _entries(after)
    said = [line for entry in entries if _words(entry) not in known or "wrong: " in "\n".join(entry) for line in entry]
    names = {_name(entry) for entry in entries}
    gone = [_name(entry) for entry in _entries(before) if _name(entry) not in names and "wrong: " not in entry[0]]
    return said + [f"no longer: {name}" for name in gone]


def _entries(lines: Iterable[str]) -> list[list[str]]:
    """Each with the lines that are indented below it."""
    entries: list[list[str]] = []
    for line in lines:
        if line[:3].strip():
            entries.append([])
        entries[-1].append(line)
    return entries


def _words(entry: list[str]) -> str:
    """Without the blanks that put it into columns."""
    return " ".join(" ".join(entry).split())


def _name(entry: list[str]) -> str:
    return entry[0].strip().partition("  ")[0]


def statistics_report(statistics: Statistics, server: "psutil.Process") -> list[str]:
    """What SIGUSR1 writes into the log: the server, then each script that ran, those that used most first."""
    with server.oneshot():
        cpu, memory = server.cpu_times(), server.memory_info()
        lines = [
            f"statistics of the server: cpu={cpu.user + cpu.system:.2f} memory_kib={memory.rss // 1024}"
            f" descriptors={server.num_fds()} running={statistics.running} waiting={statistics.waiting}"
        ]
    scripts = sorted(statistics.scripts.items(), key=lambda item: -item[1].cpu)
    return lines + [printable(f"statistics of {name}: {script}") for name, script in scripts]


def without_tcp(listening: Iterable[str]) -> list[str]:
    """A note if there are udp URLs without a tcp one for the same address and port (RFC 3261 18.2.1)."""
    places = [url.partition("://") for url in listening]
    streams = {place for scheme, _, place in places if scheme == "tcp"}
    alone = [place for scheme, _, place in places if scheme == "udp" and not _covered(place, streams)]
    if not alone:
        return []
    wanted = ", ".join(f"tcp://{place}" for place in alone)
    return [f"note: requests too large for a datagram come over tcp: listen on {wanted}, too"]


def _covered(place: str, streams: set[str]) -> bool:
    wildcard = "[::]" if place[0] == "[" else "0.0.0.0"
    return place in streams or f"{wildcard}:{place.rpartition(':')[2]}" in streams


def _domains(configuration: Configuration) -> list[str]:
    """Those that redirect say so."""
    named = [*((name, name) for name in configuration.domains), ("", "our own addresses and host name")]
    return [f"{text}{' (redirects)' * configuration.of_domain(name).redirect}" for name, text in named]


def _entry(label: str, *values: str) -> list[str]:
    """A label and its values below each other."""
    return [f"{label if number == 0 else '':<{_LABEL}}{value}" for number, value in enumerate(values)]


def _scripts(configuration: Configuration, scripts: ScriptDirectory) -> list[str]:
    """Each script with how it is started, what triggers it, and what is wrong with it."""
    triggers = _triggers(configuration, scripts)
    if not triggers:
        programs = _programs(configuration, scripts)
        return programs or ["  none: drop invite.sh there, and it is run for every INVITE"]
    names = {path: os.path.relpath(path, scripts.path) for path in triggers}
    how = {path: scripts.describe(path) for path in triggers}
    name_width = min(_MOST, max(map(len, names.values())))
    how_width = min(_MOST, max(map(len, how.values())))
    lines = []
    for path, reasons in triggers.items():
        name, started = names[path], how[path]
        for reason in reasons or [f"not routed: nothing triggers it{_meant(name)}"]:
            lines.append(f"  {name:<{name_width}}  {started:<{how_width}}  {reason}")
            name = started = ""
        lines += [f"    wrong: {problem}" for problem in scripts.problems(path)]
    lines += _programs(configuration, scripts)
    named = {scripts.locate(name) for route in configuration.routes for name in route.files}
    return lines + [f"  wrong: {problem}" for problem in scripts.name_problems(named)]


def _programs(configuration: Configuration, scripts: ScriptDirectory) -> list[str]:
    """Each route with a FastCGI program: where that is, what triggers it, and what is wrong with it."""
    lines = []
    for number, route in enumerate(configuration.routes):
        hosting = route.hosting
        if hosting.host != FASTCGI:
            continue
        place = f" at {hosting.fastcgi}" if hosting.fastcgi not in ("", route.script) else ""
        ours = "process" if hosting.processes == 1 else "processes"
        processes = f", {hosting.processes} {ours} of ours" if hosting.processes else ""
        lines.append(f"  {route.script}  FastCGI{place}{processes}  routes.{number}: {conditions(route)}")
        if hosting.processes:
            lines += [f"    wrong: {problem}" for problem in program_of(route, {}).problems(scripts)]
    return lines


def _triggers(configuration: Configuration, scripts: ScriptDirectory) -> dict[str, list[str]]:
    """By path of each script, why it is run: those of routes in their order, then the others by name."""
    triggers: dict[str, list[str]] = {}
    programs: set[str] = set()
    for number, route in enumerate(configuration.routes):
        if route.hosting.host == FASTCGI:
            programs.update(map(scripts.locate, route.files))
            continue
        why = f"routes.{number}: {conditions(route)}{_style(route)}"
        after = ""
        for name in route.scripts:
            path = scripts.locate(name)
            triggers.setdefault(path, []).append(f"{why}{_warm(route, path, scripts)}{after}")
            after = f", after {name}"
    settings = {configuration.scripts.on_error, *(route.on_error for route in configuration.routes)}
    for name in sorted(settings.difference(ON_ERROR)):
        triggers.setdefault(scripts.locate(name), []).append("on_error: when another script fails")
    for path in scripts.scripts():
        if path in programs and path not in triggers:
            continue
        reasons = triggers.setdefault(path, [])
        name = os.path.basename(path)
        stem = os.path.splitext(name)[0]
        what = _by_name(stem)
        if what and scripts.find(stem) == path:
            route = configuration.fallback
            reasons.append(f"{what} ({name}){_style(route)}{_warm(route, path, scripts)}")
    return triggers


def misspelt(configuration: Configuration, scripts: ScriptDirectory) -> list[str]:
    """A note for each script that nothing triggers, and whose name is nearly one that counts."""
    unrouted = [os.path.basename(path) for path, reasons in _triggers(configuration, scripts).items() if not reasons]
    return [f"note: nothing triggers {printable(name)}{meant}" for name in unrouted if (meant := _meant(name))]


def _meant(name: str) -> str:
    """The name that a file of no request was perhaps to have."""
    stem, ending = os.path.splitext(name)
    stems = [*(method.lower() for method in METHODS), "default"]
    near = get_close_matches(stem.lower(), stems, 1, cutoff=0.8)
    return f"; did you mean {near[0]}{ending}?" if near and near[0] != stem else ""


def _by_name(stem: str) -> str:
    """Which requests run a file of that name; "" for none."""
    if not triggers(stem):
        return ""
    if stem != "default":
        return f"{stem.upper()} that no route takes"
    without = [method for method in METHODS if "default" not in fallback_names(method)]
    return f"any other request that no route takes, but for {_listed(without)}" if stem == "default" else ""


def conditions(route: Route) -> str:
    """What a route demands: `INVITE, MESSAGE from *@vinylsiding.com`."""
    parts = [_listed(map(_method, sorted(route.method or ()))) or "any method"]
    for name, values in (("from", route.from_), ("to", route.to), ("uri", route.uri), ("source", route.source)):
        if values:
            parts.append(f"{name} {_listed(values)}")
    if route.in_dialog:
        parts.append("also in a dialog")
    if route.originate:
        parts.append("and may send requests of its own")
    return " ".join(parts)


def _style(route: Route) -> str:
    """What its scripts see and say, unless it is what RFC 3050 has."""
    return "" if route.style == CGI else f", style {route.style}"


def _warm(route: Route, path: str, scripts: ScriptDirectory) -> str:
    """Whether a parent forks for its runs."""
    try:
        return ", warm" if runs_warm(route.hosting, scripts.command(path), path) else ""
    except ScriptError:
        return ""


def warm(configuration: Configuration, scripts: ScriptDirectory) -> list[str]:
    """A line for `check` with those that run warm, if any are to."""
    by_name = [path for path in scripts.scripts() if _by_name(os.path.splitext(os.path.basename(path))[0])]
    asked = [(route, scripts.locate(name)) for route in configuration.routes for name in route.files]
    asked += [(configuration.fallback, path) for path in by_name]
    if not any(route.hosting.host == WARM or route.hosting.warm for route, _ in asked):
        return []
    found = dict.fromkeys(os.path.relpath(path, scripts.path) for route, path in asked if _warm(route, path, scripts))
    return [f"warm: {_listed(map(printable, found)) or 'none of the scripts'}"]


def _method(name: str) -> str:
    """With what was probably meant; any other word may be a method, too."""
    near = [] if name in (*METHODS, "ACK", "CANCEL") else get_close_matches(name, METHODS, 1)
    return f"{name} (did you mean {near[0]}?)" if near else name


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
