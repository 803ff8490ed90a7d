"""SIP over WebSocket: the handshake, one message in each, what is no WebSocket, and who only wastes our time."""

import struct
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import stream, websocket
from sipcgi.net.coding import Ended
from sipcgi.net.transport import Transport
from sipcgi.net.websocket import WebSocket
from sipcgi.sip.framing import PING
from sipcgi.sip.message import Request as SipRequest
from sipcgi.sip.parser import MessageError

OPTIONS = """OPTIONS sip:example.com SIP/2.0
Via: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks
From: sip:alice@example.com;tag=asdyka899
To: sip:alice@example.com
Call-ID: asidkj3ss
CSeq: 1 OPTIONS

""".replace("\n", "\r\n")
MESSAGE = OPTIONS.replace("OPTIONS", "MESSAGE") + "Grüße"
BROKEN = OPTIONS.replace("CSeq: 1", "CSeq: x")
# RFC 7118 4.1
HANDSHAKE = """GET / HTTP/1.1
Host: sip-ws.example.com
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Origin: http://www.example.com
Sec-WebSocket-Protocol: sip
Sec-WebSocket-Version: 13

""".replace("\n", "\r\n").encode()
ACCEPTED = """HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
Sec-WebSocket-Protocol: sip

""".replace("\n", "\r\n").encode()
MASK = b"\1\2\3\4"


def frame(payload: bytes, opcode: int = 1, *, last: bool = True, masked: bool = True, bits: int = 0) -> bytes:
    """RFC 6455 5.2, also where it is wrong."""
    first = opcode | last << 7 | bits
    mask = masked << 7
    if len(payload) < 126:
        head = struct.pack("!BB", first, mask | len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, mask | 127, len(payload))
    if not masked:
        return head + payload
    key = MASK * (len(payload) // 4 + 1)
    return head + MASK + bytes(a ^ b for a, b in zip(payload, key, strict=False))


class Browser:
    """A WebSocket client that speaks SIP."""

    def __init__(self, below: trio.abc.Stream) -> None:
        self.below = below
        self.ws = WSConnection(ConnectionType.CLIENT)
        self.heard: list[object] = []
        self._data: bytes | str | None = None

    async def connect(self, *subprotocols: str) -> object:
        request = Request(host="sip-ws.example.com", target="/any/path", subprotocols=list(subprotocols))
        await self.send(request)
        return await self.hear()

    async def send(self, *events) -> None:
        await self.below.send_all(b"".join(self.ws.send(event) for event in events))

    async def hear(self) -> object:
        """The next message, whole, or another event."""
        with trio.fail_after(5):
            while not self.heard:
                octets = await self.below.receive_some()
                self.ws.receive_data(octets or None)
                for event in self.ws.events():
                    if isinstance(event, Message):
                        self._data = event.data if self._data is None else self._data + event.data
                        if not event.message_finished:
                            continue
                        event, self._data = self._data, None
                    self.heard.append(event)
        return self.heard.pop(0)


@pytest.fixture
async def server(transport, nursery, Listener, local):
    await transport.open(nursery, [Listener("ws")])
    yield local(transport)
    transport.close()


@asynccontextmanager
async def connected(server):
    async with await trio.open_tcp_stream(*server) as below:
        browser = Browser(below)
        assert await browser.connect("sip") == AcceptConnection(subprotocol="sip")
        yield browser


@pytest.fixture
async def browser(server):
    async with connected(server) as browser:
        yield browser


async def reply(server, octets: bytes) -> bytes:
    """All that comes back until the server ends it."""
    received = b""
    async with await trio.open_tcp_stream(*server) as caller:
        with trio.fail_after(5), suppress(trio.BrokenResourceError):
            await caller.send_all(octets)
            while data := await caller.receive_some():
                received += data
    return received


# The handshake


@pytest.mark.rfc("7118", "4.1-2")
async def test_the_handshake_of_the_rfc(server):
    async with await trio.open_tcp_stream(*server) as caller:
        await caller.send_all(HANDSHAKE)
        received = b""
        with trio.fail_after(5):
            while len(received) < len(ACCEPTED):
                received += await caller.receive_some()
    assert {*received.lower().split(b"\r\n")} == {*ACCEPTED.lower().split(b"\r\n")}


async def test_one_protocol_of_several(server):
    async with await trio.open_tcp_stream(*server) as below:
        assert await Browser(below).connect("msrp", "sip") == AcceptConnection(subprotocol="sip")


@pytest.mark.rfc("7118", "4.1")
@pytest.mark.parametrize("subprotocols", [(), ("msrp",), ("SIP",), ("sips", "xsip")])
async def test_without_the_subprotocol_it_is_refused(server, subprotocols, log):
    async with await trio.open_tcp_stream(*server) as below:
        browser = Browser(below)
        refused = await browser.connect(*subprotocols)
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 400
        text = await browser.hear()
        assert isinstance(text, RejectData)
        assert b"there is no 'sip' in Sec-WebSocket-Protocol" in text.data
    assert b"no WebSocket handshake: there is no 'sip'" in log.take()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"426 Upgrade Required"),
        (b"GET / HTTP/1.0\r\n\r\n", b"426 Upgrade Required"),
        (HANDSHAKE.replace(b"Version: 13", b"Version: 8"), b"426 Upgrade Required"),
        (HANDSHAKE.replace(b"Sec-WebSocket-Version: 13\r\n", b""), b"400 Bad Request"),
        (HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: h2c"), b"400 Bad Request"),
        (HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X"), b"400 Bad Request"),
        (HANDSHAKE.replace(b"Host: sip-ws.example.com\r\n", b""), b"400 Bad Request"),
        (HANDSHAKE.replace(b"sip-ws", b"\xff"), b"400 Bad Request"),
        (HANDSHAKE.replace(b"sip-ws", b"xn--\x7f"), b"400 Bad Request"),
        (HANDSHAKE.replace(b"sip-ws", b"xn--a" + b"z" * 2000), b"400 Bad Request"),
        (HANDSHAKE.replace(b"Protocol: sip", b"Protocol: \xfc"), b"400 Bad Request"),
        (HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: \xfc"), b"400 Bad Request"),
        (HANDSHAKE.replace(b"Origin:", b"Ori gin:"), b"400 Bad Request"),
        (b"GET\t/ HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"400 Bad Request"),
        (b"G\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\x00\xff", b"400 Bad Request"),
        (OPTIONS.encode(), b"400 Bad Request"),
        (b"GET /" + b"x" * 16385, b"431 Request Header Fields Too Large"),
    ],
)
async def test_what_is_no_handshake(server, heard, transport, until, octets, status):
    received = await reply(server, octets)
    assert received.startswith(b"HTTP/1.1 " + status + b"\r\n")
    head, _, text = received.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(text) in head
    assert b"Upgrade: websocket" in head
    assert b"Sec-WebSocket-Version: 13" in head
    assert heard.messages == heard.failures == []
    await until(lambda: not transport._pool.by_number)


@given(octets=st.binary(max_size=300), cut=st.integers(0, len(HANDSHAKE)))
def test_no_handshake_is_more_than_refused(octets, cut):
    for attempt in (octets, b"GET " + octets, HANDSHAKE[:cut] + octets + HANDSHAKE[cut:]):
        coding = WebSocket()
        try:
            coding.feed(attempt)
        except Ended:
            assert coding.answer().startswith(b"HTTP/1.1 ")
        except MessageError:
            assert coding.ready


@pytest.mark.parametrize("first", [b"", HANDSHAKE[:-1]])
async def test_a_handshake_takes_no_longer_than_five_seconds(heard, log, autojump_clock, first):
    ours, theirs = trio.testing.memory_stream_pair()
    ended = []
    flow = Flow("WS", HostPort("192.0.2.1", 80), HostPort("192.0.2.2", 1234), 1)
    intake = Transport(heard.receive, log)._intake
    connection = stream.Connection(flow, intake, lambda connection, reason: ended.append(reason), WebSocket())

    async def opened():
        return ours, None

    async def drip():
        for octet in first:
            await theirs.send_all(bytes([octet]))
            await trio.sleep(0.1)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        await connection.run(opened)
        assert trio.current_time() - start == pytest.approx(stream.HANDSHAKE)
        nursery.cancel_scope.cancel()
    assert ended == [None]
    assert b"WS 192.0.2.2:1234: no handshake in time" in log.take()


# Messages


@pytest.mark.rfc("7118", "5-2")
async def test_a_request_and_its_response(transport, server, browser, heard):
    await browser.send(TextMessage(OPTIONS))
    request, flow = await heard.one()
    assert flow[:2] == ("WS", server)
    assert (request.method, request.via.transport) == ("OPTIONS", "WS")
    assert transport.sent_by(flow) == f"127.0.0.1:{server.port}"
    assert transport.response_flow(request, flow) == flow
    transport.send(b"SIP/2.0 200 OK\r\n\r\n", flow)
    assert await browser.hear() == "SIP/2.0 200 OK\r\n\r\n"


@pytest.mark.rfc("7118", "4.2-1")
@pytest.mark.parametrize("event", [TextMessage(MESSAGE), BytesMessage(MESSAGE.encode())])
async def test_text_and_binary_without_content_length(browser, heard, event):
    await browser.send(event)
    request, _ = await heard.one()
    assert request.body == "Grüße".encode()
    assert request.headers.get("content-length") == "7"


@pytest.mark.rfc("7118", "4.2-2")
async def test_what_is_no_utf_8_leaves_in_binary(transport, browser, heard):
    await browser.send(TextMessage(OPTIONS))
    _, flow = await heard.one()
    transport.send("Grüße".encode("latin-1"), flow)
    transport.send("Grüße".encode(), flow)
    assert await browser.hear() == "Grüße".encode("latin-1")
    assert await browser.hear() == "Grüße"


@pytest.mark.rfc("6455", "5.4")
async def test_fragments_are_joined_and_pinged_between(browser, heard):
    parts = [TextMessage(text, message_finished=False) for text in (MESSAGE[:10], "", MESSAGE[10:-3])]
    await browser.send(*parts, Ping(b"hello"))
    assert await browser.hear() == Pong(b"hello")
    await browser.send(TextMessage(MESSAGE[-3:]), TextMessage(OPTIONS))
    assert (await heard.one())[0].method == "MESSAGE"
    assert (await heard.one())[0].method == "OPTIONS"


@pytest.mark.rfc("7118", "5")
async def test_large_messages_cross_in_both_directions(transport, browser, heard, nursery):
    body = b"0123456789" * 100_000
    nursery.start_soon(browser.send, BytesMessage(OPTIONS.encode() + body))
    request, flow = await heard.one()
    assert request.body == body
    transport.send(body, flow)
    assert await browser.hear() == body.decode()


@pytest.mark.rfc("5626", "4.4.1")
@pytest.mark.rfc("7118", "6")
async def test_keep_alives(browser, heard):
    await browser.send(TextMessage("\r\n\r\n"), TextMessage("\r\n"), BytesMessage(b"\r\n\r\n"), TextMessage(""))
    assert await browser.hear() == "\r\n"
    assert await browser.hear() == "\r\n"
    await browser.send(TextMessage("\r\n" + OPTIONS))
    await heard.one()


@pytest.mark.parametrize("text", [BROKEN, MESSAGE.replace("Call-ID", "Content-Length: 8\r\nCall-ID")])
async def test_a_bad_message_is_answered_and_ends_nothing(browser, heard, text):
    await browser.send(TextMessage(OPTIONS), TextMessage(text), TextMessage("Hello"), TextMessage(OPTIONS))
    assert (await browser.hear()).startswith("SIP/2.0 400 ")
    await heard.one()
    await heard.one()
    assert browser.ws.state is ConnectionState.OPEN


async def test_a_shorter_content_length_cuts_the_body(browser, heard):
    await browser.send(TextMessage(MESSAGE.replace("Call-ID", "Content-Length: 2\r\nCall-ID")))
    assert (await heard.one())[0].body == b"Gr"


@pytest.mark.rfc("7118", "5-2")
async def test_a_message_holds_no_second_one(browser, heard):
    await browser.send(TextMessage(OPTIONS + OPTIONS), TextMessage(OPTIONS))
    request, _ = await heard.one()
    assert request.body == OPTIONS.encode()
    await heard.one()
    assert heard.messages == []


@pytest.mark.rfc("6455", "10.4")
async def test_more_than_the_limit(browser, heard, monkeypatch, until):
    monkeypatch.setattr(websocket, "MAX_STREAM_MESSAGE", 1000)
    await browser.send(TextMessage("x" * 600, message_finished=False), TextMessage("x" * 600, message_finished=False))
    assert await browser.hear() == CloseConnection(1009, "message too long")


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(OPTIONS.encode(), masked=False), 1002),
        (frame(b"", 3), 1002),
        (frame(b"", bits=0x40), 1002),
        (frame(b"", 0), 1002),
        (frame(b"x", last=False) + frame(b"y"), 1002),
        (frame(b"x" * 126, 9), 1002),
        (frame(b"", 9, last=False), 1002),
        (frame(b"\1", 8), 1002),
        (frame(b"\xff\xfe"), 1007),
        (b"\x81\xff\xff" + bytes(11), 1002),
    ],
)
async def test_broken_frames(browser, heard, transport, until, octets, code):
    await browser.send(TextMessage(OPTIONS))
    await heard.one()
    await browser.below.send_all(octets)
    closed = await browser.hear()
    assert isinstance(closed, CloseConnection)
    assert closed.code == code
    await until(lambda: not transport._pool.by_number)
    assert len(heard.failures) == 1


async def test_frames_that_come_with_the_handshake(server, heard):
    async with await trio.open_tcp_stream(*server) as caller:
        await caller.send_all(HANDSHAKE + frame(OPTIONS.encode()) + frame(MESSAGE.encode(), 2))
        assert (await heard.one())[0].method == "OPTIONS"
        assert (await heard.one())[0].method == "MESSAGE"


@given(size=st.integers(1, 200), fragments=st.integers(1, 40))
def test_any_cutting_gives_the_same(size, fragments):
    octets = MESSAGE.encode()
    parts = [
        octets[at : at + len(octets) // fragments + 1] for at in range(0, len(octets), len(octets) // fragments + 1)
    ]
    sent = HANDSHAKE + frame(b"\r\n\r\n")
    for number, part in enumerate(parts):
        sent += frame(part, 2 if number == 0 else 0, last=number == len(parts) - 1) + frame(b"ping", 9)
    coding = WebSocket()
    found = []
    for at in range(0, len(sent), size):
        items = coding.feed(sent[at : at + size])
        while items:
            found += items
            items = coding.feed(b"")
    assert coding.answer().endswith(frame(b"ping", 10, masked=False) * len(parts))
    assert found[0] is PING
    (request,) = found[1:]
    assert isinstance(request, SipRequest)
    assert request.body == "Grüße".encode()
    assert not coding.pending


# The end


@pytest.mark.rfc("6455", "5.5.1")
@pytest.mark.parametrize("close", [CloseConnection(1000, "bye"), CloseConnection(CloseReason.NO_STATUS_RCVD)])
async def test_a_goodbye_is_answered(transport, browser, heard, until, close):
    await browser.send(TextMessage(OPTIONS))
    _, flow = await heard.one()
    await browser.send(close)
    answer = await browser.hear()
    assert isinstance(answer, CloseConnection)
    assert answer.code == close.code
    assert await browser.below.receive_some() == b""
    await until(lambda: not transport._pool.by_number)
    assert heard.failures == []
    assert heard.closed == [flow]
    with pytest.raises(Unreachable):
        transport.send(b"late", flow)


async def test_what_came_before_a_goodbye_is_answered_before_it(transport, browser, heard):
    received = []

    def receive(message, flow):
        received.append(message)
        transport.send(b"answer", flow)

    transport._intake.receive = receive
    await browser.send(TextMessage(OPTIONS), CloseConnection(1000))
    assert await browser.hear() == "answer"
    assert isinstance(await browser.hear(), CloseConnection)
    assert len(received) == 1


async def test_our_goodbye(transport, browser, heard):
    await browser.send(TextMessage(OPTIONS))
    await heard.one()
    transport.close()
    assert await browser.hear() == CloseConnection(1001, "")


async def test_after_the_goodbye_nothing_can_be_sent():
    coding = WebSocket()
    coding.feed(HANDSHAKE)
    coding.close()
    coding.probe()
    with pytest.raises(Ended):
        coding.message(b"late")


@pytest.mark.rfc("7118", "6")
@pytest.mark.parametrize("alive", [True, False])
async def test_a_silent_client_is_pinged(heard, log, autojump_clock, alive):
    ours, theirs = trio.testing.memory_stream_pair()
    ended = []
    flow = Flow("WS", HostPort("192.0.2.1", 80), HostPort("192.0.2.2", 1234), 1)
    intake = Transport(heard.receive, log)._intake
    connection = stream.Connection(flow, intake, lambda connection, reason: ended.append(reason), WebSocket())

    async def opened():
        return ours, None

    browser = Browser(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run, opened)
        await browser.connect("sip")
        await browser.send(TextMessage(OPTIONS))
        start = trio.current_time()
        for number in range(20 if alive else 1):
            with trio.fail_after(stream.PROBE + 1):
                octets = await theirs.receive_some()
            browser.ws.receive_data(octets)
            (ping,) = browser.ws.events()
            assert isinstance(ping, Ping)
            assert trio.current_time() - start == pytest.approx((number + 1) * stream.PROBE)
            if alive:
                await browser.send(ping.response())
        await trio.sleep(stream.IDLE - stream.PROBE - 1)
        assert bool(ended) is False
        await trio.sleep(stream.PROBE + 2)
        assert bool(ended) is not alive
        nursery.cancel_scope.cancel()


async def test_a_client_that_lets_its_pongs_pile_up(transport, browser, heard, monkeypatch, until):
    monkeypatch.setattr(stream, "MOST_UNSENT", 100_000)
    await browser.send(TextMessage(OPTIONS))
    await heard.one()
    pings = frame(bytes(125), 9) * 1000
    with trio.move_on_after(5), suppress(trio.BrokenResourceError):
        while transport._pool.by_number:
            await browser.below.send_all(pings)
    await until(lambda: not transport._pool.by_number)
    assert "too slowly" in heard.failures[0][1]


# Whom we can reach


@pytest.mark.rfc("7118", "5")
async def test_only_its_own_connection_leads_to_a_client(transport, server, browser, heard, until):
    await browser.send(TextMessage(OPTIONS))
    request, flow = await heard.one()
    assert transport.flow_to("WS", flow.remote) == flow
    assert transport.flow_to("WS", flow.remote, "df7jal23ls0d.invalid") == flow
    with pytest.raises(Unreachable, match="takes none from us"):
        transport.flow_to("WS", HostPort("127.0.0.1", 80))
    with pytest.raises(Unreachable):
        transport.flow_to("WSS", flow.remote)
    await browser.below.aclose()
    await until(lambda: not transport._pool.by_number)
    assert transport.response_flow(request, flow) == flow
    with pytest.raises(Unreachable):
        transport.send(b"answer", flow)
    with pytest.raises(Unreachable):
        transport.flow_to("WS", flow.remote)


async def test_a_bug_in_what_decodes_ends_the_connection_only(heard, log, nursery, Listener, local, monkeypatch, until):
    transport = Transport(heard.receive, log)
    await transport.open(nursery, [Listener("ws")])
    async with connected(local(transport)) as browser:
        monkeypatch.setattr(websocket, "_message", lambda octets: 1 // 0)
        await browser.send(TextMessage(OPTIONS))
        assert await browser.hear() == CloseConnection(1001, "")
    assert b"ZeroDivisionError" in log.take()
    transport.close()


# Over TLS


@pytest.mark.rfc("7118", "5.1")
async def test_wss(transport, nursery, Listener, local, authority, heard):
    settings = authority.settings("sip-ws.example.com", "127.0.0.1")
    await transport.open(nursery, [Listener("wss", tls=settings)])
    server = local(transport)
    below = await trio.open_ssl_over_tcp_stream(*server, ssl_context=authority.client(), https_compatible=True)
    browser = Browser(below)
    assert await browser.connect("sip") == AcceptConnection(subprotocol="sip")
    await browser.send(TextMessage(OPTIONS.replace("/WS", "/WSS")), Ping())
    assert await browser.hear() == Pong()
    request, flow = await heard.one()
    assert flow[:2] == ("WSS", server)
    assert request.via.transport == "WSS"
    transport.send(b"answer", flow)
    assert await browser.hear() == "answer"
    with pytest.raises(Unreachable, match="takes none from us"):
        transport.flow_to("WSS", HostPort("127.0.0.1", 443))
    transport._pool.by_number[flow.connection].coding.probe()
    transport._pool.by_number[flow.connection].answer()
    assert await browser.hear() == Ping()
    transport.close()
    assert await browser.hear() == CloseConnection(1001, "")
    assert await below.receive_some() == b""
    await trio.aclose_forcefully(below)


async def test_wss_without_a_handshake_of_websocket(transport, nursery, Listener, local, authority, heard):
    settings = authority.settings("sip-ws.example.com", "127.0.0.1")
    await transport.open(nursery, [Listener("wss", tls=settings)])
    below = await trio.open_ssl_over_tcp_stream(
        *local(transport), ssl_context=authority.client(), https_compatible=True
    )
    await below.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    received = b""
    with trio.fail_after(5):
        while data := await below.receive_some():
            received += data
    assert received.startswith(b"HTTP/1.1 426 ")
    await trio.aclose_forcefully(below)
    transport.close()
