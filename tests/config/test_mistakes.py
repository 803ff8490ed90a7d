"""Mistakes in the words of those who write configurations."""

from typing import Any

import pytest

from sipcgi.config import schema
from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors, keys
from sipcgi.errors import ConfigError


def mistakes(site: Any, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(site.configure(text))
    return [str(error).removeprefix(str(site.file)) for error in caught.value.errors]


def test_they_are_told_in_the_order_of_the_file() -> None:
    errors = ConfigErrors([ConfigError("a", 3, "x", "3"), ConfigError("a", 1, "y", "1"), ConfigError("a", 3, "w", "4")])
    assert str(errors) == "a:1: y: 1\na:3: x: 3\na:3: w: 4"
    assert [error.text for error in errors.errors] == ["1", "3", "4"]


def test_each_is_one_line_whatever_a_file_holds(site: Any) -> None:
    text = '"a\\nb": 1\nscripts: {timeout: "5\\e[2J\\r\\n"}\n'
    first, second = mistakes(site, text)
    assert first.startswith(":1: a\\x0ab: unknown key")
    assert second.startswith(":2: scripts.timeout: '5\\x1b[2J\\x0d\\x0a' is no duration")


def test_keys_are_shown_as_they_are_written() -> None:
    assert keys(schema.RouteEntry) == [
        "script",
        "method",
        "from",
        "to",
        "uri",
        "source",
        "in_dialog",
        "reroute",
        "originate",
        "timeout",
        "on_error",
        "max_output",
        "max_messages",
        "pass_authorization",
        "style",
        "host",
        "fastcgi",
        "command",
        "processes",
        "max_running",
        "environment",
        "preload",
        "limits",
        "isolation",
        "user",
        "group",
        "readable",
        "writable",
    ]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Listen: x", "; did you mean 'listen'?"),
        ("routes: [{script: a, scripts: b}]", "; did you mean 'script'?"),
        ("routes: [{script: a, from_: b}]", "; did you mean 'from'?"),
        ("routes: [{script: a, store: b}]", "; it belongs below location"),
        ("routes: [{script: a, domains: b}]", "; it belongs to the outermost level"),
        ("max_output: 1MiB", "; it belongs below scripts"),
        ("certificate: x", "; it belongs below tls"),
        ("tls: {cert: x}", ": there are certificate, key, ca"),
        ("tls: {certificat: x}", "; did you mean 'certificate'?"),
        ("method: INVITE", "; it belongs below routes"),
        ("scripts: {time: 5s}", "; did you mean 'timeout'?"),
        ("location: {x: y}", ": there are store"),
        ("listen: [{url: udp://x, x: y}]", ": there are url, advertise, tls"),
    ],
)
def test_what_an_unknown_key_may_have_been_meant_to_be(site: Any, text: str, meant: str) -> None:
    (mistake,) = mistakes(site, text)
    assert mistake.endswith(f": unknown key{meant}")


def test_single_values_are_named_by_their_key_alone(site: Any) -> None:
    assert [line.split(": ")[1] for line in mistakes(site, "listen: x\nrelay: x\ndomains: '*'\n")] == [
        "listen",
        "relay",
        "domains",
    ]


def test_behind_an_alias_the_line_is_that_of_the_alias(site: Any) -> None:
    text = "scripts: {environment: &e {SIP_TO: x}}\nroutes:\n- script: a\n  environment: *e\n"
    assert [line.rpartition(": ")[0].split(": '")[0] for line in mistakes(site, text)] == [
        ":1: scripts.environment.SIP_TO",
        ":4: routes.0.environment.SIP_TO",
    ]


def test_what_the_reader_has_said_is_not_said_again(site: Any) -> None:
    assert mistakes(site, "scripts: !x {timeout: never}\nrelay: [*y]\n<<: z\n") == [
        ":1: scripts: tags like !x are not supported",
        ':2: relay.0: *y is an alias in YAML, and nothing has that anchor: put a text in quotes: "*y"',
        ":3: <<: merge keys are not supported: write out what is merged",
    ]
