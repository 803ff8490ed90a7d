"""System calls that Landlock does not know of, by which a process changes files and processes of its own user.

They are denied to scripts that run as the server's user (seccomp(2)). The launcher loads this, so it uses the standard
library alone.
"""

import ctypes
import errno
import os
from functools import cache
from struct import pack

PR_SET_SECCOMP, MODE_FILTER = 22, 2
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column in the tables below, AUDIT_ARCH_
X32 = 0x40000000  # of another way to call, with other numbers; there is none on aarch64

# Numbers on x86_64 and on aarch64; None where there is no such call
RIGHTS_OF_FILES = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "io_uring_setup": (425, 425),  # does the same without a call; programs take it that there is none
}
# And which arguments a call may have, so that it is about the process itself
OF_PROCESSES = {
    "prlimit64": ((302, 261), {0: 0}),
    "setpriority": ((141, 140), {0: 0, 1: 0}),  # PRIO_PROCESS
    "ioprio_set": ((251, 30), {0: 1, 1: 0}),  # IOPRIO_WHO_PROCESS
    "sched_setparam": ((142, 118), {0: 0}),
    "sched_setscheduler": ((144, 119), {0: 0}),
    "sched_setattr": ((314, 274), {0: 0}),
    "sched_setaffinity": ((203, 122), {0: 0}),
}

# Classic BPF over struct seccomp_data, of which an argument's lower half counts: all of these are int
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM

_libc = ctypes.CDLL(None, use_errno=True)


def is_possible() -> bool:
    return os.uname().machine in ARCHITECTURES and os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def deny_changes() -> None:
    """From now on, for this process and its children. Needs no_new_privs. Raises OSError."""
    code = program(os.uname().machine)
    octets = ctypes.create_string_buffer(code)
    whole = pack("@HP", len(code) // 8, ctypes.addressof(octets))
    if _libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(MODE_FILTER), whole, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


@cache
def program(machine: str) -> bytes:
    """The filter."""
    column, architecture = ARCHITECTURES[machine]
    steps = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, DENY)]
    steps += [(LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, DENY)]
    for call in RIGHTS_OF_FILES.values():
        if (number := call[column]) is not None:
            steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, DENY)]
    for numbers, wanted in OF_PROCESSES.values():
        checks = [step for place, value in wanted.items() for step in only(place, value)]
        steps += [(EQUAL, 0, len(checks) + 1, numbers[column]), *checks, (RETURN, 0, 0, ALLOW)]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(pack("=HBBI", *step) for step in steps)


def only(place: int, value: int) -> list[tuple[int, int, int, int]]:
    """Denies all but one value of an argument."""
    return [(LOAD, 0, 0, ARGUMENTS + 8 * place), (EQUAL, 1, 0, value), (RETURN, 0, 0, DENY)]
