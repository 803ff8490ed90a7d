"""`sipcgi test`: plays the golden cases of folders and files, and tells what came of each."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from sipcgi.errors import EX_CONFIG, ConfigError
from sipcgi.logs import printable
from sipcgi.offline.cases import Case, read
from sipcgi.offline.golden import Failure, play
from sipcgi.offline.paper import Paper


def run(places: Iterable[Path], paper: Paper) -> int:
    """Exit status 0, 1 where a case fails, 78 where one is malformed: then none is played."""
    files: list[Path] = []
    mistakes: list[ConfigError] = []
    for place in places:
        found = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
        if not found:
            mistakes.append(ConfigError(str(place), 1, "(folder)", "there is no *.yaml with cases in it"))
        files += found
    stories: list[tuple[Path, list[Case]]] = []
    for file in files:
        cases, wrong = read(file)
        stories.append((file, cases))
        mistakes += wrong
    for mistake in mistakes:
        print(printable(str(mistake)), file=sys.stderr)
    if mistakes:
        return EX_CONFIG
    failed = 0
    for file, cases in stories:
        paper.heading(str(file))
        for case in cases:
            failure = play(case)
            failed += failure is not None
            _tell(case, failure, paper)
    total = sum(len(cases) for _, cases in stories)
    paper.line(f"{total - failed} of {total} cases ok", "bold red" if failed else "bold green")
    return 1 if failed else 0


def _tell(case: Case, failure: Failure | None, paper: Paper) -> None:
    if failure is None:
        paper.spans(("  ok    ", "green"), (case.name, ""))
        return
    paper.spans(("  FAIL  ", "bold red"), (case.name, ""))
    paper.line(f"        {case.file}:{failure.step.line}: {failure.step.text}", "bold")
    styles = {"-": "red", "+": "green"}
    for line in failure.lines:
        paper.line(f"        {line}", styles.get(line[:1], ""))
    for error in failure.errors:
        where = f"output line {error.line}, column {error.column}: " if error.line else ""
        hint = f" ({error.hint})" if error.hint else ""
        paper.spans(("        error: ", "bold red"), (f"{where}{error.text}{hint}", ""))
    for line in failure.stderr:
        paper.spans(("        stderr: ", "dim"), (line, "yellow"))
