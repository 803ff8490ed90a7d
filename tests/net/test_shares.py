"""Who has most connections, after any comings and goings."""

from collections import Counter
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from sipcgi.flow import Flow, HostPort
from sipcgi.net.shares import Shares

OURS = HostPort("192.0.2.1", 5060)


def connection(host, number):
    return SimpleNamespace(flow=Flow("TCP", OURS, HostPort(host, 1024 + number), number))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_the_greediest_has_as_many_as_any(steps):
    shares, there = Shares(), []
    for number, (comes, which) in enumerate(steps):
        if comes:
            there.append(connection(f"192.0.2.{which}", number))
            shares.add(there[-1])
        elif there:
            shares.remove(there.pop(which % len(there)))
        hosts = Counter(one.flow.remote.host for one in there)
        assert len(shares) == len(hosts)
        assert {host: shares.of(host) for host in hosts} == hosts
        for host in hosts:
            assert list(shares.connections(host)) == [one for one in there if one.flow.remote.host == host]
        if hosts:
            assert shares.of(shares.greediest()) == max(hosts.values())
    assert shares.of("192.0.2.9") == 0
