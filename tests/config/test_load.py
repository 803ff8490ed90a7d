"""A whole configuration: what it says, what holds when it says nothing, and every mistake at once."""

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sipcgi.auth.digest import Account
from sipcgi.cgi.routes import Route
from sipcgi.config import load as module
from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors
from sipcgi.config.model import Configuration
from sipcgi.config.place import Listener, default_listeners
from sipcgi.config.scripts import load_with_scripts


def mistakes(path: Path | None = None, **overrides: Any) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(path, **overrides)
    return [str(error).removeprefix(str(path)) for error in caught.value.errors]


def test_a_file_that_says_everything(site: Any) -> None:
    configuration = load(
        site.configure(
            """\
            listen:
              - udp://0.0.0.0:5060
              - {url: "tcp://[::]:5070", advertise: sip.example.com}
            domains: [example.com, Example.ORG]
            relay: [192.0.2.0/24, "::1"]
            scripts:
              directory: ../cgi-bin
              timeout: 500ms
              on_error: default
              max_output: 64KiB
              max_messages: 8
              max_running: 12
              environment: {LANG: C.UTF-8, N: 010}
            routes:
              - script: block.pl
                method: [invite, MESSAGE]
                from: "*@vinylsiding.com"
                source: 198.51.100.0/24
              - script: tel/hunt.py
                to: ["a@example.com", "b@example.com"]
                uri: "tel:+49*"
                in_dialog: true
                timeout: 1m
                on_error: sorry.sh
                max_output: 100
                max_messages: 2
                pass_authorization: yes
                environment: {N: 11, M: }
            location:
              store: memory://
            overload: {max_transactions: 500000, retry_after: 10s}
            """
        )
    )
    assert (configuration.scripts.max_running, configuration.max_transactions) == (12, 500_000)
    assert configuration.retry_after == 10.0
    assert configuration.file == site.file
    assert configuration.listen == (Listener("udp", "0.0.0.0", 5060), Listener("tcp", "::", 5070, "sip.example.com"))
    assert [listener.line for listener in configuration.listen] == [2, 3]
    assert configuration.domains == ("example.com", "example.org")
    assert configuration.relay == (ip_network("192.0.2.0/24"), ip_network("::1"))
    assert configuration.scripts.directory == site.scripts
    assert configuration.scripts.timeout == 0.5
    assert configuration.routes == (
        Route(
            "block.pl",
            frozenset({"INVITE", "MESSAGE"}),
            from_=("*@vinylsiding.com",),
            source=(ip_network("198.51.100.0/24"),),
            timeout=0.5,
            on_error="default",
            max_output=65536,
            max_messages=8,
            environment={"LANG": "C.UTF-8", "N": "010"},
        ),
        Route(
            "tel/hunt.py",
            to=("a@example.com", "b@example.com"),
            uri=("tel:+49*",),
            in_dialog=True,
            timeout=60.0,
            on_error="sorry.sh",
            max_output=100,
            max_messages=2,
            pass_authorization=True,
            environment={"LANG": "C.UTF-8", "N": "11", "M": ""},
        ),
    )
    assert configuration.store == "memory://"
    assert configuration.store_path is None
    assert configuration.fallback == Route(
        "",
        timeout=0.5,
        on_error="default",
        max_output=65536,
        max_messages=8,
        environment={"LANG": "C.UTF-8", "N": "010"},
    )


@pytest.mark.parametrize("text", ["", "listen:\ndomains:\nrelay:\nscripts:\nroutes:\nlocation:\n", "scripts: {}\n"])
def test_what_a_file_does_not_say(site: Any, text: str) -> None:
    configuration = load(site.configure(text))
    assert list(configuration.listen) == default_listeners()
    assert configuration.domains == ()
    assert configuration.relay == (ip_network("127.0.0.0/8"), ip_network("::1"))
    assert configuration.scripts.directory == site.root / "conf" / "cgi-bin"
    assert (configuration.scripts.timeout, configuration.scripts.on_error) == (5.0, "reject")
    assert (configuration.scripts.max_output, configuration.scripts.max_messages) == (1 << 20, 64)
    assert configuration.scripts.max_running == 64 * len(os.sched_getaffinity(0))
    assert (configuration.max_transactions, configuration.retry_after) == (100_000, None)
    assert configuration.routes == ()
    assert configuration.store == "memory://"


def test_a_single_value_may_stand_for_a_list(site: Any) -> None:
    configuration = load(site.configure("listen: udp://127.0.0.1:5060\ndomains: example.com\nrelay: 10.0.0.0/8\n"))
    assert configuration.listen == (Listener("udp", "127.0.0.1", 5060),)
    assert (configuration.domains, configuration.relay) == (("example.com",), (ip_network("10.0.0.0/8"),))


def test_an_empty_list_of_relays_is_nobody(site: Any) -> None:
    assert load(site.configure("relay: []\n")).relay == ()


def test_the_command_line_overrides(site: Any) -> None:
    site.configure("listen: udp://127.0.0.1:5060\ndomains: [example.com]\n")
    configuration = load(site.file, listen=["tcp://[::1]:5070", "udp://x"], domains=["Example.org"], scripts="cgi-bin/")
    assert configuration.listen == (Listener("tcp", "::1", 5070), Listener("udp", "x", 5060))
    assert configuration.domains == ("example.org",)
    assert configuration.scripts.directory == site.scripts


def test_mistakes_of_the_command_line(site: Any) -> None:
    site.configure("routes: x\n")
    assert mistakes(listen=["udp://x", "x"], domains=["*"], scripts=Path("nope")) == [
        "command line:1: --domain: '*' is neither a host name nor an address: wildcards are not for names of hosts",
        "command line:1: --scripts: there is no folder nope",
        "command line:2: --listen: 'x' is no listener: write it like udp://0.0.0.0:5060 or tcp://[::]:5060",
        "conf/sipcgi.yaml:1: routes: must be a list: lines that begin with '- '",
    ]


def test_where_it_is_looked_for(site: Any) -> None:
    assert load().file is None
    (site.root / "etc.yaml").write_text("domains: [etc]\n")
    assert load().domains == ("etc",)
    site.configure("domains: [conf]\n")
    assert load().domains == ("conf",)
    assert load().source == "conf/sipcgi.yaml"


def test_the_built_in_defaults_take_the_folder_cgi_bin(site: Any) -> None:
    configuration = load()
    assert (configuration.source, configuration.scripts.directory) == ("built-in defaults", site.scripts)
    assert configuration.line("scripts") == 1


def test_neither_a_file_nor_a_folder(site: Any) -> None:
    site.scripts.rmdir()
    assert mistakes() == [
        f"command line:1: --config: neither conf/sipcgi.yaml nor {site.root}/etc.yaml exists,"
        " and there is no folder ./cgi-bin: make it and put a script there"
    ]


def test_a_file_that_is_not_there(site: Any) -> None:
    assert mistakes(Path("nope.yaml")) == ["command line:1: --config: there is no file nope.yaml"]
    assert mistakes(site.scripts) == [":1: --config: Is a directory"]


def test_a_link_to_the_scripts_may_be_turned_later(site: Any) -> None:
    (site.root / "current").symlink_to(site.scripts)
    assert load(site.configure("scripts: {directory: ../current}\n")).scripts.directory == site.root / "current"
    assert load(site.configure("scripts: {directory: ../cgi-bin/..}\n")).scripts.directory == site.root


def test_every_mistake_at_once(site: Any) -> None:
    text = """\
    listen:
      - udp://0.0.0.0:99999
      - {url: tcp://0.0.0.0:5060, advertize: sip.example.com}
      - udp://0.0.0.0
      - udp://0.0.0.0:5060
    domain: example.com
    timeout: 5s
    relay: [10.0.0.1/8]
    scripts:
      directory: nope
      on_error: on
      timeout: 5 sec
      max_output: 1MB
      environment: {SIP_FROM: x, remote_port: 1, A-B: 1, OK: "\\0", L: [1]}
    routes:
      - from: *@vinyl.com
        script: a.pl
      - method: IN VITE
        to: *bob
        uri: sip:bob@example.com
        script:
      - scrip: x
        source: [1.2.3, 10.0.0.1]
        from: []
        timeout:
        reroute: maybe
      - x
    location:
      store: redis://x
    colour: red
    """
    assert mistakes(site.configure(text)) == [
        ":2: listen.0: ':99999' is no port: write ':' and a number up to 65535, and nothing after it",
        ":3: listen.1.advertize: unknown key; did you mean 'advertise'?",
        ":5: listen.3: udp://0.0.0.0:5060 is there twice, first in listen.2",
        ":6: domain: unknown key; did you mean 'domains'?",
        ":7: timeout: unknown key; it belongs below scripts",
        ":8: relay.0: '10.0.0.1/8' is an address inside a network; did you mean 10.0.0.0/8?",
        f":10: scripts.directory: there is no folder {site.root}/conf/nope",
        ":11: scripts.on_error: 'on' says nothing here: write reject, default, or the name of a script",
        ":12: scripts.timeout: '5 sec' is no duration: write a number with ms, s, m or h, like 500ms or 5s",
        ":13: scripts.max_output: '1MB' is no size: write a number with KiB, MiB or GiB, or bare for octets;"
        " did you mean 1MiB?",
        ":14: scripts.environment.SIP_FROM: 'SIP_FROM' is a metavariable of RFC 3050: only the server sets it",
        ":14: scripts.environment.remote_port: 'remote_port' is a metavariable of RFC 3050: only the server sets it",
        ":14: scripts.environment.A-B: 'A-B' is no name of an environment variable: letters, digits and '_'",
        ":14: scripts.environment.OK: holds a NUL",
        ":14: scripts.environment.L: must be one value, not a list",
        ':16: routes.0.from: * begins an alias in YAML: put the value in quotes: "*@vinyl.com"',
        ":18: routes.1.method: 'IN VITE' is no SIP method: it is one word like INVITE, and several are a list",
        ':19: routes.1.to: *bob is an alias in YAML, and nothing has that anchor: put a text in quotes: "*bob"',
        ":20: routes.1.uri: 'sip:bob@example.com' matches nothing, for it is compared with user@host:"
        " write 'bob@example.com'",
        ":21: routes.1.script: has no value",
        ":22: routes.2.scrip: unknown key; did you mean 'script'?",
        ":23: routes.2.source.0: '1.2.3' is no network: write it like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32",
        ":24: routes.2.from: is an empty list",
        ":25: routes.2.timeout: has no value",
        ":26: routes.2.reroute: 'maybe' is neither true nor false",
        ":27: routes.3: must be a mapping: lines of 'key: value', indented below it",
        ":29: location.store: 'redis://x' is no store: there are memory:// and sqlite:///FILE",
        ":30: colour: unknown key: there are listen, tls, domains, relay, scripts, routes, location, overload, "
        "credentials, default_action, group_timeout, recurse, min_expires, default_expires, max_expires, max_contacts, "
        "service_route, flow_timer, aliases",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", ":1: (file): must be a mapping"),
        ("listen: []\n", ":1: listen: is an empty list"),
        ("listen: [{advertise: x}]\n", ":1: listen.0.url: is missing"),
        ("listen: [{url: udp://x, advertise: }]\n", ":1: listen.0.advertise: has no value"),
        ("scripts: x\n", ":1: scripts: must be a mapping"),
        ("scripts: {environment: [x]}\n", ":1: scripts.environment: must be a mapping"),
        ("scripts: {directory: ''}\n", ":1: scripts.directory: is no folder"),
        ("scripts: {on_error: ''}\n", ":1: scripts.on_error: is no file name"),
        ("scripts: {env: {}}\n", ":1: scripts.env: unknown key"),
        ("routes: [{script: a, from: '<x@y>'}]\n", ":1: routes.0.from: '<x@y>' matches no user@host"),
        ("location: {store: sqlite://x}\n", ":1: location.store: 'sqlite://x': three slashes"),
        ("location: {store: sqlite:///}\n", ":1: location.store: 'sqlite:///' names no file"),
        ("location: {store: memory://x}\n", ":1: location.store: 'memory://x': memory:// takes no path"),
        ("location: {store: x}\n", ":1: location.store: 'x' is no store"),
        ("location:\n  stor: memory://\n", ":2: location.stor: unknown key; did you mean 'store'?"),
    ],
)
def test_single_mistakes(site: Any, text: str, said: str) -> None:
    (mistake,) = mistakes(site.configure(text))
    assert mistake.startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("script: {directory: ../bin}\nroutes: [{script: a.sh}]\n", ":1: script: unknown key; did you mean 'scripts'?"),
        ("scripts: {dir: ../bin}\nroutes: [{script: a.sh}]\n", ":1: scripts.dir: unknown key"),
        ("domain: x\naliases: {a@x: b, c@x: d}\n", ":1: domain: unknown key; did you mean 'domains'?"),
    ],
)
def test_what_follows_from_a_misspelt_key_is_not_said(site: Any, text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_with_scripts(site.configure(text), startable=True)
    (mistake,) = map(str, caught.value.errors)
    assert mistake.removeprefix(str(site.file)).startswith(said)


@pytest.mark.parametrize(
    "name", ["GATEWAY_INTERFACE", "sip_from", "SIPCGI_EVENT", "REMOTE_PORT", "SERVER_TRANSPORT", "1A", ""]
)
def test_names_that_an_environment_may_not_have(site: Any, name: str) -> None:
    (mistake,) = mistakes(site.configure(f"scripts:\n  environment:\n    '{name}': x\n"))
    assert mistake.startswith(f":3: scripts.environment.{name}: '{name}' is ")


def test_a_quoted_word_is_the_name_of_a_script(site: Any) -> None:
    assert load(site.configure("scripts: {on_error: 'on'}\n")).scripts.on_error == "on"
    assert load(site.configure("scripts: {on_error: Reject}\n")).scripts.on_error == "reject"


def test_a_mistake_that_shows_later_stands_at_the_line_of_its_key(site: Any) -> None:
    configuration = load(site.configure("domains: [x]\nroutes:\n  - method: INVITE\n    script: a.sh\n"))
    assert str(configuration.mistake("routes.0.script", "is no good")) == f"{site.file}:4: routes.0.script: is no good"
    assert configuration.line("routes.0.on_error") == 3
    assert configuration.line("scripts.directory") == 1


def test_the_sample_configuration_holds() -> None:
    root = Path(__file__).parent.parent.parent
    configuration = load(root / "conf" / "sipcgi.yaml")
    assert configuration.scripts.directory == root / "cgi-bin"
    assert len(configuration.routes) == 8


def test_a_place_that_cannot_be_looked_into_is_not_passed_over(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path("x" * 300)  # a name too long stands for a folder without permission, which root does not know
    monkeypatch.setattr(module, "PLACES", (place,))
    assert mistakes() == [f"{place}:1: --config: File name too long"]


def test_folders_with_impossible_names_are_not_there(site: Any) -> None:
    (mistake,) = mistakes(site.configure(f"scripts: {{directory: {'x' * 300}}}\n"))
    assert mistake.startswith(":1: scripts.directory: there is no folder ")
    (site.root / "loop").symlink_to("loop")
    (mistake,) = mistakes(site.configure("scripts: {directory: ../loop/x}\n"))
    assert mistake.startswith(":1: scripts.directory: there is no folder ")


def test_a_store_is_relative_to_the_file_or_absolute(site: Any) -> None:
    text = "location: {{store: 'sqlite:///{}'}}\n"
    assert load(site.configure(text.format("a/../b.db"))).store_path == site.root / "conf" / "b.db"
    assert load(site.configure(text.format("/var/lib/b.db"))).store_path == Path("/var/lib/b.db")
    assert load(site.configure(text.format("b.db"))).store == f"sqlite:///{site.root}/conf/b.db"


@pytest.mark.parametrize("scripts", ["cgi-bin", "./cgi-bin/", "conf/../cgi-bin", "cgi-bin/sub/.."])
def test_a_folder_on_the_command_line_is_relative_to_where_one_is(site: Any, scripts: str) -> None:
    site.script("sub/a.sh")
    site.configure("scripts: {directory: nowhere}\n")
    assert load(scripts=scripts).scripts.directory == site.scripts
    assert load(scripts=site.scripts).scripts.directory == site.scripts


def test_the_command_line_does_not_need_a_default_folder(site: Any) -> None:
    site.scripts.rename(site.root / "elsewhere")
    assert load(scripts="elsewhere").scripts.directory == site.root / "elsewhere"


def test_what_a_route_says_goes_before_what_scripts_say(site: Any) -> None:
    text = """\
    scripts: {timeout: 1s, on_error: default, max_output: 1, max_messages: 1, pass_authorization: yes,
              style: exec, environment: {A: a, B: b}}
    routes:
      - script: a
      - {script: b, timeout: 2s, on_error: reject, max_output: 2, max_messages: 2, pass_authorization: no,
         style: cgi, environment: {B: c}}
    """
    assert load(site.configure(text)).routes == (
        Route("a", None, (), (), (), (), False, False, 1.0, "default", 1, 1, True, {"A": "a", "B": "b"}, "exec"),
        Route("b", None, (), (), (), (), False, False, 2.0, "reject", 2, 2, False, {"A": "a", "B": "c"}, "cgi"),
    )


KEYS = "listen domains relay scripts routes location directory timeout on_error environment script method from uri url"
WORDS = st.sampled_from(
    [*KEYS.split(), "udp://[::]:5060", "*@x", "5s", "::1", "reject", "sqlite:///x", "\\0", "/", ".."]
)
SEPARATORS = st.sampled_from(
    [": ", "\n", "\n  ", "\n- ", "\n  - ", " {", "} ", " [", "] ", ", ", '"', "&a ", "*a ", "#"]
)
FILES = st.lists(st.tuples(WORDS, SEPARATORS), max_size=30).map(lambda parts: "".join(map("".join, parts)).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(FILES | st.binary(max_size=100))
@example(b"scripts: {directory: '\\0'}")
@example(b"routes: [{script: [x], on_error: {}}, [], ~]")
def test_any_octets_are_a_configuration_or_mistakes(site: Any, octets: bytes) -> None:
    path = site.configure(octets)
    try:
        assert isinstance(load(path), Configuration)
    except ConfigErrors as errors:
        assert errors.errors  # noqa: PT017
        assert all(str(error).isprintable() for error in errors.errors)  # noqa: PT017


def test_credentials(site: Any) -> None:
    text = "credentials:\n- {realm: a b, user: server, password: '1234'}\n- {realm: c, user: x, password: y}\n"
    configuration = load(site.configure(text + "routes: [{script: a, originate: yes}, {script: b}]\n"))
    assert configuration.credentials == (Account("a b", "server", "1234"), Account("c", "x", "y"))
    assert [route.originate for route in configuration.routes] == [True, False]
    with pytest.raises(ConfigErrors) as caught:
        load(site.configure(text + "- {realm: c, user: '', password: z}\n- {realm: c, user: x}\n"))
    assert [(error.line, error.key) for error in caught.value.errors] == [
        (4, "credentials.2.user"),
        (5, "credentials.3.password"),
    ]
    with pytest.raises(ConfigErrors, match=r":4: credentials\.2\.realm: 'c' is there twice, first in credentials\.1"):
        load(site.configure(text + "- {realm: c, user: x, password: z}\n"))
