"""What the server and the launcher say to each other over a SOCK_SEQPACKET socket: one order or some reports a record.

The launcher loads this file by its path, so it uses the standard library alone and imports nothing else of sipcgi.

An order is ORDER, then for START the texts: directory, arguments, the names of the variables and then their values,
with a NUL between. With it go descriptors (SCM_RIGHTS) in this order: standard output, standard error, then what the
flags name: standard input (STDIN), a socket that becomes descriptor 3 (CONTROL), the opened script that becomes
descriptor 4 (SCRIPT), and, when the texts are too long for a record, a memory file that holds them (APART). START names
the profile of the run by a number; what is behind it was told before, once for each link, by PROFILE: ORDER, then the
packed Profile.

END is TERM now and KILL a second later, KILL is at once; both end all that the run has left anywhere. SWEEP kills all
that bear a mark (hosts/marks), which stands in the place of the run: for who starts runs below one that we started.

A record of reports is up to MAX_REPORTS times REPORT for what EXITED (STARVED: and lacked memory in its control group),
or one REPORT for what FAILED to start, and then a text: in which step (empty: when it was started at last).

A warm parent (hosts/parent) speaks the same, with the base of the marks in the place of a profile. First of all it says
that it is READY, with the paths of what it is made of, a NUL between; later perhaps that its memory has GROWN.
"""

from signal import SIGUSR1
from struct import Struct
from typing import NamedTuple

ORDER = Struct("=BBHIQ")  # kind, flags, number of arguments, profile, run
START, END, KILL, PROFILE, SWEEP = 1, 2, 3, 4, 5
STDIN, APART, CONTROL, SCRIPT = 1, 2, 4, 8
GIVEN = ((0, STDIN), (3, CONTROL), (4, SCRIPT))  # the number of the descriptor in the child, and its flag
ALL_GIVEN = STDIN | CONTROL | SCRIPT
NUMBERS = [(1, 2, *(number for number, flag in GIVEN if flags & flag)) for flags in range(ALL_GIVEN + 1)]
"""By flags, those of all that come."""
PLAIN = 0  # the profile without limits and isolation

REPORT = Struct("=BiQQQ")  # kind, exit code (negative: signal) or errno, run, CPU microseconds, peak KiB
EXITED, FAILED, STARVED, READY, GROWN = 1, 2, 3, 4, 5

MAX_RECORD = 32768  # octets; up to here the kernel needs no scattered pages for a record
MAX_REPORTS = 16
LEAVE = SIGUSR1
"""Tells the first process of a PID namespace that its script has ended; blocked in the launcher, so it is not lost."""
TEXT_BUSY_PAUSE = 0.005  # seconds; whoever writes a program's file has it open about so long
GRACE = 1.0  # seconds between TERM and KILL
MAX_DESCRIPTORS = 6
DESCRIPTOR_SIZE = 4  # octets of an int


def pack_texts(directory: str, argv: list[str], environment: dict[str, str]) -> bytes:
    """Raises ValueError for a NUL inside one of them, and for what is no text."""
    texts = [directory, *argv, *environment, *environment.values()]
    packed = "\0".join(texts).encode("utf-8", "surrogateescape")
    if packed.count(0) != len(texts) - 1:
        raise ValueError("a NUL in the arguments or the environment")
    return packed


def unpack_texts(packed: bytes, arguments: int) -> tuple[bytes, list[bytes], dict[bytes, bytes]]:
    """Directory, arguments, environment. Raises ValueError for a variable without a value."""
    texts = packed.split(b"\0")
    middle = (len(texts) + arguments + 1) // 2
    return texts[0], texts[1 : arguments + 1], dict(zip(texts[arguments + 1 : middle], texts[middle:], strict=True))


class Program(NamedTuple):
    """What a START asks for, once it has arrived."""

    directory: bytes
    argv: list[bytes]
    environment: dict[bytes, bytes]
    descriptors: list[tuple[int, int]]
    """Those that came, and the numbers that the script gets them as."""
