"""Datagrams between a transport and a peer, as a capture would show them."""

import errno
import os
import socket
from select import EPOLLIN

import pytest
import trio

from sipcgi.engine.upstream import LARGEST_DATAGRAM
from sipcgi.errors import Oversized, ParseError, Unreachable
from sipcgi.flow import Flow, HostPort
from sipcgi.net import udp
from sipcgi.net.transport import Transport
from sipcgi.sip.message import Request, Response
from sipcgi.sip.via import Via
from sipcgi.watch import Watch

OPTIONS = """OPTIONS sip:example.com SIP/2.0
Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK1{params}
From: <sip:alice@example.com>;tag=1
To: <sip:bob@example.com>
Call-ID: call@example.com
CSeq: 1 {method}
{more}
"""


def options(sent_by="192.0.2.77", params="", more="Content-Length: 0\n", method="OPTIONS"):
    text = OPTIONS.format(sent_by=sent_by, params=params, more=more, method=method)
    return text.replace("OPTIONS sip", f"{method} sip", 1)


@pytest.fixture
async def server(transport, nursery, Listener, local):
    await transport.open(nursery, [Listener()])
    return local(transport)


@pytest.mark.rfc("3261", "18-3")
async def test_a_request_comes_with_its_flow(transport, server, peer, heard):
    await peer.send(options(), server)
    request, flow = await heard.one()
    assert isinstance(request, Request)
    assert flow == Flow("UDP", server, peer.address)
    assert transport.sent_by(flow) == f"127.0.0.1:{server.port}"
    await peer.send(options(), server)
    assert (await heard.one())[1] is flow


@pytest.mark.rfc("3261", "18.2.1-4", "18.2.1-5", "18.2.1-6")
@pytest.mark.parametrize(
    ("sent_by", "params", "received"),
    [
        ("bobspc.biloxi.com:5060", "", "127.0.0.1"),
        ("192.0.2.4", "", "127.0.0.1"),
        ("127.0.0.1:5070", "", None),
        ("127.0.0.1", ";received=192.0.2.4", "127.0.0.1"),
    ],
)
async def test_received_is_the_source_when_sent_by_is_not(server, peer, heard, sent_by, params, received):
    await peer.send(options(sent_by, params), server)
    request, _ = await heard.one()
    assert request.via.received == received
    assert Via.parse(request.headers.get("via")).received == received


@pytest.mark.rfc("3581", "4-1", "4-2")
@pytest.mark.parametrize("params", [";rport", ";rport=9999"])
async def test_rport_brings_received_in_any_case(server, peer, heard, params):
    await peer.send(options("127.0.0.1", params), server)
    request, _ = await heard.one()
    assert (request.via.received, request.via.rport) == ("127.0.0.1", peer.address.port)


@pytest.mark.rfc("3581", "4-3")
@pytest.mark.rfc("3261", "18.2.2-1", "18.2.2-7", "18.2.2-9")
@pytest.mark.parametrize(
    ("sent_by", "params", "port"),
    [("192.0.2.77", "", 5060), ("192.0.2.77:5099", "", 5099), ("127.0.0.1:5099", "", 5099), ("192.0.2.7", ";rport", 0)],
)
async def test_where_a_response_goes(transport, server, peer, heard, sent_by, params, port):
    await peer.send(options(sent_by, params), server)
    request, flow = await heard.one()
    expected = HostPort("127.0.0.1", port or peer.address.port)
    assert transport.response_flow(request, flow) == Flow("UDP", server, expected)


@pytest.mark.rfc("3261", "18.2.2-5")
@pytest.mark.parametrize(
    ("maddr", "host"), [("224.2.0.1", "224.2.0.1"), ("[ff02::1]", "127.0.0.1"), ("example.com", "127.0.0.1")]
)
async def test_maddr_says_where_the_response_goes_if_we_can_send_there(transport, server, peer, heard, maddr, host):
    await peer.send(options("192.0.2.7:5070", f";maddr={maddr}"), server)
    request, flow = await heard.one()
    assert transport.response_flow(request, flow).remote == HostPort(host, 5070)


@pytest.mark.rfc("3581", "4-4")
async def test_what_is_sent_leaves_from_the_address_that_was_asked(transport, server, peer, heard):
    await peer.send(options(params=";rport"), server)
    request, flow = await heard.one()
    transport.send(b"answer", transport.response_flow(request, flow))
    assert await peer.receive() == "answer"


@pytest.mark.rfc("3261", "18.1.2-1")
async def test_responses_with_a_via_that_is_not_ours_are_discarded(transport, server, peer, heard):
    response = options().replace("OPTIONS sip:example.com SIP/2.0", "SIP/2.0 200 OK")
    await peer.send(response, server)
    await peer.send(response.replace("192.0.2.77", f"127.0.0.1:{server.port}"), server)
    message, _ = await heard.one()
    assert isinstance(message, Response)
    assert transport.complaints.counts["response to another sent-by"] == 1


@pytest.mark.rfc("5626", "4.4", "5.4-1", "6-13", "8-2")
async def test_keep_alives_are_not_messages(server, peer, heard, log):
    for data in (b"", b"\r\n", b"\r\n\r\n", b"\0\0\0\0", b"\0\1garbage"):
        await peer.send(data, server)
    await peer.send(bytes.fromhex("000100002112a442") + b"transaction!", server)
    with trio.fail_after(5):
        reply = await peer.socket.recv(100)
    assert reply[:2] == b"\x01\x01"
    assert int.from_bytes(reply[26:28]) ^ 0x2112 == peer.address.port
    await peer.send("\n\n" + options(), server)
    await heard.one()
    assert log.take() == b""


@pytest.mark.rfc("3261", "16.3-2", "16.3-4", "18.3-3")
async def test_a_request_that_does_not_parse_is_answered_if_enough_was_understood(server, peer, heard):
    await peer.send(options(params=";rport", more="Content-Length: 10\n"), server)
    answer = await peer.receive()
    assert answer.startswith("SIP/2.0 400 Bad Request\r\n")
    assert f";rport={peer.address.port};received=127.0.0.1" in answer
    assert "To: <sip:bob@example.com>;tag=" in answer
    await peer.send(options(params=";rport", more="Content-Length: 10\n"), server)
    assert await peer.receive() == answer  # RFC 3261 8.2.7: the same tag for a retransmission
    await peer.send(options(params=";rport").replace("sip:example.com SIP/2.0", "sip:example.com SIP/3.0"), server)
    assert (await peer.receive()).startswith("SIP/2.0 505 ")


@pytest.mark.rfc("3261", "16.3-4", "18.3-2")
@pytest.mark.parametrize(
    "text",
    [
        options(params=";rport", more="Content-Length: 10\n", method="ACK"),
        options(more="Content-Length: 10\n").replace("OPTIONS sip:example.com SIP/2.0", "SIP/2.0 200 OK"),
        options(params=";rport", more="Content-Length: 10\n").replace("SIP/2.0/UDP", "SIP-2.0-UDP"),
        options(params=";rport=123456", more="Content-Length: 10\n"),
        "jaK",
        "GET / HTTP/1.1\n\n",
    ],
)
async def test_what_is_never_answered(transport, server, peer, heard, text, log):
    await peer.send(text, server)
    await peer.send(options(params=";rport"), server)
    _, flow = await heard.one()
    transport.send(b"nothing before this", flow)
    assert await peer.receive() == "nothing before this"
    assert b"does not parse" in log.take()
    assert transport.complaints.counts["does not parse"] == 1


async def test_a_value_that_somebody_above_was_the_first_to_read(server, peer, heard):
    heard.error = ParseError("bad Max-Forwards")
    await peer.send(options(params=";rport"), server)
    assert (await peer.receive()).startswith("SIP/2.0 400 ")


async def test_the_guard_keeps_the_server_alive(heard, log, nursery, peer, Listener, local, until):
    transport = Transport(heard.receive, log)
    await transport.open(nursery, [Listener()])
    heard.error = ZeroDivisionError("a bug")
    for method in ("OPTIONS", "ACK"):
        await peer.send(options(params=";rport", method=method), local(transport))
    assert (await peer.receive()).startswith("SIP/2.0 500 ")
    await until(lambda: len(heard.messages) == 2)
    assert b"ZeroDivisionError: a bug" in log.take()
    assert transport.complaints.counts["bug"] == 2


async def test_the_guard_holds_when_the_bug_is_on_the_way_back(heard, log, nursery, peer, Listener, local, until):
    transport = Transport(heard.receive, log)
    await transport.open(nursery, [Listener()])
    heard.error = ZeroDivisionError("a bug")
    transport._intake.answer = lambda response, request, flow: {}["nowhere"]  # type: ignore[index]
    for count in (1, 2):
        await peer.send(options(params=";rport"), local(transport))
        await until(lambda count=count: len(heard.messages) == count)
    assert log.take().count(b"KeyError: 'nowhere'") == 2


async def test_without_the_guard_a_bug_is_seen(heard, log, peer, Listener, local):
    transport = Transport(heard.receive, log, guard=False)
    heard.error = ZeroDivisionError("a bug")
    with pytest.RaisesGroup(ZeroDivisionError):
        async with trio.open_nursery() as nursery:
            await transport.open(nursery, [Listener()])
            await peer.send(options(), local(transport))
            await trio.sleep_forever()


async def test_a_bug_in_the_parser_is_guarded_too(heard, log, nursery, peer, monkeypatch, Listener, local, until):
    transport = Transport(heard.receive, log)
    await transport.open(nursery, [Listener()])
    monkeypatch.setattr("sipcgi.net.intake.parse", lambda data: 1 / 0)
    await peer.send(options(more="Subject: one\n two\n"), local(transport))
    await until(lambda: transport.complaints.counts["bug"])


async def test_all_of_a_burst_is_received(transport, server, peer, heard, until):
    for _ in range(20):
        await peer.send(options(), server)
    await until(lambda: len(heard.messages) == 20)


@pytest.mark.rfc("5118", "4.3-1", "4.5-2", "4.9-2")
async def test_ipv6(transport, nursery, heard, Listener, Peer, local):
    try:
        peer = await Peer("::1").bind()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    await transport.open(nursery, [Listener(host="[::1]")])
    server = local(transport)
    await peer.send(options("[0:0::1]"), server)
    request, flow = await heard.one()
    assert request.via.received is None
    assert transport.sent_by(flow) == f"[::1]:{server.port}"
    assert transport.flow_to("UDP", peer.address) == flow
    await peer.send(options("example.com"), server)
    request, _ = await heard.one()
    assert request.via.received == "::1"
    assert ";received=::1" in request.headers.get("via")
    peer.socket.close()


class Broken:
    """A socket that fails as it is told."""

    def __init__(self, *errors):
        self.errors = list(errors)

    def getsockname(self):
        return ("127.0.0.1", 5060)

    def fileno(self):
        return 3

    def sendto(self, data, address=None):
        if self.errors:
            raise OSError(self.errors.pop(0), "failed")

    recvfrom = sendto

    def recvmsg(self, *arguments):
        raise BlockingIOError


def endpoint(*errors, transport):
    return udp.UdpEndpoint(Broken(*errors), Watch(), transport._intake, transport.complaints, transport._failed)


def test_errors_of_sending(transport):
    flow = Flow("UDP", HostPort("127.0.0.1", 5060), HostPort("192.0.2.1", 5060))
    for errors, unsent in [
        ((errno.ECONNREFUSED,), 0),
        ((errno.ECONNREFUSED, errno.ECONNREFUSED), 1),
        ((errno.EAGAIN,), 2),
        ((errno.ENOBUFS,), 3),
    ]:
        endpoint(*errors, transport=transport).send(b"", flow)
        assert transport.complaints.counts["not sent"] == unsent
    endpoint(errno.EHOSTUNREACH, transport=transport).send(b"", flow)  # that was said of somebody else
    for code in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM):
        with pytest.raises(Unreachable):
            endpoint(code, code, transport=transport).send(b"", flow)


@pytest.mark.rfc("3261", "18.1.1")
async def test_what_fits_into_no_datagram(transport, server, peer):
    """The kernel says so, and it is no fault of the peer."""
    flow = transport.flow_to("UDP", peer.address)
    transport.send(b"x" * LARGEST_DATAGRAM, flow)
    with pytest.raises(Oversized):
        transport.send(b"x" * (LARGEST_DATAGRAM + 1), flow)


def test_errors_of_receiving_end_nothing(transport, log):
    for error in (errno.ECONNREFUSED, errno.EAGAIN):
        endpoint(error, transport=transport).ready(EPOLLIN, 0.0)
    assert log.take() == b""
    endpoint(errno.ENETDOWN, transport=transport).ready(EPOLLIN, 0.0)
    assert b"udp://127.0.0.1:5060: failed" in log.take()


async def test_an_address_in_use(transport, nursery, Listener):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"udp://127.0.0.1:{port}: .*in use: process {os.getpid()} \(.+\) has it"):
            await transport.open(nursery, [Listener(), Listener(port=port)])
    assert transport.listening() == []


def test_flows_are_forgotten_in_time(transport, monkeypatch):
    monkeypatch.setattr(udp, "MOST_FLOWS", 2)
    one = endpoint(transport=transport)
    for port in range(5):
        one.received(options().replace("\n", "\r\n").encode(), ("127.0.0.1", port))
    assert len(one.flows) <= 2


@pytest.mark.rfc("3581", "3-2", "3-3")
@pytest.mark.rfc("3261", "18.1.1-11", "18.1.1-12")
async def test_a_response_finds_us_where_the_request_came_from_and_where_its_via_says(transport, server, peer, heard):
    flow = transport.flow_to("UDP", peer.address)
    transport.send(b"request", flow)
    with trio.fail_after(5):
        _, source = await peer.socket.recvfrom(100)
    host, _, port = transport.sent_by(flow).rpartition(":")
    assert HostPort(*source) == HostPort(host, int(port))
    answer = options(transport.sent_by(flow), ";rport").replace("OPTIONS sip:example.com SIP/2.0", "SIP/2.0 200 OK")
    await peer.send(answer, HostPort(*source))
    response, back = await heard.one()
    assert (response.status, back) == (200, flow)


@pytest.mark.rfc("3261", "18.1.1-3")
async def test_the_largest_datagram_there_is(transport, server, peer, heard):
    text = options(more="X-Padding: {}\nContent-Length: 30000\n") + "x" * 30000
    octets = text.replace("\n", "\r\n").encode()
    octets = octets.replace(b"{}", b"y" * (65507 - len(octets) + 2))
    await peer.send(octets, server)
    request, flow = await heard.one()
    assert len(bytes(request)) >= 65507
    assert request.body == b"x" * 30000
    transport.send(octets, flow)
    with trio.fail_after(5):
        assert await peer.socket.recv(70000) == octets
