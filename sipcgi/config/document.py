"""A YAML file with the line of every key, and all that is wrong with it as YAML.

Scalars are kept as they are written and become numbers, durations and the like only where the key says so: that `on`,
`010` and `5:30` are no texts to YAML 1.1 is not to be the user's trouble. Anchors and aliases work; merge keys, tags
and several documents in a file do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from sipcgi.config.diagnosis import Diagnosis, unquoted
from sipcgi.errors import ConfigError

MAX_FILE = 1024 * 1024
"""Octets of a configuration file."""
MAX_DEPTH = 16
"""Collections inside each other."""
MAX_NODES = 100_000
"""Values in a file, those that an alias stands for counted each time: no "billion laughs"."""
MAX_REPAIRS = 50
"""Unquoted values that are reported before reading is given up."""

Path = tuple[str | int, ...]

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


class Plain(str):
    """A scalar that stands in the file without quotes."""

    __slots__ = ()


@dataclass(slots=True)
class Document:
    """What a file says: texts, None for what is empty, lists and mappings."""

    file: str
    values: object = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    """Of every key and every list element, counted from 1."""
    mistakes: list[ConfigError] = field(default_factory=list)
    faulty: set[Path] = field(default_factory=set)
    """What no value can be told of, so that nothing else needs to be said about it."""

    @classmethod
    def read(cls, file: str, octets: bytes) -> "Document":
        """Never fails: what cannot be read is in `mistakes`."""
        document = cls(file)
        if len(octets) > MAX_FILE:
            document.add((), "is larger than 1 MiB", line=1)
            return document
        try:
            text = octets.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            document.add((), "is not UTF-8 text", line=octets.count(b"\n", 0, error.start) + 1)
            return document
        _read(document, text)
        return document

    def at(self, *path: str | int) -> object:
        """The value at `path`; None when it is not there."""
        value = self.values
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def line(self, path: Path) -> int:
        """The line of what is at `path`, or of the nearest thing around it; 1 when there is none."""
        while path:
            line = self.lines.get(path)
            if line:
                return line
            path = path[:-1]
        return 1

    def add(self, path: Path, text: str, *, line: int = 0) -> None:
        """Notes a mistake at `path`."""
        self.mistakes.append(ConfigError(self.file, line or self.line(path), key_name(path), text))


def key_name(path: Path) -> str:
    """A path as mistakes show it: `routes.0.script`; `(file)` for the whole."""
    return ".".join(map(str, path)) or "(file)"


def _read(document: Document, text: str) -> None:
    """Composes the text; a value that lacks its quotes is noted, put in quotes, and all is read once more."""
    lines = text.split("\n")
    repairs: list[tuple[int, str]] = []
    while True:
        composer = _Composer(document)
        try:
            values = composer.compose("\n".join(lines))
        except yaml.MarkedYAMLError as error:
            found = Diagnosis.of(error, lines)
            if found.repaired and len(repairs) < MAX_REPAIRS:
                repairs += [(found.line + 1, value) for value in found.values]
                lines[found.line] = found.repaired
                continue
            document.add((), found.text, line=found.line + 1)
        except yaml.reader.ReaderError as error:
            code = error.character if isinstance(error.character, int) else ord(error.character[:1] or "\0")
            place = next((number for number, line in enumerate(lines, 1) if chr(code) in line), 1)
            document.add((), f"control character {code:#04x}: YAML forbids it", line=place)
        except _TooMuchError as error:
            document.add((), str(error), line=composer.at)
        else:
            document.values = {} if values is None else values
        break
    for line, value in repairs[:MAX_REPAIRS]:
        document.add(_place(document, line, value), unquoted(value), line=line)


def _place(document: Document, line: int, value: str) -> Path:
    """Where in a line a value stands."""
    paths = [path for path, number in document.lines.items() if number == line]
    return next((path for path in paths if document.at(*path) == value), paths[-1] if paths else ())


class _TooMuchError(Exception):
    """The file is beyond a limit, or no single mapping."""


class _Composer:
    """Makes values of YAML's events, noting lines and mistakes in the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.document.lines = {}
        self.document.mistakes = []
        self.document.faulty = set()
        self.at = 1
        self._nodes = 0
        self._anchors: dict[str, tuple[object, int]] = {}
        self._begun: set[str] = set()
        """Anchors of what is being read."""
        self._events: Iterator[yaml.Event] = iter(())

    def compose(self, text: str) -> object:
        self._events = iter(yaml.parse(text, Loader=_LOADER))
        values: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.at = _line(event)
                    raise _TooMuchError("a second document ('---') begins here: only one is read")
            elif isinstance(event, yaml.NodeEvent):
                values = self._value(event, (), 0)
        return values

    def _value(self, event: yaml.Event, path: Path, depth: int) -> object:
        self.at = _line(event)
        before = self._nodes
        self._count(1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # nothing else stands in their place
        if event.tag is not None and event.tag not in ("tag:yaml.org,2002:str", "!"):
            self.document.faulty.add(path)
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.document.add(path, f"tags like {tag} are not supported", line=self.at)
        if depth >= MAX_DEPTH:
            raise _TooMuchError(f"more than {MAX_DEPTH} levels of lists and mappings")
        value: object
        if event.anchor is not None:
            self._begun.add(event.anchor)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path, depth + 1)
        else:
            value = self._sequence(path, depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._nodes - before
            self._begun.discard(event.anchor)
        return value

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _TooMuchError(f"more than {MAX_NODES} values, those behind aliases included")

    def _alias(self, event: yaml.AliasEvent, path: Path) -> object:
        found = self._anchors.get(event.anchor or "")
        if found is None:
            name = f"*{event.anchor}"
            text = f'{name} is an alias in YAML, and nothing has that anchor: put a text in quotes: "{name}"'
            if event.anchor in self._begun:
                text = f"{name} stands inside of what it is to stand for"
            self.document.faulty.add(path)
            self.document.add(path, text, line=self.at)
            return name
        self._count(found[1] - 1)
        return found[0]

    def _sequence(self, path: Path, depth: int) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(values))
            self.document.lines[here] = _line(event)
            values.append(self._value(event, here, depth))
        return values

    def _mapping(self, path: Path, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            key = self._value(event, path, depth)
            if not isinstance(key, str):
                key = "~" if key is None else "?"
                self.document.faulty.add((*path, key))
                self.document.add((*path, key), "a key must be a plain word", line=line)
            elif key == "<<":
                self.document.faulty.add((*path, key))
                self.document.add((*path, key), "merge keys are not supported: write out what is merged", line=line)
            key = str(key)
            here = (*path, key)
            if here in self.document.lines and key in values:
                first = self.document.lines[here]
                self.document.add(here, f"is there twice, first in line {first}", line=line)
            self.document.lines[here] = line
            values[key] = self._value(next(self._events), here, depth)
        return values


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _scalar(event: yaml.ScalarEvent) -> str | None:
    """The text as written; None for an unquoted empty one or null."""
    if event.style is None or event.style == "":
        return None if event.value in _NULLS and event.tag is None else Plain(event.value)
    return str(event.value)
