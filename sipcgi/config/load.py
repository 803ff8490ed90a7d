"""From a configuration file and the command line to a Configuration, or to every mistake at once."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sipcgi.auth.digest import Account
from sipcgi.cgi.routes import Route
from sipcgi.config import fields, schema
from sipcgi.config.aliases import AliasReader
from sipcgi.config.certificates import Certificates
from sipcgi.config.document import Document, key_name
from sipcgi.config.document import Path as Key
from sipcgi.config.domains import domain_settings, named_domains, note_mistakes
from sipcgi.config.mistakes import ConfigErrors, NamedScripts, keys, note
from sipcgi.config.model import BUILT_IN, COMMAND_LINE, MAX_RUNNING, Configuration, ScriptSettings
from sipcgi.config.place import Listener, default_listeners, host, listener
from sipcgi.config.programs import note_programs
from sipcgi.config.running import general_hosting, hosting, profile, with_places
from sipcgi.engine.overload import MOST_TRANSACTIONS
from sipcgi.errors import ConfigError
from sipcgi.hosts.kits import joined

__all__ = ["ConfigErrors", "load"]

T = TypeVar("T")

PLACES = (Path("conf/sipcgi.yaml"), Path("/etc/sipcgi/sipcgi.yaml"))
"""Where a configuration is looked for that nobody names."""
DEFAULT_DIRECTORY = "cgi-bin"


def load(
    path: Path | None = None,
    *,
    listen: Iterable[str] = (),
    domains: Iterable[str] = (),
    scripts: str | Path | None = None,
) -> Configuration:
    """Reads `path`, or the first of PLACES, or takes the defaults; the other arguments override what the file says.

    Raises ConfigErrors with every mistake of the file and of the arguments.
    """
    path = path or found()
    document = _read(path) if path else Document(BUILT_IN)
    file = schema.File()
    try:
        file = schema.validate(document.values)
    except ValidationError as error:
        note(error, document, schema.SECTIONS)
    mistakes: list[ConfigError] = []
    base = Path.cwd() / path.parent if path else Path.cwd()
    absolute = partial(_absolute, base)
    certificates = Certificates(document, absolute)
    listeners = _arguments("--listen", lambda url: certificates.complete(listener(url)), listen, mistakes)
    names = _arguments("--domain", host, domains, mistakes)
    directory = _directory(document, base, scripts, mistakes)
    _no_listener_twice(document)
    _no_realm_twice(document, file)
    note_mistakes(document, file)
    note_programs(document, file)
    reader = AliasReader(document, absolute, names)
    for place, name in named_domains(document):
        if names or not _hidden(document, "domains"):  # else each of them would be of no domain of ours
            reader.read((*place, "aliases"), name)
    aliases = reader.aliases()
    if errors := document.mistakes + mistakes:
        without = any(error.key in ("scripts.directory", "--scripts", "--config") for error in errors)
        without = without or (scripts is None and _hidden(document, "scripts", "directory"))
        named = NamedScripts(directory, _named(document), partial(_mistake, document))
        raise ConfigErrors(errors, None if without else named)
    configuration = Configuration(
        file=path,
        listen=tuple(listeners or _listeners(document, file, certificates) or default_listeners()),
        domains=tuple(names or dict.fromkeys(entry.name for entry in file.domains)),
        relay=tuple(file.relay),
        scripts=_settings(file.scripts, directory, absolute),
        routes=tuple(_route(entry, file.scripts, absolute) for entry in file.routes),
        store=_store(file.location.store, base),
        domain_settings=domain_settings(file),
        aliases=aliases,
        max_transactions=file.overload.max_transactions or MOST_TRANSACTIONS,
        retry_after=file.overload.retry_after,
        credentials=tuple(Account(each.realm, each.user, each.password) for each in file.credentials),
        lines={key_name(place): line for place, line in document.lines.items()},
    )
    return with_places(configuration)


def found() -> Path | None:
    """The first of PLACES that there is."""
    return next(filter(_is_there, PLACES), None)


def _is_there(place: Path) -> bool:
    """Also when it cannot be told: what may be meant is not passed over in silence."""
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def _read(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            return Document.read(str(path), file.read(2 * 1024 * 1024))
    except FileNotFoundError:
        raise ConfigErrors([ConfigError(COMMAND_LINE, 1, "--config", f"there is no file {path}")]) from None
    except OSError as error:
        raise ConfigErrors([ConfigError(str(path), 1, "--config", error.strerror or "cannot be read")]) from None


def _hidden(document: Document, *path: str) -> bool:
    """Whether an unknown key may be the one that is missing: then nothing is said of what follows from that."""
    for end, key in enumerate(path):
        around = document.at(*path[:end])
        if isinstance(around, dict) and key not in around:
            return not around.keys() <= set(keys(schema.SECTIONS[path[:end]]))
    return False


def _absolute(base: Path, path: str | Path) -> Path:
    """Without `..`; a last part that is a symbolic link stays one, so that it may be turned elsewhere later."""
    whole = base / path
    if whole.name in ("", ".."):
        return Path(os.path.realpath(whole))
    return Path(os.path.realpath(whole.parent), whole.name)


def _arguments(option: str, parse: Callable[[object], T], texts: Iterable[str], mistakes: list[ConfigError]) -> list[T]:
    """Parses what the command line gives; `line` of a mistake counts the options of that name."""
    values = []
    for number, text in enumerate(texts, 1):
        try:
            values.append(parse(text))
        except ValueError as error:
            mistakes.append(ConfigError(COMMAND_LINE, number, option, str(error)))
    return values


def _directory(document: Document, base: Path, scripts: str | Path | None, mistakes: list[ConfigError]) -> Path:
    """The folder of the scripts. One that is named must be there, and the default one if there is no file."""
    if scripts is not None:
        directory = _absolute(Path.cwd(), scripts)
        if not os.path.isdir(directory):
            mistakes.append(ConfigError(COMMAND_LINE, 1, "--scripts", f"there is no folder {scripts}"))
        return directory
    named = document.at("scripts", "directory")
    if not isinstance(named, str) or "\0" in named:
        named = ""
    directory = _absolute(base, named or DEFAULT_DIRECTORY)
    if os.path.isdir(directory):
        return directory
    if named:
        document.add(("scripts", "directory"), f"there is no folder {directory}")
    elif document.file == BUILT_IN:
        neither = " nor ".join(map(str, PLACES))
        text = f"neither {neither} exists, and there is no folder ./{DEFAULT_DIRECTORY}: make it and put a script there"
        mistakes.append(ConfigError(COMMAND_LINE, 1, "--config", text))
    return directory


def _listeners(document: Document, file: schema.File, certificates: Certificates) -> list[Listener]:
    return [
        replace(
            entry.url,
            advertise=entry.advertise,
            tls=certificates.of(number),
            line=document.line(("listen", number)),
        )
        for number, entry in enumerate(file.listen)
    ]


def _no_listener_twice(document: Document) -> None:
    first: dict[str, int] = {}
    entries = document.at("listen")
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        key: Key = ("listen", number, "url") if isinstance(entry, dict) else ("listen", number)
        try:
            url = listener(document.at(*key))
        except ValueError:
            continue
        same = first.setdefault(str(url), number)
        if same != number and url.port:
            document.add(key, f"{url} is there twice, first in listen.{same}")


def _no_realm_twice(document: Document, file: schema.File) -> None:
    first: dict[str, int] = {}
    for number, entry in enumerate(file.credentials):
        same = first.setdefault(entry.realm, number)
        if same != number:
            text = f"'{entry.realm}' is there twice, first in credentials.{same}"
            document.add(("credentials", number, "realm"), text)


def _named(document: Document) -> list[tuple[str, str]]:
    """The scripts that a document with mistakes names."""
    names = []
    routes = document.at("routes")
    keys: list[Key] = [("scripts", "on_error")]
    for number in range(len(routes) if isinstance(routes, list) else 0):
        key: Key = ("routes", number, "script")
        scripts = document.at(*key)
        keys += [(*key, place) for place in range(len(scripts))] if isinstance(scripts, list) else [key]
        keys.append(("routes", number, "on_error"))
    for key in keys:
        is_script = key[-1] != "on_error"
        try:
            name = (fields.script if is_script else fields.on_error)(document.at(*key))
        except ValueError:
            continue
        if is_script or name not in fields.ON_ERROR:
            names.append((key_name(key), name))
    return names


def _mistake(document: Document, key: str, text: str) -> ConfigError:
    path = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    return ConfigError(document.file, document.line(path), key, text)


def _settings(scripts: schema.Scripts, directory: Path, absolute: Callable[[str], Path]) -> ScriptSettings:
    return ScriptSettings(
        directory=directory,
        timeout=scripts.timeout,
        on_error=scripts.on_error,
        max_output=scripts.max_output,
        max_messages=scripts.max_messages,
        pass_authorization=scripts.pass_authorization,
        style=scripts.style,
        environment=joined(scripts.environment),
        max_running=scripts.max_running or MAX_RUNNING,
        max_running_per_script=scripts.max_running_per_script,
        hosting=general_hosting(scripts),
        profile=profile(scripts, schema.Scripts(), absolute),
    )


def _route(entry: schema.RouteEntry, scripts: schema.Scripts, absolute: Callable[[str], Path]) -> Route:
    """With what `scripts` says for all where the route says nothing."""
    return Route(
        script=entry.script[0],
        then=tuple(entry.script[1:]),
        method=frozenset(entry.method) or None,
        from_=tuple(entry.from_),
        to=tuple(entry.to),
        uri=tuple(entry.uri),
        source=tuple(entry.source),
        in_dialog=entry.in_dialog,
        reroute=entry.reroute,
        originate=entry.originate,
        timeout=entry.timeout or scripts.timeout,
        on_error=entry.on_error or scripts.on_error,
        max_output=entry.max_output or scripts.max_output,
        max_messages=entry.max_messages or scripts.max_messages,
        pass_authorization=(
            scripts.pass_authorization if entry.pass_authorization is None else entry.pass_authorization
        ),
        style=entry.style or scripts.style,
        environment=joined({**scripts.environment, **entry.environment}),
        max_running=entry.max_running,
        hosting=hosting(entry, scripts),
        profile=profile(entry, scripts, absolute),
    )


def _store(url: str, base: Path) -> str:
    if not url.startswith("sqlite:"):
        return url
    return f"sqlite:///{_absolute(base, url.removeprefix('sqlite:///'))}"
