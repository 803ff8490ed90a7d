"""A trial as people read it, errors as a compiler tells them, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from sipcgi.cgi.routes import EXEC
from sipcgi.logs import printable
from sipcgi.offline.journal import Finding, Played
from sipcgi.offline.paper import Paper
from sipcgi.offline.trial import Trial
from sipcgi.offline.words import described, values
from sipcgi.service import AckReceived, Cancelled, ForwardResponse, Relay, Reply

MOST_LINE = 120
"""Characters of an output line in a message about it."""


def show(trial: Trial, script: Path, paper: Paper) -> None:
    """All of it, what is wrong at the end."""
    played = trial.played
    output: list[str] = []
    if played is not None and played.outcome is not None:
        paper.heading("environment")
        for name, value in sorted(played.invocation.environment.items()):
            paper.spans((f"  {name}", "cyan"), (f"={value}", ""))
        if played.style == EXEC:
            paper.line(f"  (its argument is {played.invocation.argv[-1]})", "dim")
        if played.invocation.stdin:
            paper.line(f"  ({len(played.invocation.stdin)} octets on standard input)", "dim")
        output = _lines(played.outcome.stdout)
        paper.heading("output", _ending(played))
        for number, line in enumerate(output, 1):
            paper.spans((f"{number:4} | ", "dim"), (line, ""))
        if played.stderr:
            paper.heading("stderr")
            for line in played.stderr:
                paper.spans(("     | ", "dim"), (line, "yellow"))
        _show_actions(played, paper)
    for peer, sent in trial.sent:
        paper.heading("message", f"to {peer}" + (f", after {sent.time:g} s" if sent.time else ""))
        for line in _lines(sent.data):
            paper.spans(("     | ", "dim"), (line, ""))
    for note in trial.notes:
        paper.spans(("note: ", "bold blue"), (note, ""))
    for kind, style, found in (("warning", "bold yellow", trial.warnings), ("error", "bold red", trial.errors)):
        for each in found:
            show_finding(each, kind, style, script.name, output, paper)
    paper.line("valid" if trial.valid else "not valid", "bold green" if trial.valid else "bold red")


def _show_actions(played: Played, paper: Paper) -> None:
    paper.heading("actions")
    if played.failed:
        paper.line("  none of the script's: it failed, and on_error decides", "dim")
        return
    if isinstance(played.event, Cancelled | AckReceived) and not played.actions:  # RFC 3050 5.10, 5.11.1
        paper.line("  none: the output of a run for CANCEL or ACK has no effect", "dim")
        return
    for action in played.actions:
        paper.spans((f"  line {action.line}: ", "dim"), (described(action), ""))
    if not any(isinstance(action, Reply | Relay | ForwardResponse) for action in played.actions):
        default = "the default action: what the server does without a script"
        paper.line(f"  none: {played.following} is next" if played.following else f"  {default}", "dim")
    if played.cookie is not None:
        paper.line(f"  the next run gets SCRIPT_COOKIE={played.cookie}")
    if played.again:
        paper.line("  runs again at the next message")


def show_finding(found: Finding, kind: str, style: str, script: str, output: list[str], paper: Paper) -> None:
    """As a compiler does: where, what, the line with a caret, and a hint."""
    where = f"{script}: "
    if found.line:
        where += f"output line {found.line}" + (f", column {found.column}: " if found.column else ": ")
    paper.spans((where, "bold"), (f"{kind}: ", style), (found.text, ""))
    if 0 < found.line <= len(output):
        start = max(0, found.column - MOST_LINE // 2)
        line = output[found.line - 1].replace("\t", " ")[start : start + MOST_LINE]
        paper.spans((f"{found.line:4} | ", "dim"), (line, ""))
        if found.column:
            width = found.column - 1 - start
            before = len(printable(line[:width])) + max(0, width - len(line))
            paper.spans(("     | ", "dim"), (" " * before + "^", style))
    if found.hint:
        paper.spans(("     hint: ", "bold"), (found.hint, ""))


def _ending(played: Played) -> str:
    outcome = played.outcome
    assert outcome is not None
    if outcome.failure is not None:
        return outcome.failure
    how = "ended at its timeout" if outcome.timed_out else f"signal {outcome.signal}"
    return f"{f'exit status {outcome.status}' if outcome.status is not None else how}, {outcome.wall:.3f} s"


def _lines(octets: bytes) -> list[str]:
    """Both kinds of line ends end a line, and nothing else does."""
    lines = octets.decode("utf-8", "surrogateescape").split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def as_json(trial: Trial) -> str:
    """For programs: `messages` are texts, `destinations` say where each of them would go."""
    played = trial.played
    outcome = None if played is None else played.outcome
    document = {
        "valid": trial.valid,
        "environment": {} if played is None else played.invocation.environment,
        "output": "" if outcome is None else outcome.stdout.decode("utf-8", "replace"),
        "stderr": [] if played is None else played.stderr,
        "status": None if outcome is None else outcome.status,
        "signal": None if outcome is None else outcome.signal,
        "seconds": None if outcome is None else round(outcome.wall, 4),
        "actions": [] if played is None or played.failed else values(played),
        "messages": [sent.data.decode("utf-8", "replace") for _, sent in trial.sent],
        "destinations": [peer for peer, _ in trial.sent],
        "errors": [_finding(found) for found in trial.errors],
        "warnings": [_finding(found) for found in trial.warnings],
        "notes": trial.notes,
    }
    return json.dumps(document, indent=2)


def _finding(found: Finding) -> dict[str, object]:
    return {"line": found.line, "column": found.column, "text": found.text, "hint": found.hint}
