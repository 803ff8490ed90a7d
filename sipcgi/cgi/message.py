"""The messages in what a script printed: action line, header fields, body, and where each one ends (RFC 3050 5.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice

from sipcgi.compiled.quick import quick
from sipcgi.errors import ParseError, ScriptError
from sipcgi.sip.grammar import MAX_HEADERS, is_token, number
from sipcgi.sip.headers import canonical

PROXY_REQUEST = "CGI-PROXY-REQUEST"
FORWARD_RESPONSE = "CGI-FORWARD-RESPONSE"
SET_COOKIE = "CGI-SET-COOKIE"
AGAIN = "CGI-AGAIN"
VERSION = "SIP/2.0"
REQUEST = "a request of its own"
"""Stands for the method of a request line, which may be any: the action of such a message."""
ACTIONS = (PROXY_REQUEST, FORWARD_RESPONSE, SET_COOKIE, AGAIN, VERSION)
_SHORT = {word: action for action in ACTIONS[:-1] for word in action.split("-")[1:]}
"""By words that no method has as its name: PROXY, FORWARD, ..."""

MAX_WORDS = 4
_BLANK = re.compile(rb"[ \t\r\n]*")
_WORD = re.compile(r"[^ \t]+")  # not str.split: that would also part at NBSP and its kind

NO_BLANK_LINE = "did you forget the blank line before it?"
EXTRA_BLANK_LINE = "echo, print and puts add a newline themselves: is there a blank line too much above it?"
NO_ACTION_LINE = f"print {VERSION} 200 OK or another action above it; messages for people belong on standard error"
OWN_NEWLINE = r"""a shell's echo may print "\n" as it stands: use printf"""


@quick
@dataclass(slots=True)
class Word:
    """A word of an action line, and its column from 1."""

    text: str
    column: int

    @property
    def capitals(self) -> str:
        """In capitals, if it is ASCII: elsewhere other letters have these capitals, too."""
        return self.text.upper() if self.text.isascii() else ""


@quick
@dataclass(slots=True)
class Field:
    """A header field below an action line; `column` is that of its value."""

    name: str
    canonical: str
    value: str
    line: int
    column: int

    def error(self, text: str, hint: str = "") -> ScriptError:
        return ScriptError(text, line=self.line, column=self.column, hint=hint)


@quick
@dataclass(slots=True)
class ScriptMessage:
    """One message of the output. The first word, in capitals, is one of ACTIONS or the method of a request line."""

    line: int
    text: str
    """The action line."""
    words: list[Word]
    """Its first MAX_WORDS words: one more than any action line has, but for a reason phrase."""
    action: str
    """One of ACTIONS, or REQUEST."""
    fields: list[Field] = field(default_factory=list)
    body: bytes | None = None
    """None where the script says nothing about a body."""

    @property
    def action_method(self) -> str:
        """Of a request line."""
        return self.words[0].capitals

    def error(self, text: str, word: int, hint: str = "") -> ScriptError:
        """An error at the word of that index, or behind the last one."""
        last = self.words[-1]
        column = self.words[word].column if word < len(self.words) else last.column + len(last.text)
        return ScriptError(text, line=self.line, column=column, hint=hint)


def messages(output: bytes, most: int) -> Iterator[ScriptMessage]:
    """The messages of an output in order. Raises ScriptError, also for more than `most`."""
    reader = _Reader(output)
    count, body = 0, None
    while (line := reader.next_not_blank()) is not None:
        found = islice(_WORD.finditer(line), MAX_WORDS)
        words = [Word(match[0], reader.shift + match.start() + 1) for match in found]
        first = words[0].capitals
        action = first if first in ACTIONS else REQUEST
        if line[0] in " \t" or (action is REQUEST and not is_request_line(words)):
            raise _no_action_line(reader, line, first, body)
        count += 1
        if count > most:
            raise reader.error(f"more than {most} messages", hint="max_messages in the configuration sets this limit")
        message = ScriptMessage(reader.line, line, words, action)
        message.fields = list(_fields(reader))
        message.body = body = _body(reader, message)
        yield message


def is_request_line(words: list[Word]) -> bool:
    """Whether they are `METHOD URI SIP/2.0`, and not an action with a slip in it."""
    method = words[0].capitals
    if len(words) != 3 or words[2].capitals != VERSION or not is_token(method) or method.startswith(("CGI", "SIP")):
        return False
    return ":" in words[1].text and not _meant(method, words[2].capitals)


def _meant(first: str, last: str) -> str:
    """The action that the first word of a line is a slip of, or ""; before VERSION a part of its name will do."""
    near = get_close_matches(first[:40].rstrip(":"), ACTIONS, 1)
    if not near and last == VERSION:
        near = [_SHORT[word] for word in get_close_matches(first[:40], _SHORT, 1, cutoff=0.8)]
    return near[0] if near else ""


class _Reader:
    """Takes an output line by line, and octets of a body between the lines."""

    __slots__ = ("at", "line", "newlines", "octets", "shift")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0
        self.newlines = 0
        self.line = 0
        """Of the line last taken, from 1."""
        self.shift = 0
        """Characters that stand before it: the end of a body."""

    def next(self) -> str | None:
        """The next line without its end, None after the last. LF and CR LF both are NL (RFC 3050 6.1, 6.2)."""
        octets, start = self.octets, self.at
        if start == len(octets):
            return None
        self.shift = 0
        if start and octets[start - 1] != 10:
            self.shift = len(_text(octets[octets.rfind(b"\n", 0, start) + 1 : start]))
        self.line = self.newlines + 1
        end = octets.find(b"\n", start)
        if end < 0:
            self.at = end = len(octets)
        else:
            self.at = end + 1
            self.newlines += 1
        line = _text(octets[start:end].removesuffix(b"\r"))
        if "\r" in line:
            raise self.error("CR inside a line", line.index("\r") + 1, "a line ends in LF or in CR LF")
        if "\0" in line:
            raise self.error("NUL inside a line", line.index("\0") + 1, "output is text")
        return line

    def next_not_blank(self) -> str | None:
        """The next line that holds more than blanks (RFC 3050 5.6 item 3: some number of blank lines)."""
        match = _BLANK.match(self.octets, self.at)
        assert match is not None
        if match.end() == len(self.octets):
            return None
        self.take(self.octets.rfind(b"\n", self.at, match.end()) + 1 - self.at)
        return self.next()

    def take(self, octets: int) -> bytes:
        """The next octets, or as many as there are."""
        taken = self.octets[self.at : self.at + max(octets, 0)]
        self.at += len(taken)
        self.newlines += taken.count(b"\n")
        return taken

    def rest(self) -> bytes:
        return self.take(len(self.octets) - self.at)

    def error(self, text: str, column: int = 1, hint: str = "") -> ScriptError:
        """An error in the line last taken."""
        return ScriptError(text, line=self.line, column=self.shift + column, hint=hint)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _fields(reader: _Reader) -> Iterator[Field]:
    """Header fields up to the blank line, which may be missing at the end of the output."""
    count = 0
    while line := reader.next():
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not is_token(name):
            raise _no_field(reader, line)
        count += 1
        if count > MAX_HEADERS:
            raise reader.error(f"more than {MAX_HEADERS} header fields in one message")
        stripped = value.lstrip(" \t")
        yield Field(name, canonical(name), stripped.rstrip(" \t"), reader.line, len(line) - len(stripped) + 1)


def _body(reader: _Reader, message: ScriptMessage) -> bytes | None:
    """RFC 3050 5.6 items 2 to 5; b"" is a body that the script wants empty."""
    kind = _single(message, "content-type")
    length = _single(message, "content-length")
    if length is None:
        return None if kind is None else reader.rest()  # item 4
    try:
        octets = number(length.value)
    except ParseError:
        raise length.error(f"Content-Length is no number: {length.value[:40]!r}") from None
    if octets and kind is None:  # item 5
        raise length.error("Content-Length without Content-Type", "a body needs both, or Content-Type alone")
    body = reader.take(octets)  # item 3
    if len(body) < octets:
        raise length.error(
            f"Content-Length says {octets} octets, but {len(body)} follow",
            "count octets, not characters, after one blank line; without Content-Length all the rest is the body",
        )
    return body


def _single(message: ScriptMessage, name: str) -> Field | None:
    found = [each for each in message.fields if each.canonical == name]
    if len(found) > 1:
        raise found[1].error(f"{found[1].name} a second time in one message", NO_BLANK_LINE)
    return found[0] if found else None


def _no_action_line(reader: _Reader, line: str, first: str, body: bytes | None) -> ScriptError:
    """Why a message cannot begin with this line, and what was probably meant."""
    shown = repr(line[:60])
    name = line.partition(":")[0].rstrip(" \t")
    if first in ACTIONS:
        return reader.error("blanks before an action line", hint="it begins in the first column, not indented")
    if first.startswith("SIP/"):
        return reader.error(f"unknown version in {shown}", hint=f"write {VERSION}")
    if body:
        hint = "the body above it ended after Content-Length octets: is that the right number?"
        return reader.error(f"action line expected, not {shown}", hint=hint)
    if name.lower() == "content-type":  # RFC 3050 5.6.1.1 would let it pass, deprecated
        return reader.error("Content-Type without an action line", hint=f"print {VERSION} 200 OK above it")
    if name.lower() == "status":
        return reader.error("Status belongs to the CGI of HTTP", hint=f"print {VERSION}, the code and the reason")
    if name.lower() in ("sip", "sips", "tel"):
        hint = f"{PROXY_REQUEST} before it and {VERSION} behind it; a list of URIs is what `style: exec` reads"
        return reader.error(f"a URI is no action: {shown}", hint=hint)
    if ":" in line and is_token(name) and name.upper() not in ACTIONS:
        hint = NO_ACTION_LINE if reader.line == 1 else EXTRA_BLANK_LINE
        return reader.error(f"header field without an action line: {shown}", hint=hint)
    if meant := _meant(first, line.rstrip(" \t").rpartition(" ")[2].upper()):
        return reader.error(f"unknown action in {shown}", hint=f"did you mean {meant}?")
    return reader.error(f"action line expected, not {shown}", hint="messages for people belong on standard error")


def _begins_message(line: str) -> bool:
    words = [Word(text, 1) for text in line.replace("\t", " ").split(" ", MAX_WORDS - 1)]
    return words[0].capitals in ACTIONS or is_request_line(words)


def _no_field(reader: _Reader, line: str) -> ScriptError:
    """Why a line is not a header field, and what was probably meant."""
    shown = repr(line[:60])
    if not line.strip(" \t"):
        return reader.error("a line that holds nothing but blanks", hint="print an empty line to end a message")
    if line[0] in " \t":  # RFC 3050 5.6: no provision for continuation lines
        return reader.error(f"continuation line {shown}", hint="each header field stands on one line")
    if _begins_message(line):  # RFC 3050 5.6: exactly one action line
        return reader.error(f"a second action line in one message: {shown}", hint=NO_BLANK_LINE)
    if ":" in line:
        return reader.error(f"bad header field name in {shown}", hint="letters, digits and -, then a colon")
    return reader.error(f"header field expected, not {shown}", hint="before a body: Content-Type and a blank line")
