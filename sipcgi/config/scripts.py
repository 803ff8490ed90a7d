"""Whether the scripts that a configuration names are there and can be started."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from sipcgi.config.fields import ON_ERROR
from sipcgi.config.isolation import isolation
from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors, NamedScripts
from sipcgi.config.model import Configuration
from sipcgi.errors import ConfigError, ScriptError
from sipcgi.hosts.directory import ScriptDirectory
from sipcgi.hosts.fastcgi import program_of
from sipcgi.hosts.languages import interpreter
from sipcgi.profile import WARM
from sipcgi.stores.database import mistake


def load_with_scripts(
    path: Path | None = None,
    *,
    listen: Iterable[str] = (),
    domains: Iterable[str] = (),
    scripts: str | Path | None = None,
    startable: bool = False,
) -> Configuration:
    """As load; the scripts that keys name must be there. With `startable`, every one must also be able to run.

    Raises ConfigErrors with all that is wrong.
    """
    errors: list[ConfigError] = []
    try:
        configuration = load(path, listen=listen, domains=domains, scripts=scripts)
        fatal, said = script_mistakes(configuration)
        fatal += isolation(configuration, ScriptDirectory(str(configuration.scripts.directory))).fatal
        if (path := configuration.store_path) and (text := mistake(str(path))):
            fatal.append(configuration.mistake("location.store", text))
    except ConfigErrors as error:
        errors = error.errors
        fatal, said = _look(error.scripts) if error.scripts else ([], [])
    errors = [*errors, *fatal, *(said if startable else ())]
    if errors:
        raise ConfigErrors(errors)
    return configuration


def script_mistakes(configuration: Configuration) -> tuple[list[ConfigError], list[ConfigError]]:
    """What keeps the server from starting, and what is only said: scripts that cannot be started, ambiguous names.

    Fatal is a script that a key names and that is missing or outside the directory.
    """
    named = NamedScripts(configuration.scripts.directory, [*_named(configuration)], configuration.mistake)
    fatal, said = _look(named)
    directory = ScriptDirectory(str(configuration.scripts.directory))
    fatal += _never_warm(configuration, directory)
    for number, route in enumerate(configuration.routes):
        if route.hosting.command and not route.files:  # one that is elsewhere
            problems = program_of(route, {}).problems(directory)
            said += [configuration.mistake(f"routes.{number}.command", str(problem)) for problem in problems]
    return fatal, said


def _look(scripts: NamedScripts) -> tuple[list[ConfigError], list[ConfigError]]:
    directory = ScriptDirectory(str(scripts.directory))
    fatal: list[ConfigError] = []
    said: list[ConfigError] = []
    paths = {key: directory.locate(name) for key, name in scripts.names}
    for key, path in paths.items():
        found = said if is_within(path, directory) else fatal
        meant = get_close_matches(os.path.basename(path), ON_ERROR, 1) if key.endswith(".on_error") else []
        hint = f"; did you mean {meant[0]}?" if meant else ""
        found += [scripts.mistake(key, f"{problem}{hint}") for problem in directory.problems(path)]
    others = [path for path in directory.scripts() if path not in paths.values()]
    problems = [problem for path in others for problem in directory.problems(path)]
    problems += directory.name_problems({path for key, path in paths.items() if not key.endswith(".on_error")})
    said += [scripts.mistake("scripts.directory", str(problem)) for problem in problems]
    return fatal, said


def _never_warm(configuration: Configuration, directory: ScriptDirectory) -> Iterator[ConfigError]:
    """Routes that ask for a warm host where there is none; scripts that cannot be started at all are said elsewhere."""
    for number, route in enumerate(configuration.routes):
        for name in route.files if route.hosting.host == WARM else ():
            path = directory.locate(name)
            with suppress(ScriptError):
                if interpreter(directory.command(path), path) is None:
                    kind = os.path.splitext(name)[1] or name
                    text = f"there is none for {kind}: Python, Perl and Ruby have one"
                    yield configuration.mistake(f"routes.{number}.host", text)


def is_within(path: str, directory: ScriptDirectory) -> bool:
    """Whether it is a file below the folder, with symbolic links followed."""
    inside = path.startswith(os.path.join(directory.path, ""))
    real = os.path.realpath(path).startswith(os.path.join(os.path.realpath(directory.path), ""))
    return inside and real and os.path.isfile(path)


def _named(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Every key that names a script, once: a route inherits `on_error` from `scripts`."""
    general = configuration.scripts.on_error
    if general not in ON_ERROR:
        yield "scripts.on_error", general
    for number, route in enumerate(configuration.routes):
        key = configuration.script_key(number)
        yield from ((f"{key}.{place}" if route.then else key, name) for place, name in enumerate(route.files))
        if route.on_error not in ON_ERROR and route.on_error != general:
            yield f"routes.{number}.on_error", route.on_error
