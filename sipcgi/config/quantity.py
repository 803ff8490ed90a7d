"""Durations, sizes, counts and switches as a configuration writes them. Every function raises ValueError saying why."""

from collections.abc import Mapping
from math import isfinite

SECONDS: Mapping[str, float] = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
OCTETS: Mapping[str, int] = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

MAX_DURATION = 24 * 3600.0
MAX_SIZE = 1024**3
MAX_LARGE_SIZE = 1024**4

TRUE = frozenset(("true", "yes", "on"))
FALSE = frozenset(("false", "no", "off"))


def scalar(value: object) -> str:
    """The text of a value that is neither empty nor a list nor a mapping."""
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError("has no value")
    raise ValueError(f"must be one value, not a {'list' if isinstance(value, list) else 'mapping'}")


def _split(text: str) -> tuple[float, str] | None:
    """'1.5s' -> (1.5, 's'); None when it does not begin with a plain decimal number."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    digits = number.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 15:
        return None
    return float(number), text[len(number) :].strip()


def duration(value: object) -> float:
    """Seconds: NUMBER with ms, s, m or h; a bare number is seconds."""
    text = scalar(value)
    parts = _split(text)
    if parts is None or parts[1] not in SECONDS:
        raise ValueError(f"'{text}' is no duration: write a number with ms, s, m or h, like 500ms or 5s")
    seconds = parts[0] * SECONDS[parts[1]]
    if not (isfinite(seconds) and 0 < seconds <= MAX_DURATION):
        raise ValueError(f"'{text}' must be more than 0 and at most 24h")
    return seconds


def size(value: object) -> int:
    """Octets: NUMBER with KiB, MiB or GiB, at most 1 GiB; a bare number is octets."""
    return _octets(value, MAX_SIZE, "1024MiB")


def large_size(value: object) -> int:
    """The same, at most 1024 GiB."""
    return _octets(value, MAX_LARGE_SIZE, "1024GiB")


def _octets(value: object, most: int, limit: str) -> int:
    text = scalar(value)
    parts = _split(text)
    if parts is None or parts[1] not in OCTETS:
        hint = ""
        if parts is not None and parts[1][:1].upper() in ("K", "M", "G"):
            hint = f"; did you mean {parts[0]:g}{parts[1][0].upper()}iB?"
        raise ValueError(f"'{text}' is no size: write a number with KiB, MiB or GiB, or bare for octets{hint}")
    octets = int(parts[0] * OCTETS[parts[1]])
    if not 0 < octets <= most:
        raise ValueError(f"'{text}' must be at least 1 octet and at most {limit}")
    return octets


def count(value: object) -> int:
    """A whole number from 1 to 10000."""
    return _whole(value, 10_000)


def large_count(value: object) -> int:
    """A whole number from 1 to 10 million."""
    return _whole(value, 10_000_000)


def _whole(value: object, most: int) -> int:
    text = scalar(value)
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise ValueError(f"'{text}' is no whole number from 1 to {most}")
    return int(text)


def switch(value: object) -> bool:
    text = scalar(value).lower()
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f"'{text}' is neither true nor false")
