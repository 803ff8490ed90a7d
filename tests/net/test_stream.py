"""TCP connections between a transport and a peer."""

import socket

import pytest
import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import pool, stream
from sipcgi.net.transport import Transport

OPTIONS = """OPTIONS sip:example.com SIP/2.0
Via: SIP/2.0/TCP 192.0.2.77;branch=z9hG4bK1;rport
From: <sip:alice@example.com>;tag=1
To: <sip:bob@example.com>
Call-ID: call@example.com
CSeq: 1 OPTIONS
Content-Length: 0

""".replace("\n", "\r\n").encode()
BROKEN = OPTIONS.replace(b"CSeq: 1", b"CSeq: x")
ENDLESS = OPTIONS.replace(b"Content-Length: 0\r\n", b"")


@pytest.fixture
async def server(transport, nursery, Listener, local):
    await transport.open(nursery, [Listener("tcp")])
    yield local(transport)
    transport.close()


@pytest.fixture
async def caller(server):
    async with await trio.open_tcp_stream(*server) as caller:
        yield caller


@pytest.fixture
async def peer():
    """Somebody who listens."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield listener


def address(one):
    return HostPort(*one.socket.getsockname()[:2])


async def read(one) -> bytes:
    with trio.fail_after(5):
        return await one.receive_some()


async def test_a_request_and_its_response_on_one_connection(transport, server, caller, heard):
    await caller.send_all(OPTIONS[:40])
    await caller.send_all(OPTIONS[40:])
    request, flow = await heard.one()
    assert flow[:3] == ("TCP", server, address(caller))
    assert flow.connection
    assert (request.via.received, request.via.rport) == ("127.0.0.1", address(caller).port)
    assert transport.response_flow(request, flow) == flow
    transport.send(b"answer", flow)
    assert await read(caller) == b"answer"


@pytest.mark.rfc("3261", "18.1.1")
async def test_a_request_to_the_same_peer_uses_the_connection_that_is_there(transport, caller, heard):
    await caller.send_all(OPTIONS)
    _, flow = await heard.one()
    assert transport.flow_to("TCP", address(caller)) == flow


async def test_a_connection_of_our_own(transport, server, peer, heard):
    flow = transport.flow_to("TCP", address(peer))
    assert transport.flow_to("TCP", address(peer)) == flow
    assert transport.sent_by(flow) == f"127.0.0.1:{server.port}"
    transport.send(b"first ", flow)
    transport.send(b"second", flow)
    async with await peer.accept() as accepted:
        assert await read(accepted) == b"first second"
        await accepted.send_all(OPTIONS)
        _, back = await heard.one()
        assert back == flow


@pytest.mark.rfc("3261", "18.4")
async def test_a_connection_that_nobody_takes(transport, server, heard, until):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        flow = transport.flow_to("TCP", HostPort(*unused.getsockname()))
        transport.send(b"lost", flow)
        await until(lambda: heard.failures)
    ((failed, text),) = heard.failures
    assert failed == flow
    assert "refused" in text
    with pytest.raises(Unreachable):
        transport.send(b"", flow)


@pytest.mark.rfc("3261", "18.4")
async def test_a_connection_that_breaks(transport, server, peer, heard, until):
    flow = transport.flow_to("TCP", address(peer))
    transport.send(b"request", flow)
    accepted = await peer.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await accepted.aclose()  # with a reset
    await until(lambda: heard.failures)
    assert heard.failures[0][0] == flow


@pytest.mark.rfc("3261", "18.2.2")
async def test_a_response_after_the_end_of_its_connection(transport, server, caller, peer, heard, until):
    await caller.send_all(OPTIONS.replace(b"192.0.2.77", b"192.0.2.77:%d" % address(peer).port))
    request, flow = await heard.one()
    await caller.aclose()
    await until(lambda: not transport._pool.by_number)
    assert heard.failures == []
    again = transport.response_flow(request, flow)
    assert again.remote == address(peer)
    transport.send(b"answer", again)
    async with await peer.accept() as accepted:
        assert await read(accepted) == b"answer"


@pytest.mark.rfc("5626", "4.4.1")
async def test_keep_alives(caller, heard):
    await caller.send_all(b"\r\n\r\n")
    assert await read(caller) == b"\r\n"
    await caller.send_all(b"\r\n" + OPTIONS)
    await heard.one()


async def test_an_error_whose_end_is_known_ends_nothing(caller, heard):
    await caller.send_all(OPTIONS + BROKEN + OPTIONS)
    assert (await read(caller)).startswith(b"SIP/2.0 400 ")
    await heard.one()
    await heard.one()


async def test_an_error_whose_end_is_not_known_ends_the_connection(caller, heard):
    await caller.send_all(OPTIONS + ENDLESS)
    assert (await read(caller)).startswith(b"SIP/2.0 400 ")
    assert await read(caller) == b""
    await heard.one()


async def test_a_peer_that_does_not_read(transport, caller, heard, monkeypatch):
    await caller.send_all(OPTIONS)
    _, flow = await heard.one()
    monkeypatch.setattr(stream, "MOST_UNSENT", 100_000)
    while len(transport._pool.by_number[flow.connection].unsent) <= 100_000:
        transport.send(bytes(50_000), flow)
    with pytest.raises(Unreachable, match="too slowly"):
        transport.send(b"one more", flow)
    with pytest.raises(Unreachable):
        transport.send(b"", flow)


async def test_what_the_kernel_does_not_take_at_once_is_sent_later(transport, caller, heard, until):
    await caller.send_all(OPTIONS)
    _, flow = await heard.one()
    connection = transport._pool.by_number[flow.connection]
    sent = received = 0
    while len(connection.unsent) <= 500_000:
        transport.send(b"0123456789" * 10_000, flow)
        sent += 100_000
    while received < sent:
        received += len(await read(caller))
    await until(lambda: not connection.unsent)


@pytest.mark.parametrize(
    ("first", "seconds"), [(b"", stream.SILENT), (OPTIONS, stream.IDLE), (OPTIONS + b"OPT", stream.HALF), (b"O", 10)]
)
async def test_connections_that_only_wait(heard, log, nursery, autojump_clock, first, seconds):
    ours, theirs = trio.testing.memory_stream_pair()
    ended = []
    flow = Flow("TCP", HostPort("192.0.2.1", 5060), HostPort("192.0.2.2", 1234), 1)
    intake = Transport(heard.receive, log)._intake
    connection = stream.Connection(flow, intake, lambda connection, reason: ended.append(reason))

    async def opened():
        return ours, None

    start = trio.current_time()
    await theirs.send_all(first)
    await connection.run(opened)
    assert trio.current_time() - start == pytest.approx(seconds)
    assert ended == [None]


async def test_writing_counts_as_life_and_a_stalled_peer_ends_it(heard, log, nursery, autojump_clock):
    ours, theirs = trio.testing.lockstep_stream_pair()
    ended = []
    flow = Flow("TCP", HostPort("192.0.2.1", 5060), HostPort("192.0.2.2", 1234), 1)
    intake = Transport(heard.receive, log)._intake
    connection = stream.Connection(flow, intake, lambda connection, reason: ended.append(reason))

    async def opened():
        return ours, None

    nursery.start_soon(connection.run, opened)
    connection.send(b"early")
    assert await theirs.receive_some() == b"early"
    await trio.sleep(stream.IDLE - 1)
    connection.send(b"late")
    assert await theirs.receive_some() == b"late"
    await trio.sleep(stream.IDLE - 1)
    assert ended == []
    connection.send(b"stalled")
    await trio.sleep(stream.STALLED + 1)
    assert ended == ["takes its messages too slowly"]


async def test_connecting_takes_no_longer_than_ten_seconds(heard, log, autojump_clock):
    ended = []
    flow = Flow("TCP", HostPort("192.0.2.1", 5060), HostPort("192.0.2.2", 1234), 1)
    intake = Transport(heard.receive, log)._intake
    connection = stream.Connection(flow, intake, lambda connection, reason: ended.append(reason))
    start = trio.current_time()
    await connection.run(trio.sleep_forever)
    assert trio.current_time() - start == stream.OPENING
    assert ended == ["no connection in time"]


async def test_more_connections_than_there_is_room_for(transport, server, heard, until, monkeypatch, log):
    transport._pool.most = 4
    async with await trio.open_tcp_stream(*server) as one, await trio.open_tcp_stream(*server) as two:
        for caller in (one, two):
            await caller.send_all(OPTIONS)
            await heard.one()
        async with await trio.open_tcp_stream(*server) as three:
            assert await read(three) == b""
    assert b"127.0.0.1: too many connections" in log.take()
    await until(lambda: not transport._pool.by_number)
    assert not transport._pool.by_host
    async with await trio.open_tcp_stream(*server) as one:
        await one.send_all(OPTIONS)
        await heard.one()


async def test_no_descriptors_left(transport, server, heard, monkeypatch, log):
    class Exhausted:
        def __init__(self, sock):
            self.sock, self.errors = sock, 1

        def accept(self):
            if self.errors:
                self.errors -= 1
                raise OSError(24, "Too many open files")
            return self.sock.accept()

        def fileno(self):
            return self.sock.fileno()

        def close(self):
            self.sock.close()

    endpoint = next(iter(transport._endpoints.values()))
    endpoint.socket = Exhausted(endpoint.socket)
    async with await trio.open_tcp_stream(*server) as one:
        await one.send_all(OPTIONS)
        await heard.one()
    assert b"Too many open files" in log.take()


def test_room_for_half_of_the_descriptors(monkeypatch):
    monkeypatch.setattr(pool.resource, "getrlimit", lambda what: (1024, 4096))
    assert pool.most_connections() == 512
    monkeypatch.setattr(pool.resource, "getrlimit", lambda what: (-1, -1))
    assert pool.most_connections() == 50_000


async def test_closing_ends_all(transport, server, caller, heard):
    await caller.send_all(OPTIONS)
    _, flow = await heard.one()
    transport.close()
    assert await read(caller) == b""
    with pytest.raises(Unreachable):
        transport.send(b"", flow)
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream(*server)
