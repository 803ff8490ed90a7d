"""What the server and the launcher say to each other over a SOCK_SEQPACKET socket: one order or some reports a record.

The launcher loads this file by its path, so it uses the standard library alone and imports nothing else of sipcgi.

An order is ORDER, then for START the texts: directory, arguments, NAME=value..., with a NUL between. With it go
descriptors (SCM_RIGHTS): standard output, standard error, then standard input (flag STDIN), then, when the texts are
too long for a record, a memory file that holds them (flag APART).
"""

from signal import SIGHUP, SIGINT, SIGQUIT, SIGTERM
from struct import Struct

ORDER = Struct("=BBHQ")  # kind, flags, number of arguments, run
START, END, KILL = 1, 2, 3
STDIN, APART = 1, 2

REPORT = Struct("=BiQQQ")  # kind, exit code (negative: signal) or errno, run, CPU microseconds, peak KiB
EXITED, FAILED = 1, 2

MAX_RECORD = 32768  # octets; up to here the kernel needs no scattered pages for a record
MAX_REPORTS = 16
SIGNALS_IGNORED = (SIGHUP, SIGINT, SIGQUIT, SIGTERM)  # by the launcher: the end of the server ends it, nothing else
GRACE = 1.0  # seconds between TERM and KILL
DESCRIPTORS = Struct("=4i")


def pack_texts(directory: str, argv: list[str], environment: dict[str, str]) -> bytes:
    """Raises ValueError for a NUL inside one of them, and for what is no text."""
    texts = [directory, *argv, *[f"{name}={value}" for name, value in environment.items()]]
    packed = "\0".join(texts).encode("utf-8", "surrogateescape")
    if packed.count(0) != len(texts) - 1:
        raise ValueError("a NUL in the arguments or the environment")
    return packed


def unpack_texts(packed: bytes, arguments: int) -> tuple[bytes, list[bytes], dict[bytes, bytes]]:
    """Directory, arguments, environment. Raises ValueError for a variable without `=`."""
    texts = packed.split(b"\0")
    return texts[0], texts[1 : arguments + 1], dict(text.split(b"=", 1) for text in texts[arguments + 1 :])
