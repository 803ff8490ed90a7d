"""Which scripts there are, how each one is started, and what is wrong with it: the folder `scripts.directory`."""

import os
import shlex
import shutil
import stat
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from sipcgi.errors import ScriptError

SETTLED = 100_000_000  # nanoseconds: what changed as recently may change again within the same time stamp


class Interpreter(NamedTuple):
    """What starts the files of one ending that are not executable."""

    programs: tuple[str, ...]
    """The first that is on the PATH is taken."""
    options: tuple[str, ...]
    package: str
    """Of Debian."""


INTERPRETERS = {
    ".sh": Interpreter(("sh",), (), "dash"),
    ".pl": Interpreter(("perl",), (), "perl"),
    ".py": Interpreter(("python3",), (), "python3"),
    ".tcl": Interpreter(("tclsh", "tclsh8.6", "tclsh9.0"), (), "tcl"),
    ".rb": Interpreter(("ruby",), (), "ruby"),
    ".lua": Interpreter(("lua", "lua5.4", "lua5.3", "lua5.2", "lua5.1"), (), "lua5.4"),
    ".js": Interpreter(("node", "nodejs"), (), "nodejs"),
    ".php": Interpreter(("php",), (), "php-cli"),
    ".awk": Interpreter(("awk", "mawk", "gawk"), ("-f",), "mawk"),
}
NEWER_NAMES = {"python": "python3", "nodejs": "node"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ENDINGS = " ".join(INTERPRETERS)


@dataclass(slots=True)
class Problem:
    """Something that keeps a script from being started, or makes it another one than meant, and what to do about it."""

    text: str

    def __str__(self) -> str:
        return self.text


class Startup(NamedTuple):
    """How a script is started."""

    path: str
    folder: str
    argv: list[str]


class ScriptDirectory:
    """The folder at `path`. What is dropped in or changed counts at the next question: what is remembered holds for the
    very same files only.

    `search` is a PATH to find interpreters on, the server's own when None.
    """

    def __init__(self, path: str, search: str | None = None) -> None:
        self.path = os.path.abspath(path)
        self.search = search
        self._was_there = os.path.isdir(self.path)
        self._candidates: dict[str, list[str]] = {}
        self._mtime = -1
        self._programs: dict[str, str] = {}
        self._startups: dict[str, tuple[tuple[int, ...], Startup]] = {}

    # Asked for each request

    def find(self, *stems: str) -> str | None:
        """The script that its file name makes responsible for the first of `stems` ("invite", "default") that has one:
        its path, or None.

        Of several it is the first by name. One that cannot be started is found too: it is an error, not an absence. So
        it is while the folder, which was there, is not, or cannot be read: nobody knows whether there is one.
        """
        names = self._names()
        if names is None:
            return os.path.join(self.path, stems[0])
        for stem in stems:
            for name in names.get(stem, ()):
                if self._counts(name, stem):
                    return os.path.join(self.path, name)
        return None

    def startup(self, name: str) -> Startup:
        """How the script that a route names is started. Raises ScriptError as `command` does."""
        if name in self._startups:
            known, startup = self._startups[name]
            if _state(startup.path) == known:
                return startup
        path = self.locate(name)
        state = _state(path)
        startup = Startup(path, os.path.dirname(path), self.command(path))
        if state and startup.folder == self.path and stat.S_ISREG(state[0]):  # no link on the way that may be turned
            self._startups[name] = state, startup
        return startup

    def command(self, path: str) -> list[str]:
        """The program and its arguments that start the script. Raises ScriptError with a hint when there are none."""
        problem = self._place_problem(path)
        if problem is not None:
            raise ScriptError(problem.text)
        if os.access(path, os.X_OK):
            return [path]
        ending = os.path.splitext(path)[1]
        program = self._program(ending)
        if program is None:
            raise ScriptError(self._not_startable(path, ending).text)
        return [program, *INTERPRETERS[ending].options, path]

    # Asked at the start of the server and by `check`

    def locate(self, name: str) -> str:
        """The path of a script that a route names relative to the folder; `problems` tells whether it may be used."""
        return os.path.normpath(os.path.join(self.path, name))

    def scripts(self) -> list[str]:
        """Paths of all files of the folder whose name would count for some request."""
        found = self._names() or {}
        names = [name for stem, names in found.items() for name in names if self._counts(name, stem)]
        return [os.path.join(self.path, name) for name in sorted(names)]

    def name_problems(self, routed: Collection[str] = ()) -> list[Problem]:
        """Names that stand for the same request, but for those in `routed` (paths); and scripts that do not count."""
        problem = self._folder_problem()
        if problem is not None:
            return [problem]
        problems = []
        for stem, names in sorted((self._names() or {}).items()):
            usable = [name for name in names if self._counts(name, stem)]
            rivals = [name for name in usable if os.path.join(self.path, name) not in routed]
            if len(rivals) > 1:
                text = f"{' and '.join(rivals)} have the same name, and stand for the same requests: "
                text += f"{usable[0]} alone runs; rename or delete the others, or name each in a route"
                problems.append(Problem(text))
            path = os.path.join(self.path, stem)
            if stem in names and stem not in usable and path not in routed and _head(path).startswith(b"#!"):
                text = f"{stem} is not executable and does not count without an ending: chmod +x {shlex.quote(path)}"
                problems.append(Problem(text))
        return problems

    def problems(self, path: str) -> list[Problem]:
        """All that keeps the script from being started."""
        problem = self._place_problem(path)
        if problem is not None:
            return [problem]
        name, quoted = self._name(path), shlex.quote(path)
        if not os.access(path, os.R_OK):
            # A program could do without; a script is read by its interpreter under the server's user.
            return [Problem(f"{name} is not readable for the server: chmod +r {quoted}")]
        head = _head(path)
        if not head:  # or we had no descriptor left to read it
            return [] if _size(path) else [Problem(f"{name} is empty: write the script, or delete it")]
        ending = os.path.splitext(path)[1]
        first = head.split(b"\n", 1)[0]
        executable = os.access(path, os.X_OK)
        if first.endswith(b"\r") and (executable or ending == ".sh"):  # Perl, Python and others take them
            return [Problem(f"{name} has CR LF line ends, with which it does not start: dos2unix {quoted}")]
        if not executable:
            return [] if self._program(ending) else [self._not_startable(path, ending)]
        if head.startswith(BYTE_ORDER_MARK):
            return [Problem(f"{name} has a byte order mark before the #!: sed -i '1s/^\\xef\\xbb\\xbf//' {quoted}")]
        if not first.startswith(b"#!"):
            if head.startswith(b"\x7fELF") or b"\0" in head:
                return []
            return [Problem(self._no_interpreter_line(name, ending, quoted))]
        return self._interpreter_problems(name, first)

    def describe(self, path: str) -> str:
        """How the script is started, for people."""
        if not os.access(path, os.X_OK):
            interpreter = self._program(os.path.splitext(path)[1])
            return f"{os.path.basename(interpreter)} (not executable)" if interpreter else "cannot be started"
        first = _head(path).split(b"\n", 1)[0]
        line = first.decode("utf-8", "replace").strip() if first.startswith(b"#!") else ""
        return f"executable, {line}" if line else "executable"

    # Inside

    def _names(self) -> dict[str, list[str]] | None:
        """Name without ending -> file names, in order; None when the folder cannot be read. Read again when the folder
        changed, else one stat."""
        try:
            mtime = os.stat(self.path).st_mtime_ns
            if mtime != self._mtime:
                self._candidates = self._read_names()
                self._was_there = True
                self._mtime = mtime if time.time_ns() - mtime > SETTLED else -1
        except FileNotFoundError:
            self._candidates, self._mtime = {}, -1
            return None if self._was_there else self._candidates
        except OSError:
            self._mtime = -1
            return None
        return self._candidates

    def _counts(self, name: str, stem: str) -> bool:
        """A file without ending must be executable."""
        return name != stem or os.access(os.path.join(self.path, name), os.X_OK)

    def _read_names(self) -> dict[str, list[str]]:
        candidates: dict[str, list[str]] = {}
        with os.scandir(self.path) as entries:
            names = sorted(entry.name for entry in entries if not entry.is_dir())
        for name in names:
            stem, ending = os.path.splitext(name)
            if not name.startswith(".") and (ending in INTERPRETERS or "." not in name) and not name.endswith("~"):
                candidates.setdefault(stem, []).append(name)
        return candidates

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self.path) if self._inside(path) else path

    def _inside(self, path: str) -> bool:
        return path.startswith(os.path.join(self.path, ""))

    def _folder_problem(self) -> Problem | None:
        try:
            os.scandir(self.path).close()
        except OSError as error:
            if self._was_there or not isinstance(error, FileNotFoundError):
                return Problem(f"the scripts directory {self.path} cannot be read: {error.strerror}")
        return None

    def _place_problem(self, path: str) -> Problem | None:
        """Whether there is such a file, and below the folder, with symbolic links followed."""
        try:
            status = os.lstat(path)
            if os.path.dirname(path) != self.path or stat.S_ISLNK(status.st_mode):
                if _leads_nowhere(path):
                    target = os.path.realpath(path)
                    return Problem(f"{self._name(path)} is missing: it is a link to {target}, where there is nothing")
                outside = not os.path.realpath(path).startswith(os.path.join(os.path.realpath(self.path), ""))
                if outside or not self._inside(path):
                    text = f"{path} is outside the scripts directory {self.path}: copy it there"
                    return Problem(text)
                status = os.stat(path)
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                return self._folder_problem() or Problem(f"{self._name(path)} is missing: there is no file {path}")
            return Problem(
                f"{self._name(path)} cannot be examined: {error.strerror}; look at the rights of its folders"
            )
        if stat.S_ISDIR(status.st_mode):
            return Problem(f"{self._name(path)} is a directory: name a file in it")
        if not stat.S_ISREG(status.st_mode):
            return Problem(f"{self._name(path)} is no regular file: put a script there")
        return None

    def _program(self, ending: str) -> str | None:
        """Path of the interpreter for an ending. Only success is remembered: an installation counts at once."""
        program = self._programs.get(ending)
        if program is None and ending in INTERPRETERS:
            for name in INTERPRETERS[ending].programs:
                program = shutil.which(name, path=self.search)
                if program is not None:
                    self._programs[ending] = os.path.abspath(program)
                    break
        return program

    def _not_startable(self, path: str, ending: str) -> Problem:
        name = self._name(path)
        if ending in INTERPRETERS:
            interpreter = INTERPRETERS[ending]
            text = f"{name} needs {interpreter.programs[0]}, which is not installed: apt install {interpreter.package}"
            return Problem(text)
        return Problem(f"{name} is not executable and has none of the endings {ENDINGS}: chmod +x {shlex.quote(path)}")

    def _no_interpreter_line(self, name: str, ending: str, quoted: str) -> str:
        if ending in INTERPRETERS:
            interpreter = " ".join((INTERPRETERS[ending].programs[0], *INTERPRETERS[ending].options))
            remedy = f"begin it with #!/usr/bin/env -S {interpreter}, or chmod -x {quoted}"
            return f"{name} is executable but has no #! line: {remedy}"
        return f"{name} is executable but neither a program nor does it begin with a #! line: begin it with #!/bin/sh"

    def _interpreter_problems(self, name: str, first: bytes) -> list[Problem]:
        words = first[2:].decode("utf-8", "surrogateescape").split()
        if not words:
            return [Problem(f"{name} names no interpreter after #!: begin it with #!/bin/sh")]
        if not os.path.isabs(words[0]):
            program = words[0].rpartition("\\")[2].removesuffix(".exe")  # of who writes scripts with Windows
            return [Problem(f"{name} names {words[0]} after #!, without a path: write #!/usr/bin/env {program}")]
        if not os.access(words[0], os.X_OK) or os.path.isdir(words[0]):
            what = "is no program" if os.path.exists(words[0]) else "is not there"
            return [Problem(f"{name} begins with #!{words[0]}, which {what}: {_remedy(words[0])}")]
        if os.path.basename(words[0]) == "env":
            asked = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
            if asked and shutil.which(asked[0], path=self.search) is None:
                return [Problem(f"{name} asks env for {asked[0]}, which is not installed: {_remedy(asked[0])}")]
        return []


def _remedy(program: str) -> str:
    name = NEWER_NAMES.get(os.path.basename(program), os.path.basename(program))
    for interpreter in INTERPRETERS.values():
        if name in interpreter.programs:
            found = shutil.which(name)
            return f"write #!{found}" if found else f"apt install {interpreter.package}"
    return "install it, or correct the line"


def interpreter_line(path: str) -> list[str]:
    """What the kernel starts a script with: a program and at most one argument; nothing without a #! line."""
    first = _head(path)[:256].split(b"\n", 1)[0]
    return first[2:].decode("utf-8", "surrogateescape").strip().split(maxsplit=1) if first.startswith(b"#!") else []


def _state(path: str) -> tuple[int, ...]:
    """What changes with the kind of a file and with who may execute it; nothing when it is gone."""
    try:
        found = os.lstat(path)
    except OSError:
        return ()
    return *found[:6], found.st_ctime_ns  # mode, inode, device, links, user, group


def _leads_nowhere(path: str) -> bool:
    """Whether it is a link to what is not there."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return os.path.islink(path)
    except OSError:
        pass
    return False


def _size(path: str) -> int:
    """In octets, 0 when it is gone."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _head(path: str) -> bytes:
    """The first 512 octets, of which the kernel looks at 256; none when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(512)
    except OSError:
        return b""
