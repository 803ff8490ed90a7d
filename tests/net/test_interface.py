import socket

import pytest

from sipcgi.errors import Unreachable
from sipcgi.flow import HostPort
from sipcgi.net import interface
from sipcgi.net.interface import Sources, addresses, kernel_source, local_addresses


async def test_a_wildcard_stands_for_each_local_address():
    found, _ = await addresses("0.0.0.0")
    assert "127.0.0.1" in found
    assert found == (await addresses("0.0.0.0"))[0]
    assert all(":" in host for host in (await addresses("[::]"))[0])


def test_link_local_addresses_are_left_out(monkeypatch):
    entry = type("snicaddr", (), {})
    entries = []
    for family, address in [(socket.AF_INET6, "::1"), (socket.AF_INET6, "fe80::1%eth0"), (socket.AF_INET, "10.0.0.1")]:
        one = entry()
        one.family, one.address = family, address
        entries.append(one)
    monkeypatch.setattr(interface.psutil, "net_if_addrs", lambda: {"eth0": entries, "again": entries})
    assert local_addresses(socket.AF_INET6) == (["::1"], ["fe80::1%eth0"])
    assert local_addresses(socket.AF_INET) == (["10.0.0.1"], [])


async def test_an_address_stands_for_itself_and_a_name_is_looked_up():
    assert await addresses("[2001:DB8::1]") == (["2001:db8::1"], [])
    assert "127.0.0.1" in (await addresses("localhost"))[0]
    with pytest.raises(OSError, match=r"."):
        await addresses("does-not-exist.invalid")


def test_the_kernel_tells_the_source():
    assert kernel_source("127.0.0.1") == "127.0.0.1"
    with pytest.raises(Unreachable):
        kernel_source("255.255.255.255")


def test_the_choice_is_remembered_for_a_minute():
    asked, now = [], [0.0]

    def ask(host):
        asked.append(host)
        return "192.0.2.1"

    sources = Sources(ask, lambda: now[0])
    for _ in range(3):
        assert sources.towards(HostPort("192.0.2.9", 5060)) == "192.0.2.1"
    now[0] = 61.0
    sources.towards(HostPort("192.0.2.9", 5070))
    assert asked == ["192.0.2.9", "192.0.2.9"]
