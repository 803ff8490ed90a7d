"""RFC 3263 4.3, RFC 3261 21.5.4: who failed is left alone for a while."""

import pytest

from sipcgi.net import blocklist
from sipcgi.net.blocklist import Blocklist, retry_after

SERVERS = ["one", "two", "three"]


@pytest.mark.rfc("3263", "4.3")
def test_a_target_that_failed_is_passed_over_for_half_a_minute():
    blocked = Blocklist()
    assert blocked.order(SERVERS, 100.0) == SERVERS
    blocked.note_failed("one", 100.0)
    assert blocked.order(SERVERS, 100.0) == ["two", "three"]
    assert blocked.order(SERVERS, 129.9) == ["two", "three"]
    assert blocked.order(SERVERS, 130.0) == SERVERS


def test_where_all_have_failed_all_are_tried():
    blocked = Blocklist()
    for server in SERVERS:
        blocked.note_failed(server, 100.0)
    assert blocked.order(SERVERS, 101.0) == SERVERS
    assert blocked.order(["one"], 101.0) == ["one"]


@pytest.mark.rfc("3261", "21.5.4")
def test_the_duration_is_that_of_retry_after_but_for_no_more_than_an_hour():
    blocked = Blocklist()
    blocked.note_failed("one", 0.0, 120.0)
    blocked.note_failed("one", 0.0)  # which ends earlier
    blocked.note_failed("two", 0.0, 1e9)
    assert blocked.order(SERVERS, 119.0) == ["three"]
    assert blocked.order(SERVERS, 121.0) == ["one", "three"]
    assert blocked.order(SERVERS, 3601.0) == SERVERS


def test_it_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(blocklist, "MOST", 2)
    blocked = Blocklist()
    blocked.note_failed("one", 0.0)
    blocked.note_failed("two", 20.0)
    blocked.note_failed("three", 40.0)  # the first is over by now
    assert blocked.order(SERVERS, 41.0) == ["one"]
    blocked.note_failed("one", 42.0)  # too many at once: begin again
    assert blocked.order(SERVERS, 43.0) == ["two", "three"]


@pytest.mark.rfc("3261", "20.33")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("18000;duration=3600", 18000.0),
        ("120 (I'm in a meeting)", 120.0),
        ("0", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("99999999999", None),
    ],
)
def test_retry_after(value, seconds):
    assert retry_after(value) == seconds
