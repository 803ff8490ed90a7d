"""Which scripts have a warm parent, and how it is started: by the interpreter that would run the script itself."""

import os
import re
import stat
from collections.abc import Callable
from typing import NamedTuple

from sipcgi.hosts.directory import interpreter_line
from sipcgi.profile import Hosting

ZYGOTES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygotes")
_INTERPRETER = re.compile(r"(python|perl|ruby)[0-9.]*")

Identity = tuple[int, int, int, int, int]
"""What changes when a file does: device, inode, size, time of its content, time of its inode. Times in nanoseconds."""


class Language(NamedTuple):
    """How the interpreter of a language becomes a parent."""

    arguments: Callable[[str], list[str]]
    """From the path of the script; modules to be loaded follow."""
    module: re.Pattern[str]
    """Of the modules named in `preload` those that may be meant for it: the list is one for all languages."""
    environment: dict[str, str]
    """Variables that its parent takes away again."""


BOUND = {"LD_BIND_NOW": "warm"}
"""The dynamic linker finds all functions of the interpreter at its start, and not one after the other in each run."""


LANGUAGES = {
    "python": Language(
        lambda script: [os.path.join(ZYGOTES, "python.py"), script], re.compile(r"[^\W\d]\w*(\.\w+)*"), BOUND
    ),
    "perl": Language(lambda script: ["-I", ZYGOTES, "-Mperl", script], re.compile(r"[A-Z]\w*|\w+(::\w+)+"), BOUND),
    "ruby": Language(lambda script: ["-r", os.path.join(ZYGOTES, "ruby.rb"), script], re.compile(r"[\w/.-]+"), {}),
}


def parent_command(language: str, command: list[str], script: str, preload: tuple[str, ...]) -> list[str]:
    """`command` starts the interpreter of the script."""
    made = LANGUAGES[language]
    return [*command, *made.arguments(script), *filter(made.module.fullmatch, preload)]


def interpreter(argv: list[str], script: str) -> tuple[str, list[str]] | None:
    """The language of a script that `argv` starts, and what starts its interpreter; None: it cannot be warm."""
    command = argv[: argv.index(script)] if script in argv else []
    program = command
    if not command:
        command = program = interpreter_line(script)
        if command and os.path.basename(command[0]) == "env":  # it looks for the first word, with -S of several
            program = " ".join(command[1:]).removeprefix("-S").split()
    found = _INTERPRETER.fullmatch(os.path.basename(program[0])) if program else None
    return (found[1], command) if found else None


def runs_warm(hosting: Hosting, argv: list[str], script: str) -> bool:
    """Whether a script that `argv` starts is to have a parent, and can have one."""
    found = interpreter(argv, script)
    return found is not None and hosting.is_warm(found[0])


def identity(path: str) -> Identity | None:
    """None for what is no file, or gone."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
