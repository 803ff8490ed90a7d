"""Bindings and the lists made of them."""

import pytest

from sipcgi.registrar.bindings import Binding, contacts, current, groups
from sipcgi.sip.uri import parse_uri


def binding(contact: str, q: float, expires_at: float, instance: str = "", reg_id: int | None = None) -> Binding:
    uri = contact[contact.index("<") + 1 : contact.index(">")]
    return Binding(contact, uri, q, expires_at, call_id="1@h", cseq=1, instance=instance, reg_id=reg_id)


HOME = binding('"Bob, home" <sip:bob@192.0.2.1:5070>;q=0.5', 0.5, 160.0)
DESK = binding("<sip:bob@192.0.2.2>", 1.0, 200.4)
MOBILE = binding("Mobile <sip:bob@192.0.2.3;transport=tcp>;q=0.5;mobility=mobile", 0.5, 100.2)
GONE = binding("<sip:bob@192.0.2.9>", 1.0, 100.0)
ALL = [HOME, GONE, DESK, MOBILE]


@pytest.mark.rfc("3050", "5.5.1.6")
def test_registrations_is_the_contact_of_a_redirection() -> None:
    assert contacts(ALL, 100.0) == (
        "<sip:bob@192.0.2.2>;expires=100, "
        '"Bob, home" <sip:bob@192.0.2.1:5070>;q=0.5;expires=60, '
        "Mobile <sip:bob@192.0.2.3;transport=tcp>;q=0.5;mobility=mobile;expires=1"
    )
    assert contacts([GONE], 100.0) == ""


@pytest.mark.rfc("3261", "16.6")
def test_targets_are_grouped_by_q() -> None:
    assert groups(ALL, 100.0) == [[[DESK]], [[HOME], [MOBILE]]]
    assert groups([], 100.0) == []


@pytest.mark.rfc("5626", "7")
def test_the_flows_of_an_instance_are_one_target() -> None:
    """In the place of the best of them: the highest q, of equal ones the one that was registered last."""
    first = binding("<sip:bob@192.0.2.4>", 0.5, 300.0, "urn:uuid:1", 1)
    second = binding("<sip:bob@192.0.2.4>", 0.5, 300.0, "urn:uuid:1", 2)
    best = binding("<sip:bob@192.0.2.5>", 0.9, 300.0, "urn:uuid:1", 3)
    other = binding("<sip:bob@192.0.2.6>", 0.9, 300.0, "urn:uuid:2", 1)
    assert groups([first, DESK, second], 100.0) == [[[DESK]], [[second, first]]]
    assert groups([best, first, second, other, HOME], 100.0) == [[[best, second, first], [other]], [[HOME]]]
    assert contacts([first, other, second], 100.0) == "<sip:bob@192.0.2.6>;expires=200, <sip:bob@192.0.2.4>;expires=200"


def test_what_has_expired_is_not_current() -> None:
    assert current(ALL, 100.0) == [HOME, DESK, MOBILE]
    assert current(ALL, 500.0) == []


def test_the_texts_can_be_read() -> None:
    assert HOME.target == parse_uri("sip:bob@192.0.2.1:5070")
    assert HOME.address.display == "Bob, home"
    assert HOME.address.params.get("q") == "0.5"
