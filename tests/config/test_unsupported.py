"""What this version does not do is refused at its line, never read and ignored."""

from typing import Any

import pytest

from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("listen:\n  - udp://[::]:5060\n  - tls://0.0.0.0\n", ":3: listen.1: tls:// is not supported yet"),
        ("listen: ws://0.0.0.0", ":1: listen: ws:// is not supported yet"),
        ("listen:\n- url: wss://0.0.0.0\n  advertise: x", ":2: listen.0.url: wss:// is not supported yet"),
        (
            "location:\n  store: sqlite:///location.db",
            ":2: location.store: sqlite:// is not supported yet: leave it out for memory://",
        ),
        ("routes:\n- script: a.sh\n  reroute: true", ":3: routes.0.reroute: true is not supported yet"),
    ],
)
def test_in_a_file(site: Any, text: str, wrong: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(site.configure(text))
    assert [str(error) for error in caught.value.errors] == [f"{site.file}{wrong}"]


@pytest.mark.parametrize("scheme", ["tls", "ws", "wss"])
def test_on_the_command_line(site: Any, scheme: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(listen=["udp://127.0.0.1", f"{scheme}://127.0.0.1"])
    assert [str(error) for error in caught.value.errors] == [
        f"command line:2: --listen: {scheme}:// is not supported yet"
    ]


def test_what_asks_for_nothing_of_it_holds(site: Any) -> None:
    (route,) = load(site.configure("routes:\n- script: a.sh\n  reroute: false\n")).routes
    assert not route.reroute
