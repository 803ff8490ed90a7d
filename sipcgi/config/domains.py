"""What a configuration says of each of our domains; what a domain does not say of itself is said for all."""

from collections.abc import Iterator

from sipcgi.config import schema
from sipcgi.config.document import Document, Path
from sipcgi.config.place import host
from sipcgi.engine.domains import DEFAULT_SETTINGS, DomainSettings
from sipcgi.registrar.register import Limits


def named_domains(document: Document) -> Iterator[tuple[Path, str]]:
    """Where the file says something of a domain, and its name; "" is for all."""
    yield (), ""
    value = document.at("domains")
    entries: list[tuple[Path, object]] = [(("domains",), value)]
    if isinstance(value, list):
        entries = [(("domains", number), one) for number, one in enumerate(value)]
    for path, entry in entries:
        try:
            yield path, host(entry["name"] if isinstance(entry, dict) else entry)
        except (KeyError, ValueError):
            continue  # the schema says so


def domain_settings(file: schema.File) -> dict[str, DomainSettings]:
    """By name, in the order of the file; "" is what holds for all others."""
    found = {"": settings(file, DEFAULT_SETTINGS)}
    found |= {entry.name: settings(entry, found[""]) for entry in file.domains}
    return found


def settings(keys: schema.DomainKeys, general: DomainSettings) -> DomainSettings:
    limits = general.limits
    return DomainSettings(
        redirect=general.redirect if keys.default_action is None else keys.default_action == "redirect",
        recurse=general.recurse if keys.recurse is None else keys.recurse,
        group_timeout=keys.group_timeout or general.group_timeout,
        limits=Limits(
            minimum=keys.min_expires or limits.minimum,
            default=keys.default_expires or limits.default,
            maximum=keys.max_expires or limits.maximum,
            most_contacts=keys.max_contacts or limits.most_contacts,
        ),
        service_route=tuple(keys.service_route) or general.service_route,
        flow_timer=keys.flow_timer or general.flow_timer,
    )


def note_mistakes(document: Document, file: schema.File) -> None:
    """Names that are there twice, and limits that contradict each other."""
    first: dict[str, int] = {}
    general = settings(file, DEFAULT_SETTINGS)
    _note_limits(document, (), file, general.limits)
    for number, entry in enumerate(file.domains):
        path = ("domains", number)
        if entry.name in first and entry.model_fields_set | file.domains[first[entry.name]].model_fields_set != {
            "name"
        }:
            line = document.line(("domains", first[entry.name]))
            document.add(path, f"{entry.name} is there twice, first in line {line}")
        first.setdefault(entry.name, number)
        _note_limits(document, path, entry, settings(entry, general).limits)


def _note_limits(document: Document, path: Path, keys: schema.DomainKeys, limits: Limits) -> None:
    """A REGISTER that asks for nothing must be granted something."""
    for name, seconds in (("max_expires", limits.maximum), ("default_expires", limits.default)):
        if seconds < limits.minimum and keys.model_fields_set & {name, "min_expires"}:
            key = name if name in keys.model_fields_set else "min_expires"
            document.add((*path, key), f"{name} is {seconds} s and min_expires {limits.minimum} s, which is more")
