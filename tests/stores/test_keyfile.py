"""The key of the dialog tokens: made once, kept, and nobody else's."""

import os
import stat
from pathlib import Path

import pytest

from sipcgi.dialog.token import TokenKey
from sipcgi.stores import keyfile
from sipcgi.stores.keyfile import load_or_make_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "location.db.key"


def key(path: Path) -> bytes:
    """Without a warning."""
    warnings = list[str]()
    found = load_or_make_key(str(path), warnings.append)
    assert warnings == []
    return found


def refusal(path: Path) -> str:
    with pytest.raises(OSError) as caught:  # noqa: PT011
        key(path)
    return str(caught.value)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_kept(path: Path) -> None:
    made = key(path)
    assert len(made) == 32
    assert len(set(made)) > 8
    assert key(path) == made
    assert path.read_bytes() == made
    assert os.listdir(path.parent) == [path.name]
    assert TokenKey(made).mint("1@h", "a") == TokenKey(key(path)).mint("1@h", "a")
    assert key(path.with_name("other.key")) != made


def test_it_is_for_our_eyes_only(path: Path) -> None:
    before = os.umask(0)
    try:
        key(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o600


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o666, 0o620])
def test_one_that_others_can_read_is_closed_to_them(path: Path, open_to: int) -> None:
    made, warnings = key(path), list[str]()
    path.chmod(open_to)
    assert load_or_make_key(str(path), warnings.append) == made
    assert warnings == [f"{path} was open to other users, now it is not; delete it to get a new key"]
    assert mode(path) == 0o600
    assert key(path) == made


def test_a_stricter_mode_stays(path: Path) -> None:
    made = key(path)
    path.chmod(0o400)
    assert key(path) == made
    assert mode(path) == 0o400


@pytest.mark.parametrize("octets", [b"", b"x" * 31, b"x" * 33, b"x" * 100000])
def test_what_is_no_key_is_left_alone(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)
    path.chmod(0o600)
    assert refusal(path) == f"{path} is no key of 32 octets: delete it, and a new one is made"
    assert path.read_bytes() == octets


def test_what_is_no_file_is_no_key(path: Path) -> None:
    os.mkfifo(path, 0o600)
    assert refusal(path) == f"{path} is no file"
    path.unlink()
    path.mkdir()
    assert refusal(path) == f"{path} is no file"


def test_where_no_file_can_be(path: Path) -> None:
    assert refusal(path / "missing") == f"{path}/missing: No such file or directory"
    path.touch()
    assert refusal(path / "below") == f"{path}/below: Not a directory"


def test_one_of_another_user_is_no_secret(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key(path)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert "belongs to another user" in refusal(path)


def test_two_that_start_at_once_have_one_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one comes first, after we have seen that there is none."""
    other = list[bytes]()

    def quicker(count: int) -> str:
        monkeypatch.undo()
        other.append(key(path))
        return "0" * count

    monkeypatch.setattr(keyfile, "token_hex", quicker)
    assert key(path) == other[0]
    assert os.listdir(path.parent) == [path.name]


def test_what_cannot_be_written_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    assert refusal(path) == f"{path}: No space left on device"
    assert os.listdir(path.parent) == []
