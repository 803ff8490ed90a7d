"""How a script is run: which host, what it may use, and what it may do.

The launcher loads this file by its path, so it uses the standard library alone and imports nothing else of sipcgi.
"""

import json
from dataclasses import asdict, dataclass

EXEC, WARM, FASTCGI = "exec", "warm", "fastcgi"
HOSTS = (EXEC, WARM, FASTCGI)
WARM_LANGUAGES = ("python", "perl", "ruby")

OFF, BEST_EFFORT, REQUIRED = "off", "best_effort", "required"
ISOLATIONS = (OFF, BEST_EFFORT, REQUIRED)


@dataclass(frozen=True, slots=True)
class Hosting:
    """Which host runs a script, and what that host has to know."""

    host: str = EXEC
    """What the route says, or exec."""
    warm: frozenset[str] = frozenset()
    """Languages whose scripts run warm, too, though the host is exec."""
    preload: tuple[str, ...] = ()
    """Modules that the warm parent loads before the first run."""
    fastcgi: str = ""
    """URL of a FastCGI program: unix:///PATH or tcp://HOST:PORT."""
    processes: int = 0
    """How many of it the server starts; none: somebody else does."""
    command: tuple[str, ...] = ()
    """How it starts them: a file of the scripts directory or an absolute path, and arguments."""
    environment: tuple[tuple[str, str], ...] = ()
    """What it gives them; each request has it, too."""

    def is_warm(self, language: str) -> bool:
        """Whether scripts in that language, which has a warm host, run so."""
        return self.host == WARM or language in self.warm

    @classmethod
    def of_file(cls, host: str, name: str, environment: dict[str, str]) -> "Hosting":
        """That of a script on its own, by its name in the scripts directory."""
        if host != FASTCGI:
            return cls(host)
        return cls(host, processes=1, command=(name,), environment=tuple(environment.items()))

    @property
    def of_files(self) -> "Hosting":
        """That of another script, which is a file, where this one is a FastCGI program."""
        return Hosting(warm=self.warm, preload=self.preload) if self.host == FASTCGI else self


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; 0 is without limit."""

    cpu: int = 0
    """Seconds of processor time, of each process."""
    memory: int = 0
    """Octets: of all processes together where a control group counts them, else of each one's address space."""
    processes: int = 0
    files: int = 0
    """Open descriptors of each process."""
    file_size: int = 0
    """Octets of a file that it writes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a run may use and do. Equal profiles are one to the launcher, which hears each of them once."""

    limits: Limits = Limits()
    isolation: str = OFF
    user: str = ""
    """Name or number; empty: the server's own."""
    group: str = ""
    """Empty: the user's own."""
    readable: tuple[str, ...] = ()
    """Absolute paths of folders that may be read besides those of the system and the script's own."""
    writable: tuple[str, ...] = ()
    """Absolute paths of folders that may be changed."""
    folder: str = ""
    """Absolute path of the scripts' own folder; empty where there is no isolation."""
    hidden: tuple[str, ...] = ()
    """Absolute paths of what is the server's alone, wherever it lies."""

    def pack(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> "Profile":
        values = json.loads(packed)
        for name in ("readable", "writable", "hidden"):
            values[name] = tuple(values[name])
        return cls(Limits(**values.pop("limits")), **values)


EXECUTED = Hosting()
"""A process a run, whatever the language."""
PLAIN = Profile()
"""No limit and no isolation: the launcher has nothing to do between the script's birth and its first step."""
