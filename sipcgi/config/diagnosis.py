"""What a YAML syntax error means to the one who wrote the line, and the line as it was probably meant."""

import re
from dataclasses import dataclass

import yaml

_NO_START = {
    "*": "begins an alias in YAML",
    "&": "begins an anchor in YAML",
    "!": "begins a tag in YAML",
    "@": "is reserved in YAML",
    "`": "is reserved in YAML",
    "%": "begins a directive in YAML",
}
_UNQUOTED = re.compile(r"(\s*(?:- +)*(?:[\w.-]+: +)?)([*&!@`%].*)")
"""Indentation and key, then a value that begins with one of them."""
_TWO_COLONS = re.compile(r"(\s*(?:- +)*[\w.-]+: +)([^\s\"'\[{].*: .*)")
"""Indentation and key, then a value with ": " inside."""
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'[^']*'"
_ELEMENT = re.compile(
    rf"{_QUOTED}|(?<=[\[{{,\s])([a-z]+://\[[0-9A-Fa-f:.]*\](?::\d+)?|[*&!@`%][^\s,\[\]{{}}]*|[0-9A-Fa-f]*::[0-9A-Fa-f:./]*)"
)
"""In a list or mapping in brackets: what stands in quotes, or in group 1 what ought to."""
INDENTATION = "a key is not expected here: look at the indentation of this line and of the one above"
NO_COLON = "has no colon: write 'key: value', with a blank behind the colon"
_SPECIAL = ("while scanning an alias", "while scanning an anchor", "while scanning a tag", "while parsing a tag")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`line` counts from 0. With `values` in quotes the line is `repaired`, and the rest of the file can be read."""

    line: int
    text: str
    """Where there are `values`, they say it."""
    repaired: str | None = None
    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: yaml.MarkedYAMLError, lines: list[str]) -> "Diagnosis":
        """What is wrong with a file of these lines."""
        mark = error.problem_mark or error.context_mark
        at = min(mark.line if mark else 0, len(lines) - 1)
        line, column, problem = lines[at], mark.column if mark else 0, error.problem or ""
        if "\t" in line[: len(line) - len(line.lstrip())] or line[column : column + 1] == "\t":
            return cls(at, "a tab: YAML is indented with blanks")
        special = "cannot start any token" in problem or (error.context or "").startswith(_SPECIAL)
        whole = _UNQUOTED.match(line) if special else None
        if "mapping values are not allowed" in problem:
            whole = _TWO_COLONS.match(line)
            if whole is None:
                above = _above(lines, at)
                return cls(*((at, INDENTATION) if _has_colon(lines[above]) else (above, NO_COLON)))
        if whole:
            value = whole[2].split(" #")[0].rstrip()
            return cls(at, unquoted(value), whole[1] + _in_quotes(value), (value,))
        values = tuple(found for found in _ELEMENT.findall(line) if found)
        if values:
            return cls(at, unquoted(values[0]), _ELEMENT.sub(_quote, line), values)
        return cls(
            *(_in_words(error, lines) or (at, ", ".join(filter(None, (error.context, problem))) or "is no YAML"))
        )


def _in_words(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[int, str] | None:
    """The line at fault, often above the one at which the parser stopped, and what is wrong with it."""
    context, problem, begun, mark = error.context or "", error.problem or "", error.context_mark, error.problem_mark
    if begun is None or mark is None:
        return None
    at = min(mark.line, len(lines) - 1)
    opening = "".join(lines[begun.line : begun.line + 1])[begun.column : begun.column + 1]
    if context.startswith("while parsing a flow"):
        closing = {"[": "]", "{": "}"}.get(opening)
        if closing is None:
            return at, "between brackets a value is missing here, or the bracket that closes them"
        return begun.line, f"the {opening} is not closed: a {closing} is missing, or a comma before it"
    if context.startswith("while scanning a simple key"):
        return begun.line, NO_COLON
    if "quoted scalar" in context or "double-quoted" in context:
        if "escape" in problem:
            return at, "a backslash in double quotes begins an escape: put the text in single quotes"
        return begun.line, f"the {opening} is not closed"
    if not context.startswith("while parsing a block"):
        return None
    before, rest = lines[at][: mark.column].strip(" "), lines[at][mark.column :].strip()
    if not before:
        return at, INDENTATION
    return at, f"'{rest}' is not expected here: a quote or bracket is missing, or one too many, here or above"


def _above(lines: list[str], at: int) -> int:
    """The line above that says something."""
    return next((number for number in range(at - 1, -1, -1) if lines[number].split("#")[0].strip()), at)


def _has_colon(line: str) -> bool:
    return ": " in f"{line.split(' #')[0].strip()} "


def unquoted(value: str) -> str:
    """Why a value needs quotes."""
    if ": " in value:
        reason = '": " ends a key in YAML'
    elif value[:1] in _NO_START:
        reason = f"{value[0]} {_NO_START[value[0]]}"
    else:
        reason = "between brackets, YAML reads : and [ its own way"
    return f"{reason}: put the value in quotes: {_in_quotes(value)}"


def _quote(found: re.Match[str]) -> str:
    return _in_quotes(found[1]) if found[1] else found[0]


def _in_quotes(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
