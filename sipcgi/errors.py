"""What can go wrong, each caught in one place (docs/architecture.md); no common base: none is caught by accident."""

EX_CONFIG = 78
"""Exit status for a wrong configuration (sysexits.h)."""


class ParseError(Exception):
    """A SIP message or a part of one does not parse. Caught in net/transport, and where a typed value is first used.

    `status` is the response a request deserves (RFC 3261 21.4), `header` the canonical name of the field at fault.
    """

    def __init__(self, text: str, *, status: int = 400, header: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.header = header


class Refused(Exception):
    """A request that the server answers itself: status, reason and further headers. Caught in engine/dispatch."""

    def __init__(self, status: int, reason: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason or ''}".strip())
        self.status = status
        self.reason = reason
        self.headers = headers


class ScriptError(Exception):
    """A script did not do its work: timeout, crash, or output that does not parse. Caught in engine/cgi_service.

    `line` and `column` count from 1 in what the script printed, 0 where no place can be named.
    `hint` says what usually helps.
    """

    def __init__(self, text: str, *, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.line = line
        self.column = column
        self.hint = hint


class Unreachable(Exception):
    """Nothing can be sent to a target. Caught in engine/transaction, where it becomes the event 503."""


class Closed(Unreachable):
    """The connection ended in good order: it is no more, but there may be another one."""


class Oversized(Unreachable):
    """What is to be sent fits into no datagram (RFC 3261 18.1.1): the peer is not to blame."""


class ConfigError(Exception):
    """One mistake in a configuration file, as `file:line: key: text`. Caught in cli, all of them together."""

    def __init__(self, file: str, line: int, key: str, text: str) -> None:
        super().__init__(f"{file}:{line}: {key}: {text}")
        self.file = file
        self.line = line
        self.key = key
        self.text = text
