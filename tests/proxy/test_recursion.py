"""What of a 3xx is tried, and what is left of it (RFC 3261 16.5, 16.7 item 4)."""

import pytest

from sipcgi.proxy.recursion import Redirection, remainder
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Response


def response(*contacts: str) -> Response:
    return Response(302, "Moved", Headers([("To", "<sip:b@x>"), *(("Contact", contact) for contact in contacts)]))


def groups(made: Redirection) -> list[list[str]]:
    return [[str(uri) for uri in group] for group in made.groups]


@pytest.mark.rfc("3261", "16.7")
def test_by_q_and_what_is_malformed_as_if_it_were_not_given() -> None:
    made = Redirection.of(
        response("<sip:a@x>;q=0.5, <sip:b@x>;q=no", "<sips:c@x>;q=0.5", "sip:d@x"), secure=False, most=9
    )
    assert groups(made) == [["sip:b@x", "sip:d@x"], ["sip:a@x", "sips:c@x"]]
    assert made.kept == []


@pytest.mark.rfc("3261", "16.7")
def test_what_is_no_sip_uri_is_kept_and_what_is_too_much() -> None:
    made = Redirection.of(
        response("<tel:+49>, <sip:a@x>;q=0.3, <sip:b@x>;q=0.2, <sip:c@x>;q=0.1"), secure=False, most=3
    )
    assert groups(made) == [["sip:a@x"], ["sip:b@x"]]
    assert [str(contact) for contact in made.kept] == ["<tel:+49>", "<sip:c@x>;q=0.1"]


@pytest.mark.rfc("3261", "16.7")
def test_from_sips_to_sips_only() -> None:
    made = Redirection.of(response("<sip:a@x>, <sips:b@x>"), secure=True, most=9)
    assert groups(made) == [["sips:b@x"]]
    assert [str(contact) for contact in made.kept] == ["<sip:a@x>"]


@pytest.mark.parametrize("contacts", [(), ("<sip:a@>",), ("*",)])
def test_nothing_to_try(contacts: tuple[str, ...]) -> None:
    assert Redirection.of(response(*contacts), secure=False, most=9).groups == []


def test_what_is_left() -> None:
    whole = response("<sip:a@x>, <tel:+49>;q=0.1")
    made = Redirection.of(whole, secure=False, most=9)
    left = remainder(whole, made.kept)
    assert left is not None
    assert left.headers.all("contact") == ["<tel:+49>;q=0.1"]
    assert whole.headers.all("contact") == ["<sip:a@x>, <tel:+49>;q=0.1"]
    assert remainder(whole, []) is None
