"""What the server says when it starts: where it listens, which script runs when, what is wrong, and who may do what."""

import os
from collections.abc import Iterable

from sipcgi import __version__
from sipcgi.cgi.routes import Route, fallback_names
from sipcgi.config.model import Configuration
from sipcgi.config.place import Network
from sipcgi.config.schema import ON_ERROR
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.logs import printable

METHODS = (
    "BYE",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
)
"""Those registered for SIP but for ACK and CANCEL, which trigger no script."""

_LABEL = 15
_MOST = 40


def start_up_report(configuration: Configuration, scripts: ScriptDirectory, listening: list[str]) -> list[str]:
    """Lines of plain text; `listening` are the URLs of the open sockets."""
    relay = ", ".join(map(_network, configuration.relay)) or "nobody"
    lines = [f"sipcgi {__version__}", *_entry("configuration", [configuration.source])]
    lines += _entry("listening on", listening or ["nothing"])
    lines += _entry("domains", [", ".join(configuration.domains) or "none but our own addresses and host name"])
    lines += _entry("may relay", [f"{relay} (others reach our domains only)"])
    lines += _entry("may register", ["anyone: there is no authentication yet"])
    lines += _entry(
        "scripts in", [scripts.path if os.path.isdir(scripts.path) else f"{scripts.path}, which is missing"]
    )
    return [printable(line) for line in lines + _scripts(configuration, scripts)]


def _entry(label: str, values: list[str]) -> list[str]:
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
        for number, reason in enumerate(reasons or ["not routed: no route and no method has its name"]):
            first = number == 0
            name, started = (names[path], how[path]) if first else ("", "")
            lines.append(f"  {name:<{name_width}}  {started:<{how_width}}  {reason}")
        lines += [f"    wrong: {problem}" for problem in scripts.problems(path)]
    named = {scripts.locate(route.script) for route in configuration.routes}
    return lines + [f"  wrong: {problem}" for problem in scripts.name_problems(named)]


def _triggers(configuration: Configuration, scripts: ScriptDirectory) -> dict[str, list[str]]:
    """By path of each script, why it is run: those of routes in their order, then the others by name."""
    triggers: dict[str, list[str]] = {}
    for number, route in enumerate(configuration.routes):
        triggers.setdefault(scripts.locate(route.script), []).append(f"routes.{number}: {conditions(route)}")
    settings = {configuration.scripts.on_error, *(route.on_error for route in configuration.routes)}
    for name in sorted(settings.difference(ON_ERROR)):
        triggers.setdefault(scripts.locate(name), []).append("on_error: when another script fails")
    stems = {os.path.splitext(os.path.basename(path))[0] for path in scripts.scripts()}
    runs = {scripts.find(stem): _by_name(stem) for stem in stems}
    for path in scripts.scripts():
        reasons = triggers.setdefault(path, [])
        if reason := runs.get(path):
            reasons.append(reason)
    return triggers


def _by_name(stem: str) -> str:
    """What a file of that name is run for; "" for none."""
    if stem.upper() in METHODS and stem in fallback_names(stem.upper()):
        return f"its name: every {stem.upper()} that no route matches"
    without = [method for method in METHODS if "default" not in fallback_names(method)]
    return f"its name: whatever nothing else matches, but for {_or(without, 'and')}" if stem == "default" else ""


def conditions(route: Route) -> str:
    """What a route demands, in words."""
    parts = [_or(sorted(route.method or ())) or "any method"]
    sources = [_network(network) for network in route.source]
    for name, values in (("from", route.from_), ("to", route.to), ("uri", route.uri), ("source", sources)):
        if values:
            parts.append(f"{name} {_or(values)}")
    if route.in_dialog:
        parts.append("also in a dialog")
    return ", ".join(parts)


def _or(values: Iterable[str], word: str = "or") -> str:
    *most, last = [*values] or [""]
    return f"{', '.join(most)} {word} {last}" if most else last


def _network(network: Network) -> str:
    """A single address without its prefix length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)
