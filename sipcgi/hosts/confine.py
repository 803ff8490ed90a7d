"""What a run may do, put into force between its birth and its first step: user and group, no new rights, Landlock.

The launcher loads it, so it uses the standard library alone, and of sipcgi what does the same.
"""

import ctypes
import errno
import grp
import os
import pwd
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import lru_cache
from struct import pack
from typing import NamedTuple

from sipcgi.hosts import landlock, seccomp
from sipcgi.profile import OFF, REQUIRED, Profile

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAP_AMBIENT = 38, 24, 47  # prctl(2)
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION = 0x20080522  # of the two structures of capset(2)
CAP_SETGID, CAP_SETUID = 6, 7
OF_A_PROCESS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
NOT_CHANGED = 0xFFFFFFFF
MOST_DESCRIPTORS = 1 << 16  # more than the launcher may have, whatever limit the script has already
FRESH = 1.0  # seconds for which rules made of the folders of the system hold; then they are made anew

# What a program in any language needs to start and to find names, times and letters.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/proc", "/sys")
RESOLVER = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager/resolv.conf")  # where resolv.conf may lead
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Below them, but nothing for a script, whoever its user is.
SECRETS = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd", "/etc/sudoers"),
    *("/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private", "/etc/krb5.keytab"),
)
_HERE = os.path.dirname(os.path.abspath(__file__))
OURS = (os.path.join(os.path.dirname(_HERE), "kits"), os.path.join(_HERE, "zygotes"))

_libc = ctypes.CDLL(None, use_errno=True)


class Account(NamedTuple):
    """Whom a script runs as."""

    name: str
    user: int
    group: int
    groups: tuple[int, ...]
    """All of them, the first one included."""


@lru_cache
def account(user: str, group: str) -> Account | None:
    """That of a profile; None when it names none. Raises LookupError with what is wrong."""
    if not (user or group):
        return None
    own = str(os.geteuid())
    try:
        entry = pwd.getpwuid(_number(user or own)) if (user or own).isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user and not user.isdecimal():
            raise LookupError(f"there is no user {user}: useradd --system {user}") from None
        if not group:
            raise LookupError(f"user {user} has no group: write group, too") from None
        first = _group(group)
        return Account(user or own, int(user or own), first, (first,))
    first = _group(group) if group else entry.pw_gid
    groups = {first, *os.getgrouplist(entry.pw_name, first)}
    return Account(entry.pw_name, entry.pw_uid, first, tuple(sorted(groups)))


def _group(name: str) -> int:
    try:
        return _number(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {name}: groupadd --system {name}") from None


def _number(text: str) -> int:
    """Raises LookupError; the highest of all would mean to setresuid(2) that nothing is to be changed."""
    number = int(text)
    if number >= NOT_CHANGED:
        raise LookupError(f"{text} is no number of a user or group")
    return number


def needed(profile: Profile) -> bool:
    """Whether there is anything to do here for a run with that profile."""
    return profile.isolation != OFF or bool(profile.user or profile.group)


def obstacle(profile: Profile) -> str:
    """Why user and group cannot be had; empty when they can, or nobody asks. No run goes on without them."""
    try:
        wanted = account(profile.user, profile.group)
    except LookupError as error:
        return str(error)
    if wanted is None or _is_own(wanted) or _may_switch():
        return ""
    return f"to run as {wanted.name} needs root, or the capabilities CAP_SETUID and CAP_SETGID"


def lacking(profile: Profile) -> list[str]:
    """What of the isolation cannot be had on this machine, and why."""
    if profile.isolation == OFF:
        return []
    version = landlock.version()
    if version == 0:
        return ["files: the kernel has no Landlock (Linux 5.13), or was started without (lsm=landlock,...)"]
    if has_own_user(profile):
        return []
    found = []
    if version < landlock.SCOPES:
        found.append("signals to the server: they need Linux 6.12, or a user of the scripts' own (user)")
    if not seccomp.is_possible():
        found.append(
            "rights of files: the kernel has no seccomp filters that are known; a user of their own does it, too"
        )
    return found


def has_own_user(profile: Profile) -> bool:
    """Whether scripts run as another user than the server, whose files and processes are then closed to them anyway."""
    wanted = account(profile.user, profile.group)
    return wanted is not None and wanted.user != os.geteuid()


class Confinement:
    """Of a profile, in the launcher. Raises OSError with a text when what must be cannot be had."""

    def __init__(self, profile: Profile) -> None:
        problem = obstacle(profile) or (profile.isolation == REQUIRED and "; ".join(lacking(profile)))
        if problem:
            raise OSError(errno.EPERM, problem)
        wanted = account(profile.user, profile.group)
        self.account = None if wanted is None or _is_own(wanted) else wanted
        self.isolated = profile.isolation != OFF
        self.own_user = has_own_user(profile)
        self.profile = profile
        self.rules: landlock.Ruleset | None = None
        self._made = 0.0
        self._seen: list[tuple[int, int]] = []

    def prepare(self) -> None:
        """In the launcher, before each birth: rules that hold for the folders as they are now. Raises OSError."""
        if not self.isolated or landlock.version() == 0:
            return
        profile = self.profile
        seen = [_identity(path) for path in (profile.folder, *profile.readable, *profile.writable)]
        now = time.monotonic()
        if self.rules is not None:
            if seen == self._seen and now - self._made < FRESH:
                return
            self.rules.close()
        self.rules = None
        self.rules = _rules(profile)
        self._seen, self._made = seen, now

    def enter(self, keep: Collection[int]) -> None:
        """In the child, last: nothing of it can be undone. Descriptors not in `keep` are closed. Raises OSError."""
        if self.account is not None:
            _become(self.account)
        if self.isolated:
            _give_up_capabilities()
            _prctl(PR_SET_NO_NEW_PRIVS, 1)
            if self.rules is not None:
                with suppress(OSError):  # in a PID namespace it is another one than the launcher's
                    self.rules.allow("/proc", landlock.READ)
                self.rules.restrict_self()
            if not self.own_user and seccomp.is_possible():
                seccomp.deny_changes()
        _close_all_but(keep)


def _is_own(wanted: Account) -> bool:
    """Whether we are that one already."""
    return wanted[1:3] == (os.geteuid(), os.getegid()) and set(wanted.groups) == {os.getegid(), *os.getgroups()}


def _may_switch() -> bool:
    effective = _capabilities("CapEff")
    return effective >> CAP_SETGID & effective >> CAP_SETUID & 1 == 1


def _become(wanted: Account) -> None:
    for descriptor in (1, 2):  # so that /dev/stderr can be opened: it is the pipe, and the server made that
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o666)
    os.setgroups(wanted.groups)
    os.setresgid(wanted.group, wanted.group, wanted.group)
    os.setresuid(wanted.user, wanted.user, wanted.user)
    groups = set(os.getgroups()) | {wanted.group}
    if {*os.getresuid()} != {wanted.user} or {*os.getresgid()} != {wanted.group} or groups != {*wanted.groups}:
        raise OSError(errno.EPERM, f"this is not {wanted.name}")
    if wanted.user != 0:  # those of a server that is not root itself outlive a change of the user
        _give_up_capabilities()


def _give_up_capabilities() -> None:
    """Also for what is executed later; root is then a user like others."""
    with suppress(OSError):  # there are none before Linux 4.3
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    if os.geteuid() == 0:
        with suppress(OSError):  # that was the last one; or we have none, as root in a container
            for capability in range(64):
                _prctl(PR_CAPBSET_DROP, capability)
    if _libc.capset(pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)) != 0 and any(map(_capabilities, OF_A_PROCESS)):
        raise OSError(errno.EPERM, "capabilities cannot be given up")  # systemd may forbid the call to who has none


def _capabilities(name: str) -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next((int(line.split()[1], 16) for line in status if line.startswith(f"{name}:")), 0)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _close_all_but(keep: Collection[int]) -> None:
    kept = sorted({0, 1, 2, *keep})
    for before, after in zip(kept, [*kept[1:], MOST_DESCRIPTORS], strict=True):
        os.closerange(before + 1, after)


def _rules(profile: Profile) -> landlock.Ruleset:
    """Raises OSError when the kernel refuses; a folder that is not there is passed over."""
    rules = landlock.Ruleset()
    try:
        hidden = _hidden(profile)
        for tree, rights in _trees(profile).items():
            for path in without(tree, hidden):
                with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    rules.allow(path, rights)
        for device in DEVICES:
            with suppress(FileNotFoundError):
                rules.allow(f"/dev/{device}", landlock.USE)
    except OSError:
        rules.close()
        raise
    return rules


def _trees(profile: Profile) -> dict[str, int]:
    """The folders that are open, with the rights that hold there."""
    read = [*SYSTEM, *RESOLVER, *OURS, profile.folder, *profile.readable]
    rights = dict.fromkeys(read, landlock.READ) | dict.fromkeys(profile.writable, landlock.CHANGE)
    return {os.path.realpath(path): right for path, right in rights.items() if path}


def _hidden(profile: Profile) -> set[str]:
    return {*SECRETS, *profile.hidden}.difference(SYSTEM)


def is_readable(path: str, profile: Profile) -> bool:
    """Whether Landlock leaves that open; of a path without links."""
    above = [path, *_parents(path)]
    trees = _trees(profile)
    tree = next((place for place in above if place in trees), None)
    hidden = _hidden(profile)
    return tree is not None and not any(place in hidden for place in above[: above.index(tree)])


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path


def without(tree: str, hidden: Collection[str]) -> Iterator[str]:
    """The folder, if none of `hidden` is below it; else what is in it, but for those, and for links, which lead to what
    is allowed where it lies, or is not."""
    inside = {path for path in hidden if path.startswith(tree.rstrip("/") + "/")}
    if not inside:
        yield tree
        return
    with suppress(OSError), os.scandir(tree) as entries:
        for entry in entries:
            if entry.path not in inside and not entry.is_symlink():
                yield from without(entry.path, inside)


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
