"""docs/threats.md names tests: they are there."""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (TESTS.parent / "docs" / "threats.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| threat ")
]


@lru_cache
def names(path: Path) -> set[str]:
    """Of the tests in a file."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_threat_has_an_answer_and_tests(row: list[str]) -> None:
    _, answer, tests = row
    assert answer
    places = re.findall("`([^`]+)`", tests)
    assert places
    for place in places:
        path, _, name = place.partition("::")
        assert name in names(TESTS / path), f"there is no {place}"


def test_each_test_of_a_threat_is_named() -> None:
    shown = " ".join(row[2] for row in ROWS)
    for path in TESTS.glob("*/test_threats_*.py"):
        for name in names(path):
            assert f"`{path.relative_to(TESTS)}::{name}`" in shown, "docs/threats.md does not name it"
