"""TCP connections between a transport and a peer."""

import socket
from contextlib import AsyncExitStack

import pytest
import trio

from sipcgi.config.fields import MOST_FLOW_TIMER
from sipcgi.engine.branch import TIMER_C
from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import stream
from sipcgi.net.transport import Transport
from sipcgi.transaction.timers import Timers

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


@pytest.mark.rfc("3261", "18-3", "18.2.2-2")
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


@pytest.mark.rfc("3261", "18.1.1-14")
async def test_a_request_to_the_same_peer_uses_the_connection_that_is_there(transport, caller, heard):
    await caller.send_all(OPTIONS)
    _, flow = await heard.one()
    assert transport.flow_to("TCP", address(caller)) == flow


@pytest.mark.rfc("5923", "8.1-4")
@pytest.mark.rfc("3261", "18.1.1-9", "18.1.1-10")
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


@pytest.mark.rfc("3261", "18.4-3")
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


@pytest.mark.rfc("3261", "18.4-3")
async def test_a_connection_that_breaks(transport, server, peer, heard, until):
    flow = transport.flow_to("TCP", address(peer))
    transport.send(b"request", flow)
    accepted = await peer.accept()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await accepted.aclose()  # with a reset
    await until(lambda: heard.failures)
    assert heard.failures[0][0] == flow


@pytest.mark.rfc("3261", "18.2.2-3")
async def test_a_response_after_the_end_of_its_connection(transport, server, caller, peer, heard, until):
    await caller.send_all(OPTIONS.replace(b"192.0.2.77", b"192.0.2.77:%d" % address(peer).port))
    request, flow = await heard.one()
    await caller.aclose()
    await until(lambda: not transport._pool.by_number)
    assert heard.failures == []
    assert heard.closed == [flow]
    again = transport.response_flow(request, flow)
    assert again.remote == address(peer)
    transport.send(b"answer", again)
    async with await peer.accept() as accepted:
        assert await read(accepted) == b"answer"


@pytest.mark.rfc("5626", "4.4.1", "5.4-2", "6-13")
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


@pytest.mark.rfc("5923", "8.1-1", "8.1-2", "8.2-1", "8.2-2")
@pytest.mark.rfc("3261", "18-1")
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
    transport._pool.most = 2
    async with await trio.open_tcp_stream(*server) as one, await trio.open_tcp_stream(*server) as two:
        for caller in (one, two):
            await caller.send_all(OPTIONS)
            await heard.one()
        async with await trio.open_tcp_stream(*server) as three:
            assert await read(three) == b""
        assert b"127.0.0.1: too many connections, one more is refused" in log.take()
        await two.send_all(OPTIONS)
        await heard.one()
    await until(lambda: not transport._pool.by_number)
    assert not transport._pool.shares
    async with await trio.open_tcp_stream(*server) as one:
        await one.send_all(OPTIONS)
        await heard.one()


async def test_connections_of_our_own_need_room_too(transport, server, heard, until, peer, log):
    """Else whoever registers many contacts takes the descriptors that scripts need."""
    transport._pool.most = 2
    with socket.create_server(("127.0.0.1", 0)) as another:
        flow = transport.flow_to("TCP", HostPort(*another.getsockname()))
        async with await trio.open_tcp_stream(*server) as caller:
            await caller.send_all(OPTIONS)
            await heard.one()
            with pytest.raises(Unreachable, match="too many connections"):
                transport.flow_to("TCP", address(peer))
            assert transport.flow_to("TCP", flow.remote) == flow
        await until(lambda: len(transport._pool.by_number) == 1)
    assert transport.flow_to("TCP", address(peer)).remote == address(peer)


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


async def test_who_has_the_most_gives_way_to_others(transport, server, heard, until, log):
    """The quietest one, and those on which nothing ever passed first."""
    transport._pool.most = 4
    async with AsyncExitStack() as stack:
        first, silent, used, last = [
            await stack.enter_async_context(await trio.open_tcp_stream(*server)) for _ in range(4)
        ]
        for caller in (first, used, last):
            await caller.send_all(OPTIONS)
            await heard.one()
        others = []
        for _ in range(3):
            sock = trio.socket.socket()
            await sock.bind(("127.0.0.2", 0))
            await sock.connect(tuple(server))
            others.append(await stack.enter_async_context(trio.SocketStream(sock)))
            await until(lambda: len(transport._pool.by_number) <= 4)
        assert b"127.0.0.1: too many connections, others take their place" in log.take()
        assert await read(silent) == b""
        assert await read(first) == b""
        for caller in (used, last, *others[:2]):
            await caller.send_all(OPTIONS)
            await heard.one()
        assert await read(others[2]) == b""  # with it they would have more than those before them


async def test_closing_ends_all(transport, server, caller, heard):
    await caller.send_all(OPTIONS)
    _, flow = await heard.one()
    transport.close()
    assert await read(caller) == b""
    with pytest.raises(Unreachable):
        transport.send(b"", flow)
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream(*server)


@pytest.mark.rfc("3261", "18.1.1-8")
async def test_the_response_comes_back_on_the_connection_of_our_request(transport, server, peer, heard):
    flow = transport.flow_to("TCP", address(peer))
    sent = OPTIONS.replace(b"192.0.2.77", transport.sent_by(flow).encode())
    transport.send(sent, flow)
    async with await peer.accept() as accepted:
        assert await read(accepted) == sent
        await accepted.send_all(sent.replace(b"OPTIONS sip:example.com SIP/2.0", b"SIP/2.0 200 OK"))
        response, back = await heard.one()
        assert (response.status, back) == (200, flow)


@pytest.mark.rfc("5626", "5.4-3")
@pytest.mark.rfc("5923", "8.3-1")
@pytest.mark.rfc("3261", "18-2")
def test_a_connection_is_kept_for_longer_than_a_transaction_takes():
    """An INVITE until Timer C, and what is left after its CANCEL; and than a phone may take to show itself."""
    assert TIMER_C + 64 * Timers().t1 <= stream.IDLE
    assert MOST_FLOW_TIMER < stream.IDLE


@pytest.mark.rfc("5923", "8.1-11", "8.1-12")
async def test_a_new_connection_in_place_of_one_that_is_gone(transport, server, peer, heard, until):
    first = transport.flow_to("TCP", address(peer))
    transport.send(b"first", first)
    async with await peer.accept() as accepted:
        assert await read(accepted) == b"first"
    await until(lambda: not transport._pool.by_number)
    second = transport.flow_to("TCP", address(peer))
    assert second != first
    transport.send(b"second", second)
    async with await peer.accept() as accepted:
        assert await read(accepted) == b"second"


async def test_others_have_their_turn_between_messages_that_came_together(caller, heard, steps, until, monkeypatch):
    """What is read at once may be hundreds of them: the loop must not stand still for all."""
    monkeypatch.setattr(stream, "BUDGET", 0.0)
    await caller.send_all(OPTIONS * 60 + BROKEN * 30 + OPTIONS)
    await until(lambda: len(heard.messages) == 61)
    assert steps.most <= stream.SLICE // len(OPTIONS) + 1


async def test_no_message_is_lost_when_a_deadline_comes_between_two(
    transport, caller, heard, monkeypatch, autojump_clock
):
    monkeypatch.setattr(stream, "BUDGET", 0.0)
    receive = heard.receive

    def slow(message, flow):
        receive(message, flow)
        if len(heard.messages) == 2:
            autojump_clock.jump(stream.PROBE + 1)

    monkeypatch.setattr(transport._intake, "receive", slow)
    await caller.send_all(OPTIONS * 60)
    for _ in range(200):
        await trio.lowlevel.checkpoint()
    assert len(heard.messages) == 60
