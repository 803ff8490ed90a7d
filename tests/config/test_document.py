"""YAML with lines: what it says, and what is wrong with it as YAML."""

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sipcgi.config import document as module
from sipcgi.config.document import MAX_FILE, Document, Plain


@pytest.fixture(params=["C", "Python"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """libyaml need not be there."""
    monkeypatch.setattr(module, "_LOADER", yaml.SafeLoader if request.param == "Python" else module._LOADER)


def read(text: str) -> Document:
    return Document.read("a.yaml", text.encode())


def mistakes(text: str) -> list[str]:
    return [str(mistake) for mistake in read(text).mistakes]


def test_every_key_and_element_has_its_line() -> None:
    document = read("listen:\n  - udp://0.0.0.0\n  - {url: x}\n\nscripts:\n  timeout: 5s # five\n")
    assert document.values == {"listen": ["udp://0.0.0.0", {"url": "x"}], "scripts": {"timeout": "5s"}}
    assert document.lines == {
        ("listen",): 1,
        ("listen", 0): 2,
        ("listen", 1): 3,
        ("listen", 1, "url"): 3,
        ("scripts",): 5,
        ("scripts", "timeout"): 6,
    }
    assert document.line(("scripts", "timeout", "x")) == 6
    assert document.line(("nowhere",)) == 1
    assert document.mistakes == []


def test_values_are_found_by_their_path() -> None:
    document = read("listen: [a, {url: b}]")
    assert document.at("listen", 1, "url") == "b"
    assert document.at("listen", 2) is None
    assert document.at("listen", "url") is None
    assert document.at("listen", 0, "url") is None
    assert document.at("nothing") is None


def test_scalars_stay_as_they_are_written() -> None:
    """YAML 1.1 would make True, 8, 330, 1.0e3 and a date of these."""
    text = "[on, No, 010, 5:30, 1e3, 2001-01-01, .inf, +49, 0x10, =]"
    assert read(text).values == ["on", "No", "010", "5:30", "1e3", "2001-01-01", ".inf", "+49", "0x10", "="]


def test_only_what_is_empty_without_quotes_is_nothing() -> None:
    assert read("a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: !!str").values == {
        "a": None,
        "b": None,
        "c": None,
        "d": "",
        "e": "null",
        "f": "",
    }


def test_quotes_are_remembered() -> None:
    plain, quoted = read("[no, 'no']").values  # type: ignore[misc]
    assert isinstance(plain, Plain)
    assert not isinstance(quoted, Plain)


def test_nothing_is_an_empty_mapping() -> None:
    for text in ("", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "\ufeff"):
        assert read(text).values == {}
        assert mistakes(text) == []


def test_a_byte_order_mark_and_cr_lf_are_no_trouble() -> None:
    document = Document.read("a.yaml", b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.values == {"a": "1", "b": "2"}
    assert document.lines == {("a",): 1, ("b",): 2}


def test_aliases_stand_for_what_their_anchor_holds() -> None:
    assert read("a: &x {b: 1}\nc: *x\n").values == {"a": {"b": "1"}, "c": {"b": "1"}}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml:3: a: is there twice, first in line 1"),
        ("a:\n  b: 1\n  b: 2", "a.yaml:3: a.b: is there twice, first in line 2"),
        ("a: 1\n--- \nb: 2", "a.yaml:2: (file): a second document ('---') begins here: only one is read"),
        ("a: !!python/name:os.system", "a.yaml:1: a: tags like !!python/name:os.system are not supported"),
        ("a: !x [1]", "a.yaml:1: a: tags like !x are not supported"),
        ("a: 1\n<<: {b: 2}", "a.yaml:2: <<: merge keys are not supported: write out what is merged"),
        ("? [a, b]\n: c", "a.yaml:1: ?: a key must be a plain word"),
        ("a: 1\n~: c", "a.yaml:2: ~: a key must be a plain word"),
        (
            "a: *nobody",
            'a.yaml:1: a: *nobody is an alias in YAML, and nothing has that anchor: put a text in quotes: "*nobody"',
        ),
        (
            "a: &a [*a]",
            "a.yaml:1: a.0: *a stands inside of what it is to stand for",
        ),
        ("a: 1\nb:\n\t- c", "a.yaml:3: (file): a tab: YAML is indented with blanks"),
        ("a: 1\nb: \x07", "a.yaml:2: (file): control character 0x07: YAML forbids it"),
        ("a: b\0", "a.yaml:1: (file): control character 0x00: YAML forbids it"),
        ("a: " + "[" * 20 + "]" * 20, "a.yaml:1: (file): more than 16 levels of lists and mappings"),
        (
            "a: 1\n from: 2",
            "a.yaml:2: (file): a key is not expected here: look at the indentation of this line and of the one above",
        ),
    ],
)
def test_what_is_wrong_as_yaml(text: str, wrong: str) -> None:
    assert mistakes(text) == [wrong]


def test_no_depth_is_too_much() -> None:
    (mistake,) = mistakes("[" * 100_000)
    assert mistake.startswith("a.yaml:1: (file): ")


def test_values_without_their_quotes_are_all_told_at_their_keys() -> None:
    text = "relay: [127.0.0.0/8, ::1]\nroutes:\n  - script: a\n    from: *@a.example\n    to: [b, *@c.example]\n"
    text += "  - uri: %d\n"
    document = read(text)
    assert [str(mistake) for mistake in document.mistakes] == [
        'a.yaml:1: relay.1: between brackets, YAML reads : and [ its own way: put the value in quotes: "::1"',
        'a.yaml:4: routes.0.from: * begins an alias in YAML: put the value in quotes: "*@a.example"',
        'a.yaml:5: routes.0.to.1: * begins an alias in YAML: put the value in quotes: "*@c.example"',
        'a.yaml:6: routes.1.uri: % begins a directive in YAML: put the value in quotes: "%d"',
    ]
    assert document.at("routes", 0, "from") == "*@a.example"


def test_after_many_such_values_reading_is_given_up() -> None:
    found = mistakes("\n".join(f"a{number}: @b" for number in range(100)))
    assert len(found) == 51


def test_a_line_of_many_such_values_takes_no_long_time() -> None:
    assert len(mistakes("a: [" + "::1, " * 20_000 + "]")) == 50


def test_a_file_that_is_no_text() -> None:
    assert [str(m) for m in Document.read("a.yaml", b"a: 1\nb: caf\xe9\n").mistakes] == [
        "a.yaml:2: (file): is not UTF-8 text"
    ]


def test_a_file_that_is_too_large() -> None:
    assert [str(m) for m in Document.read("a.yaml", b"#" * (MAX_FILE + 1)).mistakes] == [
        "a.yaml:1: (file): is larger than 1 MiB"
    ]


def test_a_billion_laughs() -> None:
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [" + ", ".join([f"*{before}"] * 10) + "]\n"
    assert mistakes(text) == ["a.yaml:5: (file): more than 100000 values, those behind aliases included"]


def test_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NODES", 10)
    assert mistakes("[" + "a," * 9 + "]") == []
    assert mistakes("[" + "a," * 10 + "]") == ["a.yaml:1: (file): more than 10 values, those behind aliases included"]


YAMLISH = st.text(alphabet="ab:-[]{}*&!@%|>?#'\"\\, \n\t\0\x85\u2028é0", max_size=60)


@given(st.binary(max_size=60) | YAMLISH.map(str.encode))
@example(b"\xff")
@example(b'a: "\\uD800"')
@example(b"\r\ra: *\r")
def test_any_octets_make_a_document(octets: bytes) -> None:
    document = Document.read("a.yaml", octets)
    for mistake in document.mistakes:
        assert mistake.line >= 1
        assert mistake.text
