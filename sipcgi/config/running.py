"""How the scripts of a route are run: what it says itself, and else what `scripts` says for all."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sipcgi.config.model import Configuration
from sipcgi.config.schema import LimitKeys, RouteEntry, RunKeys, Scripts
from sipcgi.hosts.kits import joined
from sipcgi.profile import EXEC, FASTCGI, OFF, PLAIN, Hosting, Limits, Profile


def general_hosting(scripts: Scripts) -> Hosting:
    """That of the scripts that their file names trigger."""
    return Hosting(warm=scripts.host, preload=tuple(scripts.preload))


def hosting(entry: RouteEntry, scripts: Scripts) -> Hosting:
    """A route that names a FastCGI program need not say that this is its host."""
    host = entry.host or (FASTCGI if entry.fastcgi or entry.command or entry.processes else EXEC)
    preload = tuple(dict.fromkeys([*scripts.preload, *entry.preload]))
    if host != FASTCGI:
        return Hosting(host, frozenset() if entry.host else scripts.host, preload)
    processes = entry.processes or (1 if entry.command else 0)
    return Hosting(
        host=host,
        warm=scripts.host,
        preload=preload,
        fastcgi=entry.fastcgi or "",
        processes=processes,
        command=tuple(entry.command or entry.script[:1]) if processes else (),
        environment=tuple(joined({**scripts.environment, **entry.environment}).items()) if processes else (),
    )


def profile(keys: RunKeys, general: RunKeys, absolute: Callable[[str], Path]) -> Profile:
    """What a run may use and do."""
    found = Profile(
        limits=_limits(keys.limits, general.limits),
        isolation=keys.isolation or general.isolation or OFF,
        user=keys.user or general.user or "",
        # A group of the general account does not go with an account of the route's own.
        group=keys.group or (general.group if not keys.user else None) or "",
        readable=_folders(keys.readable or general.readable, absolute),
        writable=_folders(keys.writable or general.writable, absolute),
    )
    return PLAIN if found == PLAIN else found  # which each run is asked for


def with_places(configuration: Configuration) -> Configuration:
    """Tells the profiles with isolation where the scripts are, and what is nothing for them."""
    hidden = tuple(dict.fromkeys(map(os.path.realpath, _own_files(configuration))))
    folder = str(configuration.scripts.directory)

    def told(profile: Profile) -> Profile:
        return profile if profile.isolation == OFF else replace(profile, folder=folder, hidden=hidden)

    return replace(
        configuration,
        scripts=replace(configuration.scripts, profile=told(configuration.scripts.profile)),
        routes=tuple(replace(route, profile=told(route.profile)) for route in configuration.routes),
    )


def _own_files(configuration: Configuration) -> Iterator[Path]:
    """The file with the passwords and what lies beside it, the store with its key, the private keys of TLS."""
    if configuration.file is not None:
        yield configuration.file.parent
        yield configuration.file
    if (store := configuration.store_path) is not None:
        yield from (store.with_name(store.name + more) for more in ("", "-wal", "-shm", "-journal", ".key"))
    for listener in configuration.listen:
        if listener.tls is not None:
            yield from filter(None, (listener.tls.certificate, listener.tls.key))


def _limits(keys: LimitKeys, general: LimitKeys) -> Limits:
    return Limits(**{name: getattr(keys, name) or getattr(general, name) or 0 for name in LimitKeys.model_fields})


def _folders(names: list[str], absolute: Callable[[str], Path]) -> tuple[str, ...]:
    return tuple(str(absolute(name)) for name in names)
