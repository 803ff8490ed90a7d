"""SIP over TLS: handshakes good, bad and slow, whose certificate is trusted, and certificates that change."""

import errno
import ssl
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from sipcgi.errors import Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import stream, tls
from sipcgi.net.coding import Ended, Framed
from sipcgi.net.endpoint import TlsSettings
from sipcgi.net.tls import Tls, contexts, mistakes
from sipcgi.net.transport import Transport

OPTIONS = """OPTIONS sip:example.com SIP/2.0
Via: SIP/2.0/TLS 192.0.2.77;branch=z9hG4bK1;rport
From: <sip:alice@example.com>;tag=1
To: <sip:bob@example.com>
Call-ID: call@example.com
CSeq: 1 OPTIONS
Content-Length: 0

""".replace("\n", "\r\n").encode()
ENDLESS = OPTIONS.replace(b"Content-Length: 0\r\n", b"")


@pytest.fixture(scope="session")
def settings(authority):
    return authority.settings("sip.example.com", "127.0.0.1")


@pytest.fixture
async def server(transport, nursery, Listener, local, settings):
    await transport.open(nursery, [Listener("tls", tls=settings)])
    yield local(transport)
    transport.close()


@asynccontextmanager
async def secure(server, context):
    """A connection whose handshake is over."""
    stream = await trio.open_ssl_over_tcp_stream(*server, ssl_context=context, https_compatible=True)
    try:
        with trio.fail_after(5):
            await stream.do_handshake()
        yield stream
    finally:
        await trio.aclose_forcefully(stream)


@pytest.fixture
async def caller(server, authority):
    async with secure(server, authority.client()) as caller:
        yield caller


class Peer:
    """Somebody who listens with a certificate, or with `context`."""

    def __init__(self, listener: trio.SocketListener, context: ssl.SSLContext) -> None:
        self.listener = listener
        self.context = context

    @property
    def address(self) -> HostPort:
        return HostPort(*self.listener.socket.getsockname()[:2])

    async def accept(self) -> trio.SSLStream:
        with trio.fail_after(5):
            return trio.SSLStream(await self.listener.accept(), self.context, server_side=True, https_compatible=True)


@pytest.fixture
async def peer(authority):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield Peer(listener, authority.server("peer.example.com", "127.0.0.1"))


async def read(one) -> bytes:
    with trio.fail_after(5):
        return await one.receive_some()


async def closed(one, first: bytes = b"") -> bool:
    """Whether the other side ends it, after `first` was sent."""
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        await one.send_all(first)
        while await one.receive_some():
            pass
    return True


async def plain(server) -> trio.SocketStream:
    return await trio.open_tcp_stream(*server)


# Who comes to us


@pytest.mark.rfc("3263", "5-1")
@pytest.mark.rfc("3261", "26.2.1")
async def test_a_request_and_its_response_on_one_connection(transport, server, caller, heard):
    await caller.send_all(OPTIONS[:40])
    await caller.send_all(OPTIONS[40:] + OPTIONS)
    request, flow = await heard.one()
    await heard.one()
    assert flow[:2] == ("TLS", server)
    assert request.via.received == "127.0.0.1"
    assert transport.sent_by(flow) == f"127.0.0.1:{server.port}"
    assert transport.response_flow(request, flow) == flow
    transport.send(b"answer", flow)
    assert await read(caller) == b"answer"


async def test_large_messages_cross_in_both_directions(transport, caller, heard, nursery):
    body = bytes(range(256)) * 4000
    head = OPTIONS.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body))
    nursery.start_soon(caller.send_all, head + body)
    request, flow = await heard.one()
    assert request.body == body
    transport.send(body, flow)
    received = b""
    while len(received) < len(body):
        received += await read(caller)
    assert received == body


@pytest.mark.rfc("5626", "4.4.1")
async def test_keep_alives_are_inside(caller, heard):
    await caller.send_all(b"\r\n\r\n")
    assert await read(caller) == b"\r\n"
    await caller.send_all(OPTIONS)
    await heard.one()


async def test_old_versions_are_refused(server, authority, recwarn):
    context = authority.client()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    recwarn.clear()
    with pytest.raises(trio.BrokenResourceError):
        async with secure(server, context):
            pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_versions_of_today(server, authority, heard, version):
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    async with secure(server, context) as caller:
        await caller.send_all(OPTIONS)
        await heard.one()


async def test_sip_without_tls(server, heard, log, transport, until):
    async with await plain(server) as caller:
        assert await closed(caller, OPTIONS)
    assert heard.messages == []
    assert b"no TLS handshake: " in log.take()
    await until(lambda: not transport._pool.by_number)


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\xff\xff" + bytes(70_000), bytes(100), b"\x80\x2e\x01\x00\x02" * 20])
async def test_garbage_instead_of_tls(server, heard, transport, until, garbage):
    async with await plain(server) as caller:
        assert await closed(caller, garbage)
    assert heard.messages == heard.failures == []
    await until(lambda: not transport._pool.by_number)


async def test_garbage_after_the_handshake(transport, server, authority, heard, until, log):
    context = authority.client()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    async with await plain(server) as caller:
        while True:
            try:
                connection.do_handshake()
                break
            except ssl.SSLWantReadError:
                await caller.send_all(outgoing.read())
                incoming.write(await read(caller))
        connection.write(OPTIONS)
        await caller.send_all(outgoing.read())
        _, flow = await heard.one()
        transport.send(b"answer", flow)
        await caller.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        await until(lambda: heard.failures)
    assert "TLS failed: " in heard.failures[0][1]
    assert b"TLS failed: " in log.take()
    with pytest.raises(Unreachable):
        transport.send(b"", flow)


async def test_a_fatal_mistake_is_answered_before_the_goodbye(caller):
    await caller.send_all(ENDLESS)
    assert (await read(caller)).startswith(b"SIP/2.0 400 ")
    assert await read(caller) == b""


@pytest.mark.rfc("5923", "8.3-2", "8.3-3")
@pytest.mark.rfc("5246", "7.2.1")
async def test_goodbyes(transport, server, authority, heard, until):
    async with secure(server, authority.client()) as caller:
        await caller.send_all(OPTIONS)
        _, flow = await heard.one()
        transport._pool.by_number[flow.connection].end("closed")
        assert await read(caller) == b""  # a close_notify, else SSLStream would raise
        with suppress(trio.BrokenResourceError):
            await caller.send_all(OPTIONS)
        await until(lambda: not transport._pool.by_number)
        assert heard.messages == []
    async with secure(server, authority.client()) as caller:
        await caller.send_all(OPTIONS)
        await heard.one()
        with trio.fail_after(5):
            below, rest = await caller.unwrap()  # waits for ours
        assert rest == b""
        await below.aclose()
        await until(lambda: not transport._pool.by_number)
    assert heard.failures == []


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"])
async def test_a_handshake_takes_no_longer_than_five_seconds(heard, log, settings, autojump_clock, first):
    ours, theirs = trio.testing.memory_stream_pair()
    ended = []
    flow = Flow("TLS", HostPort("192.0.2.1", 5061), HostPort("192.0.2.2", 1234), 1)
    intake = Transport(heard.receive, log)._intake
    coding = Tls(Framed(), contexts(settings).server)
    connection = stream.Connection(flow, intake, lambda connection, reason: ended.append(reason), coding)

    async def opened():
        return ours, None

    async def drip():
        for octet in first:
            await theirs.send_all(bytes([octet]))
            await trio.sleep(1.8)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        await connection.run(opened)
    assert trio.current_time() - start == pytest.approx(stream.HANDSHAKE, abs=0.5)
    assert ended == [None]
    assert b"TLS 192.0.2.2:1234: no handshake in time" in log.take()


async def test_connections_without_a_handshake_count(transport, server, log):
    transport._pool.most = 2
    async with await plain(server), await plain(server), await plain(server) as three:
        assert await read(three) == b""
    assert b"127.0.0.1: too many connections" in log.take()


# To whom we go


@pytest.mark.rfc("5923", "8.1-4")
@pytest.mark.rfc("3261", "26.3.1")
async def test_a_server_with_the_certificate_of_its_name(transport, server, peer, heard):
    flow = transport.flow_to("TLS", peer.address, "Peer.example.com.")
    assert transport.flow_to("TLS", peer.address, "peer.example.com") == flow
    transport.send(b"first ", flow)
    transport.send(b"second", flow)
    accepted = await peer.accept()
    received = b""
    while len(received) < 12:
        received += await read(accepted)
    assert received == b"first second"
    await accepted.send_all(OPTIONS)
    _, back = await heard.one()
    assert back == flow
    transport.send(b"third", flow)
    assert await read(accepted) == b"third"
    await trio.aclose_forcefully(accepted)


@pytest.mark.parametrize("name", [None, "127.0.0.1", "[127.0.0.1]"])
async def test_an_address_is_what_the_certificate_must_be_for(transport, server, peer, name):
    flow = transport.flow_to("TLS", peer.address, name)
    transport.send(b"hello", flow)
    accepted = await peer.accept()
    assert await read(accepted) == b"hello"
    await trio.aclose_forcefully(accepted)


async def failure(peer: Peer, heard, until) -> str:
    """What became of a connection that the peer takes."""
    accepted = await peer.accept()
    assert await closed(accepted, b"")
    await until(lambda: heard.failures)
    await trio.aclose_forcefully(accepted)
    return heard.failures[0][1]


async def test_a_certificate_of_another_name(transport, server, peer, heard, until, log):
    flow = transport.flow_to("TLS", peer.address, "other.example.com")
    transport.send(b"secret", flow)
    assert "Hostname mismatch, certificate is not valid for 'other.example.com'" in await failure(peer, heard, until)
    assert b"no TLS handshake: Hostname mismatch" in log.take()
    with pytest.raises(Unreachable):
        transport.send(b"", flow)


async def test_a_certificate_of_nobody_we_trust(transport, server, peer, heard, until, authority, tmp_path):
    stranger = type(authority)(tmp_path)
    peer.context = stranger.server("peer.example.com")
    transport.send(b"secret", transport.flow_to("TLS", peer.address, "peer.example.com"))
    assert "unable to get local issuer certificate" in await failure(peer, heard, until)


async def test_a_connection_proves_one_name_only(transport, server, peer, heard):
    one = transport.flow_to("TLS", peer.address, "peer.example.com")
    assert transport.flow_to("TLS", peer.address, "other.example.com") != one
    assert transport.flow_to("TLS", peer.address) != one


@pytest.mark.rfc("3261", "26.3.1")
async def test_we_show_our_certificate_to_a_server_that_asks(transport, server, peer, authority):
    authority.ca.configure_trust(peer.context)
    peer.context.verify_mode = ssl.CERT_REQUIRED
    transport.send(b"hello", transport.flow_to("TLS", peer.address, "peer.example.com"))
    accepted = await peer.accept()
    assert await read(accepted) == b"hello"
    assert ("DNS", "sip.example.com") in accepted.getpeercert()["subjectAltName"]
    await trio.aclose_forcefully(accepted)


@pytest.mark.parametrize("name", [".example.com", "a..b", "x" * 64 + ".example.com"])
async def test_names_that_no_certificate_has(transport, server, peer, name):
    with pytest.raises(Unreachable, match="is no name of a TLS server"):
        transport.flow_to("TLS", peer.address, name)


async def test_a_server_that_speaks_no_tls(transport, server, peer, heard, until):
    transport.send(b"secret", transport.flow_to("TLS", peer.address, "peer.example.com"))
    async with await peer.listener.accept() as accepted:
        assert (await read(accepted))[:1] == b"\x16"
        await accepted.send_all(b"SIP/2.0 400 Bad Request\r\n\r\n")
        await until(lambda: heard.failures)
    assert "no TLS handshake: " in heard.failures[0][1]


async def test_a_server_that_says_nothing_gets_no_more_than_a_few_messages(transport, server, peer, heard, monkeypatch):
    monkeypatch.setattr(stream, "MOST_HELD", 3)
    flow = transport.flow_to("TLS", peer.address)
    for _ in range(3):
        transport.send(b"held", flow)
    with pytest.raises(Unreachable, match="too many messages wait"):
        transport.send(b"one more", flow)


@pytest.mark.rfc("3263", "5-1")
@pytest.mark.rfc("3261", "18.2.2")
async def test_a_response_after_the_end_of_its_connection(transport, server, caller, peer, heard, until):
    port = peer.address.port
    await caller.send_all(OPTIONS.replace(b"192.0.2.77", b"peer.example.com:%d" % port))
    request, flow = await heard.one()
    await trio.aclose_forcefully(caller)
    await until(lambda: not transport._pool.by_number)
    again = transport.response_flow(request, flow)
    transport.send(b"answer", again)
    accepted = await peer.accept()
    assert await read(accepted) == b"answer"
    await trio.aclose_forcefully(accepted)


async def test_a_response_to_a_name_that_no_certificate_has(transport, server, caller, heard, until):
    await caller.send_all(OPTIONS.replace(b"192.0.2.77", b"x" * 64 + b".example.com"))
    request, flow = await heard.one()
    await trio.aclose_forcefully(caller)
    await until(lambda: not transport._pool.by_number)
    assert transport.response_flow(request, flow) == flow
    with pytest.raises(Unreachable):
        transport.send(b"answer", flow)


# Certificates


async def names(server, authority) -> set[str]:
    """Those in the certificate that a newcomer is shown."""
    async with secure(server, authority.client()) as caller:
        return {value for _, value in caller.getpeercert()["subjectAltName"]}


async def test_opening_again_takes_the_new_certificate_and_keeps_the_connections(
    transport, nursery, Listener, local, authority, heard
):
    listener = Listener("tls", tls=authority.settings("old.example.com", "127.0.0.1"))
    await transport.open(nursery, [listener])
    server = local(transport)
    assert "old.example.com" in await names(server, authority)
    async with secure(server, authority.client()) as caller:
        await caller.send_all(OPTIONS)
        _, flow = await heard.one()
        listener.tls = authority.settings("new.example.com", "127.0.0.1")
        await transport.open(nursery, [listener])
        assert local(transport) == server
        assert "new.example.com" in await names(server, authority)
        transport.send(b"answer", flow)
        assert await read(caller) == b"answer"
        await caller.send_all(OPTIONS)
        assert (await heard.one())[1] == flow
    listener.tls = TlsSettings(Path("/nowhere.pem"))
    with pytest.raises(OSError, match=r"tls://127\.0\.0\.1:0: tls\.certificate: /nowhere\.pem is not there"):
        await transport.open(nursery, [listener])
    assert "new.example.com" in await names(server, authority)


async def test_a_listener_without_a_certificate(transport, nursery, Listener):
    for settings in (None, TlsSettings()):
        with pytest.raises(OSError, match=r"tls://127\.0\.0\.1:0: there is no certificate for it"):
            await transport.open(nursery, [Listener("tls", tls=settings)])


def test_without_an_authority_it_is_the_system_that_we_trust(settings, monkeypatch):
    asked = []
    monkeypatch.setattr(tls.ssl.SSLContext, "load_default_certs", lambda context: asked.append(context))
    pair = contexts(TlsSettings(settings.certificate, settings.key))
    assert asked == [pair.client]
    assert pair.client.check_hostname
    assert pair.client.verify_mode is ssl.CERT_REQUIRED


def test_key_and_certificate_in_one_file(settings, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(settings.key.read_bytes() + settings.certificate.read_bytes())
    assert mistakes(TlsSettings(both)) == []
    contexts(TlsSettings(both, None, settings.ca))


@pytest.fixture
def files(authority, settings, tmp_path):
    from cryptography.hazmat.primitives import serialization

    (tmp_path / "text").write_text("Hello")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    (tmp_path / "broken.key").write_text("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n")
    key = serialization.load_pem_private_key(settings.key.read_bytes(), None)
    (tmp_path / "locked.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    (tmp_path / "good.pem").write_bytes(settings.certificate.read_bytes())
    (tmp_path / "good.key").write_bytes(settings.key.read_bytes())
    (tmp_path / "other.key").write_bytes(authority.settings("other.example.com").key.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("certificate", "key", "ca", "wrong"),
    [
        ("good.pem", "good.key", "good.pem", []),
        ("none", "good.key", None, [("certificate", "is not there")]),
        ("folder", "good.key", None, [("certificate", "is no file")]),
        ("text", "good.key", None, [("certificate", "holds no certificate in PEM form")]),
        ("broken.pem", "good.key", None, [("certificate", "holds no certificate in PEM form")]),
        ("good.key", "good.key", None, [("certificate", "holds no certificate in PEM form")]),
        ("good.pem", None, None, [("certificate", "holds no private key, and no key file is named")]),
        ("good.pem", "none", None, [("key", "is not there")]),
        ("good.pem", "text", None, [("key", "holds no private key")]),
        ("good.pem", "broken.key", None, [("key", "holds no private key in PEM form")]),
        ("good.pem", "locked.key", None, [("key", "holds a key that is protected by a password")]),
        ("good.pem", "other.key", None, [("key", "is not the key of the certificate")]),
        (None, None, "text", [("ca", "holds no certificate in PEM form")]),
        ("none", None, "none", [("ca", "is not there"), ("certificate", "is not there")]),
    ],
)
def test_what_is_wrong_with_files(files, certificate, key, ca, wrong):
    paths = [files / name if name else None for name in (certificate, key, ca)]
    assert mistakes(TlsSettings(*paths)) == wrong


def test_files_that_cannot_be_read(settings, monkeypatch, tmp_path):
    def denied(path, *mode):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tls, "LARGEST_FILE", 10)
    assert mistakes(settings) == [("ca", "is too large"), ("certificate", "is too large")]
    monkeypatch.setattr(Path, "open", denied)
    assert mistakes(TlsSettings(settings.certificate)) == [("certificate", "cannot be read: Permission denied")]


# The coding by itself


def test_any_cutting_of_the_octets_gives_the_same(settings):
    pair = contexts(settings)
    for size in (1, 7, 1000):
        client, server = Tls(Framed(), pair.client, "sip.example.com"), Tls(Framed(), pair.server)
        assert client.feed(b"") == []
        found = []
        for sent in (b"", OPTIONS + OPTIONS):
            while not (client.ready and server.ready):
                for one, other in ((client, server), (server, client)):
                    octets = one.answer()
                    for at in range(0, len(octets), size):
                        assert other.feed(octets[at : at + size]) == []
            octets = client.message(sent)
            for at in range(0, len(octets), size):
                found += server.feed(octets[at : at + size])
        assert [bytes(message) for message in found] == [OPTIONS, OPTIONS]
        assert not server.pending
        client.close()
        octets = client.answer()
        with pytest.raises(Ended, match="closed") as ended:
            server.feed(octets)
        assert ended.value.orderly


def test_after_the_goodbye_nothing_can_be_sent(settings):
    pair = contexts(settings)
    client, server = Tls(Framed(), pair.client, "sip.example.com"), Tls(Framed(), pair.server)
    client.feed(b"")
    while not (client.ready and server.ready):
        server.feed(client.answer())
        client.feed(server.answer())
    server.close()
    with pytest.raises(Ended, match="TLS failed: "):
        server.message(b"late")


def test_before_the_handshake_there_is_no_goodbye_and_no_question(settings):
    server = Tls(Framed(), contexts(settings).server)
    server.probe()
    server.close()
    assert server.answer() == b""
    assert server.pending
    assert not server.ready


async def test_others_have_their_turn_between_the_messages_of_one_record(caller, heard, steps, until, monkeypatch):
    monkeypatch.setattr(stream, "BUDGET", 0.0)
    await caller.send_all(OPTIONS * 60)
    await until(lambda: len(heard.messages) == 60)
    assert steps.most <= tls.SLICE // len(OPTIONS) + 1
