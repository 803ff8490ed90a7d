"""All that is wrong with a configuration, in the words of the people who write it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ValidationError

from sipcgi.config.document import Document, Path
from sipcgi.errors import ConfigError
from sipcgi.logs import printable


@dataclass(frozen=True, slots=True)
class NamedScripts:
    """The scripts that a configuration names, which can be looked at even if the rest of it is wrong."""

    directory: FilePath
    names: list[tuple[str, str]]
    """Key and name."""
    mistake: Callable[[str, str], ConfigError]
    """Makes one of a key and a text."""


class ConfigErrors(Exception):
    """Every mistake at once, in the order of the file. Caught in app, and in cli for `check`."""

    def __init__(self, errors: Iterable[ConfigError], scripts: NamedScripts | None = None) -> None:
        self.errors = sorted(map(_one_line, errors), key=lambda error: (error.file, error.line))
        self.scripts = scripts
        super().__init__("\n".join(map(str, self.errors)))


def _one_line(error: ConfigError) -> ConfigError:
    """Whatever a file holds, no mistake in it moves the cursor of a terminal."""
    return ConfigError(printable(error.file), error.line, printable(error.key), printable(error.text))


_TEXTS = {
    "missing": "is missing",
    "model_type": "must be a mapping: lines of 'key: value', indented below it",
    "dict_type": "must be a mapping: lines of 'key: value', indented below it",
    "list_type": "must be a list: lines that begin with '- '",
}


def note(error: ValidationError, document: Document, sections: dict[Path, type[BaseModel]]) -> None:
    """Adds what a model found to the document's mistakes; `sections` are the models, by path with "*" for numbers."""
    reported = set(document.faulty)
    details = [
        (detail, tuple(part for part in detail["loc"] if part != "[key]"))
        for detail in error.errors(include_url=False, include_input=False)
    ]
    misspelt = {
        (*path[:-1], _misspelt(path, sections)) for detail, path in details if detail["type"] == "extra_forbidden"
    }
    for detail, path in details:
        if detail["type"] == "missing" and path in misspelt:
            continue
        if any(path[:end] in reported for end in range(1, len(path) + 1)):
            continue  # the reader has said what is wrong there
        while detail["type"] != "missing" and path not in document.lines and _is_implied(path):
            path = path[:-1]
        document.add(path, _text(detail, path, sections))


def _is_implied(path: Path) -> bool:
    """A single value where a list may stand, or a URL or a name where a mapping may."""
    return bool(path) and (isinstance(path[-1], int) or path[-1] in ("url", "name"))


def _text(detail: Any, path: Path, sections: dict[Path, type[BaseModel]]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return "unknown key" + _meant(path, sections)
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    return _TEXTS.get(kind) or str(detail["msg"])


def _meant(path: Path, sections: dict[Path, type[BaseModel]]) -> str:
    """What an unknown key may have been meant to be."""
    name = str(path[-1])
    if key := _misspelt(path, sections):
        return f"; did you mean '{key}'?"
    for section, model in sections.items():
        if name in keys(model):
            where = ".".join(str(part) for part in section if part != "*")
            return f"; it belongs {f'below {where}' if where else 'to the outermost level'}"
    return meant(name, _keys_around(path, sections))


def _misspelt(path: Path, sections: dict[Path, type[BaseModel]]) -> str:
    """The key of the same section that an unknown one is like, or ""."""
    close = get_close_matches(str(path[-1]).lower(), _keys_around(path, sections), 1, cutoff=0.75)
    return close[0] if close else ""


def _keys_around(path: Path, sections: dict[Path, type[BaseModel]]) -> list[str]:
    return keys(sections[tuple("*" if isinstance(part, int) else part for part in path[:-1])])


def meant(name: str, known: Sequence[str]) -> str:
    """Which of the known keys an unknown one may have been meant to be, or all of them."""
    close = get_close_matches(name.lower(), known, 1)
    return f"; did you mean '{close[0]}'?" if close else f": there are {', '.join(known)}"


def keys(model: type[BaseModel]) -> list[str]:
    """The keys of a section as they are written, its own before those that others have, too."""
    fields = sorted(model.model_fields.items(), key=lambda item: item[0] not in model.__annotations__)
    return [field.alias or name for name, field in fields]
