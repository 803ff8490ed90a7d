"""Which scripts are trusted, and that what was examined is what runs."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sipcgi.hosts import trust
from sipcgi.hosts.base import Invocation
from sipcgi.hosts.confine import account
from sipcgi.hosts.trust import ITSELF, checked, faults, is_open_to_all, out_of_reach
from sipcgi.profile import BEST_EFFORT, OFF, PLAIN, REQUIRED, Profile

OTHER = 4711
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


class Folder:
    """cgi-bin with below/script in it."""

    def __init__(self, root: Path) -> None:
        self.path = root / "cgi-bin"
        self.below = self.path / "below"
        self.script = self.below / "script"
        self.below.mkdir(parents=True)
        self.script.write_text("#!/bin/sh\n")
        for path in (self.path, self.below, self.script):
            path.chmod(0o755)

    def profile(self, isolation: str = REQUIRED, **more: str) -> Profile:
        return Profile(isolation=isolation, folder=str(self.path), **more)  # type: ignore[arg-type]

    def faults(self, **more: str) -> str:
        return "; ".join(faults(str(self.script), self.profile(**more)))

    def invocation(self, isolation: str = REQUIRED) -> Invocation:
        script = str(self.script)
        return Invocation(
            "script", ["sh", script, "x"], str(self.below), {}, script=script, profile=self.profile(isolation)
        )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    account.cache_clear()
    yield Folder(tmp_path)
    account.cache_clear()


def test_what_is_ours_and_closed_to_others_is_trusted(folder: Folder) -> None:
    assert folder.faults() == ""
    folder.below.chmod(0o2755)  # files made there get its group
    assert folder.faults() == ""


def mode(place: str, bits: int) -> Callable[[Folder], None]:
    return lambda folder: getattr(folder, place).chmod(bits)


def owner(place: str, user: int, group: int = 0) -> Callable[[Folder], None]:
    return lambda folder: os.chown(getattr(folder, place), user, group)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (mode("script", 0o757), "{script} may be changed by anybody: chmod o-w {script}"),
        (mode("below", 0o757), "{below} may be changed by anybody: chmod o-w {below}"),
        (mode("path", 0o1757), "{path} may be changed by anybody: chmod o-w {path}"),
        (mode("script", 0o4755), "{script} would take its owner's rights (setuid or setgid): chmod ug-s {script}"),
        (mode("script", 0o2755), "{script} would take its owner's rights (setuid or setgid): chmod ug-s {script}"),
    ],
)
def test_modes(folder: Folder, spoil: Callable[[Folder], None], text: str) -> None:
    spoil(folder)
    assert folder.faults() == text.format(**vars(folder))


@as_root
@pytest.mark.parametrize("place", ["script", "below", "path"])
def test_owners_and_groups(folder: Folder, place: str) -> None:
    path = getattr(folder, place)
    path.chmod(0o775)
    assert folder.faults() == ""  # its group is root's
    os.chown(path, 0, OTHER)
    assert folder.faults() == f"{path} may be changed by its group {OTHER}: chmod g-w {path}"
    path.chmod(0o777)
    assert folder.faults() == f"{path} may be changed by anybody: chmod go-w {path}"
    path.chmod(0o755)
    os.chown(path, OTHER, OTHER)
    assert folder.faults() == f"{path} belongs to {OTHER}: chown root {path}"
    assert folder.faults(user=str(OTHER), group=str(OTHER)) == ""


@as_root
def test_the_user_of_the_script_can_reach_it(folder: Folder, open_folders: None) -> None:
    nobody = folder.profile(user="nobody")
    script = str(folder.script)
    assert out_of_reach(script, nobody) == []
    folder.path.parent.chmod(0o700)
    folder.below.chmod(0o744)
    folder.script.chmod(0o711)
    assert out_of_reach(script, folder.profile()) == []
    assert out_of_reach(script, nobody) == [
        f"{folder.path.parent} cannot be entered by nobody: chmod o+x {folder.path.parent}",
        f"{folder.below} cannot be entered by nobody: chmod o+x {folder.below}",
        f"{folder.script} cannot be read by nobody: chmod o+r {folder.script}",
    ]
    for path, bits in ((folder.path.parent, 0o710), (folder.below, 0o750), (folder.script, 0o740)):
        os.chown(path, 0, account("nobody", "").group)  # type: ignore[union-attr]
        path.chmod(bits)
    assert out_of_reach(script, nobody) == []


def test_links(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("#!/bin/sh\n")
    real = folder.path / "real"
    folder.script.rename(real)
    for target in (real, "../real"):
        folder.script.symlink_to(target)
        assert folder.faults() == ""
        folder.script.unlink()
    for target in (outside, "../../outside"):
        folder.script.symlink_to(target)
        assert folder.faults().startswith(f"{outside} is a link that leads out of the scripts directory {folder.path}")
        folder.script.unlink()
    folder.script.mkdir()
    assert folder.faults() == f"{folder.script} is no regular file"
    real.chmod(0o757)
    folder.script.rmdir()
    folder.script.symlink_to(real)
    assert folder.faults() == f"{real} may be changed by anybody: chmod o-w {real}"


def test_a_folder_on_the_way_may_be_a_link(folder: Folder) -> None:
    folder.below.rename(folder.path / "release1")
    folder.below.symlink_to("release1")
    assert folder.faults() == ""
    folder.below.unlink()
    folder.below.symlink_to("/usr/bin")
    (folder.path / "release1" / "script").unlink()
    profile = folder.profile()
    assert "leads out" in faults(str(folder.below / "env"), profile)[0]


def test_one_that_is_not_there_is_said_elsewhere(folder: Folder) -> None:
    folder.script.unlink()
    assert folder.faults() == ""
    with pytest.raises(FileNotFoundError):
        checked(folder.invocation())


def test_it_is_executed_by_its_descriptor(folder: Folder) -> None:
    for isolation in (BEST_EFFORT, REQUIRED):
        found = checked(folder.invocation(isolation))
        assert found.argv == ["sh", ITSELF, "x"]
        descriptor = found.given[trust.DESCRIPTOR]
        assert os.path.samestat(os.fstat(descriptor), folder.script.stat())
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)


def test_without_isolation_nothing_changes(folder: Folder) -> None:
    folder.script.chmod(0o777)
    invocation = folder.invocation(OFF)
    assert checked(invocation) is invocation
    plain = Invocation("a", ["/a"], "/", {}, profile=PLAIN)
    assert checked(plain) is plain


def test_what_is_not_trusted_does_not_run_where_that_is_required(folder: Folder) -> None:
    before = len(os.listdir("/proc/self/fd"))
    folder.script.chmod(0o757)
    with pytest.raises(ValueError, match="may be changed by anybody: chmod o-w"):
        checked(folder.invocation())
    os.close(checked(folder.invocation(BEST_EFFORT)).given[trust.DESCRIPTOR])
    assert len(os.listdir("/proc/self/fd")) == before


def test_open_to_all(folder: Folder) -> None:
    script = str(folder.script)
    assert not is_open_to_all(script)
    folder.below.chmod(0o1777)
    assert not is_open_to_all(script)
    folder.below.chmod(0o777)
    assert is_open_to_all(script)
    folder.below.chmod(0o755)
    folder.script.chmod(stat.S_IRWXO)
    assert is_open_to_all(script)
    assert not is_open_to_all("/nowhere")


def test_a_program_elsewhere_is_the_administrators_choice(folder: Folder) -> None:
    invocation = Invocation("a", ["/bin/sh"], "/", {}, script="/bin/sh", profile=folder.profile())
    assert checked(invocation) is invocation
