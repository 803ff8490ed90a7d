"""The secret of the dialog tokens, kept over restarts in a file beside the store: `location.db.key`."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from secrets import token_bytes, token_hex

KEY_OCTETS = 32


def load_or_make_key(path: str, warn: Callable[[str], object]) -> bytes:
    """The key in the file at `path`, which is made when it is missing, whole or not at all, for our eyes only.

    One that others could read is told to `warn` and closed to them. Raises OSError, with a text for people, when there
    can be no such file, or when there is one that is no key of ours.
    """
    try:
        return _load(path, warn)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _clear(path, error) from error
    try:
        _make(path)
        return _load(path, warn)  # another process may have been quicker
    except OSError as error:
        raise _clear(path, error) from error


def _load(path: str, warn: Callable[[str], object]) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # nothing hangs at a pipe of that name
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no file")
        if status.st_uid not in (os.geteuid(), 0):
            raise OSError(f"{path} belongs to another user, who knows the key: delete it, and a new one is made")
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
            warn(f"{path} was open to other users, now it is not; delete it to get a new key")
        key = os.read(descriptor, KEY_OCTETS + 1)
    finally:
        os.close(descriptor)
    if len(key) != KEY_OCTETS:
        raise OSError(f"{path} is no key of {KEY_OCTETS} octets: delete it, and a new one is made")
    return key


def _make(path: str) -> None:
    """Under another name first: a file at `path` is always whole, and never takes the place of one that is there."""
    draft = f"{path}.{token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(token_bytes(KEY_OCTETS))
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _clear(path: str, error: OSError) -> OSError:
    return OSError(f"{path}: {error.strerror}") if error.strerror else error
