"""Syntax errors in words, and lines as they were meant."""

import pytest
import yaml

from sipcgi.config.diagnosis import INDENTATION, NO_COLON, Diagnosis

LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])]


def diagnose(text: str, loader: type) -> Diagnosis:
    with pytest.raises(yaml.MarkedYAMLError) as raised:
        list(yaml.parse(text, Loader=loader))
    return Diagnosis.of(raised.value, text.split("\n"))


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("line", "repaired", "text"),
    [
        (
            "from: *@example.com",
            'from: "*@example.com"',
            '* begins an alias in YAML: put the value in quotes: "*@example.com"',
        ),
        (
            "  - *@a.example  # all",
            '  - "*@a.example"',
            '* begins an alias in YAML: put the value in quotes: "*@a.example"',
        ),
        ("script: @x", 'script: "@x"', '@ is reserved in YAML: put the value in quotes: "@x"'),
        ('user: %a"b', 'user: "%a\\"b"', '% begins a directive in YAML: put the value in quotes: "%a\\"b"'),
        ("script: a: b", 'script: "a: b"', '": " ends a key in YAML: put the value in quotes: "a: b"'),
        (
            "relay: [127.0.0.0/8, ::1]",
            'relay: [127.0.0.0/8, "::1"]',
            'between brackets, YAML reads : and [ its own way: put the value in quotes: "::1"',
        ),
        (
            "- {url: udp://[::]:5060, advertise: x}",
            '- {url: "udp://[::]:5060", advertise: x}',
            'between brackets, YAML reads : and [ its own way: put the value in quotes: "udp://[::]:5060"',
        ),
        (
            'to: [*@a.example, "*@b.example", *@c.example]',
            'to: ["*@a.example", "*@b.example", "*@c.example"]',
            '* begins an alias in YAML: put the value in quotes: "*@a.example"',
        ),
    ],
)
def test_values_without_their_quotes(line: str, repaired: str, text: str, loader: type) -> None:
    found = diagnose(line, loader)
    assert found.line == 0
    assert found.text == text
    assert found.repaired == repaired
    assert found.values
    list(yaml.parse(repaired, Loader=loader))


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("lines", "at", "text"),
    [
        ("listen:\n\t- x", 1, "a tab: YAML is indented with blanks"),
        (
            "listen: x\n  relay: y",
            1,
            "a key is not expected here: look at the indentation of this line and of the one above",
        ),
        ("a: 1\n# b\nroutes\n  - script: x", 2, NO_COLON),
        ("listen udp://x\ndomains: y", 0, NO_COLON),
        ("domains:x\nrelay: y", 0, NO_COLON),
        ("domains: x\nrelay\nlisten: y", 1, NO_COLON),
        ("routes:\n  - script: a\n   method: B", 2, INDENTATION),
        ("domains:\n  - a\n - b", 2, INDENTATION),
        ("relay: [10.0.0.0/8\nscripts:\n  timeout: 5s", 0, "the [ is not closed: a ] is missing, or a comma before it"),
        ("scripts: {timeout: 5s\nroutes: x", 0, "the { is not closed: a } is missing, or a comma before it"),
        ("a: b\ndomains: 'x\nrelay: y", 1, "the ' is not closed"),
        ('a: b\nfrom: "a\\.b"', 1, "a backslash in double quotes begins an escape: put the text in single quotes"),
        (
            "domains: [x]]\nrelay: y",
            0,
            "']' is not expected here: a quote or bracket is missing, or one too many, here or above",
        ),
    ],
)
def test_what_cannot_be_repaired(lines: str, at: int, text: str, loader: type) -> None:
    assert diagnose(lines, loader) == Diagnosis(at, text)


@pytest.mark.parametrize("loader", LOADERS)
def test_what_has_no_words_of_its_own_is_told_in_those_of_yaml(loader: type) -> None:
    found = diagnose("a: |x\n  b", loader)
    assert found.repaired is None
    assert found.text.startswith("while scanning a block scalar, ")


def test_an_error_without_a_place_or_a_word() -> None:
    assert Diagnosis.of(yaml.MarkedYAMLError(), ["x"]) == Diagnosis(0, "is no YAML")
