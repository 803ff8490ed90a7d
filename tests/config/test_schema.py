"""What each key may say."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from sipcgi.config import fields, schema
from sipcgi.config.document import Plain


def route(**keys: Any) -> schema.RouteEntry:
    return schema.validate({"routes": [{"script": "a.sh", **keys}]}).routes[0]


def reason(**keys: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        route(**keys)
    (error,) = raised.value.errors()
    return str(error["ctx"]["error"])


METAVARIABLES = """
    AUTH_TYPE CONTENT_LENGTH CONTENT_TYPE GATEWAY_INTERFACE REGISTRATIONS REMOTE_ADDR REMOTE_HOST REMOTE_IDENT
    REMOTE_USER REQUEST_METHOD REQUEST_TOKEN REQUEST_URI RESPONSE_REASON RESPONSE_STATUS RESPONSE_TOKEN SCRIPT_COOKIE
    SERVER_NAME SERVER_PORT SERVER_PROTOCOL SERVER_SOFTWARE SIP_X SIP_CONTACT
    REMOTE_PORT SERVER_TRANSPORT SIPCGI_RUN
"""


@pytest.mark.rfc("3050", "5.5.1")
@pytest.mark.parametrize("name", METAVARIABLES.split())
def test_metavariables_are_the_server_s_to_set(name: str) -> None:
    for spelt in (name, name.lower(), name.capitalize()):
        wrong = reason(environment={spelt: "x"})
        assert wrong == f"'{spelt}' is a metavariable of RFC 3050: only the server sets it"


def test_other_variables_may_have_any_value() -> None:
    environment = {"PATH": "/bin", "_x1": "", "SIPX": None, "TZ": "Europe/Berlin"}
    assert route(environment=environment).environment == {"PATH": "/bin", "_x1": "", "SIPX": "", "TZ": "Europe/Berlin"}
    assert route(environment=None).environment == {}


@pytest.mark.parametrize("name", ["", "1a", "a-b", "ä", "a b", "a=b"])
def test_what_is_no_name_of_a_variable(name: str) -> None:
    assert reason(environment={name: "x"}) == (
        f"'{name}' is no name of an environment variable: letters, digits and '_'"
    )


def test_methods_are_one_or_a_list_and_in_capitals() -> None:
    assert route(method="invite").method == ["INVITE"]
    assert route(method=["INVITE", "x-y"]).method == ["INVITE", "X-Y"]
    assert reason(method="INVITE MESSAGE").startswith("'INVITE MESSAGE' is no SIP method")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("INVTE", "INVITE"),
        ("ivnite", "INVITE"),
        ("REGISTRE", "REGISTER"),
        ("options.", "OPTIONS"),
        ("CANCLE", "CANCEL"),
    ],
)
def test_a_method_that_is_nearly_another_one_is_misspelt(written: str, meant: str) -> None:
    assert reason(method=written) == f"'{written}' is no SIP method; did you mean {meant}?"


@pytest.mark.parametrize("name", ["ACK", "CANCEL", "PRACK", "INFORM", "SERVICE", "BENOTIFY", "PING", "NOTE"])
def test_a_method_of_others_is_none_of_our_concern(name: str) -> None:
    assert route(method=name).method == [name]


@pytest.mark.parametrize("glob", ["*@vinylsiding.com", "bob@example.com", "tel:+49*", "*", "example.com", "a?c@[::1]"])
def test_globs(glob: str) -> None:
    assert (route(uri=glob).uri, route(to=[glob]).to, route(**{"from": glob}).from_) == ([glob], [glob], [glob])


@pytest.mark.parametrize(
    ("glob", "wrong"),
    [
        (
            "sip:*@x.example",
            "'sip:*@x.example' matches nothing, for it is compared with user@host: write '*@x.example'",
        ),
        ("SIPS:a@b", "'SIPS:a@b' matches nothing, for it is compared with user@host: write 'a@b'"),
        ("<a@b>", "'<a@b>' matches no user@host"),
        ("a b", "'a b' matches no user@host"),
        ("", "'' matches no user@host"),
    ],
)
def test_globs_that_match_nothing(glob: str, wrong: str) -> None:
    assert reason(uri=glob) == wrong


def test_on_error_is_a_word_or_the_name_of_a_script() -> None:
    assert [route(on_error=text).on_error for text in ("reject", "Default", "sorry.sh", "a/b.sh", "yes")] == [
        "reject",
        "default",
        "sorry.sh",
        "a/b.sh",
        "yes",
    ]
    for word in ("yes", "No", "off"):
        wrong = reason(on_error=Plain(word))
        assert wrong == f"'{word}' says nothing here: write reject, default, or the name of a script"


def test_the_style_is_that_of_rfc_3050_or_that_of_the_exec_modules() -> None:
    assert [route(style=text).style for text in ("cgi", "exec", "Exec")] == ["cgi", "exec", "exec"]
    assert reason(style="agi") == "'agi' is no style of scripts: there are cgi and exec"


def test_what_a_route_does_not_say_is_not_the_default_but_nothing() -> None:
    entry = route()
    assert (entry.timeout, entry.on_error, entry.max_output, entry.max_messages, entry.pass_authorization) == (
        None,
    ) * 5
    assert entry.style is None


@pytest.mark.parametrize(
    "key", ["timeout", "on_error", "max_output", "max_messages", "pass_authorization", "style", "in_dialog"]
)
def test_a_key_without_a_value_is_a_mistake(key: str) -> None:
    assert reason(**{key: None}) == "has no value"


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("redis://x", "'redis://x' is no store: there are memory:// and sqlite:///FILE"),
        ("memory", "'memory' is no store: there are memory:// and sqlite:///FILE"),
        ("memory://x", "'memory://x': memory:// takes no path"),
        ("sqlite://x", "'sqlite://x': three slashes before a relative path, four before an absolute one"),
        ("sqlite:///", "'sqlite:///' names no file"),
        ("sqlite:////", "'sqlite:////' names no file"),
        ("sqlite:///a/", "'sqlite:///a/' names no file"),
    ],
)
def test_what_is_no_store(url: str, wrong: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        fields.store(url)
    assert str(raised.value) == wrong


def test_stores() -> None:
    urls = ["memory://", "sqlite:///location.db", "sqlite:////var/lib/sipcgi/location.db"]
    assert list(map(fields.store, urls)) == urls


@pytest.mark.parametrize("value", ["", "a\0b"])
def test_names_of_files_and_folders_hold_something_and_no_nul(value: str) -> None:
    for check, wrong in ((fields.script, "is no file name"), (fields.directory, "is no folder")):
        with pytest.raises(ValueError, match=re.escape(wrong)):
            check(value)
