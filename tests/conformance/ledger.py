"""What is required, which tests prove it, and what is said of the rest; docs/conformance.md is made of these three."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements"
TESTS = HERE.parent
DOCUMENT = TESTS.parent / "docs" / "conformance.md"

TITLES = {
    "3261": "SIP: Session Initiation Protocol (sections 10.3, 16, 17 and 18)",
    "3050": "Common Gateway Interface for SIP (each MAY too)",
    "6026": "Correct Transaction Handling for 2xx Responses to INVITE",
    "4320": "Actions Addressing Identified Issues with the Non-INVITE Transaction",
    "4321": "Problems Identified Associated with the Non-INVITE Transaction",
    "5393": "Amplification Vulnerability in Forking Proxies",
    "3263": "Locating SIP Servers",
    "3581": "Symmetric Response Routing",
    "7118": "The WebSocket Protocol as a Transport for SIP",
    "3327": "Registering Non-Adjacent Contacts (Path)",
    "3608": "Service Route Discovery During Registration",
    "5626": "Managing Client-Initiated Connections",
    "5923": "Connection Reuse",
    "4475": "Torture Test Messages",
    "5118": "Torture Test Messages for IPv6",
}

INTRODUCTION = """\
# Conformance

Each MUST and SHOULD of these RFCs, taken out of their texts by a program, with the tests that prove it or the reason
why there is none. `python tests/conformance` writes this file; CI fails when it is stale. A row is one sentence:
`16.3-4` is the fourth such sentence of section 16.3, and a test that proves it is marked
`@pytest.mark.rfc("3261", "16.3-4")`."""


@dataclass(slots=True)
class Row:
    """One requirement: what the RFC says, and what stands beside it."""

    number: str
    place: str
    sentence: str
    tests: list[str] = field(default_factory=list)
    """As `engine/test_relay.py::test_a_call`."""
    verdicts: list[tuple[str, str]] = field(default_factory=list)
    """`n/a` or `open`, and why: at most one, and none beside a test."""

    @property
    def state(self) -> str:
        """`proven`, `n/a` or `open`; an empty text without test and verdict."""
        if self.tests:
            return "proven"
        return self.verdicts[0][0] if self.verdicts else ""


@dataclass(slots=True)
class Ledger:
    """All rows, and the marks and verdicts that belong to none of them."""

    rows: list[Row]
    strays: list[str]

    def mistakes(self) -> list[str]:
        """What must be put right before the document can be believed."""
        found = self.strays.copy()
        for row in self.rows:
            if len(row.verdicts) + bool(row.tests) != 1:
                has = [*row.tests, *(kind for kind, _ in row.verdicts)]
                found.append(f"RFC {row.number} {row.place} has {' and '.join(has) or 'neither test nor verdict'}")
        return found


def marks(path: Path) -> Iterator[tuple[str, str, str]]:
    """Each `rfc` marker of a test module: the test, the number of the RFC, the place in it."""
    for test in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in test.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rfc":
                    number, *places = (ast.literal_eval(argument) for argument in decorator.args)
                    yield from ((test.name, number, place) for place in places)


def verdicts(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Each row of verdicts.yaml: the number of the RFC, the place in it, the kind of verdict, and why."""
    for number, groups in yaml.safe_load(path.read_text("utf-8")).items():
        for group in groups:
            places = group.pop("rows").split()
            ((kind, why),) = group.items()
            yield from ((number, place, kind, " ".join(why.split())) for place in places)


def ledger(tests: Path = TESTS, said: Path = HERE / "verdicts.yaml") -> Ledger:
    """Reads all of it. A marker may also name a section as a whole, or another RFC: that proves no row."""
    rows: dict[tuple[str, str], Row] = {}
    for number in TITLES:
        found = yaml.safe_load((REQUIREMENTS / f"rfc{number}.yaml").read_text("utf-8"))
        rows.update({(number, place): Row(number, place, sentence) for place, sentence in found.items()})
    strays = []
    for path in sorted(tests.rglob("test_*.py")):
        name = path.relative_to(tests).as_posix()
        for test, number, place in marks(path):
            if (number, place) in rows:
                rows[number, place].tests.append(f"{name}::{test}")
            elif "-" in place:
                strays.append(f"{name}::{test} is marked with RFC {number} {place}, which there is not")
    for number, place, kind, why in verdicts(said):
        if (number, place) in rows and kind in ("n/a", "open"):
            rows[number, place].verdicts.append((kind, why))
        else:
            strays.append(f"{said.name}: RFC {number} {place} is {kind}, which there is not")
    return Ledger(list(rows.values()), strays)


def document(rows: Iterable[Row]) -> str:
    """docs/conformance.md."""
    parts = {number: [row for row in rows if row.number == number] for number in TITLES}
    lines = [INTRODUCTION, "", "| RFC | rows | proven | not applicable | open |", "|---|---|---|---|---|"]
    for number, title in TITLES.items():
        lines.append(f"| [{number}](#rfc-{number}) {title} | {counts(parts[number])} |")
    lines.append(f"| all | {counts([row for part in parts.values() for row in part])} |")
    for number, title in TITLES.items():
        lines += ["", f"## RFC {number}", "", f"{title}.", "", "| row | requirement | proof |", "|---|---|---|"]
        lines += [f"| {row.place} | {cell(row.sentence)} | {proof(row)} |" for row in parts[number]]
    return "\n".join([*lines, ""])


def counts(rows: list[Row]) -> str:
    """The cells of a line of the overview."""
    states = [row.state for row in rows]
    return " | ".join(map(str, [len(rows), states.count("proven"), states.count("n/a"), states.count("open")]))


def proof(row: Row) -> str:
    """The tests, or the verdict."""
    if not row.tests:
        return "; ".join(
            f"{'not applicable' if kind == 'n/a' else '**open**'}: {cell(why)}" for kind, why in row.verdicts
        )
    links = []
    for one in row.tests:
        path, _, test = one.partition("::")
        links.append(f"[{test.removeprefix('test_').replace('_', ' ')}](../tests/{path})")
    return ", ".join(links)


def cell(text: str) -> str:
    """`text` as it may stand in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
