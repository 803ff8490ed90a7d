"""Other names of users: in the configuration, and in files like /etc/aliases."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sipcgi.config.aliases import logical_lines
from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.registrar.aliases import user_at
from sipcgi.sip.uri import SipUri


def mistakes(site: Any, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(site.configure(text))
    return [str(error).removeprefix(str(site.file)) for error in caught.value.errors]


def entries(site: Any, text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    return dict(load(site.configure(text)).aliases.entries)


def file(site: Any, text: str | bytes, name: str = "aliases") -> Path:
    site.file.parent.mkdir(exist_ok=True)
    path = site.file.parent / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return site.root / path


def test_for_all_domains_and_for_one(site: Any) -> None:
    text = """\
        domains:
          - example.com
          - name: example.org
            aliases: {sales: [bob, carol@example.com], "@example.org": reception}
        aliases:
          Alice.Cueba: alice
          "4711": alice
          Help@example.com: "sip:desk@192.0.2.9;transport=tcp"
        """
    assert entries(site, text) == {
        ("alice.cueba", ""): ("alice",),
        ("4711", ""): ("alice",),
        ("help", "example.com"): ("sip:desk@192.0.2.9;transport=tcp",),
        ("sales", "example.org"): ("bob", "carol@example.com"),
        ("", "example.org"): ("reception",),
    }


def test_a_single_domain_without_a_list(site: Any) -> None:
    assert entries(site, "domains: {name: a, aliases: {x: y}}\n") == {("x", "a"): ("y",)}


def test_a_file(site: Any) -> None:
    file(
        site,
        "# who is who\n"
        "\n"
        "Alice.Cueba:  alice\n"
        "sales: bob,\n"
        "\tcarol@Example.COM ,\n"
        "  # not she: dora,\n"
        '   "Max Power"\n'
        '"Front Desk" : reception\n'
        '"front desk"@example.com: sip:desk@192.0.2.9\n'
        "@example.com: reception",
    )
    assert entries(site, "domains: [example.com]\naliases: aliases\n") == {
        ("alice.cueba", ""): ("alice",),
        ("sales", ""): ("bob", "carol@example.com", "Max Power"),
        ("front desk", ""): ("reception",),
        ("front desk", "example.com"): ("sip:desk@192.0.2.9",),
        ("", "example.com"): ("reception",),
    }


def test_files_and_names_in_one_list(site: Any) -> None:
    file(site, "a: b\n", "one")
    file(site, "c: d\n", "two")
    assert entries(site, "domains: [{name: x, aliases: [one, two, {e: f}]}]\n") == {
        ("a", "x"): ("b",),
        ("c", "x"): ("d",),
        ("e", "x"): ("f",),
    }


def test_nothing(site: Any) -> None:
    file(site, "\n# nobody\n")
    assert entries(site, "aliases: aliases\n") == entries(site, "aliases:\n") == entries(site, "aliases: {}\n") == {}


def test_an_alias_that_names_itself_is_the_user_too(site: Any) -> None:
    assert entries(site, "aliases: {alice: [alice, bob], Bob: bob}\n") == {
        ("alice", ""): ("alice", "bob"),
        ("bob", ""): ("bob",),
    }


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("aliases:\n  a:", ":2: aliases.a: stands for nobody"),
        ("aliases:\n  a: []", ":2: aliases.a: stands for nobody"),
        ("aliases:\n  a: {b: c}", ":2: aliases.a: stands for users: one, or a list of them"),
        ("aliases: [[a]]", ":1: aliases.0: must be a mapping: lines of 'name: user', or the name of a file"),
        ("aliases:\n  a: b, c", ":2: aliases.a: 'b, c' is no user, user@host or SIP URI; several are a list"),
        ("aliases:\n  a: b@c d", ":2: aliases.a: 'c d' is neither a host name nor an address"),
        ("aliases:\n  a: tel:+49", ":2: aliases.a: 'tel:+49': only sip: and sips: URIs can be called"),
        ('aliases:\n  a: "sip:a b@c"', ":2: aliases.a: bad user part in 'sip:a b@c'"),
        ("aliases:\n  sip:a@b: c", ":2: aliases.sip:a@b: 'sip:a@b': leave out the scheme"),
        ("aliases:\n  a@b: c", ":2: aliases.a@b: b is no domain of ours"),
        ("aliases:\n  ? ''\n  : c", ":2: aliases.: a name is expected"),
        (
            "domains:\n- b\n- name: a\n  aliases:\n    x@b: c",
            ":5: domains.1.aliases.x@b: b is another domain than a, whose aliases these are",
        ),
        (
            "aliases:\n  Alice: a\n  alice: b",
            ":3: aliases.alice: is there twice, first in line 2: names are the same in capitals",
        ),
        ("aliases:\n  a: b\n  b: c\n  c: [d, a]", ":2: aliases.a: leads back to itself: a, b, c, a"),
        ("domains: [x, y]\naliases:\n  a: b\n  b: a", ":3: aliases.a: leads back to itself: a, b, a"),
        ("aliases:\n  A: b\n  b: [b, a]", ":2: aliases.A: leads back to itself: a, b, a"),
        (
            "domains:\n- {name: x, aliases: {a: b@y}}\n- name: y\n  aliases:\n    b: a@x",
            ":2: domains.0.aliases.a: leads back to itself: a, b, a",
        ),
    ],
)
def test_mistakes(site: Any, text: str, wrong: str) -> None:
    assert mistakes(site, text) == [wrong]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a: b\nalice", ":2: (file): 'alice' is no alias: write 'name: user'"),
        ("a:", ":1: a: stands for nobody"),
        ("a: b\n\na: c\n", ":3: a: is there twice, first in line 1: names are the same in capitals"),
        (
            "staff: :include:/etc/staff\n",
            ":1: staff: ':include:' is not supported: write the users here, or name the file in `aliases`, too",
        ),
        (
            'a: b,\n  "|/usr/bin/vacation"\n',
            ":1: a: '|/usr/bin/vacation': a call goes to no program and to no file; a route runs a script",
        ),
        ("a: /dev/null\n", ":1: a: '/dev/null': a call goes to no program and to no file; a route runs a script"),
        ("a: \\b\n", ":1: a: '\\b' is no user, user@host or SIP URI; several are a list"),
        ("a: b c\n", ":1: a: 'b c': a comma stands between users, and a name with blanks in quotes"),
        ("a: b\n  c\n", ":1: a: 'b c': a comma stands between users, and a name with blanks in quotes"),
        ('a: "b\n', ":1: a: '\"b' is no user, user@host or SIP URI; several are a list"),
        ("a: b\nc: a\nb: c\n", ":1: a: leads back to itself: a, b, c, a"),
        (b"a: b\n\xff: c\n", ":2: (file): is not UTF-8 text"),
    ],
)
def test_mistakes_in_a_file(site: Any, text: str | bytes, wrong: str) -> None:
    path = file(site, text)
    assert mistakes(site, "aliases: aliases\n") == [f"{path}{wrong}"]


def test_a_file_that_is_not_there(site: Any) -> None:
    path = site.root / "conf" / "gone"
    assert mistakes(site, "\naliases: gone\n") == [f":2: aliases: {path} cannot be read: No such file or directory"]


def test_a_file_that_is_too_large(site: Any) -> None:
    path = file(site, "#" * (4 * 1024 * 1024 + 1))
    assert mistakes(site, "aliases: aliases\n") == [f":1: aliases: {path} is larger than 4 MiB"]


def test_twice_in_two_places(site: Any) -> None:
    path = file(site, "\nA: b\n")
    assert mistakes(site, "aliases: [aliases, {a: c}]\n") == [
        f":1: aliases.1.a: is there twice, first in {path}:2: names are the same in capitals"
    ]


def test_lines_are_continued_by_blanks() -> None:
    assert list(logical_lines("  a: b\n c\n#x\n\td\n\ne: f\r\n")) == [(1, "a: b c d"), (6, "e: f")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.lists(st.sampled_from([*'ab@:,"\\ \t\n#|/.%;<\0é', "sip:", "a.example"]), max_size=40).map("".join))
@example('a: ""')
@example('"": b')
def test_any_file_is_read_or_refused(site: Any, text: str) -> None:
    file(site, text)
    path = site.configure("domains: [a.example]\naliases: aliases\n")
    with suppress(ConfigErrors):
        aliases = load(path).aliases
        for user, domain in aliases.entries:
            uri = user_at(user or "x", domain or "a.example")
            for end in aliases.expand(uri, lambda end: end.address == "a.example"):
                assert SipUri.parse(str(end))
