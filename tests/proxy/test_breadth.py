"""RFC 5393 section 5: Max-Breadth."""

import pytest

from sipcgi.errors import ParseError, Refused
from sipcgi.proxy.breadth import Breadth
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request


def request(*values: str) -> Request:
    return Request("INVITE", "sip:bob@example.com", Headers([("Max-Breadth", value) for value in values]))


@pytest.mark.rfc("5393", "5.3.3-1", "5.3.3-2", "5.3.3-3")
def test_default_and_maximum() -> None:
    assert Breadth.of(request()).available == 60
    assert Breadth.of(request("4")).available == 4
    assert Breadth.of(request("60")).available == 60
    assert Breadth.of(request("1000")).available == 60


@pytest.mark.parametrize("value", ["", "-1", "many", "1;x", "99999999999"])
def test_malformed(value: str) -> None:
    with pytest.raises(ParseError) as caught:
        Breadth.of(request(value))
    assert caught.value.header == "max-breadth"
    assert caught.value.status == 400


@pytest.mark.rfc("5393", "5.2", "5.3.3-5")
def test_parallel_forking_divides_it() -> None:
    assert Breadth(60).take(2) == [30, 30]
    assert Breadth(4).take(3) == [2, 1, 1]
    assert Breadth(4).take(0) == []


@pytest.mark.rfc("5393", "5.2", "5.3.3.1-1")
def test_serial_forking_uses_it_again() -> None:
    breadth = Breadth(60)
    (first,) = breadth.take(1)
    breadth.put_back(first)
    assert breadth.take(1) == [60]


@pytest.mark.rfc("5393", "5.5")
def test_four_of_eight_targets_first() -> None:
    breadth = Breadth(4)
    assert breadth.take(4) == [1, 1, 1, 1]
    with pytest.raises(Refused) as caught:
        breadth.take(1)
    assert caught.value.status == 440
    breadth.put_back(1)
    assert breadth.take(1) == [1]


@pytest.mark.rfc("5393", "5.3.3")
def test_insufficient() -> None:
    breadth = Breadth.of(request("1"))
    with pytest.raises(Refused):
        breadth.take(2)
    assert breadth.take(1) == [1]
    with pytest.raises(Refused):
        Breadth.of(request("0")).take(1)


def test_some_is_kept_for_branches_that_a_script_may_add() -> None:
    breadth = Breadth(60)
    assert breadth.take(1, keep=30) == [30]
    assert breadth.take(2, keep=30) == [1, 1]
    assert breadth.take(1) == [28]
