"""Other names of users: what the keys `aliases` say, and the files that they name, which have the form of /etc/aliases.

A file has lines of `name: user, user@host, sip:user@host`. A line that begins with a blank goes on with the one before,
one that begins with # is a comment, and what holds a colon, a comma, # or blanks is put in double quotes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

from sipcgi.config.document import Document, Path, key_name
from sipcgi.config.domains import named_domains
from sipcgi.config.place import host
from sipcgi.errors import ConfigError, ParseError
from sipcgi.registrar.aliases import Aliases, Name, leads_to, name_of, user_at
from sipcgi.sip.uri import SipUri

MAX_FILE = 4 * 1024 * 1024
"""Octets of a file of aliases."""

_WORDS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,])+')
"""What stands between commas, those in quotes aside."""
_NAME = re.compile(r'("(?:[^"\\]|\\.)*"(?:@[^\s:]*)?|[^\s":]+)\s*:')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
OURS = "0.0.0.0"
"""Stands for our own addresses where chains are followed."""
_ANY = user_at("", OURS)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an alias stands, as mistakes show it."""

    file: str
    line: int
    key: str

    def mistake(self, text: str) -> ConfigError:
        return ConfigError(self.file, self.line, self.key, text)


class AliasReader:
    """Those of a document, whose mistakes are noted there; `domains` are ours besides those that the file names."""

    def __init__(self, document: Document, absolute: Callable[[str], FilePath], domains: Sequence[str]) -> None:
        self._document = document
        self._absolute = absolute
        self._domains = {*domains, *(name for _, name in named_domains(document) if name)}
        self._entries: dict[Name, tuple[str, ...]] = {}
        self._places: dict[Name, Place] = {}

    def read(self, path: Path, domain: str = "") -> None:
        """What stands at `path`, for one domain or for all: names and what they stand for, a file, or a list."""
        value = self._document.at(*path)
        if isinstance(value, list):
            for number in range(len(value)):
                self._read(value[number], (*path, number), domain)
        elif value is not None:
            self._read(value, path, domain)

    def aliases(self) -> Aliases:
        """All that were read; a chain that comes back to its beginning is a mistake."""
        made = Aliases(self._entries)
        self._document.mistakes += [self._places[name].mistake(text) for name, text in _loops(made, self._domains)]
        return made

    def _read(self, value: object, path: Path, domain: str) -> None:
        if isinstance(value, dict):
            for name, targets in value.items():
                here = (*path, name)
                place = Place(self._document.file, self._document.line(here), key_name(here))
                self._add(name, targets if isinstance(targets, list) else [targets], domain, place)
        elif isinstance(value, str):
            self._read_file(value, path, domain)
        else:
            self._document.add(path, "must be a mapping: lines of 'name: user', or the name of a file")

    def _read_file(self, name: str, path: Path, domain: str) -> None:
        if not name or "\0" in name:
            self._document.add(path, "is no file")
            return
        file = self._absolute(name)
        try:
            with file.open("rb") as opened:
                octets = opened.read(MAX_FILE + 1)
            text = octets.decode("utf-8-sig")
        except OSError as error:
            self._document.add(path, f"{file} cannot be read: {error.strerror}")
            return
        except UnicodeDecodeError as error:
            line = octets.count(b"\n", 0, error.start) + 1
            self._document.mistakes.append(ConfigError(str(file), line, "(file)", "is not UTF-8 text"))
            return
        if len(octets) > MAX_FILE:
            self._document.add(path, f"{file} is larger than 4 MiB")
            return
        for number, entry in logical_lines(text):
            found = _NAME.match(entry)
            if found is None:
                text = f"'{entry[:80]}' is no alias: write 'name: user'"
                self._document.mistakes.append(ConfigError(str(file), number, "(file)", text))
                continue
            key = _unquoted(found[1])
            place = Place(str(file), number, key)
            words = [word.strip() for word in _WORDS.findall(entry[found.end() :])]
            blank = next((word for word in words if " " in _QUOTED.sub("", word)), None)
            if blank is not None:
                text = f"'{blank[:80]}': a comma stands between users, and a name with blanks in quotes"
                self._document.mistakes.append(place.mistake(text))
                continue
            self._add(key, [_unquoted(word) for word in words if word], domain, place)

    def _add(self, name: str, targets: Sequence[object], domain: str, place: Place) -> None:
        """One alias, unless there is something wrong with it."""
        try:
            key = self._name(name, domain)
            if key in self._entries:
                first = self._places[key]
                where = f"line {first.line}" if first.file == place.file else f"{first.file}:{first.line}"
                raise ValueError(f"is there twice, first in {where}: names are the same in capitals")
            if not targets or targets == [None]:
                raise ValueError("stands for nobody")
            self._entries[key] = tuple(map(target, targets))
            self._places[key] = place
        except ValueError as error:
            self._document.mistakes.append(place.mistake(str(error)))

    def _name(self, text: str, domain: str) -> Name:
        """`name`, `name@domain`, or `@domain` for whoever has no other."""
        if _SCHEME.match(text):
            raise ValueError(f"'{text}': leave out the scheme")
        user, at, name = text.rpartition("@")
        if not at:
            user = text
        else:
            name = host(name)
            if name not in self._domains:
                raise ValueError(f"{name} is no domain of ours")
            if domain and name != domain:
                raise ValueError(f"{name} is another domain than {domain}, whose aliases these are")
        if not user and not at:
            raise ValueError("a name is expected")
        return user.lower(), name if at else domain


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file with those that continue them, and where each begins; no comments, no empty ones."""
    begun: tuple[int, str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare[0] == "#":
            continue
        if line[0] in " \t" and begun is not None:
            begun = begun[0], f"{begun[1]} {bare}"
            continue
        if begun is not None:
            yield begun
        begun = number, bare
    if begun is not None:
        yield begun


def target(value: object) -> str:
    """`user`, `user@host`, or a SIP or SIPS URI. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("stands for users: one, or a list of them")
    text = value.strip()
    if text.lower().startswith(":include:"):
        raise ValueError("':include:' is not supported: write the users here, or name the file in `aliases`, too")
    if text[:1] in ("|", "/"):
        raise ValueError(f"'{text}': a call goes to no program and to no file; a route runs a script")
    if text[:5].lower().startswith(("sip:", "sips:")):
        try:
            SipUri.parse(text)
        except ParseError as error:
            raise ValueError(str(error)) from None
        return text
    if _SCHEME.match(text):
        raise ValueError(f"'{text}': only sip: and sips: URIs can be called")
    user, at, name = text.rpartition("@")
    if not at:
        user = text
    if not user or any(char in user for char in ',<>"\\') or not user.isprintable():
        raise ValueError(f"'{text}' is no user, user@host or SIP URI; several are a list")
    return f"{user}@{host(name)}" if at else user


def _unquoted(text: str) -> str:
    return _QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1]), text)


def _loops(aliases: Aliases, domains: set[str]) -> Iterator[tuple[Name, str]]:
    """Each alias at which a chain comes back to where it was, once for a chain, and what is wrong with it."""
    done: set[Name] = set()
    told: set[Name] = set()
    users = {user for user, _ in aliases.entries}
    for (user, own), texts in aliases.entries.items():
        if not any(name_of(leads_to(text, _ANY))[0] in users for text in texts):
            continue  # as nearly all: what they stand for is no further name
        for domain in [own] if own else [*sorted(domains), OURS]:
            for name, text in _loops_from(aliases, user_at(user, domain), domains | {OURS}, done):
                if name not in told:  # an alias of all domains is found in each of them
                    told.add(name)
                    yield name, text


def _loops_from(aliases: Aliases, start: SipUri, ours: set[str], done: set[Name]) -> Iterator[tuple[Name, str]]:
    path: list[Name] = []
    waiting = [[start]]
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            if path:
                done.add(path.pop())
            continue
        uri = waiting[-1].pop()
        name = name_of(uri)
        if name in path[:-1]:
            chain = [user for user, _ in (*path[path.index(name) :], name)]
            yield name if name in aliases.entries else (name[0], ""), f"leads back to itself: {', '.join(chain)}"
        elif name not in done and name not in path:
            path.append(name)
            ends = [leads_to(text, uri) for text in aliases.find(uri)]
            waiting.append([end for end in ends if end.address in ours and end.port is None])
