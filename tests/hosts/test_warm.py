"""A script cannot tell whether it was started anew or forked: what it finds and does is the same by both hosts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.hosts.warm_bench import COMMON

if TYPE_CHECKING:
    from tests.hosts.warm_bench import Result, WarmBench

ALIKE: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("warm.yaml").read_text())
NEVER_WARM = {"perl prints when it is compiled", "perl reads its message when it is compiled"}
DIFFERENT = re.compile(r"0x[0-9a-f]+|\d+\)> ")
"""What no two runs have in common: addresses."""


def alike(result: Result) -> tuple[object, ...]:
    outcome = result.outcome
    lines = [DIFFERENT.sub("", line) for line in result.lines]
    return outcome.stdout, lines, outcome.status, outcome.signal, outcome.failure


def needs(language: str) -> None:
    if shutil.which({"python": "python3"}.get(language, language), path="/usr/bin:/bin") is None:
        pytest.skip(f"no {language}")


@pytest.mark.parametrize("what", ALIKE)
async def test_no_difference(warm: WarmBench, what: str) -> None:
    case = ALIKE[what]
    needs(what.split()[0])
    text = case["script"] + "x\n" * case.get("lines", 0)
    script = warm.write("script", text.encode(case.get("encoding", "utf-8")))
    stdin = case.get("stdin", b"")
    given = {"arguments": case.get("arguments", []), "stdin": stdin if isinstance(stdin, bytes) else stdin.encode()}
    anew = await warm.run(warm.exec, script, **given)
    if what in NEVER_WARM:
        await warm.until_said("no warm parent", script)
    else:
        await warm.warm_up(script)
    for _ in range(2):
        assert alike(await warm.run(warm.warm, script, **given)) == alike(anew)
    if what not in NEVER_WARM:
        assert warm.only().taken == 2


PYTHON, PERL, RUBY = "#!/usr/bin/env python3\n", "#!/usr/bin/perl\n", "#!/usr/bin/ruby\n"
DRAWN = {
    "python": PYTHON + "import os, random, tempfile, time, uuid\n"
    "print(random.random(), os.urandom(4).hex(), uuid.uuid4(), next(tempfile._get_candidate_names()), os.getpid())\n",
    "perl": PERL + "my $x; BEGIN { $x = rand } print rand, ' ', int(rand 1e9), ' ', $$",
    "ruby": RUBY + "require 'securerandom'\np rand, Random.rand(1 << 40), SecureRandom.hex, Random.new.seed, $$",
}


@pytest.mark.parametrize("language", DRAWN)
async def test_each_run_draws_its_own_numbers(warm: WarmBench, language: str) -> None:
    needs(language)
    script = warm.write("script", DRAWN[language])
    await warm.warm_up(script)
    drawn = [(await warm.run(warm.warm, script)).outcome.stdout.split() for _ in range(5)]
    assert warm.only().taken == 5
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == 5


KEPT = {
    "python": PYTHON + "import json, os\njson.count = getattr(json, 'count', 0) + 1\n"
    "os.environ['COUNT'] = str(int(os.environ.get('COUNT', 0)) + 1)\n"
    "print(json.count, os.environ['COUNT'])\nos.chdir('/')\n",
    "perl": PERL + "our $count; $count++; $ENV{COUNT}++; print qq($count $ENV{COUNT}\n); chdir '/'; umask 077;",
    "ruby": RUBY + "$count = ($count || 0) + 1\nENV['COUNT'] = (ENV['COUNT'].to_i + 1).to_s\n"
    "puts [$count, ENV['COUNT']].join(' ')\nDir.chdir '/'\n",
}


@pytest.mark.parametrize("language", KEPT)
async def test_nothing_is_kept_from_one_run_to_the_next(warm: WarmBench, language: str) -> None:
    needs(language)
    script = warm.write("script", KEPT[language])
    await warm.warm_up(script)
    assert [(await warm.run(warm.warm, script)).outcome.stdout for _ in range(3)] == [b"1 1\n"] * 3
    assert warm.only().taken == 3


FOUND = {
    "python": PYTHON + "import os\nprint([name for name in os.environ if name.startswith('LD_')])\n"
    "print('LD_' in open('/proc/self/environ').read())\nos.system('env')\n",
    "perl": PERL + "$| = 1; print grep({ /^LD_/ } keys %ENV), qq(\\n);\n"
    "open my $file, '<', '/proc/self/environ'; print readline($file) =~ /LD_/ ? 1 : 0, qq(\\n); system 'env';\n",
}


@pytest.mark.parametrize("language", FOUND)
@pytest.mark.parametrize("given", [{}, {"LD_BIND_NOW": "1"}])
async def test_what_the_dynamic_linker_was_told_is_taken_away(
    warm: WarmBench, language: str, given: dict[str, str]
) -> None:
    """But not if the environment of all scripts has it."""
    needs(language)
    script = warm.write("script", FOUND[language])
    variables = {"common": COMMON | given, "environment": COMMON | given}
    anew = await warm.run(warm.exec, script, **variables)
    await warm.warm_up(script, **variables)
    again = await warm.run(warm.warm, script, **variables)
    assert sorted(again.outcome.stdout.splitlines()) == sorted(anew.outcome.stdout.splitlines())
    assert (b"LD_BIND_NOW" in again.outcome.stdout) == bool(given)
    assert warm.only().taken == 1


async def test_an_interpreter_that_a_shell_script_starts(warm: WarmBench) -> None:
    """What that script does to the environment, the runs find, too."""
    needs("python")
    wrapper = warm.write("python", '#!/bin/sh\nunset HOME\nMADE=by-hand PATH=/opt:$PATH exec python3 "$@"\n')
    script = warm.write("script", f"#!{wrapper}\nimport os\nprint(sorted(os.environ.items()))\n")
    anew = await warm.run(warm.exec, script)
    await warm.warm_up(script)
    assert b"by-hand" in anew.outcome.stdout
    assert alike(await warm.run(warm.warm, script)) == alike(anew)


async def test_modules_with_the_names_of_those_that_the_parent_uses(warm: WarmBench) -> None:
    needs("python")
    names = ("resource", "select", "json", "python")
    for name in names:
        warm.write(f"{name}.py", f"print('{name} of the script')\n", 0o644)
    script = warm.write("script", PYTHON + f"import {', '.join(names)}\n")
    anew = await warm.run(warm.exec, script)
    assert anew.outcome.stdout.count(b"of the script") == 4
    await warm.warm_up(script)
    for _ in range(2):
        assert alike(await warm.run(warm.warm, script)) == alike(anew)
    assert warm.only().taken == 2


LONG = {
    "python": PYTHON + "import os\nprint(len(os.environ['SIP_LONG']))\n",
    "perl": PERL + "print length $ENV{SIP_LONG}, qq(\n)",
    "ruby": RUBY + "puts ENV['SIP_LONG'].size\n",
}


@pytest.mark.parametrize("language", LONG)
async def test_an_environment_too_large_for_one_record(warm: WarmBench, language: str) -> None:
    needs(language)
    script = warm.write("script", LONG[language])
    await warm.warm_up(script)
    environment = COMMON | {"SIP_LONG": "x" * 100_000} | {f"SIP_{number}": "x" * 100_000 for number in range(8)}
    result = await warm.run(warm.warm, script, environment=environment, stdin=b"body")
    assert result.outcome.stdout == b"100000\n"
