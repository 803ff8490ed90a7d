"""Tokens, numbers, quoted strings and lists (RFC 3261 25.1), and every limit of the parser in one place."""

import re
from functools import lru_cache

from sipcgi.errors import ParseError

MAX_DATAGRAM = 64 * 1024
"""Octets of a message in a datagram."""
MAX_STREAM_MESSAGE = 2 * 1024 * 1024
"""Octets of a message on a stream."""
MAX_HEAD = 1024 * 1024
"""Octets of start line and header fields."""
MAX_HEADERS = 2000
"""Header fields of a message."""
MAX_PARAMETERS = 100
"""Parameters of one URI, Via or address."""
MAX_LINES = 4 * MAX_HEADERS
"""Of a message, those of folded header fields included."""
MAX_ELEMENT = 8 * 1024
"""Characters of one URI, Via or address: to take apart as many takes a millisecond, in which nobody else is served."""
MAX_LIST = 500
"""Elements of a comma-separated list, over all fields of its name."""
MAX_LIST_TEXT = 64 * 1024
"""Characters of such a list."""

ALPHANUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN = ALPHANUM + "-.!%*_+`'~"  # RFC 3261 25.1

_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_STOPS = {separator: re.compile(f'["<{separator}]') for separator in ",;"}


def is_token(text: str) -> bool:
    """Whether `text` is a token of RFC 3261 25.1."""
    return text != "" and not text.strip(TOKEN)


@lru_cache(maxsize=1024)  # lengths, sequence numbers and hops are the same few
def number(text: str, most: int = 2**32 - 1) -> int:
    """The value of one to ten ASCII digits. Raises ParseError for anything else and above `most`.

    int() alone would also take "+5", " 5", "1_0" and the digits of other scripts.
    """
    if len(text) > 10 or not (text.isascii() and text.isdigit()):
        raise ParseError(f"not a number: {text[:40]!r}")
    value = int(text)
    if value > most:
        raise ParseError(f"number above {most}: {text}")
    return value


def end_of_quoted(text: str, start: int = 0) -> int:
    """The index after the quoted-string that begins at `start`. Raises ParseError when it has no end."""
    match = _QUOTED.match(text, start)
    if match is None:
        raise ParseError("quoted string without its end")
    return match.end()


def unquote(text: str) -> str:
    """The content of a quoted-string (RFC 3261 25.1: quoted-pair undone); other text as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    if "\\" not in text:
        return text[1:-1]
    return "\\".join([piece.replace("\\", "") for piece in text[1:-1].split("\\\\")])


def quote(text: str) -> str:
    """`text` as a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_outside(text: str, separator: str) -> list[str]:
    """`text` cut at each `separator`, "," or ";", that is neither in a quoted string nor in angle brackets.

    The pieces are stripped, and may be empty. Raises ParseError for a quote or bracket without its end, and for more
    than MAX_LIST pieces.
    """
    if '"' not in text and "<" not in text:
        if text.count(separator) > MAX_LIST:
            raise _too_many()
        return [piece.strip(" \t") for piece in text.split(separator)]
    pieces, start, at, search = [], 0, 0, _STOPS[separator].search
    for _ in range(4 * MAX_LIST):
        match = search(text, at)
        if match is None:
            break
        at = match.end()
        if match[0] == separator:
            pieces.append(text[start : at - 1].strip(" \t"))
            start = at
        elif match[0] == '"':
            at = end_of_quoted(text, at - 1)
        else:
            at = text.find(">", at) + 1
            if not at:
                raise ParseError("'<' without '>'")
    else:
        raise _too_many()
    pieces.append(text[start:].strip(" \t"))
    return pieces


def _too_many() -> ParseError:
    return ParseError(f"more than {MAX_LIST} elements in a list")


def split_list(text: str) -> list[str]:
    """The elements of a comma-separated header field value (RFC 3261 7.3.1), stripped, empty ones left out."""
    if "," not in text:
        text = text.strip(" \t")
        return [text] if text else []
    if len(text) > MAX_LIST_TEXT:
        raise ParseError(f"more than {MAX_LIST_TEXT} characters in a list")
    elements = [piece for piece in split_outside(text, ",") if piece]
    if len(elements) > MAX_LIST:
        raise _too_many()
    return elements
