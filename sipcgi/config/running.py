"""How the scripts of a route are run: what it says itself, and else what `scripts` says for all."""

from collections.abc import Callable
from pathlib import Path

from sipcgi.config.schema import LimitKeys, RouteEntry, RunKeys, Scripts
from sipcgi.profile import EXEC, FASTCGI, OFF, Hosting, Limits, Profile


def general_hosting(scripts: Scripts) -> Hosting:
    """That of the scripts that their file names trigger."""
    return Hosting(warm=scripts.host, preload=tuple(scripts.preload))


def hosting(entry: RouteEntry, scripts: Scripts) -> Hosting:
    """A route that names a FastCGI program need not say that this is its host."""
    return Hosting(
        host=entry.host or (FASTCGI if entry.fastcgi else EXEC),
        warm=frozenset() if entry.host else scripts.host,
        preload=tuple(dict.fromkeys([*scripts.preload, *entry.preload])),
        fastcgi=entry.fastcgi or "",
        command=tuple(entry.command),
        processes=entry.processes or 1,
    )


def profile(keys: RunKeys, general: RunKeys, absolute: Callable[[str], Path]) -> Profile:
    """What a run may use and do."""
    return Profile(
        limits=_limits(keys.limits, general.limits),
        isolation=keys.isolation or general.isolation or OFF,
        user=keys.user or general.user or "",
        # A group of the general account does not go with an account of the route's own.
        group=keys.group or (general.group if not keys.user else None) or "",
        readable=_folders(keys.readable or general.readable, absolute),
        writable=_folders(keys.writable or general.writable, absolute),
    )


def _limits(keys: LimitKeys, general: LimitKeys) -> Limits:
    return Limits(**{name: getattr(keys, name) or getattr(general, name) or 0 for name in LimitKeys.model_fields})


def _folders(names: list[str], absolute: Callable[[str], Path]) -> tuple[str, ...]:
    return tuple(str(absolute(name)) for name in names)
