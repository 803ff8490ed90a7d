"""What the server says when it starts: where it listens, which script runs when, what is wrong, and who may do what."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sipcgi import __version__
from sipcgi.cgi.routes import CGI, Route, fallback_names
from sipcgi.config.fields import METHODS, ON_ERROR
from sipcgi.config.model import Configuration
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.statistics import Statistics
from sipcgi.logs import printable
from sipcgi.net.descriptors import shortage

if TYPE_CHECKING:
    import psutil

_LABEL = 15
_MOST = 40


def start_up_report(configuration: Configuration, scripts: ScriptDirectory, listening: list[str]) -> list[str]:
    """Lines of plain text; `listening` are the URLs of the open sockets."""
    folder = scripts.path if os.path.isdir(scripts.path) else f"{scripts.path}, which is missing"
    relay = ", ".join(map(str, configuration.relay)) or "nobody"
    lines = [
        f"sipcgi {__version__}",
        *_entry("configuration", configuration.source, *["is empty: the defaults hold"] * configuration.is_empty),
        *_entry("listening on", *(listening or ["nothing"]), *without_tcp(listening)),
        *_entry("domains", ", ".join(_domains(configuration))),
        *_entry("open files", *filter(None, [shortage()])),
        *_entry("may relay", f"to other domains: {relay}"),
        *_entry("may register", "anyone: there is no authentication yet"),
        *_entry("scripts in", folder),
        *_scripts(configuration, scripts),
    ]
    return [printable(line).rstrip() for line in lines]


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
        return ["  none: drop invite.sh there, and it is run for every INVITE"]
    names = {path: os.path.relpath(path, scripts.path) for path in triggers}
    how = {path: scripts.describe(path) for path in triggers}
    name_width = min(_MOST, max(map(len, names.values())))
    how_width = min(_MOST, max(map(len, how.values())))
    lines = []
    for path, reasons in triggers.items():
        name, started = names[path], how[path]
        for reason in reasons or ["not routed: nothing triggers it"]:
            lines.append(f"  {name:<{name_width}}  {started:<{how_width}}  {reason}")
            name = started = ""
        lines += [f"    wrong: {problem}" for problem in scripts.problems(path)]
    named = {scripts.locate(name) for route in configuration.routes for name in route.scripts}
    return lines + [f"  wrong: {problem}" for problem in scripts.name_problems(named)]


def _triggers(configuration: Configuration, scripts: ScriptDirectory) -> dict[str, list[str]]:
    """By path of each script, why it is run: those of routes in their order, then the others by name."""
    triggers: dict[str, list[str]] = {}
    for number, route in enumerate(configuration.routes):
        why = f"routes.{number}: {conditions(route)}{_style(route)}"
        for name in route.scripts:
            triggers.setdefault(scripts.locate(name), []).append(why)
            why = f"routes.{number}: {conditions(route)}{_style(route)}, after {name}"
    settings = {configuration.scripts.on_error, *(route.on_error for route in configuration.routes)}
    for name in sorted(settings.difference(ON_ERROR)):
        triggers.setdefault(scripts.locate(name), []).append("on_error: when another script fails")
    for path in scripts.scripts():
        reasons = triggers.setdefault(path, [])
        name = os.path.basename(path)
        stem = os.path.splitext(name)[0]
        what = _by_name(stem)
        if what and scripts.find(stem) == path:
            reasons.append(f"{what} ({name}){_style(configuration.fallback)}")
    return triggers


def _by_name(stem: str) -> str:
    """Which requests run a file of that name; "" for none."""
    method = stem.upper()
    if method in METHODS and stem in fallback_names(method):
        return f"{method} that no route takes"
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


def _method(name: str) -> str:
    """With what was probably meant; any other word may be a method, too."""
    near = [] if name in (*METHODS, "ACK", "CANCEL") else get_close_matches(name, METHODS, 1)
    return f"{name} (did you mean {near[0]}?)" if near else name


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
