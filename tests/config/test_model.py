"""A configuration that holds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sipcgi.cgi.routes import Route
from sipcgi.config.load import load


def test_a_script_that_its_name_triggers_has_the_general_settings(site: Any) -> None:
    configuration = load(
        site.configure(
            "scripts: {timeout: 2s, on_error: default, max_output: 9, max_messages: 3, pass_authorization: yes,"
            " style: exec, environment: {A: b}}"
        )
    )
    assert configuration.fallback == Route(
        script="",
        timeout=2.0,
        on_error="default",
        max_output=9,
        max_messages=3,
        pass_authorization=True,
        style="exec",
        environment={"A": "b"},
    )


def test_the_line_of_a_key_is_its_own_or_that_of_what_is_around_it(site: Any) -> None:
    configuration = load(site.configure("domains: [x]\nroutes:\n- method: INVITE\n  script: a.sh\n"))
    keys = ("domains.0", "routes.0", "routes.0.script", "routes.0.timeout", "scripts.timeout")
    assert [configuration.line(key) for key in keys] == [1, 3, 4, 3, 1]
    assert str(configuration.mistake("routes.0.script", "is no good")) == f"{site.file}:4: routes.0.script: is no good"


def test_the_built_in_defaults_have_no_lines(site: Any) -> None:
    configuration = load()
    assert str(configuration.mistake("scripts.directory", "x")) == "built-in defaults:1: scripts.directory: x"


def test_the_file_of_a_store(site: Any) -> None:
    configuration = load()
    assert configuration.store_path is None
    assert replace(configuration, store="sqlite:////a/b").store_path == Path("/a/b")
