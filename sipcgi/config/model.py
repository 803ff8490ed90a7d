"""A configuration that holds: every value filled in, every path absolute, every mistake found before."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from sipcgi.auth.digest import Account
from sipcgi.cgi.routes import CGI, Route
from sipcgi.config.place import Listener, Network, default_listeners
from sipcgi.engine.domains import DEFAULT_SETTINGS, DomainSettings
from sipcgi.engine.overload import MOST_TRANSACTIONS
from sipcgi.errors import ConfigError
from sipcgi.net.endpoint import CannotListen
from sipcgi.profile import EXECUTED, PLAIN, Hosting, Profile
from sipcgi.registrar.aliases import Aliases

BUILT_IN = "built-in defaults"
COMMAND_LINE = "command line"
MAX_RUNNING = 64 * len(os.sched_getaffinity(0))
"""Scripts at once: with short ones the processors are busy, with ones that wait for others there is room."""


@dataclass(frozen=True, slots=True)
class ScriptSettings:
    """What holds for every script that no route gives something else."""

    directory: Path
    timeout: float
    """Seconds."""
    on_error: str
    """reject, default, or the name of a script."""
    max_output: int
    """Octets."""
    max_messages: int
    pass_authorization: bool
    environment: dict[str, str]
    style: str = CGI
    max_running: int = MAX_RUNNING
    max_running_per_script: int | None = None
    hosting: Hosting = EXECUTED
    profile: Profile = PLAIN


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of it; `file` is None for the built-in defaults."""

    file: Path | None
    listen: tuple[Listener, ...]
    domains: tuple[str, ...]
    """Lower-case; IPv6 without brackets."""
    relay: tuple[Network, ...]
    scripts: ScriptSettings
    routes: tuple[Route, ...]
    store: str
    """memory:// or sqlite:/// and an absolute path."""
    domain_settings: dict[str, DomainSettings] = field(default_factory=dict)
    """By name of the domain; "" is what holds for all that are not in it."""
    aliases: Aliases = field(default_factory=Aliases)
    max_transactions: int = MOST_TRANSACTIONS
    retry_after: float | None = None
    """Seconds, for those who are refused because of overload."""
    credentials: tuple[Account, ...] = ()
    """What challenges to requests that scripts generate are answered with."""
    lines: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    """Where each key stands in the file."""

    @property
    def source(self) -> str:
        """The file as the user named it."""
        return str(self.file) if self.file else BUILT_IN

    @property
    def is_empty(self) -> bool:
        """Whether there is a file that says nothing."""
        return self.file is not None and not self.lines

    @property
    def store_path(self) -> Path | None:
        """File of an SQLite store."""
        return Path(self.store.removeprefix("sqlite:///")) if self.store.startswith("sqlite:") else None

    @property
    def fallback(self) -> Route:
        """The settings of a script that only its file name triggers."""
        general = self.scripts
        return Route(
            script="",
            timeout=general.timeout,
            on_error=general.on_error,
            max_output=general.max_output,
            max_messages=general.max_messages,
            pass_authorization=general.pass_authorization,
            style=general.style,
            environment=general.environment,
            hosting=general.hosting,
            profile=general.profile,
        )

    def of_domain(self, name: str = "") -> DomainSettings:
        """What holds for a domain; for one that the file says nothing of, what it says for all."""
        return self.domain_settings.get(name) or self.domain_settings.get("", DEFAULT_SETTINGS)

    def script_key(self, number: int) -> str:
        """Of the key by which a route says what it runs."""
        command = f"routes.{number}.command"
        return command if command in self.lines else f"routes.{number}.script"

    def mistake(self, key: str, text: str) -> ConfigError:
        """One that only shows when the world is looked at."""
        return ConfigError(self.source, self.line(key), key, text)

    def listen_mistake(self, error: OSError) -> ConfigError:
        """The listener that could not be opened, at its place in the file or on the command line."""
        if not isinstance(error, CannotListen):
            return self.mistake("listen", str(error))
        number = next(number for number, each in enumerate(self.listen) if each == error.listener)
        each, key = self.listen[number], f"listen.{number}"
        if not each.line and each not in default_listeners():
            return ConfigError(COMMAND_LINE, number + 1, "--listen", str(error))
        return self.mistake(key if key in self.lines else "listen", str(error))

    def line(self, key: str) -> int:
        """Of a key, or of what is around it; the first one, where the file says nothing of it."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key, 1)
