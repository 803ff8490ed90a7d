"""FastCGI programs in a configuration: what of their keys fits together, where they are found, and what they go by."""

from typing import Any

import pytest

from sipcgi.config.load import ConfigErrors, load
from sipcgi.config.scripts import load_with_scripts
from sipcgi.profile import FASTCGI, Hosting


def mistakes(site: Any, *routes: str, more: str = "") -> list[str]:
    """`key: text` of each, of a configuration that begins its routes in line 2."""
    lines = [f"scripts: {{directory: ../cgi-bin{more}}}", "routes:", *(f"  - {route}" for route in routes)]
    site.configure("\n".join([*lines, ""]))
    try:
        load_with_scripts(startable=True)
    except ConfigErrors as errors:
        return [str(error).partition(":")[2].partition(":")[2].strip() for error in errors.errors]
    return []


@pytest.mark.parametrize(
    ("route", "found"),
    [
        (
            "{host: fastcgi, script: a.py}",
            "host: fastcgi needs `fastcgi:`, where the program listens, or `processes:`, how many the server starts",
        ),
        (
            "{host: exec, script: a.py, processes: 2}",
            "processes: belongs to `host: fastcgi`, and this route has `host: exec`",
        ),
        (
            "{host: warm, script: a.py, command: a.py}",
            "command: belongs to `host: fastcgi`, and this route has `host: warm`",
        ),
        (
            "{host: exec, script: a.py, fastcgi: 'unix:///x'}",
            "fastcgi: belongs to `host: fastcgi`, and this route has `host: exec`",
        ),
        (
            "{fastcgi: 'tcp://127.0.0.1:9000', processes: 2}",
            "processes: nothing says what to start: name it in `script` or `command`",
        ),
        ("{script: [a.py, a.py], processes: 2}", "script: is a list: a FastCGI program is one"),
        (
            "{script: a.py, processes: 2, preload: json}",
            "preload: is for `host: warm`: a FastCGI program loads what it needs itself",
        ),
        (
            "{script: a.py, processes: 2, style: exec}",
            "style: a FastCGI program has no arguments, which this style needs: write `style: cgi`",
        ),
        ("{fastcgi: 'unix:///x', user: nobody}", "user: has no effect on a program that somebody else starts"),
        ("{fastcgi: 'unix:///x', limits: {cpu: 1s}}", "limits: has no effect on a program that somebody else starts"),
        (f"{{fastcgi: 'unix:///{'x' * 103}'}}", "fastcgi: a socket's path has at most 103 octets"),
        (
            "{command: a.py, fastcgi: 'tcp://192.0.2.1:9000'}",
            "fastcgi: 192.0.2.1 is no address of this machine, and the server starts its programs here",
        ),
        (
            "{command: a.py, fastcgi: 'tcp://[2001:db8::1]:9000'}",
            "fastcgi: 2001:db8::1 is no address of this machine, and the server starts its programs here",
        ),
        (
            "{command: a.py, fastcgi: 'tcp://example.com:9000'}",
            "fastcgi: example.com is no address of this machine, and the server starts its programs here",
        ),
        ("{method: INVITE}", "script: is missing"),
        ("{command: [gone.py, x]}", "command: gone.py is missing: there is no file {scripts}/gone.py"),
        ("{command: ../a.py}", "command: {root}/a.py is missing: there is no file {root}/a.py"),
        ("{script: gone.py, processes: 1}", "script: gone.py is missing: there is no file {scripts}/gone.py"),
        ("{command: /nowhere/program}", "command: program is missing: there is no file /nowhere/program"),
    ],
)
def test_mistakes(site: Any, route: str, found: str) -> None:
    site.script("a.py", "#!/usr/bin/env python3\n")
    found = found.replace("{scripts}", str(site.scripts)).replace("{root}", str(site.root))
    assert mistakes(site, route) == [f"routes.0.{found}"]


@pytest.mark.parametrize(
    "route",
    [
        "{fastcgi: 'tcp://example.com:9000'}",
        "{script: a name, fastcgi: 'tcp://[2001:db8::1]:9000'}",
        "{command: a.py, fastcgi: 'tcp://127.0.0.1:9000'}",
        "{command: a.py, fastcgi: 'tcp://[::1]:9000'}",
        "{command: a.py, fastcgi: 'tcp://localhost:9000', user: nobody}",
        "{command: [/bin/sh, a.py]}",
        "{host: fastcgi, script: a.py, processes: 3}",
        "{script: a.py, fastcgi: 'unix:///run/a', processes: 3, limits: {cpu: 1s}}",
    ],
)
def test_no_mistakes(site: Any, route: str) -> None:
    site.script("a.py", "#!/usr/bin/env python3\n")
    assert mistakes(site, route) == []


def test_two_programs_at_one_place(site: Any) -> None:
    site.script("a.py", "#!/usr/bin/env python3\n")
    same = "{command: a.py, fastcgi: 'unix:///run/a'}"
    assert mistakes(site, same, same, "{fastcgi: 'unix:///run/a'}") == []
    for other in (
        same.replace("}", ", processes: 2}"),
        same.replace("}", ", environment: {A: b}}"),
        same.replace("}", ", user: nobody}"),
    ):
        assert mistakes(site, same, other) == [
            "routes.1.fastcgi: routes.0 starts another program there: leave out `fastcgi`, or name the same program"
        ]


def test_the_style_of_all_scripts(site: Any) -> None:
    assert mistakes(site, "{fastcgi: 'unix:///x'}", more=", style: exec") == [
        "routes.0.style: a FastCGI program has no arguments, which this style needs: write `style: cgi`"
    ]
    assert mistakes(site, "{fastcgi: 'unix:///x', style: cgi}", more=", style: exec") == []


def test_names_and_hostings(site: Any) -> None:
    site.configure("""
        scripts: {environment: {LANG: C}, host: warm}
        routes:
          - {fastcgi: "unix:///run/a", environment: {A: b}}
          - {script: name, fastcgi: "unix:///run/a"}
          - {command: [a.py, -x], environment: {A: b}}
          - {script: a.py, processes: 3}
        """)
    routes = load().routes
    warm = frozenset({"python", "perl", "ruby"})
    assert [route.script for route in routes] == ["unix:///run/a", "name", "a.py", "a.py"]
    assert [route.files for route in routes] == [(), (), ("a.py",), ("a.py",)]
    assert [route.hosting for route in routes] == [
        Hosting(FASTCGI, warm, fastcgi="unix:///run/a"),
        Hosting(FASTCGI, warm, fastcgi="unix:///run/a"),
        Hosting(FASTCGI, warm, processes=1, command=("a.py", "-x"), environment=(("LANG", "C"), ("A", "b"))),
        Hosting(FASTCGI, warm, processes=3, command=("a.py",), environment=(("LANG", "C"),)),
    ]
    assert routes[0].environment == {"LANG": "C", "A": "b"}
    assert routes[0].hosting.of_files == Hosting(warm=warm)  # that of an on_error script
