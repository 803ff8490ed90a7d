"""Scripts that were examined and are executed by their descriptor: what they see of themselves, and which one runs."""
# ruff: noqa: ASYNC220 - files are small here, and the test waits for the other process

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sipcgi.hosts.base import Outcome
from sipcgi.hosts.directory import INTERPRETERS
from sipcgi.hosts.trust import ITSELF
from sipcgi.profile import BEST_EFFORT, REQUIRED, Profile

if TYPE_CHECKING:
    from tests.hosts.conftest import Bench

SWAPS = 10_000
SWAPPER = """
import os, sys
os.chdir(sys.argv[1])
for number in range(int(sys.argv[2])):
    os.link(("../evil", "../good")[number % 2], "next")
    os.rename("next", "script")
"""
COMPANIONS = {
    ".py": ("helper.py", "def greet(): print('hello')", "import helper\nhelper.greet()"),
    ".pl": ("Helper.pm", "package Helper; sub greet { print 'hello' } 1;", "{}\nuse Helper; Helper::greet();"),
    ".rb": ("helper.rb", "def greet; puts 'hello'; end", "require_relative 'helper'\ngreet"),
    ".sh": ("helper.sh", "greet() { echo hello; }", ". ./helper.sh; greet"),
    ".tcl": ("helper.tcl", "proc greet {} {puts hello}", "source helper.tcl; greet"),
    ".lua": ("helper.lua", "return {greet = function() print('hello') end}", "require('helper').greet()"),
    ".js": ("helper.js", "exports.greet = () => console.log('hello')", "require('./helper').greet()"),
    ".php": (
        "helper.php",
        "<?php function greet() { echo 'hello'; }",
        "<?php require __DIR__ . '/helper.php'; greet();",
    ),
    ".awk": (
        "helper.awk",
        'function greet() { print "hello" }',
        'BEGIN {{ getline line < "helper.awk"; print "hello" }}',
    ),
}
"""By ending: a companion, what is in it, and a script that uses it."""


async def run(bench: Bench, path: str, *program: str, isolation: str = REQUIRED) -> Outcome:
    profile = Profile(isolation=isolation, folder=os.path.dirname(path))
    return await bench.run(*program, path, script=path, directory=os.path.dirname(path), profile=profile)


def command(ending: str) -> list[str]:
    """The interpreter as the server calls it."""
    interpreter = INTERPRETERS[ending]
    for name in interpreter.programs:
        if found := shutil.which(name, path="/usr/bin:/bin"):
            return [found, *interpreter.options]
    pytest.skip(f"no {interpreter.programs[0]}")


@pytest.mark.parametrize("ending", COMPANIONS)
@pytest.mark.parametrize("executable", [True, False], ids=["executable", "by its interpreter"])
async def test_companions_are_found(bench: Bench, ending: str, executable: bool) -> None:
    program = command(ending)
    name, helper, text = COMPANIONS[ending]
    bench.write(helper, name, 0o644)
    text = text.replace("{}", "use FindBin; use lib $FindBin::Bin;")
    if executable:
        path = bench.write(f"#!{' '.join(program)}\n{text}\n", f"script{ending}")
        outcome = await run(bench, path)
    else:
        outcome = await run(bench, bench.write(text, f"script{ending}", 0o644), *program)
    assert (outcome.stdout.decode().strip(), bench.lines) == ("hello", [])
    assert outcome.complete


async def test_what_a_script_sees_of_itself(bench: Bench) -> None:
    path = bench.write("#!/bin/sh\necho $0; readlink $0; pwd; ls /proc/self/fd\n")
    outcome = await run(bench, path)
    found = outcome.stdout.decode().split()
    assert found[:3] == [ITSELF, path, str(bench.folder)]
    assert found[3:] == ["0", "1", "2", "3", "4"]  # 3 is the list


async def test_a_program_is_executed_too(bench: Bench) -> None:
    shutil.copy("/usr/bin/true", bench.folder / "script")
    assert (await run(bench, str(bench.folder / "script"))).complete


async def test_what_is_not_trusted_does_not_run_where_that_is_required(bench: Bench) -> None:
    path = bench.write("#!/bin/sh\necho no\n", mode=0o757)
    outcome = await run(bench, path)
    assert outcome.failure == f"could not be started: {path} may be changed by anybody: chmod o-w {path}"
    assert (await run(bench, path, isolation=BEST_EFFORT)).stdout == b"no\n"


async def test_one_that_is_swapped_all_the_time(bench: Bench) -> None:
    """Whoever may write into the folder turns the name between a good script and another that others may change."""
    scripts = bench.folder / "cgi-bin"
    scripts.mkdir(0o755)
    bench.write("#!/bin/sh\necho good\n", "good")
    bench.write("#!/bin/sh\necho evil\n", "evil", 0o757)
    os.link(bench.folder / "good", scripts / "script")
    path = str(scripts / "script")
    found = {"good": 0, "refused": 0}
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, scripts, str(SWAPS)])
    try:
        while swapper.poll() is None or not all(found.values()):
            outcome = await run(bench, path)
            if outcome.failure is None:
                assert (outcome.stdout, outcome.status) == (b"good\n", 0)
                found["good"] += 1
            else:
                assert "may be changed by anybody" in outcome.failure
                found["refused"] += 1
    finally:
        swapper.kill()
        assert swapper.wait() == 0
