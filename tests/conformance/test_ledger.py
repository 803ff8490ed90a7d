"""docs/conformance.md is what requirements, markers and verdicts make of it, and each row has one of the last two."""

from pathlib import Path

from ledger import DOCUMENT, Ledger, Row, document, ledger


def test_the_document_is_up_to_date_and_nothing_is_missing_in_it() -> None:
    made = ledger()
    assert made.mistakes() == []
    assert DOCUMENT.read_text("utf-8") == document(made.rows), "stale: run python tests/conformance"


def write(folder: Path, markers: str, said: str) -> Ledger:
    (folder / "test_it.py").write_text(f"import pytest\n\n\n{markers}\ndef test_a_thing():\n    pass\n")
    (folder / "verdicts.yaml").write_text(said)
    return ledger(folder, folder / "verdicts.yaml")


def row(made: Ledger, number: str, place: str) -> Row:
    return next(one for one in made.rows if (one.number, one.place) == (number, place))


def test_markers_and_verdicts_find_their_rows(tmp_path: Path) -> None:
    made = write(
        tmp_path,
        '@pytest.mark.rfc("3261", "16.3-4", "16.3-5")\n@pytest.mark.rfc("3261", "16")\n@pytest.mark.rfc("6455", "5.4")',
        '"3261":\n  - n/a: because\n    rows: >-\n      16.4-1\n      16.4-2\n  - open: not yet\n    rows: 16.4-3\n',
    )
    assert made.strays == []
    assert row(made, "3261", "16.3-4").tests == row(made, "3261", "16.3-5").tests == ["test_it.py::test_a_thing"]
    assert row(made, "3261", "16.4-2").verdicts == [("n/a", "because")]
    assert [row(made, "3261", place).state for place in ("16.3-4", "16.4-1", "16.4-3", "16.4-4")] == [
        "proven",
        "n/a",
        "open",
        "",
    ]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    said = '"3261":\n  - n/a: because\n    rows: 16.3-4 16.3-999\n  - maybe: so\n    rows: 16.3-5\n'
    made = write(tmp_path, '@pytest.mark.rfc("3261", "16.3-4", "16.3-998")', said)
    mistakes = made.mistakes()
    assert mistakes[:3] == [
        "test_it.py::test_a_thing is marked with RFC 3261 16.3-998, which there is not",
        "verdicts.yaml: RFC 3261 16.3-999 is n/a, which there is not",
        "verdicts.yaml: RFC 3261 16.3-5 is maybe, which there is not",
    ]
    assert "RFC 3261 16.3-4 has test_it.py::test_a_thing and n/a" in mistakes
    assert "RFC 3261 16.3-5 has neither test nor verdict" in mistakes


def test_a_table_for_each_rfc_and_their_counts() -> None:
    rows = [
        Row("3261", "16.3-1", "It MUST <be> a|b.", ["engine/test_relay.py::test_a_call"]),
        Row("3261", "16.3-2", "It MUST.", [], [("open", "not *yet*")]),
        Row("3050", "5.4-1", "It MAY.", [], [("n/a", "because")]),
    ]
    lines = document(rows).splitlines()
    assert "| all | 3 | 1 | 1 | 1 |" in lines
    assert any(line.startswith("| [3261](#rfc-3261) ") and line.endswith(" | 2 | 1 | 0 | 1 |") for line in lines)
    assert "| 16.3-1 | It MUST &lt;be> a\\|b. | [a call](../tests/engine/test_relay.py) |" in lines
    assert "| 16.3-2 | It MUST. | **open**: not \\*yet\\* |" in lines
    assert "| 5.4-1 | It MAY. | not applicable: because |" in lines
