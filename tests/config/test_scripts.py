"""Scripts that a configuration names: missing and outside is fatal, the rest is said."""

from pathlib import Path
from typing import Any

import pytest

from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.config.scripts import load_with_scripts, script_mistakes

SCRIPTS = "scripts: {directory: ../cgi-bin}\n"


def found(path: Path) -> tuple[list[str], list[str]]:
    fatal, said = script_mistakes(load(path))
    return [str(error).removeprefix(str(path)) for error in fatal], [
        str(error).removeprefix(str(path)) for error in said
    ]


def test_all_is_well(site: Any) -> None:
    site.script("block.sh")
    site.script("invite.sh", mode=0o644)
    site.script("sub/deep.sh")
    assert found(site.configure(SCRIPTS + "routes: [{script: block.sh}, {script: sub/deep.sh}]\n")) == ([], [])


def test_each_of_a_sequence_must_be_there(site: Any) -> None:
    site.script("block.sh")
    site.script("forward.sh")
    file = site.configure(SCRIPTS + "routes:\n- script: [block.sh, forward.sh]\n")
    assert load(file).routes[0].scripts == ("block.sh", "forward.sh")
    assert found(file) == ([], [])
    fatal, _ = found(site.configure(SCRIPTS + "routes:\n- script:\n  - block.sh\n  - gone.sh\n"))
    assert [line.partition(": ")[0] + ": " + line.split(": ")[1] for line in fatal] == [":5: routes.0.script.1"]
    with pytest.raises(ConfigErrors, match=r":2: routes\.0\.script: is an empty list"):
        load(site.configure(SCRIPTS + "routes: [{script: []}]\n"))


def test_missing_and_outside_are_fatal(site: Any, tmp_path: Path) -> None:
    (tmp_path / "out.sh").write_text("#!/bin/sh\n")
    (site.scripts / "link.sh").symlink_to(tmp_path / "out.sh")
    (site.scripts / "folder").mkdir()
    fatal, _ = found(
        site.configure(
            SCRIPTS
            + "routes:\n- script: none.sh\n- script: ../out.sh\n- script: link.sh\n- script: folder\n"
            + f"- script: {tmp_path}/out.sh\n"
        )
    )
    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in fatal] == [
        ":3: routes.0.script",
        ":4: routes.1.script",
        ":5: routes.2.script",
        ":6: routes.3.script",
        ":7: routes.4.script",
    ]
    assert "missing" in fatal[0]
    assert "outside" in fatal[1]


def test_on_error_names_a_script_too(site: Any) -> None:
    site.script("a.sh")
    fatal, said = found(
        site.configure(
            "scripts:\n  directory: ../cgi-bin\n  on_error: gone.sh\n"
            "routes:\n- script: a.sh\n- script: a.sh\n  on_error: also.sh\n- script: a.sh\n  on_error: default\n"
        )
    )
    assert [line.rpartition(" is missing")[0] for line in fatal] == [
        ":3: scripts.on_error: gone.sh",
        ":7: routes.1.on_error: also.sh",
    ]
    assert said == []


def test_a_script_that_cannot_be_started_is_only_said(site: Any) -> None:
    site.script("a.sh", "#!/nowhere/sh\n")
    site.script("invite.pl", "")
    fatal, said = found(site.configure(SCRIPTS + "routes:\n- script: a.sh\n"))
    assert fatal == []
    assert [line.split(": ")[1] for line in said] == ["routes.0.script", "scripts.directory"]


def test_two_for_one_name(site: Any) -> None:
    site.script("invite.sh")
    site.script("invite.py", "#!/bin/sh\n")
    fatal, (said,) = found(site.configure(SCRIPTS))
    assert fatal == []
    assert said.startswith(":1: scripts.directory: invite.py and invite.sh have the same name")
    assert found(site.configure(SCRIPTS + "routes: [{script: invite.py}]\n")) == ([], [])


def test_to_serve_only_what_is_fatal_counts(site: Any) -> None:
    site.script("invite.pl", "")
    site.configure(SCRIPTS)
    assert load_with_scripts(site.file).file == site.file
    with pytest.raises(ConfigErrors, match=r"scripts\.directory: invite\.pl is empty"):
        load_with_scripts(site.file, startable=True)


def test_scripts_are_looked_at_even_if_the_file_is_wrong(site: Any) -> None:
    site.script("invite.pl", "")
    site.configure(SCRIPTS + "timeout: 5s\nroutes:\n- script: gone.sh\n- scrip: b\n- 3\n- script: [x]\n")
    with pytest.raises(ConfigErrors) as caught:
        load_with_scripts(site.file, startable=True)
    assert [(error.line, error.key) for error in caught.value.errors] == [
        (1, "scripts.directory"),
        (2, "timeout"),
        (4, "routes.0.script"),
        (5, "routes.1.scrip"),
        (6, "routes.2"),
        (7, "routes.3.script.0"),
    ]


def test_a_misspelt_on_error_is_told_what_it_may_mean(site: Any) -> None:
    fatal, _ = found(site.configure("scripts: {directory: ../cgi-bin, on_error: rejct}\n"))
    assert fatal == [
        f":1: scripts.on_error: rejct is missing: there is no file {site.scripts}/rejct; did you mean reject?"
    ]


def test_without_the_folder_no_script_is_looked_at(site: Any) -> None:
    site.configure("scripts: {directory: gone}\nroutes:\n- script: gone.sh\n")
    with pytest.raises(ConfigErrors) as caught:
        load_with_scripts(site.file, startable=True)
    assert [(error.line, error.key) for error in caught.value.errors] == [(1, "scripts.directory")]


def test_an_on_error_that_is_no_name_is_not_looked_for(site: Any) -> None:
    site.configure("bad: x\nscripts: {on_error: default}\nroutes:\n- script: DEFAULT\n  on_error: Reject\n")
    with pytest.raises(ConfigErrors) as caught:
        load_with_scripts(site.file)
    assert [(error.line, error.key) for error in caught.value.errors] == [(1, "bad"), (4, "routes.0.script")]
    assert "/DEFAULT" in caught.value.errors[1].text


def test_a_warm_host_for_a_language_that_has_none(site: Any) -> None:
    site.script("block.sh")
    firsts = {"a.py": "/usr/bin/env python3", "b.pl": "/usr/bin/perl -w", "c": "/usr/bin/env -S ruby -w"}
    for name, first in firsts.items():
        site.script(name, f"#!{first}\n")
    site.script("d.pl", mode=0o644)
    fatal, _ = found(
        site.configure(
            SCRIPTS
            + "routes:\n- script: [a.py, b.pl, c, d.pl]\n  host: warm\n- script: [a.py, block.sh]\n  host: warm\n"
            + "- script: block.sh\n"
        )
    )
    assert fatal == [":6: routes.1.host: there is none for .sh: Python, Perl and Ruby have one"]
    for_all = site.configure("scripts: {directory: ../cgi-bin, host: warm}\nroutes: [{script: block.sh}]\n")
    assert found(for_all) == ([], [])
