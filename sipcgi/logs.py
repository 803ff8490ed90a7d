"""The log: lines that anyone can grep and a program can parse, made without ever waiting.

A line is `TIME KIND key=value ...` or `TIME KIND text`. TIME is UTC with milliseconds, KIND is info, warning, error,
stderr (what a script printed there), script (what a script did wrong) and access (one for each transaction). A value
stands bare, or between quotes where it holds a blank, a quote or a backslash, the latter two with a backslash before
them; `-` is what there was not. Whatever strangers send, a line stays one: control characters and all else that is not
printable are written like \\x1b or \\u202e.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from signal import Signals
from time import gmtime, strftime

from sipcgi.compiled import compiled
from sipcgi.compiled.quick import quick
from sipcgi.errors import ScriptError

MAX_VALUE = 1024
"""Characters of one value."""
MAX_TEXT = 8192
"""Characters of a text, and of a line that a script printed."""
MAX_BUFFER = 4 * 1024 * 1024
"""Characters that wait for being written; what comes on top is dropped and counted."""
STAMP_SIZE = len("2024-11-24T21:18:00.250Z \n")
ACCESS_SIZE = 512
"""Characters that an access line is taken for until it is made."""
MOST_TAKEN = 100
"""Lines in one go: about 1 ms."""


@quick
@dataclass(slots=True)
class AccessRecord:
    """What happened in one server transaction. Times are in seconds, from the request's arrival."""

    method: str
    from_: str
    to: str
    uri: str
    source: str
    """host:port of the peer."""
    call_id: str
    actions: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    route: str = ""
    """`routes.2`, the name of the file (`invite.pl`) that its name triggered, `default`, `dialog`, or `generated`."""
    script: str = ""
    runs: int = 0
    script_seconds: float = 0.0
    """Wall time of all runs."""
    script_cpu: float = 0.0
    """Processor time of all runs."""
    script_peak_kib: int = 0
    """Memory of the largest process of them."""
    status: int | None = None
    """Of the final response; None when there was none."""
    to_100: float | None = None
    to_180: float | None = None
    to_final: float | None = None
    logged: float = 0.0
    """When it was given to the log, since 1970."""

    def line(self) -> str:
        return (
            f"{_stamp(self.logged)} access method={_value(self.method)} from={_value(self.from_)} to={_value(self.to)}"
            f" uri={_value(self.uri)} source={_value(self.source)} call_id={_value(self.call_id)}"
            f" route={_value(self.route)} script={_value(self.script)}"
            f" runs={self.runs} script_seconds={self.script_seconds:.4f} script_cpu={self.script_cpu:.4f}"
            f" script_peak_kib={self.script_peak_kib} actions={_several(self.actions)} targets={_several(self.targets)}"
            f" status={'-' if self.status is None else self.status}"
            f" to_100={_seconds(self.to_100)} to_180={_seconds(self.to_180)} to_final={_seconds(self.to_final)}\n"
        )


@compiled
def line_of(entry: str | AccessRecord) -> str:
    """An entry of the log as its line."""
    return entry if isinstance(entry, str) else entry.line()


class Log:
    """Collects lines until `take`, which the writer calls. `wall()` is the time in seconds since 1970."""

    def __init__(self, wall: Callable[[], float], *, most: int = MAX_BUFFER) -> None:
        self.filled: Callable[[], None] = lambda: None
        """Called when the first line comes into the empty log, so that its writer need not look in vain."""
        self._wall = wall
        self._most = most
        self._entries: list[str | AccessRecord] = []
        self._room = -1
        """Characters that may still come; negative, too, while there is no entry."""
        self._dropped = 0

    def info(self, text: str) -> None:
        self._add("info " + _text(text))

    def warning(self, text: str) -> None:
        self._add("warning " + _text(text))

    def error(self, text: str) -> None:
        self._add("error " + _text(text))

    def crash(self, traceback: str) -> None:
        """A traceback, as an error line for each of its lines."""
        for line in traceback.rstrip("\n").split("\n"):
            self._add("error | " + _text(line))

    def script_stderr(self, script: str, call_id: str, line: str) -> None:
        """A line that a script printed on standard error."""
        self._add(f"stderr script={_value(script)} call_id={_value(call_id)} text={_quoted(line, MAX_TEXT)}")

    def script_warning(self, script: str, call_id: str, line: int, text: str) -> None:
        """Something odd in a line of what a script printed."""
        self.warning(f"{script}: output line {line}: {text} ({call_id})")

    def script_error(
        self,
        script: str,
        call_id: str,
        problem: ScriptError | str,
        *,
        status: int | None = None,
        signal: int | None = None,
    ) -> None:
        """A run that failed; `status` or `signal` is how it ended."""
        parts = [f"script script={_value(script)} call_id={_value(call_id)}"]
        if status is not None:
            parts.append(f"status={status}")
        if signal is not None:
            parts.append(f"signal={_signal(signal)}")
        if isinstance(problem, str):
            parts.append(f"text={_quoted(problem)}")
        else:
            if problem.line:
                parts.append(f"line={problem.line}")
            if problem.column:
                parts.append(f"column={problem.column}")
            parts.append(f"text={_quoted(problem.text)}")
            if problem.hint:
                parts.append(f"hint={_quoted(problem.hint)}")
        self._add(" ".join(parts))

    def access(self, record: AccessRecord) -> None:
        """The line of one transaction. It is made in `take`: of many in a row each costs a third of a single one."""
        if self._room < 0 and not self._has_room():
            return
        self._room -= ACCESS_SIZE
        record.logged = self._wall()
        self._entries.append(record)

    def take(self, most: int = MOST_TAKEN) -> bytes:
        """The next lines, at most so many, in UTF-8, each with its line feed; empty when none is left."""
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            text = f"warning {dropped} log lines dropped: more came than can be written"
            self._entries.append(f"{_stamp(self._wall())} {text}\n")
        taken, self._entries = self._entries[:most], self._entries[most:]
        if not self._entries:
            self._room = -1
        return "".join(map(line_of, taken)).encode()

    def _add(self, line: str) -> None:
        if self._room < 0 and not self._has_room():
            return
        self._room -= STAMP_SIZE + len(line)
        self._entries.append(f"{_stamp(self._wall())} {line}\n")

    def _has_room(self) -> bool:
        """What is to be done for the first entry, and for one too many."""
        if self._entries:
            self._dropped += 1
            return False
        self._room = self._most
        self.filled()
        return True


def _stamp(wall: float) -> str:
    """ISO 8601; all but the milliseconds is made once a second."""
    second, milliseconds = divmod(round(wall * 1000), 1000)
    return f"{_second(second)}{milliseconds:03d}Z"


@lru_cache(maxsize=1)
def _second(second: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second))


def _value(text: str) -> str:
    if not text:
        return "-"
    if len(text) > MAX_VALUE or " " in text or '"' in text or "\\" in text or not text.isprintable():
        return _quoted(text)
    return text


def _quoted(text: str, most: int = MAX_VALUE) -> str:
    text = _capped(text, most).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(text)}"'


def _several(values: list[str]) -> str:
    """Elements between blanks, which none of them holds."""
    return _value(values[0]) if len(values) == 1 else _quoted(" ".join(values)) if values else "-"


def _text(text: str) -> str:
    return printable(_capped(text, MAX_TEXT))


def _capped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def printable(text: str) -> str:
    """The text with escapes for what would move a terminal's cursor, or is no character at all."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # an octet that was no UTF-8 (surrogateescape)
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signal(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return str(number)
