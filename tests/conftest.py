"""What any test may need: programs that others wrote, and what to do without them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE

import pytest

PACKAGES = {
    "sipp": "sip-tester",
    "baresip": "baresip-core",
    "node": "nodejs",
    "tclsh": "tcl",
    "lua": "lua5.4",
    "php": "php-cli",
    "awk": "mawk",
    "cc": "gcc libc6-dev",
    "systemd-analyze": "systemd",
}
"""By program, where the names differ."""


@pytest.fixture(scope="session")
def missing() -> Callable[[str], None]:
    """Ends the test for what is not there, with how to install it: it is skipped, but where CI is set, it fails."""

    def end(what: str) -> None:
        if os.environ.get("CI"):
            pytest.fail(what)
        pytest.skip(what)

    return end


@pytest.fixture
def program(missing: Callable[[str], None]) -> Callable[[str], str]:
    """The path of a program that others wrote."""

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            missing(f"{name} is not there: apt install {PACKAGES.get(name, name)}")
        assert path is not None
        return path

    return find


@pytest.fixture
def open_folders(tmp_path: Path) -> None:
    """pytest's are for their owner alone."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        status = folder.stat()
        if status.st_uid == os.geteuid():
            folder.chmod(S_IMODE(status.st_mode) | 0o055)


@pytest.fixture
def as_root(open_folders: None) -> None:
    """Skips the test for others, who cannot become another user; those users find pytest's folders open."""
    if os.geteuid() != 0:
        pytest.skip("only root may become another user")
