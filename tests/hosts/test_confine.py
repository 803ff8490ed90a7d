"""What a run may do, shown by children that try."""

import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import ANSWER, attempt, in_child

from sipcgi.hosts import confine, landlock
from sipcgi.hosts.confine import Account, Confinement, account, lacking, needed, obstacle, without
from sipcgi.profile import BEST_EFFORT, PLAIN, REQUIRED, Limits, Profile

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
with_landlock = pytest.mark.skipif(landlock.version() == 0, reason="the kernel has no Landlock")


@pytest.fixture(autouse=True)
def _open_to_others(open_folders: None) -> Iterator[None]:
    account.cache_clear()
    yield
    account.cache_clear()


def confined(profile: Profile, work: Callable[[], Any], keep: tuple[int, ...] = ()) -> Any:
    """What `work` returns in a child that the profile holds for."""
    confinement = Confinement(profile)
    confinement.prepare()

    def child() -> Any:
        confinement.enter({*keep, ANSWER})
        return work()

    return in_child(child)


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_who_needs_it() -> None:
    assert not needed(PLAIN)
    assert not needed(Profile(Limits(cpu=3)))
    assert all(needed(profile) for profile in (Profile(isolation=BEST_EFFORT), Profile(user="a"), Profile(group="a")))


@as_root
def test_user_and_groups() -> None:
    def work() -> Any:
        return [os.getresuid(), os.getresgid(), os.getgroups(), attempt(os.setuid, 0), attempt(os.setgroups, [0])]

    expected = [[NOBODY] * 3, [NOBODY] * 3, [NOBODY], "EPERM", "EPERM"]
    assert confined(Profile(user="nobody"), work) == expected
    assert confined(Profile(user="nobody", group="nogroup"), work) == expected
    assert confined(Profile(user="12345", group="23456"), work)[:3] == [[12345] * 3, [23456] * 3, [23456]]


@as_root
def test_a_group_alone_keeps_the_user() -> None:
    assert confined(Profile(group="23456"), lambda: [os.getuid(), os.getgid()]) == [0, 23456]


@as_root
def test_capabilities_do_not_outlive_a_change_of_the_user() -> None:
    """Those of a server that is not root, but may switch: from one such user to another the kernel takes none away."""

    def work() -> Any:
        confine._prctl(8, 1)  # PR_SET_KEEPCAPS: as if they were given to the server by systemd
        os.setresuid(12345, 12345, 12345)
        mask = (1 << confine.CAP_SETUID | 1 << confine.CAP_SETGID).to_bytes(4, "little")
        head = confine.pack("=Ii", confine.CAPABILITY_VERSION, 0)
        assert confine._libc.capset(head, mask * 3 + bytes(12)) == 0
        for capability in (confine.CAP_SETUID, confine.CAP_SETGID):
            confine._libc.prctl(confine.PR_CAP_AMBIENT, 2, capability, 0, 0)
        before = status()["CapAmb"]
        Confinement(Profile(user="nobody")).enter({ANSWER})
        return [before, *[status()[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")], os.getuid()]

    assert in_child(work) == ["00000000000000c0", *["0" * 16] * 4, NOBODY]


@with_landlock
def test_isolation_takes_rights_away_also_from_root() -> None:
    def work() -> Any:
        found = status()
        raw = attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)
        return [found["NoNewPrivs"], found["CapEff"], raw, found["CapBnd"] if os.geteuid() == 0 else "0" * 16]

    assert confined(Profile(isolation=BEST_EFFORT), work) == ["1", "0" * 16, "EPERM", "0" * 16]


@with_landlock
def test_files(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("cgi-bin", "read", "write", "other")]
    for folder in folders:
        folder.mkdir()
        (folder / "a").write_text("a")
    scripts, read, write, _ = folders
    profile = Profile(isolation=REQUIRED, folder=str(scripts), readable=(str(read),), writable=(str(write),))

    def work() -> Any:
        reads = [attempt((folder / "a").read_text) for folder in folders]
        writes = [attempt((folder / "b").write_text, "b") for folder in folders]
        secrets = [attempt(Path(path).read_bytes) for path in confine.SECRETS if Path(path).is_file()]
        others = [attempt(os.listdir, path) for path in ("/root", "/home", "/var", "/tmp")]
        system = [attempt(Path(path).read_bytes) for path in ("/etc/passwd", "/proc/self/stat")]
        return reads, writes, secrets, others, system, attempt(Path("/dev/null").write_text, "x")

    reads, writes, secrets, others, system, null = confined(profile, work)
    assert reads == ["", "", "", "EACCES"]
    assert writes == ["EACCES", "EACCES", "", "EACCES"]
    assert {*secrets} == {"EACCES"} == {*others}
    assert system == ["", ""]
    assert null == ""


@with_landlock
def test_what_is_the_servers_own_stays_hidden_wherever_it_lies(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    (conf / "cgi-bin" / "lib").mkdir(parents=True)
    for name in ("sipcgi.yaml", "store.db", "cgi-bin/a", "cgi-bin/key", "cgi-bin/lib/b"):
        (conf / name).write_text("x")
    (conf / "cgi-bin" / "link").symlink_to(conf / "sipcgi.yaml")
    hidden = tuple(str(conf / name) for name in ("", "sipcgi.yaml", "store.db", "cgi-bin/key"))
    profile = Profile(isolation=REQUIRED, folder=str(conf / "cgi-bin"), readable=(str(tmp_path),), hidden=hidden)

    def work() -> list[str]:
        names = ("sipcgi.yaml", "store.db", "cgi-bin/key", "cgi-bin/link", "cgi-bin/a", "cgi-bin/lib/b")
        return [attempt((conf / name).read_text) for name in names]

    assert confined(profile, work) == [*["EACCES"] * 4, "", ""]


@with_landlock
def test_a_folder_that_is_put_in_the_place_of_another_counts_at_once(tmp_path: Path) -> None:
    first, second = tmp_path / "cgi-bin", tmp_path / "next"
    for folder in (first, second):
        folder.mkdir()
        (folder / "a").write_text(folder.name)
    confinement = Confinement(Profile(isolation=REQUIRED, folder=str(first)))
    confinement.prepare()
    rules = confinement.rules
    confinement.prepare()
    assert confinement.rules is rules
    first.rename(tmp_path / "old")
    second.rename(first)
    confinement.prepare()
    assert confinement.rules is not rules

    def work() -> str:
        confinement.enter({ANSWER})
        return (first / "a").read_text()

    assert in_child(work) == "next"


@with_landlock
def test_the_parent_is_out_of_reach() -> None:
    def work() -> list[str]:
        parent = os.getppid()
        traced = confine._libc.ptrace(16, parent, 0, 0)  # PTRACE_ATTACH
        killed = attempt(os.kill, parent, 0) if landlock.version() >= landlock.SCOPES else "EPERM"
        return [
            killed,
            "EPERM" if traced == -1 else "",
            attempt(Path(f"/proc/{parent}/environ").read_bytes),
            attempt(os.readlink, f"/proc/{parent}/fd/0"),
            attempt(os.listdir, f"/proc/{parent}/root/"),
        ]

    assert confined(Profile(isolation=BEST_EFFORT), work) == ["EPERM", "EPERM", "EACCES", "EACCES", "EACCES"]


def test_descriptors_are_closed() -> None:
    """Those above the limit that the script has by then, too."""
    confinement = Confinement(Profile(user=str(os.getuid()), group=str(os.getgid())))

    def work() -> list[int]:
        for number in (8, 80):
            os.dup2(0, number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        confinement.enter({8, ANSWER})
        return [number for number in range(200) if is_open(number)]

    assert in_child(work) == [0, 1, 2, 8, ANSWER]


@as_root
def test_dev_stderr_opens_for_another_user() -> None:
    """It is a pipe that the server made."""

    def work() -> Any:
        reading, writing = os.pipe()
        os.dup2(writing, 2)
        Confinement(Profile(user="nobody")).enter({reading, ANSWER})
        Path("/dev/stderr").write_text("heard")
        return os.read(reading, 10).decode()

    assert in_child(work) == "heard"


def test_accounts() -> None:
    assert account("", "") is None
    assert account("nobody", "") == account(str(NOBODY), "") == Account("nobody", NOBODY, NOBODY, (NOBODY,))
    assert account("4711", "4712") == Account("4711", 4711, 4712, (4712,))


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (Profile(user="nosuchuser"), "there is no user nosuchuser: useradd --system nosuchuser"),
        (Profile(user="nobody", group="nosuchgroup"), "there is no group nosuchgroup: groupadd --system nosuchgroup"),
        (Profile(user="4711"), "user 4711 has no group: write group, too"),
        (Profile(user="4294967295", group="1"), "4294967295 is no number of a user or group"),
        (Profile(group="99999999999999999999"), "99999999999999999999 is no number of a user or group"),
    ],
)
def test_accounts_that_cannot_be(profile: Profile, text: str) -> None:
    assert obstacle(profile) == text
    with pytest.raises(OSError, match=text):
        Confinement(profile)


@as_root
def test_who_is_not_root_becomes_nobody_else() -> None:
    def work() -> list[str]:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        found = [obstacle(Profile(user=name)) for name in ("root", "nobody")]
        return [*found, attempt(Confinement, Profile(user="root", isolation=BEST_EFFORT))]

    text = "to run as root needs root, or the capabilities CAP_SETUID and CAP_SETGID"
    assert in_child(work) == [text, "", "EPERM"]


def test_without_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    text = "files: the kernel has no Landlock"
    assert lacking(PLAIN) == []
    assert lacking(Profile(isolation=BEST_EFFORT))[0].startswith(text)
    with pytest.raises(OSError, match=text) as raised:
        Confinement(Profile(isolation=REQUIRED))
    assert raised.value.errno == errno.EPERM
    assert confined(Profile(isolation=BEST_EFFORT), lambda: status()["NoNewPrivs"]) == "1"


def test_an_older_landlock_does_not_stop_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 4)
    assert lacking(Profile(isolation=REQUIRED))[0].startswith("signals to the server: they need Linux 6.12")
    assert lacking(Profile(isolation=REQUIRED, user="nobody")) == []


def test_without(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert [*without(str(tmp_path), {str(tmp_path), "/elsewhere"})] == [str(tmp_path)]
    found = {*without(str(tmp_path), {str(tmp_path / "a" / "b")})}
    assert found == {str(tmp_path / "a" / "d"), str(tmp_path / "e")}
    assert [*without("/nowhere", {"/nowhere/x"})] == []
