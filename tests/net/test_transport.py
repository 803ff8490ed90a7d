"""What the engine asks of the transport layer: listeners, flows, what is ours."""

import socket

import pytest

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import transport as room
from sipcgi.net.transport import Transport


async def test_a_wildcard_opens_one_socket_for_each_address(transport, nursery, monkeypatch, log, Listener):
    async def addresses(host):
        return ["127.0.0.1", "127.0.0.2"], ["fe80::1%eth0"]

    monkeypatch.setattr(room, "addresses", addresses)
    await transport.open(nursery, [Listener(host="0.0.0.0")])
    assert {url.rpartition(":")[0] for url in transport.listening()} == {"udp://127.0.0.1", "udp://127.0.0.2"}
    assert b"udp://0.0.0.0:0: link-local addresses are left out: fe80::1%eth0" in log.take()


async def test_what_is_left_out_is_said_once_and_not_before_an_error(transport, nursery, monkeypatch, log, Listener):
    async def addresses(host):
        return ["127.0.0.1"], ["fe80::1%eth0"]

    monkeypatch.setattr(room, "addresses", addresses)
    both = [Listener("udp", "0.0.0.0"), Listener("tcp", "0.0.0.0")]
    with pytest.raises(OSError, match="no certificate"):
        await transport.open(nursery, [*both, Listener("tls", "0.0.0.0")])
    assert log.take() == b""
    for _ in range(2):
        await transport.open(nursery, both)
    (line,) = log.take().splitlines()
    assert line.endswith(b" info udp://0.0.0.0:0, tcp://0.0.0.0:0: link-local addresses are left out: fe80::1%eth0")


async def test_of_several_sockets_the_one_that_the_kernel_would_take(transport, nursery, Listener, local):
    await transport.open(nursery, [Listener(host="127.0.0.2"), Listener(host="127.0.0.1")])
    flow = transport.flow_to("UDP", HostPort("127.0.0.9", 5060))
    assert flow.local == local(transport, 1)
    assert flow.local.host == "127.0.0.1"


async def test_none_of_them_is_what_the_kernel_would_take(transport, nursery, Listener):
    await transport.open(nursery, [Listener(host="127.0.0.2"), Listener(host="127.0.0.3")])
    assert transport.flow_to("UDP", HostPort("127.0.0.9", 5060)).local.host == "127.0.0.2"


async def test_the_way_to_a_peer_is_remembered(transport, nursery, Listener, local, monkeypatch):
    monkeypatch.setattr("sipcgi.net.transport._MOST_WAYS", 2)
    listener = Listener(host="127.0.0.2")
    await transport.open(nursery, [listener])
    peers = [HostPort("127.0.0.9", port) for port in (5060, 5061, 5062)]
    ways = [transport.flow_to("UDP", peer) for peer in peers]
    assert [way.remote for way in ways] == peers
    assert transport.flow_to("UDP", peers[2]) is ways[2]
    assert transport.flow_to("UDP", peers[0]) is not ways[0]
    await transport.open(nursery, [listener, Listener(host="127.0.0.3")])
    assert transport.flow_to("UDP", peers[2], sent_by=str(local(transport, 1))).local.host == "127.0.0.3"
    transport.close()
    with pytest.raises(Unreachable):
        transport.flow_to("UDP", peers[2])


@pytest.mark.rfc("5658", "3.2")
async def test_the_socket_that_is_named_is_taken(transport, nursery, Listener, local):
    await transport.open(nursery, [Listener(host="127.0.0.2"), Listener(host="127.0.0.3", advertise="sip.example.com")])
    peer = HostPort("127.0.0.9", 5060)
    for index, sent_by in ((0, str(local(transport))), (1, f"sip.example.com:{local(transport, 1).port}")):
        assert transport.flow_to("UDP", peer, None, sent_by).local == local(transport, index)
    assert transport.flow_to("UDP", peer, None, "gone.example.com:5060").local.host == "127.0.0.2"


async def test_an_address_of_a_wildcard_that_cannot_be_used_is_left_out(transport, nursery, monkeypatch, log, Listener):
    async def addresses(host):
        return ["192.0.2.99", "127.0.0.1"], []

    monkeypatch.setattr(room, "addresses", addresses)
    await transport.open(nursery, [Listener(host="0.0.0.0")])
    assert len(transport.listening()) == 1
    assert b"192.0.2.99:0: Cannot assign" in log.take()


async def test_nothing_to_listen_on(transport, nursery, monkeypatch, log, Listener):
    async def addresses(host):
        return [], []

    monkeypatch.setattr(room, "addresses", addresses)
    with pytest.raises(OSError, match="no address"):
        await transport.open(nursery, [Listener(host="::")])
    assert b"udp://[::]:0: there is no such address on this machine" in log.take()


@pytest.mark.parametrize(
    ("scheme", "host"), [("udp", "192.0.2.99"), ("tls", "127.0.0.1"), ("udp", "does-not-exist.invalid")]
)
async def test_a_listener_that_cannot_be_opened_is_named(transport, nursery, Listener, scheme, host):
    with pytest.raises(OSError, match=f"{scheme}://{host}:0: "):
        await transport.open(nursery, [Listener(scheme, host)])


async def test_opening_again_changes_only_what_is_to_change(transport, nursery, Listener, local):
    stays, goes = Listener(), Listener(host="127.0.0.2")
    await transport.open(nursery, [stays, goes])
    kept, gone = local(transport), local(transport, 1)
    stays.advertise = "sip.example.com"
    await transport.open(nursery, [stays, Listener(host="127.0.0.3")])
    assert [url.rpartition(":")[0] for url in transport.listening()] == ["udp://127.0.0.1", "udp://127.0.0.3"]
    peer = HostPort("192.0.2.1", 5060)
    assert transport.sent_by(Flow("UDP", kept, peer)) == f"sip.example.com:{kept.port}"
    assert transport.sent_by(Flow("UDP", gone, peer)) == str(gone)
    with pytest.raises(Unreachable, match="not listening"):
        transport.send(b"", Flow("UDP", gone, peer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(gone)
    transport.close()
    assert transport.listening() == []


async def test_what_is_named_wins_over_a_wildcard(transport, nursery, monkeypatch, Listener, local):
    async def addresses(host):
        return ["127.0.0.1"], []

    monkeypatch.setattr(room, "addresses", addresses)
    await transport.open(nursery, [Listener(host="0.0.0.0"), Listener(advertise="[2001:db8::1]")])
    flow = Flow("UDP", local(transport), HostPort("192.0.2.1", 5060))
    assert transport.sent_by(flow) == f"[2001:db8::1]:{local(transport).port}"


@pytest.mark.parametrize(
    ("transport_name", "remote"),
    [
        ("TLS", HostPort("127.0.0.1", 5061)),
        ("UDP", HostPort("::1", 5060)),
        ("UDP", HostPort("example.com", 5060)),
        ("UDP", HostPort("127.0.0.1", 0)),
        ("UDP", HostPort("127.0.0.1", 65536)),
    ],
)
async def test_no_way_to_a_peer(transport, nursery, transport_name, remote, Listener):
    await transport.open(nursery, [Listener()])
    with pytest.raises(Unreachable):
        transport.flow_to(transport_name, remote)


async def test_what_is_ours(transport, nursery, monkeypatch, Listener, local):
    monkeypatch.setattr("socket.gethostname", lambda: "Box")
    monkeypatch.setattr("socket.getfqdn", lambda: "box.example.com")
    await transport.open(nursery, [Listener(advertise="sip.example.com"), Listener("tcp")])
    port = local(transport).port
    for host in ("127.0.0.1", "SIP.example.com", "localhost", "box", "box.example.com.", "::ffff:127.0.0.1"):
        assert transport.is_ours(host, port), host
        assert not transport.is_ours(host, None)
        assert not transport.is_ours(host, 1)
    assert not transport.is_ours("example.com", port)


async def test_what_there_are_sockets_of(transport, nursery, Listener):
    await transport.open(nursery, [Listener(), Listener("tcp"), Listener("ws"), Listener(host="::1")])
    assert transport.supported() == {("UDP", False), ("TCP", False), ("UDP", True)}  # nobody is called over WS
    transport.close()
    assert transport.supported() == set()


async def test_no_port_is_the_default_one(heard, log, nursery, Listener):
    transport = Transport(heard.receive, log)
    listener = Listener(host="127.0.0.57", port=5060)
    try:
        await transport.open(nursery, [listener])
    except OSError:
        pytest.skip("5060 is taken")
    assert transport.is_ours("127.0.0.57", None)
    assert transport.is_ours("127.0.0.57", 5060)


@pytest.mark.rfc("5626", "5.3.1")
async def test_whether_a_flow_still_leads_to_its_peer(transport, nursery, Listener, local, until):
    await transport.open(nursery, [Listener("udp"), Listener("tcp")])
    (server,) = [HostPort(*url[6:].split(":")) for url in transport.listening() if url.startswith("tcp")]
    server = HostPort(server.host, int(server.port))
    udp = transport.flow_to("UDP", HostPort("127.0.0.9", 5060))
    assert transport.is_open(udp)
    assert not transport.is_open(udp._replace(local=HostPort("127.0.0.1", 1)))
    with socket.create_connection(server) as caller:
        await until(lambda: transport._pool.by_number)
        flow = transport.flow_to("TCP", HostPort(*caller.getsockname()))
        assert transport.is_open(flow)
        assert not transport.is_open(flow._replace(connection=flow.connection - 1))
    await until(lambda: not transport._pool.by_number)
    assert not transport.is_open(flow)
    transport.close()
    assert not transport.is_open(udp)
