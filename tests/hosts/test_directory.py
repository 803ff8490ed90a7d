"""Which scripts there are, how each one is started, and what is said about those that cannot be."""

import errno
import os
import resource
import shlex
import time
from pathlib import Path
from typing import NoReturn

import pytest

from sipcgi.errors import ScriptError
from sipcgi.hosts.directory import INTERPRETERS, ScriptDirectory

TOOLS = {"sh", "perl", "python3", "tclsh", "ruby", "lua5.4", "node", "php", "awk"}


def write(path: Path, text: str | bytes = "#!/bin/sh\n", mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cgi-bin").mkdir()
    return tmp_path / "cgi-bin"


@pytest.fixture
def tools(tmp_path: Path) -> str:
    for name in TOOLS:
        write(tmp_path / "tools" / name)
    return str(tmp_path / "tools")


@pytest.fixture
def scripts(folder: Path, tools: str) -> ScriptDirectory:
    return ScriptDirectory(str(folder), tools)


def only_problem(scripts: ScriptDirectory, path: str) -> str:
    (problem,) = scripts.problems(path)
    return str(problem)


# Names


@pytest.mark.parametrize("name", ["invite", *(f"invite{ending}" for ending in INTERPRETERS)])
def test_the_name_before_the_ending_is_what_counts(scripts: ScriptDirectory, folder: Path, name: str) -> None:
    path = write(folder / name)
    assert scripts.find("invite") == path
    assert scripts.find("Invite") is None
    assert scripts.find("register") is None
    assert scripts.scripts() == [path]


@pytest.mark.parametrize(
    "name",
    [
        "invite.pl~",
        "invite~",
        "invite.bak",
        "invite.pl.bak",
        "invite.pl.rpmsave",
        ".invite.pl",
        "invite.txt",
        "invite.PL",
    ],
)
def test_names_that_never_count(scripts: ScriptDirectory, folder: Path, name: str) -> None:
    write(folder / name)
    assert scripts.find("invite") is None
    assert scripts.find("invite~") is None
    assert scripts.scripts() == []


def test_folders_do_not_count(scripts: ScriptDirectory, folder: Path) -> None:
    (folder / "invite").mkdir()
    (folder / "invite.pl").mkdir()
    assert scripts.find("invite") is None


def test_without_ending_it_must_be_executable(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "invite", mode=0o644)
    assert scripts.find("invite") is None
    assert [str(problem) for problem in scripts.name_problems()] == [
        f"invite is not executable and does not count without an ending: chmod +x {path}"
    ]
    os.chmod(path, 0o755)
    assert scripts.find("invite") == path
    assert scripts.name_problems() == []


def test_a_readme_is_no_mistake(scripts: ScriptDirectory, folder: Path) -> None:
    write(folder / "README", "Scripts of example.com\n", 0o644)
    write(folder / "README.txt", "Scripts of example.com\n", 0o644)
    assert scripts.name_problems() == []
    assert scripts.scripts() == []


def test_of_two_candidates_the_first_by_name_runs_and_it_is_a_mistake(scripts: ScriptDirectory, folder: Path) -> None:
    shell, perl = write(folder / "invite.sh"), write(folder / "invite.pl")
    assert scripts.find("invite") == perl
    assert [str(problem) for problem in scripts.name_problems()] == [
        "invite.pl and invite.sh have the same name, and stand for the same requests: invite.pl alone runs"
        "; rename or delete the others, or name each in a route"
    ]
    assert scripts.name_problems(routed={shell}) == []


def test_what_is_dropped_in_or_taken_away_counts_at_once(scripts: ScriptDirectory, folder: Path) -> None:
    for _ in range(20):
        assert scripts.find("invite") is None
        path = write(folder / "invite.sh")
        assert scripts.find("invite") == path
        os.unlink(path)


def test_a_folder_that_stays_the_same_is_read_once(
    scripts: ScriptDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(folder / "invite.sh")
    os.utime(folder, (time.time() - 10, time.time() - 10))
    assert scripts.find("invite") == path
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("read again"))
    assert scripts.find("invite") == path


def test_a_folder_that_comes_later(tmp_path: Path) -> None:
    scripts = ScriptDirectory(str(tmp_path / "cgi-bin"))
    assert scripts.find("invite") is None
    path = write(tmp_path / "cgi-bin" / "invite.sh")
    assert scripts.find("invite") == path
    assert scripts.name_problems() == []


def test_a_folder_that_goes_is_an_error_and_no_absence(scripts: ScriptDirectory, folder: Path) -> None:
    """It was moved, or is not mounted now: nobody knows whether its scripts would let the request through."""
    write(folder / "v2" / "invite.sh")
    folder.rename(folder.parent / "moved")
    for _ in range(2):
        path = scripts.find("invite", "default")
        assert path == str(folder / "invite")
        with pytest.raises(ScriptError, match=f"the scripts directory {folder} cannot be read: No such file"):
            scripts.startup("invite")
        assert only_problem(scripts, path).startswith(f"the scripts directory {folder} cannot be read")
    (folder.parent / "moved").rename(folder)
    assert scripts.find("invite") is None


def test_a_folder_that_cannot_be_read(scripts: ScriptDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "block.sh")

    def refuse(path: str) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "scandir", refuse)  # the tests may be run by root
    assert scripts.find("invite") == str(folder / "invite")
    assert scripts.startup("block.sh").argv == [str(folder / "block.sh")]  # a route names it
    assert [str(problem) for problem in scripts.name_problems()] == [
        f"the scripts directory {folder} cannot be read: Permission denied"
    ]


# How a script is started


@pytest.mark.parametrize(("ending", "interpreter"), INTERPRETERS.items())
def test_not_executable_with_a_known_ending(
    scripts: ScriptDirectory, folder: Path, tools: str, ending: str, interpreter: object
) -> None:
    path = write(folder / f"block{ending}", "text\n", 0o644)
    program, *options, script = scripts.command(path)
    assert os.path.dirname(program) == tools
    assert options == (["-f"] if ending == ".awk" else [])
    assert script == path
    assert scripts.problems(path) == []
    assert scripts.describe(path) == f"{os.path.basename(program)} (not executable)"


@pytest.mark.rfc("3050", "5.4-1")
def test_executable_is_started_as_it_is(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "block.pl", "#! /bin/sh\n")
    assert scripts.command(path) == [path]
    assert scripts.problems(path) == []
    assert scripts.describe(path) == "executable, #! /bin/sh"


def test_a_compiled_program(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "block", Path("/bin/true").read_bytes())
    assert scripts.command(path) == [path]
    assert scripts.problems(path) == []
    assert scripts.describe(path) == "executable"


def test_an_interpreter_installed_later_counts_at_once(scripts: ScriptDirectory, folder: Path, tools: str) -> None:
    os.unlink(f"{tools}/ruby")
    path = write(folder / "block.rb", "text\n", 0o644)
    with pytest.raises(ScriptError, match=r"block\.rb needs ruby, which is not installed: apt install ruby"):
        scripts.command(path)
    assert only_problem(scripts, path) == "block.rb needs ruby, which is not installed: apt install ruby"
    assert scripts.describe(path) == "cannot be started"
    write(Path(tools) / "ruby")
    assert scripts.command(path) == [f"{tools}/ruby", path]


def test_routes_name_files_below_the_folder(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "sales" / "block.sh")
    assert scripts.locate("sales/block.sh") == path
    assert scripts.locate("./sales//block.sh") == path
    assert scripts.command(path) == [path]


def test_a_startup_is_that_of_the_file_as_it_is_now(scripts: ScriptDirectory, folder: Path, tools: str) -> None:
    path = write(folder / "block.sh")
    assert scripts.startup("block.sh") == (path, str(folder), [path])
    assert scripts.startup("block.sh") is scripts.startup("block.sh")
    os.chmod(path, 0o644)
    assert scripts.startup("block.sh").argv == [f"{tools}/sh", path]
    os.chmod(path, 0o755)
    assert scripts.startup("block.sh").argv == [path]
    os.unlink(path)
    with pytest.raises(ScriptError, match=r"block\.sh is missing"):
        scripts.startup("block.sh")
    (folder / "block.sh").symlink_to(write(folder.parent / "block.sh"))
    with pytest.raises(ScriptError, match="outside the scripts directory"):
        scripts.startup("block.sh")


def test_a_startup_below_a_folder_that_becomes_a_link(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "sales" / "block.sh")
    assert scripts.startup("sales/block.sh") == (path, str(folder / "sales"), [path])
    (folder / "sales").rename(folder.parent / "sales")
    (folder / "sales").symlink_to(folder.parent / "sales")
    with pytest.raises(ScriptError, match="outside the scripts directory"):
        scripts.startup("sales/block.sh")


# What is wrong


@pytest.mark.parametrize("name", ["../block.sh", "/bin/true", "sales/../../block.sh", "link.sh", "outside/block.sh"])
def test_never_one_outside(scripts: ScriptDirectory, folder: Path, name: str) -> None:
    write(folder.parent / "block.sh")
    (folder / "link.sh").symlink_to("../block.sh")
    (folder / "outside").symlink_to("..")
    path = scripts.locate(name)
    assert only_problem(scripts, path) == f"{path} is outside the scripts directory {folder}: copy it there"
    with pytest.raises(ScriptError, match="outside the scripts directory"):
        scripts.command(path)


def test_a_link_to_a_neighbour_with_a_longer_name_is_outside(scripts: ScriptDirectory, folder: Path) -> None:
    (folder / "link.sh").symlink_to(write(folder.parent / "cgi-bin-old" / "block.sh"))
    assert "is outside" in only_problem(scripts, str(folder / "link.sh"))


def test_links_within_the_folder_and_to_it(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    scripts = ScriptDirectory(str(folder.parent / "link"))
    write(folder / "v2" / "invite.sh")
    (folder / "invite.sh").symlink_to("v2/invite.sh")
    path = scripts.find("invite")
    assert path == f"{folder.parent}/link/invite.sh"
    assert scripts.problems(path) == []
    assert scripts.command(path) == [path]


def test_a_found_script_that_cannot_be_started_is_an_error_and_no_absence(
    scripts: ScriptDirectory, folder: Path
) -> None:
    for target in ("gone.sh", "/gone.sh"):
        (folder / "invite.sh").unlink(missing_ok=True)
        (folder / "invite.sh").symlink_to(target)
        path = scripts.find("invite")
        assert path == str(folder / "invite.sh")
        with pytest.raises(ScriptError, match=r"invite\.sh is missing: it is a link to /.*gone\.sh, where"):
            scripts.command(path)


@pytest.mark.parametrize(
    ("name", "text", "mode", "problem"),
    [
        (
            "block.txt",
            "text\n",
            0o644,
            "{name} is not executable and has none of the endings {endings}: chmod +x {path}",
        ),
        ("block", "text\n", 0o644, "{name} is not executable and has none of the endings {endings}: chmod +x {path}"),
        ("block.sh", "", 0o755, "{name} is empty: write the script, or delete it"),
        ("block.pl", "", 0o644, "{name} is empty: write the script, or delete it"),
        ("block.sh", "#!/bin/sh\r\nexit 0\r\n", 0o755, "{name} has CR LF line ends, {crlf}: dos2unix {path}"),
        ("block.sh", "exit 0\r\n", 0o644, "{name} has CR LF line ends, {crlf}: dos2unix {path}"),
        (
            "block.pl",
            "print 1;\n",
            0o755,
            "{name} is executable but has no #! line: begin it with #!/usr/bin/env -S perl, or chmod -x {path}",
        ),
        (
            "block.awk",
            "BEGIN { print }\n",
            0o755,
            "{name} is executable but has no #! line: begin it with #!/usr/bin/env -S awk -f, or chmod -x {path}",
        ),
        (
            "block",
            "echo\n",
            0o755,
            "{name} is executable but neither a program nor does it begin with a #! line: begin it with #!/bin/sh",
        ),
        ("block", "#!\n", 0o755, "{name} names no interpreter after #!: begin it with #!/bin/sh"),
        ("block", "#!perl\n", 0o755, "{name} names perl after #!, without a path: write #!/usr/bin/env perl"),
        (
            "block",
            "#!/opt/x/bin/nosuch -w\n",
            0o755,
            "{name} begins with #!/opt/x/bin/nosuch, which is not there: install it, or correct the line",
        ),
        (
            "block",
            "#!/usr/bin\n",
            0o755,
            "{name} begins with #!/usr/bin, which is no program: install it, or correct the line",
        ),
        (
            "block.pl",
            "#!C:\\perl\\bin\\perl.exe\n",
            0o755,
            "{name} names C:\\perl\\bin\\perl.exe after #!, without a path: write #!/usr/bin/env perl",
        ),
        (
            "block",
            "#!/usr/bin/env nosuch\n",
            0o755,
            "{name} asks env for nosuch, which is not installed: install it, or correct the line",
        ),
    ],
)
def test_what_is_wrong(scripts: ScriptDirectory, folder: Path, name: str, text: str, mode: int, problem: str) -> None:
    path = write(folder / name, text, mode)
    assert only_problem(scripts, path) == problem.format(
        name=name, path=path, endings=" ".join(INTERPRETERS), crlf="with which it does not start"
    )


def test_a_script_that_cannot_be_read_for_want_of_descriptors_is_not_called_empty(
    scripts: ScriptDirectory, folder: Path
) -> None:
    path = write(folder / "block.sh")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        problems = scripts.problems(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert problems == []


def test_the_line_names_an_interpreter_that_lives_elsewhere(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "block", "#!/usr/local/nosuch/sh\n")
    assert only_problem(scripts, path).endswith("#!/usr/local/nosuch/sh, which is not there: write #!" + which("sh"))


def which(name: str) -> str:
    return next(
        f"{folder}/{name}" for folder in os.environ["PATH"].split(":") if os.access(f"{folder}/{name}", os.X_OK)
    )


def test_the_line_names_an_interpreter_that_is_not_installed(
    scripts: ScriptDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    path = write(folder / "block", "#!/usr/local/nosuch/tclsh\n")
    assert only_problem(scripts, path).endswith("which is not there: apt install tcl")


def test_perl_and_python_take_cr_lf_when_their_interpreter_reads_them(scripts: ScriptDirectory, folder: Path) -> None:
    assert scripts.problems(write(folder / "block.pl", "#!/usr/bin/perl\r\nprint 1;\r\n", 0o644)) == []


def test_a_byte_order_mark(scripts: ScriptDirectory, folder: Path) -> None:
    path = write(folder / "block", b"\xef\xbb\xbf#!/bin/sh\necho hello\n")
    problem = only_problem(scripts, path)
    assert problem.startswith("block has a byte order mark before the #!: ")
    os.system(problem.split(": ", 1)[1])
    assert scripts.problems(path) == []


def test_missing_directory_and_pipe(scripts: ScriptDirectory, folder: Path) -> None:
    path = str(folder / "block.sh")
    assert only_problem(scripts, path) == f"block.sh is missing: there is no file {path}"
    os.mkfifo(path)
    assert only_problem(scripts, path) == "block.sh is no regular file: put a script there"
    assert only_problem(scripts, f"{path}/x") == f"block.sh/x is missing: there is no file {path}/x"
    (folder / "sales").mkdir()
    assert only_problem(scripts, str(folder / "sales")) == "sales is a directory: name a file in it"
    assert "outside" in only_problem(scripts, str(folder))
    loop = folder / "loop.sh"
    loop.symlink_to("loop.sh")
    assert "cannot be examined" in only_problem(scripts, str(loop))


def test_not_readable(scripts: ScriptDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder / "block me.sh")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)  # the tests may be run by root
    assert only_problem(scripts, path) == f"block me.sh is not readable for the server: chmod +r {shlex.quote(path)}"


def test_env_with_options(scripts: ScriptDirectory, folder: Path) -> None:
    assert scripts.problems(write(folder / "block", "#!/usr/bin/env -S LANG=C perl -w\n")) == []
    assert scripts.problems(write(folder / "other", "#!/usr/bin/env python3\n")) == []


def test_the_questions_of_a_request_are_cheap(scripts: ScriptDirectory, folder: Path) -> None:
    write(folder / "invite.sh")
    os.utime(folder, (time.time() - 10, time.time() - 10))
    scripts.find("invite")
    started = time.process_time()
    for _ in range(1000):
        path = scripts.find("invite")
        assert path
        scripts.command(path)
    assert time.process_time() - started < 0.1  # 100 us each, ten times of what it takes
