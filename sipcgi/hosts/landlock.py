"""Landlock, by which a process gives up what it may do to files, and to processes outside (Linux 5.13, landlock(7)).

The launcher loads it, so it uses the standard library alone.
"""

import ctypes
import os
import stat
from functools import cache
from struct import pack

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls, the same numbers on all but Alpha
_VERSION = 1  # a flag of the first: tells which rights the kernel knows
_PATH_BENEATH = 1

# Rights of files and folders, by the version that brought them
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_OF_FOLDERS = (1 << 13) - (1 << 4)  # to remove and to make files, folders, links, sockets, pipes, devices
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BROUGHT = {2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = EXECUTE | READ_FILE | READ_DIR
USE = READ_FILE | WRITE_FILE | IOCTL_DEV  # of a device
CHANGE = READ | _OF_FILES | _OF_FOLDERS | REFER

SCOPES = 6
"""The version from which signals, and sockets without a file, end at the border, too (Linux 6.12)."""
_ABSTRACT_SOCKET, _SIGNAL = 1 << 0, 1 << 1

_libc = ctypes.CDLL(None, use_errno=True)


@cache
def version() -> int:
    """Of what the kernel offers; 0 is nothing: it is too old, or was started without."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))))


class Ruleset:
    """Nothing is allowed but what is said. Owns a descriptor. Raises OSError where the kernel has no Landlock."""

    def __init__(self) -> None:
        known = version()
        self.handled = READ | WRITE_FILE | _OF_FOLDERS
        for since, right in _BROUGHT.items():
            self.handled |= right if known >= since else 0
        scoped = _ABSTRACT_SOCKET | _SIGNAL if known >= SCOPES else 0
        attributes = pack("=QQQ", self.handled, 0, scoped)[: 24 if scoped else 8]
        self.descriptor = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))

    def allow(self, path: str, rights: int) -> None:
        """Of a file, or of a folder and all below it. Raises OSError when it is not there."""
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            possible = self.handled if stat.S_ISDIR(os.fstat(place).st_mode) else self.handled & _OF_FILES
            rule = pack("=Qi", rights & possible, place)
            _call(_ADD_RULE, ctypes.c_int(self.descriptor), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
        finally:
            os.close(place)

    def restrict_self(self) -> None:
        """From now on it holds for this thread and its children, for ever. Needs no_new_privs. Raises OSError."""
        _call(_RESTRICT_SELF, ctypes.c_int(self.descriptor), ctypes.c_uint32(0))

    def close(self) -> None:
        os.close(self.descriptor)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
