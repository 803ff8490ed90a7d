"""What the warm parent of a Python script (python_parent.py) has to know of the script.

A process of its own finds it out, so that the parent keeps none of the memory that this takes.
"""

from __future__ import annotations

import _ast
import os
import sys
from _frozen_importlib_external import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

STANDARD: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())  # from 3.10 on
# They do more when they are imported than to define something, or keep what each process should have for itself.
NOT_BEFOREHAND = {"__future__", "__main__", "antigravity", "idlelib", "multiprocessing", "this", "tkinter", "turtle"}


def beforehand(tree: _ast.AST, folder: str | None) -> Iterator[str]:
    """Modules of the standard library that the script imports at its top in any case, unless its folder hides them."""
    for statement in getattr(tree, "body", ()):
        names: list[str] = []
        if isinstance(statement, _ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, _ast.ImportFrom) and statement.level == 0:
            names = [statement.module or ""]
        for name in names:
            top = name.partition(".")[0]
            if top in STANDARD and top not in NOT_BEFOREHAND and not is_hidden(top, folder):
                yield name


def is_hidden(name: str, folder: str | None) -> bool:
    """Whether a module that lies beside the script takes the place of that of the standard library."""
    return folder is not None and name not in sys.builtin_module_names and bool(PathFinder.find_spec(name, [folder]))


def compiled(script: str) -> tuple[CodeType, str | None, list[str], list[str]]:
    """The script, where its modules lie, which it will import, and which of those that we use it would not find."""
    folder = None
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        folder = os.path.dirname(os.path.realpath(script))
    with open(script, "rb") as file:
        source = file.read()
    tree = compile(source, script, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    hidden = [name for name in ("resource", "select") if is_hidden(name, folder)]
    return compile(source, script, "exec", dont_inherit=True), folder, list(beforehand(tree, folder)), hidden
