"""What of the isolation that a configuration asks for can be had on this machine, and which scripts are not trusted."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from sipcgi.config.fields import ON_ERROR, triggers
from sipcgi.config.model import Configuration
from sipcgi.errors import ConfigError, ScriptError
from sipcgi.hosts import landlock
from sipcgi.hosts.confine import account, is_readable, lacking, needed, obstacle
from sipcgi.hosts.directory import ScriptDirectory, interpreter_line
from sipcgi.hosts.trust import faults, is_open_to_all, out_of_reach
from sipcgi.profile import FASTCGI, OFF, REQUIRED, Profile


@dataclass(slots=True)
class Isolation:
    """`lines` say what is in force, `notes` what is not and why, where the server runs all the same."""

    asked: bool = False
    fatal: list[ConfigError] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def remarks(self) -> list[str]:
        """What `check` says of a configuration that holds: nothing, where nothing is asked for and nothing open."""
        asked = [f"isolation: {line}" for line in self.lines] if self.asked else []
        return asked + [f"note: {note}" for note in self.notes]


def isolation(configuration: Configuration, directory: ScriptDirectory) -> Isolation:
    """Looks at each profile once, and at each script under those that it runs with."""
    found = Isolation()
    said: dict[str, list[str]] = {}
    for profile, keys in _profiles(configuration).items():
        sections = list(dict.fromkeys(key.rpartition(".")[0] for key, _ in keys))
        said.setdefault(describe(profile), []).extend(sections)
        found.asked |= needed(profile)
        if problem := obstacle(profile):
            found.fatal.append(configuration.mistake(f"{sections[0]}.{'user' if profile.user else 'group'}", problem))
            continue
        problems = [(f"{sections[0]}.isolation", text) for text in [*lacking(profile), *_folder_problems(profile)]]
        for key, path in _scripts(keys, configuration, directory):
            problems += [(key, text) for text in _script_problems(path, profile, directory)]
        for key, text in dict.fromkeys(problems):
            if profile.isolation == REQUIRED:
                found.fatal.append(configuration.mistake(key, text))
            else:
                found.notes.append(f"{key}: {text}")
    for number, route in enumerate(configuration.routes):
        if route.hosting.host == FASTCGI and not route.hosting.processes and needed(route.profile):
            found.notes.append(
                f"routes.{number}.fastcgi: whoever starts the program has to confine it, the server cannot"
            )
    found.lines = [("" if "scripts" in where else f"{', '.join(where)}: ") + text for text, where in said.items()]
    return found


def describe(profile: Profile) -> str:
    """What is in force."""
    try:
        other = account(profile.user, profile.group)
    except LookupError:
        other = None
    name = other.name if other else _own_name()
    if profile.isolation == OFF:
        return f"off: scripts run as {name}" + (f", and may do what {name} may" if other is None else "")
    version = landlock.version()
    parts = [f"files (Landlock {version})"] if version else []
    if version >= landlock.SCOPES or other is not None:
        parts.append("signals")
    root = "; better name a user for them" if (other.user if other else os.geteuid()) == 0 else ""
    return f"{profile.isolation}: {', '.join([*parts, 'privileges'])}; scripts run as {name}{root}"


def _own_name() -> str:
    own = account(str(os.geteuid()), str(os.getegid()))
    return own.name if own else ""


def _profiles(configuration: Configuration) -> dict[Profile, list[tuple[str, str]]]:
    """Each with the keys of the scripts that run with it, and their names; "" are those that file names trigger."""
    profiles: dict[Profile, list[tuple[str, str]]] = {configuration.scripts.profile: [("scripts.directory", "")]}
    for number, route in enumerate(configuration.routes):
        named = profiles.setdefault(route.profile, [])
        key = configuration.script_key(number)
        named += [(key, name) for name in route.files]
        if route.on_error not in ON_ERROR:
            named.append((f"routes.{number}.on_error", route.on_error))
        if not named:
            named.append((f"routes.{number}.fastcgi", ""))
    return profiles


def _scripts(
    keys: list[tuple[str, str]], configuration: Configuration, directory: ScriptDirectory
) -> Iterator[tuple[str, str]]:
    """Key and path."""
    routed = {directory.locate(name) for route in configuration.routes for name in route.files}
    for key, name in keys:
        if name:
            yield key, directory.locate(name)
        elif key == "scripts.directory":
            for path in directory.scripts():
                stem = os.path.splitext(os.path.basename(path))[0]
                if path not in routed or triggers(stem):  # else it runs as its routes say, and in no other way
                    yield key, path


def _folder_problems(profile: Profile) -> Iterator[str]:
    if profile.isolation == OFF:
        if profile.readable or profile.writable:
            yield "is off, so `readable` and `writable` mean nothing"
        return
    for path in dict.fromkeys((*profile.readable, *profile.writable)):
        if not os.path.isdir(path):
            yield f"there is no folder {path}"
    for path in profile.writable:
        inside = [own for own in profile.hidden if f"{own}/".startswith(f"{os.path.realpath(path)}/")]
        if inside:
            yield f"scripts may write into {path}, but there is the server's own {inside[-1]}: name another folder"


def _script_problems(path: str, profile: Profile, directory: ScriptDirectory) -> Iterator[str]:
    yield from out_of_reach(path, profile)
    if profile.isolation == OFF:
        if is_open_to_all(path):
            yield f"{path} may be changed by anybody: chmod o-w it and its folder"
        return
    yield from faults(path, profile)
    program = _program(path, directory)
    if program and landlock.version() and not is_readable(program, profile):
        yield f"{path} is started by {program}, which it may not read: name its folder in `readable`"


def _program(path: str, directory: ScriptDirectory) -> str:
    """What starts the script, with links followed; "" when that is the script itself, or cannot be told."""
    try:
        program = directory.command(path)[0]
        if program == path:
            words = interpreter_line(path)
            program = words[0] if words and os.path.isabs(words[0]) else ""
    except ScriptError:
        return ""
    return os.path.realpath(shutil.which(program) or program) if program else ""
