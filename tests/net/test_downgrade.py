"""SIPS that vanishes from NAPTR records (RFC 3263 section 7)."""

import pytest

from sipcgi.net.dns import Answer, Naptr
from sipcgi.net.downgrade import MOST, Downgrades

SECURE = Answer([Naptr(10, 1, "s", "SIP+D2U", "", "_sip._udp.a"), Naptr(5, 1, "s", "SIPS+D2T", "", "_sips._tcp.a")], 0)
PLAIN = Answer([Naptr(10, 1, "s", "SIP+D2U", "", "_sip._udp.a")], 0)
NOTHING = Answer([], 0, "no NAPTR record")
TROUBLE = Answer([], 0, "no answer", failed=True)


@pytest.mark.rfc("3263", "7-1", "7-2")
@pytest.mark.parametrize("later", [PLAIN, NOTHING])
def test_an_alarm_once_when_it_is_gone(later: Answer) -> None:
    said: list[str] = []
    downgrades = Downgrades(said.append)
    for answer in (SECURE, SECURE, TROUBLE):
        downgrades.look("a.example", answer)
        downgrades.look("b.example", PLAIN)
    assert said == []
    downgrades.look("a.example", later)
    downgrades.look("a.example", later)
    assert said == ["a.example: its NAPTR records offer SIPS no more: an attack on the DNS may be under way"]
    downgrades.look("a.example", SECURE)
    downgrades.look("a.example", later)
    assert len(said) == 2


def test_only_so_many_are_remembered() -> None:
    said: list[str] = []
    downgrades = Downgrades(said.append)
    for number in range(MOST + 1):
        downgrades.look(f"d{number}.example", SECURE)
    for number in range(MOST + 1):
        downgrades.look(f"d{number}.example", PLAIN)
    assert len(said) == MOST
    assert not said[0].startswith("d0.")
