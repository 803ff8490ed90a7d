"""What a process may no longer change though it belongs to its user, tried by children of our own."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import attempt, in_child

from sipcgi.hosts import seccomp
from sipcgi.hosts.confine import PR_SET_NO_NEW_PRIVS, _libc, _prctl

pytestmark = pytest.mark.skipif(not seccomp.is_possible(), reason="no filter is known for this machine")
COLUMN = seccomp.ARCHITECTURES.get(os.uname().machine, (0, 0))[0]


def filtered(work: Callable[[], Any]) -> Any:
    def child() -> Any:
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp.deny_changes()
        return work()

    return in_child(child)


def test_rights_of_files(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("a")

    def work() -> list[str]:
        with file.open() as opened:
            return [
                attempt(os.chmod, file, 0o777),
                attempt(os.fchmod, opened.fileno(), 0o777),
                attempt(os.chown, file, os.getuid(), os.getgid()),
                attempt(os.setxattr, file, "user.a", b"x"),
                attempt(os.utime, file),
                attempt(file.write_text, "b"),
            ]

    assert filtered(work) == [*["EPERM"] * 4, "", ""]


@pytest.mark.parametrize("name", seccomp.RIGHTS_OF_FILES)
def test_each_call_by_its_number(name: str) -> None:
    """Without arguments, which would be another error."""
    number = seccomp.RIGHTS_OF_FILES[name][COLUMN]
    if number is None:
        pytest.skip("there is none on this machine")

    def work() -> str:
        assert _libc.syscall(number, -1, -1, -1, -1, -1, -1) == -1
        return os.strerror(seccomp.ctypes.get_errno())

    assert in_child(work) != os.strerror(1) or name == "io_uring_setup"  # which nobody may use on some machines
    assert filtered(work) == os.strerror(1)


def test_processes() -> None:
    parent = os.getpid()

    def work() -> list[str]:
        return [
            attempt(resource.prlimit, parent, resource.RLIMIT_CORE),
            attempt(os.setpriority, os.PRIO_PROCESS, parent, 19),
            attempt(os.setpriority, os.PRIO_USER, 0, 19),
            attempt(os.sched_setaffinity, parent, os.sched_getaffinity(0)),
            attempt(os.sched_setscheduler, parent, os.SCHED_BATCH, os.sched_param(0)),
            attempt(resource.prlimit, 0, resource.RLIMIT_CORE, (0, 0)),
            attempt(os.setpriority, os.PRIO_PROCESS, 0, 19),
            attempt(os.sched_setaffinity, 0, os.sched_getaffinity(0)),
        ]

    assert filtered(work) == [*["EPERM"] * 5, "", "", ""]


def test_what_is_denied_stays_denied_after_exec(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    file.chmod(0o600)
    assert filtered(lambda: os.spawnl(os.P_WAIT, "/bin/sh", "sh", "-c", f"chmod 777 {file} 2>&-")) == 1
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter_ends_in_every_way(machine: str) -> None:
    """No jump leads out of it."""
    code = seccomp.program(machine)
    steps = [code[at : at + 8] for at in range(0, len(code), 8)]
    for at, step in enumerate(steps):
        assert at + 1 + max(step[2], step[3]) < len(steps) or step[0] == seccomp.RETURN
