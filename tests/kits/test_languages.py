"""Each kit's own tests, in the way that is usual in its language (Python's are test_python.py)."""

import re
import shutil
from collections.abc import Callable

import pytest
from kit_scripts import HERE, LANGUAGES, start

PASSED = {
    "sipcgi.t": r"^1\.\.[0-9]{2}$(?!\s*# Looks)",
    "test_sipcgi.rb": r"[0-9]+ runs, [0-9]{2,} assertions, 0 failures, 0 errors, 0 skips",
    "test_sipcgi.lua": "all is well",
    "sipcgi.test": r"Total\s+([0-9]{2})\s+Passed\s+\1\s+Skipped\s+0\s+Failed\s+0",
}
"""What a test file prints when all went well."""
SPECIAL = {"t": "perl", "test": "tclsh"}


@pytest.mark.parametrize("name", PASSED)
def test_a_language(name: str, program: Callable[[str], str]) -> None:
    ending = name.rpartition(".")[2]
    done = start(program(SPECIAL.get(ending) or LANGUAGES[ending]), HERE / name, {})
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    assert re.search(PASSED[name], said, re.MULTILINE), said
    assert "not ok" not in said


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "ksh", "zsh"])
def test_a_shell(shell: str) -> None:
    """dash is what sh is on Debian; of the others those that are there."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not there: apt install {shell}")
    done = start("/bin/sh", HERE / "test_sipcgi.sh", {}, arguments=[shell])
    assert done.stdout.decode() == "all is well\n"
    assert (done.returncode, done.stderr) == (0, b"")
