"""Which scripts may have a warm parent, and with what it is started."""

from pathlib import Path

import pytest

from sipcgi.hosts.languages import ZYGOTES, interpreter, parent_command, runs_warm
from sipcgi.profile import Hosting


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("#!/usr/bin/perl", ("perl", ["/usr/bin/perl"])),
        ("#! /usr/bin/perl  -w  ", ("perl", ["/usr/bin/perl", "-w"])),
        ("#!/usr/bin/perl5.36.0 -T -w", ("perl", ["/usr/bin/perl5.36.0", "-T -w"])),
        ("#!/opt/venv/bin/python -I", ("python", ["/opt/venv/bin/python", "-I"])),
        ("#!/usr/bin/env python3.11", ("python", ["/usr/bin/env", "python3.11"])),
        ("#!/usr/bin/env -S python3 -I -S", ("python", ["/usr/bin/env", "-S python3 -I -S"])),
        ("#!/usr/bin/ruby3.1\r", ("ruby", ["/usr/bin/ruby3.1"])),
        ("#!/usr/bin/env -i perl", None),  # whose environment is none that we could give it
        ("#!/usr/bin/env -S A=1 perl", None),
        ("#!/usr/bin/pypy3", None),
        ("#!/bin/sh", None),
        ("#!", None),
        ("\x7fELF", None),
        ("", None),
    ],
)
def test_the_first_line_tells(tmp_path: Path, first: str, found: tuple[str, list[str]] | None) -> None:
    script = tmp_path / "script"
    script.write_text(f"{first}\nprint\n")
    assert interpreter([str(script), "an argument"], str(script)) == found


def test_what_is_not_executable_has_its_interpreter_before_it() -> None:
    assert interpreter(["/usr/bin/perl", "/x/a.pl", "b"], "/x/a.pl") == ("perl", ["/usr/bin/perl"])
    assert interpreter(["/usr/bin/awk", "-f", "/x/a.awk"], "/x/a.awk") is None
    assert interpreter(["/x/gone"], "/x/gone") is None


def test_the_route_or_the_language_asks_for_it() -> None:
    for hosting, warm in (
        (Hosting(), False),
        (Hosting(host="warm"), True),
        (Hosting(warm=frozenset({"perl"})), True),
        (Hosting(warm=frozenset({"python", "ruby"})), False),
    ):
        assert runs_warm(hosting, ["/usr/bin/perl", "/x/a.pl"], "/x/a.pl") == warm


def test_each_language_takes_the_modules_that_may_be_its_own() -> None:
    preload = ("json", "os.path", "JSON::PP", "POSIX", "net/http")
    assert parent_command("python", ["python3", "-I"], "/x/a.py", preload) == [
        *("python3", "-I", f"{ZYGOTES}/python.py", "/x/a.py"),
        *("json", "os.path", "POSIX"),
    ]
    assert parent_command("perl", ["perl"], "/x/a.pl", preload) == [
        *("perl", "-I", ZYGOTES, "-Mperl", "/x/a.pl"),
        *("JSON::PP", "POSIX"),
    ]
    assert parent_command("ruby", ["ruby"], "/x/a.rb", preload) == [
        *("ruby", "-r", f"{ZYGOTES}/ruby.rb", "/x/a.rb"),
        *("json", "os.path", "POSIX", "net/http"),
    ]
