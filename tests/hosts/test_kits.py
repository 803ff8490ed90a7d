"""By which variables the kits are found, and what of a configuration stays in front of them."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sipcgi.hosts import kits
from sipcgi.hosts.kits import KITS, joined, with_kits


def test_nothing_is_added_to_what_is_not_set() -> None:
    assert joined({}) == {}
    assert joined({"LANG": "C.UTF-8", "PERL5OPT": "-w"}) == {"LANG": "C.UTF-8", "PERL5OPT": "-w"}


def test_what_a_configuration_says_comes_first() -> None:
    own = {
        "PATH": "/opt/bin",
        "PERL5LIB": "/p",
        "PYTHONPATH": "/y",
        "RUBYLIB": "/r",
        "TCLLIBPATH": "/t",
        "LUA_PATH": "/l/?.lua;;",
    }
    assert joined(own) == {
        "PATH": f"/opt/bin:{KITS}/sh",
        "PERL5LIB": f"/p:{KITS}/perl",
        "PYTHONPATH": f"/y:{KITS}/python",
        "RUBYLIB": f"/r:{KITS}/ruby",
        "TCLLIBPATH": f"/t {KITS}/tcl",
        "LUA_PATH": f"/l/?.lua;;;{KITS}/lua/?.lua",
    }


def test_without_a_path_there_is_still_one() -> None:
    assert with_kits({})["PATH"] == f"{os.defpath}:{KITS}/sh"
    assert with_kits({"PATH": "/usr/bin", "TZ": "UTC"})["PATH"] == f"/usr/bin:{KITS}/sh"
    assert with_kits({"TZ": "UTC"})["TZ"] == "UTC"


USES = {
    "perl": ["-e", "use SipCgi; use Other; reply 486"],
    "python3": ["-c", "import other, sipcgi_kit\nwith sipcgi_kit.Call() as call: call.reply(486)"],
    "ruby": ["-e", 'require "other"; require "sipcgi"; SipCgi.run { |call| call.reply 486 }'],
    "lua": ["-e", 'require("other"); require("sipcgi").run(function(call) call:reply(486) end)'],
    "sh": ["-c", ". other.sh && . sipcgi.sh; sip_reply 486"],
    "tclsh": ["use.tcl"],
}


@pytest.mark.parametrize("language", USES)
def test_both_are_found_wherever_they_are(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: Callable[[str], str]
) -> None:
    """The package may be in any folder; beside it a script finds what the configuration names, and the system's."""
    moved = tmp_path / "a b {c}"
    shutil.copytree(KITS, moved)
    places = {name: (mark, where.replace(KITS, str(moved))) for name, (mark, where) in kits._PLACES.items()}
    places["TCLLIBPATH"] = (" ", kits._tcl_word(str(moved / "tcl")))
    monkeypatch.setattr(kits, "_PLACES", places)
    own = tmp_path / "own"
    own.mkdir()
    (own / "Other.pm").write_text("package Other; use POSIX (); 1;\n")
    (own / "other.py").write_text("import string\n")
    (own / "other.rb").write_text('require "time"\n')
    (own / "other.lua").write_text("return true\n")
    (own / "other.sh").write_text("true\n")
    (own / "pkgIndex.tcl").write_text("package ifneeded other 1 {package provide other 1}\n")
    (tmp_path / "use.tcl").write_text("package require other\npackage require sipcgi\nsip reply 486\n")
    named = {
        "PATH": f"{own}:{os.environ['PATH']}",
        "LUA_PATH": f"{own}/?.lua;;",
        **dict.fromkeys(("PERL5LIB", "PYTHONPATH", "RUBYLIB", "TCLLIBPATH"), str(own)),
    }
    for environment in (joined(named), with_kits({"PATH": os.environ["PATH"]}) | joined(named)):
        done = subprocess.run(
            [program(language), *USES[language]], env=environment, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.stdout == b"SIP/2.0 486\n\n", f"{shlex.join(USES[language])}: {done.stderr.decode()}"


def test_the_kits_hide_nothing() -> None:
    """What stands before the libraries of a language holds nothing but the kit."""
    assert {path.relative_to(KITS).as_posix() for path in Path(KITS).rglob("*") if "__pycache__" not in path.parts} == {
        *("sh", "perl", "python", "ruby", "tcl", "lua", "sh/sipcgi.sh", "perl/SipCgi.pm", "python/sipcgi_kit.py"),
        *("python/sipcgi_fastcgi.py", "ruby/sipcgi.rb", "tcl/sipcgi.tcl", "tcl/pkgIndex.tcl", "lua/sipcgi.lua"),
    }
    assert not any(os.access(path, os.X_OK) for path in Path(KITS).rglob("*") if path.is_file())
