"""What systemd does before it starts a service, as far as it can be had without it:

    python under_unit.py UNIT FOLDER COMMAND...

The system is read-only but for FOLDER and /tmp; the user is nobody, with the capabilities and the filters of system
calls that UNIT has. To be run by root.
"""

import ctypes
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from struct import pack

NOBODY = 65534
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm-generic/unistd.h")
CLONE_NEWNS, NAMESPACES = 0x00020000, 0x7E020080
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MS_BIND, MS_REC, MS_PRIVATE = -100, 0x8000, 1, 4096, 16384, 1 << 18
PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 22, 24, 38, 47
CAPABILITIES = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_NET_BIND_SERVICE": 10}
EPERM, EAFNOSUPPORT, ENOSYS = 1, 97, 38
LOAD, EQUAL, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x45, 0x54, 0x06  # of classic BPF
NUMBER, ARCH, FIRST, SECOND, THIRD = 0, 4, 16, 24, 32  # offsets in struct seccomp_data; of arguments the lower half
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
WRITE_EXECUTE, EXECUTE = 6, 4  # PROT_
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}

libc = ctypes.CDLL(None, use_errno=True)


def settings(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and key.isalpha():
            found[key].append(value)
    return found


def group(name: str) -> set[str]:
    """The system calls of one, those of the groups in it included."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    names = [word for line in said.stdout.splitlines()[1:] if (word := line.strip()) and not word.startswith("#")]
    return set().union(*map(group, names))


def allowed(filters: list[str]) -> set[str]:
    calls = group("@default")
    for words in filters:
        named = set().union(*map(group, words.removeprefix("~").split()))
        calls = calls - named if words.startswith("~") else calls | named
    return calls


def numbers() -> dict[str, int]:
    header = next(path for path in map(Path, HEADERS) if path.exists())
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text())}


def program(unit: dict[str, list[str]]) -> bytes:
    """The filter, in the order in which its parts are asked."""
    number = numbers()
    steps: list[tuple[int, int, int, int]] = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, AUDIT_ARCH[os.uname().machine])]
    steps += [(RETURN, 0, 0, ERRNO | EPERM), (LOAD, 0, 0, NUMBER)]

    def when(call: str, *body: tuple[int, int, int, int]) -> None:
        if call in number:
            steps.extend([(EQUAL, 0, len(body) + 1, number[call]), *body, (LOAD, 0, 0, NUMBER)])

    if unit["RestrictNamespaces"] == ["yes"]:
        when("clone3", (RETURN, 0, 0, ERRNO | ENOSYS))
        for call in ("clone", "unshare"):
            when(call, (LOAD, 0, 0, FIRST), (ANY_BIT, 0, 1, NAMESPACES), (RETURN, 0, 0, ERRNO | EPERM))
        when("setns", (RETURN, 0, 0, ERRNO | EPERM))
    families = [FAMILIES[name] for words in unit["RestrictAddressFamilies"] for name in words.split()]
    checks = [(EQUAL, len(families) - at, 0, family) for at, family in enumerate(families)]
    when("socket", (LOAD, 0, 0, FIRST), *checks, (RETURN, 0, 0, ERRNO | EAFNOSUPPORT))
    if unit["MemoryDenyWriteExecute"] == ["yes"]:
        both = ((AND, 0, 0, WRITE_EXECUTE), (EQUAL, 0, 1, WRITE_EXECUTE), (RETURN, 0, 0, ERRNO | EPERM))
        when("mmap", (LOAD, 0, 0, THIRD), *both)
        for call in ("mprotect", "pkey_mprotect"):
            when(call, (LOAD, 0, 0, THIRD), (ANY_BIT, 0, 1, EXECUTE), (RETURN, 0, 0, ERRNO | EPERM))
    for call in sorted(allowed(unit["SystemCallFilter"]) & number.keys()):
        steps += [(EQUAL, 0, 1, number[call]), (RETURN, 0, 0, ALLOW)]
    steps.append((RETURN, 0, 0, ERRNO | EPERM))
    return b"".join(pack("=HBBI", *step) for step in steps)


def check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def make_read_only(*but: str) -> None:
    """The system, in a mount namespace of our own."""
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    for place in but:
        check(libc.mount(place.encode(), place.encode(), None, MS_BIND | MS_REC, None))
    for at, place in enumerate(["/", *but]):
        attributes = pack("=QQQQ", 0 if at else MOUNT_ATTR_RDONLY, MOUNT_ATTR_RDONLY if at else 0, 0, 0)
        check(libc.syscall(442, AT_FDCWD, place.encode(), AT_RECURSIVE, attributes, len(attributes)))  # mount_setattr


def become_nobody(keep: list[int]) -> None:
    """With those capabilities, also for what is executed."""
    for capability in {*range(64)}.difference(keep):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    mask = sum(1 << capability for capability in keep)
    check(libc.capset(pack("=Ii", 0x20080522, 0), pack("=III", mask, mask, mask) + bytes(12)))
    for capability in keep:
        check(libc.prctl(PR_CAP_AMBIENT, 2, capability, 0, 0))


def main() -> None:
    unit = settings(Path(sys.argv[1]))
    code = program(unit)
    make_read_only("/tmp", sys.argv[2])
    os.umask(int(unit["UMask"][0], 8))
    become_nobody([CAPABILITIES[name] for words in unit["AmbientCapabilities"] for name in words.split()])
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    octets = ctypes.create_string_buffer(code)
    whole = pack("@HP", len(code) // 8, ctypes.addressof(octets))
    check(libc.prctl(PR_SET_SECCOMP, 2, whole, 0, 0))
    os.execv(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    main()
