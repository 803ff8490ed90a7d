"""Whether a script may be trusted: who could have changed it, asked as Apache's suexec asks. And the script opened, so
that what was examined is executed, by its descriptor, whatever its name stands for by then.
"""

import errno
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from sipcgi.hosts.base import Invocation
from sipcgi.hosts.confine import Account, account
from sipcgi.profile import OFF, REQUIRED, Profile

DESCRIPTOR = 4
"""Under this number (hosts/wire.SCRIPT) a script finds itself."""
ITSELF = f"/proc/self/fd/{DESCRIPTOR}"
_FOLLOWED = 2  # times that a link is resolved: somebody may turn it in between, not for ever

Place = tuple[str, os.stat_result]
"""A path and what is there."""


def checked(invocation: Invocation) -> Invocation:
    """With the script opened, and executed by its descriptor, if its profile has isolation.

    Raises OSError, or ValueError for one that `isolation: required` does not trust.
    """
    profile, script = invocation.profile, invocation.script
    if profile.isolation == OFF or DESCRIPTOR in invocation.given or not script.startswith(f"{profile.folder}/"):
        return invocation  # another program is none that a request chose
    descriptor, places = _opened(script, profile.folder)
    try:
        if profile.isolation == REQUIRED and (found := [*_faults(places, _account(profile))]):
            raise ValueError("; ".join(found))
    except ValueError:
        os.close(descriptor)
        raise
    argv = [ITSELF if word == script else word for word in invocation.argv]
    given = invocation.given | {DESCRIPTOR: descriptor}
    # In the folder of the name that it has now are no modules, but there Perl scripts look for them ($FindBin::Bin).
    modules = ":".join(filter(None, (invocation.environment.get("PERL5LIB"), os.path.dirname(script))))
    return replace(invocation, argv=argv, given=given, environment=invocation.environment | {"PERL5LIB": modules})


def faults(script: str, profile: Profile) -> list[str]:
    """Why the script is not to be trusted, each with what to do."""
    try:
        descriptor, places = _opened(script, profile.folder)
    except OSError as error:
        return [] if error.errno == errno.ENOENT else [f"{script} cannot be opened: {error.strerror}"]
    except ValueError as error:
        return [str(error)]
    os.close(descriptor)
    return [*_faults(places, _account(profile))]


def out_of_reach(script: str, profile: Profile) -> list[str]:
    """What keeps the user that is asked for from the script: it, or a folder above it; each with what to do."""
    wanted = _account(profile)
    if wanted is None:
        return []
    script = os.path.realpath(script)
    found = []
    parts = script.split("/")
    for number in range(1, len(parts) + 1):
        path = "/".join(parts[:number]) or "/"
        what, right = ("entered", "x") if number < len(parts) else ("read", "r")
        with suppress(OSError):
            if not _may(os.stat(path), wanted, right):
                found.append(f"{path} cannot be {what} by {wanted.name}: chmod o+{right} {shlex.quote(path)}")
    return found


def is_open_to_all(script: str) -> bool:
    """Whether anybody may change the script: it, or the name by which it is found."""
    with suppress(OSError):
        folder = os.stat(os.path.dirname(script)).st_mode
        return bool(os.stat(script).st_mode & stat.S_IWOTH or (folder & stat.S_IWOTH and not folder & stat.S_ISVTX))
    return False


def _account(profile: Profile) -> Account | None:
    try:
        return account(profile.user, profile.group)
    except LookupError:
        return None  # which is said elsewhere; nothing runs


def _opened(script: str, folder: str) -> tuple[int, list[Place]]:
    """A descriptor that can only be executed or opened anew, and the way to it: the folder, what is below it, the file.

    Nothing on the way is a link that leads out. Raises OSError, or ValueError with a text when one does.
    """
    for _ in range(_FOLLOWED):
        within = os.path.relpath(script, folder)
        if within.startswith(".."):
            break
        found = _walked(folder, within)
        if found is not None:
            return found
        script, folder = os.path.realpath(script), os.path.realpath(folder)
    raise ValueError(f"{script} is a link that leads out of the scripts directory {folder}: copy the file there")


def _walked(folder: str, within: str) -> tuple[int, list[Place]] | None:
    """Step by step, so that each is examined as it is used; None when there is a link. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    places = [(folder, os.fstat(descriptor))]
    try:
        for name in within.split("/"):
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
            places.append((os.path.join(places[-1][0], name), os.fstat(descriptor)))
            if stat.S_ISLNK(places[-1][1].st_mode):
                os.close(descriptor)
                return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, places


def _faults(places: list[Place], wanted: Account | None) -> Iterator[str]:
    trusted = {0, os.geteuid(), *([wanted.user] if wanted else [])}
    for number, (path, status) in enumerate(places):
        mode, quoted, is_script = status.st_mode, shlex.quote(path), number == len(places) - 1
        if is_script and not stat.S_ISREG(mode):
            yield f"{path} is no regular file"
            return
        if status.st_uid not in trusted:
            names = dict.fromkeys(map(_name, sorted(trusted)))
            yield f"{path} belongs to {_name(status.st_uid)}: chown {next(iter(names))} {quoted}"
        if who := ("o" if mode & stat.S_IWOTH else "") + ("g" if mode & stat.S_IWGRP and status.st_gid else ""):
            whom = {"o": "anybody", "g": f"its group {status.st_gid}", "og": "anybody"}[who]
            yield f"{path} may be changed by {whom}: chmod {'go' if who == 'og' else who}-w {quoted}"
        if is_script and mode & (stat.S_ISUID | stat.S_ISGID):
            yield f"{path} would take its owner's rights (setuid or setgid): chmod ug-s {quoted}"


def _may(status: os.stat_result, who: Account, right: str) -> bool:
    bit = {"r": stat.S_IROTH, "x": stat.S_IXOTH}[right]
    if status.st_uid == who.user:
        return bool(status.st_mode & bit << 6)
    return bool(status.st_mode & (bit << 3 if status.st_gid in who.groups else bit))


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
