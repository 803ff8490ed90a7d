"""The hottest primitives in C, when they were built: `native`, made of the .c files beside this one by build.py.

`@compiled` stands before what has a twin there, `@plain_case` before what is asked second. Pure Python is the
reference, and what runs without it: the compiled part takes plain forms alone, and leaves all others, and everything
wrong, to Python.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast
from zlib import crc32

Primitive = TypeVar("Primitive")
Function = TypeVar("Function", bound=Callable[..., Any])


def checksum() -> str:
    """Of the C sources that are here; "" where none are, as in a wheel."""
    folder, sources = os.path.dirname(__file__), []
    for name in sorted(os.listdir(folder)):
        if name.endswith((".c", ".h")) and not name.startswith("."):
            with open(os.path.join(folder, name), "rb") as source:
                sources.append(source.read())
    return f"{crc32(b''.join(sources)):08x}" if sources else ""


def _native() -> tuple[Any, str]:
    """The module and "", or None and why."""
    if os.environ.get("SIPCGI_PURE"):
        return None, "SIPCGI_PURE is set"
    try:
        native = import_module("sipcgi.compiled.native")
    except ModuleNotFoundError:
        return None, "not built"
    except ImportError as error:
        return None, str(error)
    if checksum() not in ("", native.SOURCES):
        return None, "older than its sources: install again"
    return native, ""


native, reason = _native()


def compiled(pure: Primitive) -> Primitive:
    """The compiled twin of what has this name, `pure` itself when there is none."""
    found: Primitive = getattr(native, pure.__name__, pure)  # type: ignore[attr-defined]
    return found


def plain_case(name: str, *kinds: object) -> Callable[[Function], Function]:
    """Stands before a function whose plain case a compiled one takes, of that name.

    That one is asked first, with `kinds` and the arguments. What it leaves (None), and a call with keywords, is for the
    function, which is the reference (`__wrapped__`).
    """

    def taken(function: Function) -> Function:
        return function if native is None else cast(Function, native.PlainCase(getattr(native, name), kinds, function))

    return taken
