"""Golden cases (docs/testing-scripts.md): from a YAML file to cases, or to every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from sipcgi.cgi.output import parse_output
from sipcgi.cgi.routes import CGI
from sipcgi.config.document import Document
from sipcgi.config.document import Path as Key
from sipcgi.config.fields import script_host, style
from sipcgi.config.mistakes import meant
from sipcgi.config.quantity import duration, scalar
from sipcgi.errors import ConfigError, ParseError, ScriptError
from sipcgi.offline import request as make
from sipcgi.offline.words import canonical_output
from sipcgi.profile import EXEC, FASTCGI
from sipcgi.sip.grammar import is_token
from sipcgi.sip.message import Request, Response
from sipcgi.sip.uri import parse_uri

T = TypeVar("T")

AROUND = ("script", "host", "style", "domains", "registered", "environment", "timeout")
STEP_KEYS = ("from", "to", "headers", "body", "sends")
NOT_RUN = "not run"
SCRIPTS = "cgi-bin"
WHAT_HAPPENS = "`METHOD URI`, `CODE`, `CODE from URI`, `METHOD from URI`, `after 5s`, CANCEL, ACK or `message FILE`"


@dataclass(frozen=True, slots=True)
class Answered:
    """A response of a phone; `uri` is that of the request it belongs to, "" the one that was sent last."""

    status: int
    reason: str = ""
    uri: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    told: Response | None = None


@dataclass(frozen=True, slots=True)
class Passed:
    """So many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller's CANCEL, or the ACK of a 2xx that the script gave."""

    method: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a phone in the call that it has answered; `uri` is where it was called."""

    method: str
    uri: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


Happened = Request | Answered | Passed | Caller | Asked


@dataclass(frozen=True, slots=True)
class Step:
    """What happens, what the script is to print each time it runs for it, and what is to leave (None: anything)."""

    line: int
    text: str
    happened: Happened
    outputs: tuple[tuple[str, ...], ...]
    """The lines of words.canonical_output, for each run."""
    runs: bool | None
    """Whether it is to run at all; None: it may run, and print nothing."""
    sends: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Around:
    """What a file says of all its cases, and a case of itself."""

    script: Path | None = None
    then: tuple[str, ...] = ()
    """The names of those that follow it, in the same folder."""
    host: str = EXEC
    style: str = CGI
    domains: tuple[str, ...] = ()
    registered: tuple[Request, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Case:
    """One story."""

    file: str
    line: int
    name: str
    script: Path
    around: Around
    steps: tuple[Step, ...]


def read(file: Path) -> tuple[list[Case], list[ConfigError]]:
    """The cases of a file, and all that is wrong with it."""
    try:
        document = Document.read(str(file), file.read_bytes())
    except OSError as error:
        return [], [ConfigError(str(file), 1, "(file)", error.strerror or "cannot be read")]
    cases = _Reader(file, document).cases()
    return ([] if document.mistakes else cases), document.mistakes


class _Reader:
    """Of one file; each mistake goes into its document."""

    def __init__(self, file: Path, document: Document) -> None:
        self.file = file
        self.document = document

    def cases(self) -> list[Case]:
        top = self.document.values
        if not isinstance(top, dict):
            self.add((), "must be a mapping with script and cases")
            return []
        around = self.around((), top, Around(), "cases")
        stories = top.get("cases")
        if not isinstance(stories, dict) or not stories:
            self.add(("cases",), "must be a mapping: the name of each case, and below it a list of steps")
            return []
        return [case for name, told in stories.items() if (case := self.case(("cases", name), told, around))]

    def case(self, key: Key, told: object, around: Around) -> Case | None:
        """A list of steps, or a mapping with `steps` and what differs from the other cases of the file."""
        mistakes = len(self.document.mistakes)
        if isinstance(told, dict):
            around = self.around(key, told, around, "steps")
            key, told = (*key, "steps"), told.get("steps")
        steps = tuple(self.steps(key, told))
        if around.script is None:
            if len(self.document.mistakes) == mistakes:
                self.add(key, "has no script: write `script: NAME` at the top of the file")
            return None
        return Case(str(self.file), self.document.line(key), str(key[1]), around.script, around, steps)

    # What is around the cases

    def around(self, key: Key, told: dict[str, object], general: Around, inner: str) -> Around:
        known = (*AROUND, inner)
        for name in told:
            if name not in known:
                self.add((*key, name), f"unknown key{meant(name, known)}")
        found: dict[str, Any] = {}
        if "script" in told:
            found |= self.scripts((*key, "script"), told["script"])
        if "host" in told:
            found["host"] = self.checked((*key, "host"), script_host, told["host"]) or general.host
        if "style" in told:
            found["style"] = self.checked((*key, "style"), style, told["style"]) or general.style
        if "timeout" in told:
            found["timeout"] = self.checked((*key, "timeout"), duration, told["timeout"]) or general.timeout
        if "domains" in told:
            found["domains"] = tuple(self.texts((*key, "domains"), told["domains"]))
        if "registered" in told:
            found["registered"] = tuple(self.registrations((*key, "registered"), told["registered"]))
        if "environment" in told:
            own = dict(self.pairs((*key, "environment"), told["environment"]))
            found["environment"] = general.environment | own
        made = replace(general, **found)
        if made.host == FASTCGI and (made.then or made.style != CGI):
            self.add((*key, "host"), "a FastCGI program is one, and of style cgi")
        return made

    def scripts(self, key: Key, value: object) -> dict[str, Any]:
        """One, or several in sequence, all of them in the folder of the first."""
        several = value if isinstance(value, list) and value else [value]
        places: list[Key] = [(*key, number) for number in range(len(several))] if isinstance(value, list) else [key]
        found = [self.checked(place, self.script, one) for place, one in zip(places, several, strict=True)]
        for place, path in zip(places, found, strict=True):
            if path is not None and found[0] is not None and path.parent != found[0].parent:
                self.add(place, f"is in another folder than {found[0].name}: scripts in sequence have one")
        return {"script": found[0], "then": tuple(path.name for path in found[1:] if path is not None)}

    def script(self, value: object) -> Path:
        """In the folder of the file, or in cgi-bin there or in a folder above. Raises ValueError."""
        name = scalar(value)
        folder = self.file.absolute().parent
        places = [folder / name, *(above / SCRIPTS / name for above in (folder, *folder.parents))]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise ValueError(f"there is no {name} beside this file, nor in {SCRIPTS} here or in a folder above")
        return found

    def registrations(self, key: Key, value: object) -> Iterator[Request]:
        """A mapping of user@host to contacts, as the REGISTERs that brought them."""
        for aor, contacts in self.mapping(key, value):
            texts = tuple(self.texts((*key, aor), contacts))
            made = self.checked((*key, aor), lambda told: make.registration(str(told), texts), aor)  # noqa: B023
            if made is not None:
                yield made

    # Steps

    def steps(self, key: Key, value: object) -> Iterator[Step]:
        if not isinstance(value, list) or not value:
            self.add(key, "must be a list of steps, the first of them a request: - INVITE sip:bob@example.com:")
            return
        for number, step in enumerate(value):
            here: Key = (*key, number)
            entries = step if isinstance(step, dict) else {step: None}
            text, *others = [str(name) for name in entries]
            for name in others:
                if name not in STEP_KEYS:
                    self.add((*here, name), f"unknown key{meant(name, STEP_KEYS)}: the first one says what happens")
            made = self.step(here, text, entries, first=number == 0)
            if made is not None:
                yield made

    def step(self, here: Key, text: str, entries: dict[str, object], *, first: bool) -> Step | None:
        place: Key = (*here, text) if (*here, text) in self.document.lines else here
        happened = self.checked(place, lambda _: self.happened(text, here, entries, first=first), None)
        if happened is None:
            return None
        self.unused(here, happened, entries)
        method = happened.method if isinstance(happened, Request | Asked) else "INVITE"
        told = entries[text]
        runs = False if told == NOT_RUN else True if told is not None else None
        outputs: list[tuple[str, ...]] = []
        if runs:
            for one in told if isinstance(told, list) else [told]:
                output = self.checked(place, lambda value: self.output(value, method), one)
                outputs.append(output or ())
        sends = tuple(self.texts((*here, "sends"), entries["sends"])) if "sends" in entries else None
        line = self.document.line(place)
        return Step(line, text, happened, tuple(outputs), runs, sends)

    def unused(self, here: Key, happened: Happened, entries: dict[str, object]) -> None:
        """Keys that mean nothing to this kind of step."""
        told = ("headers", "body")
        takes = {Request: ("from", "to", *told), Answered: told, Asked: told}.get(type(happened), ())
        for name in ("from", "to", "headers", "body"):
            if name in entries and name not in takes:
                self.add((*here, name), "means nothing to this step")

    def happened(self, text: str, here: Key, entries: dict[str, object], *, first: bool) -> Happened:
        """Raises ValueError and ParseError."""
        word, _, rest = text.partition(" ")
        headers = tuple(self.pairs((*here, "headers"), entries.get("headers")))
        body = _text(entries.get("body")).encode()
        if word == "message" and rest:
            octets = (self.file.parent / rest).read_bytes()
            told = make.message(octets)
            if isinstance(told, Response):
                return Answered(told.status, told.reason, told=told)
            assert isinstance(told, Request)
            return self.in_place(told, first)
        if rest.startswith("from ") and is_token(word) and word == word.upper() and not word.isdigit():
            parse_uri(uri := rest[5:].strip())
            return self.in_place(Asked(word, uri, headers, body), first)
        if word in ("CANCEL", "ACK"):
            if rest:
                raise ValueError(
                    f"{word} stands alone, or before `from URI`: it belongs to the first step, or a phone's"
                )
            return self.in_place(Caller(word), first)
        if word == "after":
            return self.in_place(Passed(duration(rest)), first)
        if word.isascii() and word.isdigit():
            return self.in_place(_answered(word, rest, headers, body), first)
        if not rest or not is_token(word) or word != word.upper():
            raise ValueError(f"'{text}' is nothing that happens: {WHAT_HAPPENS}")
        from_, to = _text(entries.get("from")) or make.ALICE, _text(entries.get("to"))
        return self.in_place(make.Words(word, rest, from_, to or rest, headers, body).request(), first)

    def in_place(self, happened: T, first: bool) -> T:
        if isinstance(happened, Request) != first:
            later = "a case has one request, its first step; what a phone sends in its call is `METHOD from URI`"
            raise ValueError("a case begins with its request" if first else later)
        return happened

    def output(self, value: object, method: str) -> tuple[str, ...]:
        """What is expected, as the script might print it."""
        text = scalar(value)
        try:
            octets = text.encode("utf-8", "surrogateescape")
            output = parse_output(octets, method=method, max_messages=10_000, originate=True)
        except ScriptError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise ValueError(f"line {error.line} of what is expected: {error.text}{hint}") from None
        return tuple(canonical_output(output.actions, output.cookie, output.again))

    # Values

    def texts(self, key: Key, value: object) -> Iterator[str]:
        """One text or a list of them."""
        for number, one in enumerate(value if isinstance(value, list) else [] if value is None else [value]):
            text = self.checked((*key, number) if isinstance(value, list) else key, scalar, one)
            if text is not None:
                yield str(text)

    def mapping(self, key: Key, value: object) -> Iterator[tuple[str, object]]:
        if value is not None and not isinstance(value, dict):
            self.add(key, "must be a mapping: lines of 'name: value', indented below it")
        elif isinstance(value, dict):
            yield from value.items()

    def pairs(self, key: Key, value: object) -> Iterator[tuple[str, str]]:
        """Names and values; a list stands for several of that name."""
        for name, several in self.mapping(key, value):
            for text in self.texts((*key, name), several):
                yield name, text

    def checked(self, key: Key, check: Callable[[object], T], value: object) -> T | None:
        """None, and a mistake, where `check` raises."""
        try:
            return check(value)
        except (ValueError, ParseError) as error:
            self.add(key, str(error))
        except OSError as error:
            self.add(key, f"{error.filename}: {error.strerror}")
        return None

    def add(self, key: Key, text: str) -> None:
        self.document.add(key, text)


def _answered(code: str, rest: str, headers: tuple[tuple[str, str], ...], body: bytes) -> Answered:
    """`486`, `486 Busy Here`, `486 from sip:bob@example.com`. Raises ValueError and ParseError."""
    if not 101 <= int(code) <= 699:
        raise ValueError(f"{code} is no response from 101 to 699")
    before, word, uri = rest.rpartition("from ")
    reason = before if word else rest
    if uri and word:
        parse_uri(uri)
    return Answered(int(code), reason.strip(), uri if word else "", headers, body)


def _text(value: object) -> str:
    return "" if value is None else scalar(value)
