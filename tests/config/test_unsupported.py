"""What this version does not do is refused at its line, never read and ignored."""

from typing import Any

import pytest

from sipcgi.config.load import load
from sipcgi.config.mistakes import ConfigErrors


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("routes:\n- script: a.sh\n  reroute: true", ":3: routes.0.reroute: true is not supported yet"),
    ],
)
def test_in_a_file(site: Any, text: str, wrong: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(site.configure(text))
    assert [str(error) for error in caught.value.errors] == [f"{site.file}{wrong}"]


def test_what_asks_for_nothing_of_it_holds(site: Any) -> None:
    (route,) = load(site.configure("routes:\n- script: a.sh\n  reroute: false\n")).routes
    assert not route.reroute
