"""What ICMP says of datagrams that did not arrive (RFC 3261 18.4)."""

import errno
import socket
import struct
from select import EPOLLERR

import pytest
import trio

from sipcgi.flow import Flow, HostPort
from sipcgi.net import icmp, udp
from sipcgi.net.transport import Transport
from sipcgi.watch import Watch


def closed_port(host="127.0.0.1"):
    """Where nobody listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        return HostPort(host, sock.getsockname()[1])


@pytest.mark.rfc("3261", "18.4-1")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_closed_port_is_told_with_its_flow(transport, nursery, heard, Listener, until, host):
    try:
        gone = closed_port(host)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    await transport.open(nursery, [Listener(host=host)])
    flow = transport.flow_to("UDP", gone)
    transport.send(b"OPTIONS", flow)
    await until(lambda: heard.failures)
    assert heard.failures == [(flow, f"udp {gone}: Connection refused")]


async def test_what_goes_to_others_in_the_meantime_arrives(transport, nursery, heard, peer, Listener, until):
    """The error of the one is met when something is sent to the other, and told afterwards all the same."""
    await transport.open(nursery, [Listener()])
    gone, there = transport.flow_to("UDP", closed_port()), transport.flow_to("UDP", peer.address)
    for number in range(5):
        transport.send(b"OPTIONS", gone)
        transport.send(b"number %d" % number, there)
    assert heard.failures == []  # never while something is sent
    assert [await peer.receive() for _ in range(5)] == [f"number {number}" for number in range(5)]
    await until(lambda: heard.failures)
    assert heard.failures == [(gone, f"udp {gone.remote}: Connection refused")]  # several of one peer count once
    assert transport.complaints.counts["not sent"] == 0


async def test_a_flood_of_errors_is_told_whole_and_comes_to_an_end(transport, nursery, heard, Listener, until):
    await transport.open(nursery, [Listener()])
    flows = [transport.flow_to("UDP", closed_port()) for _ in range(3 * icmp.MOST)]
    for flow in flows:
        transport.send(b"OPTIONS", flow)
        await trio.lowlevel.checkpoint()
    await until(lambda: {flow for flow, _ in heard.failures} == set(flows))
    endpoint = next(iter(transport._endpoints.values()))
    assert icmp.take_errors(endpoint.socket) == (0, {})


async def test_a_bug_above_does_not_end_the_socket(heard, log, nursery, peer, Listener, until):
    transport = Transport(heard.receive, log, failed=lambda flow, error: 1 / 0)
    await transport.open(nursery, [Listener()])
    transport.send(b"OPTIONS", transport.flow_to("UDP", closed_port()))
    await until(lambda: transport.complaints.counts["bug"])
    assert b"ZeroDivisionError" in log.take()
    transport.send(b"still there", transport.flow_to("UDP", peer.address))
    assert await peer.receive() == "still there"


class Queue:
    """A socket with errors in its queue: origin, type and code of each, as from the host of that number."""

    def __init__(self, *errors):
        self.errors = list(enumerate(errors))

    def getsockname(self):
        return ("127.0.0.1", 5060)

    def fileno(self):
        return 3

    def recvfrom(self, size):
        raise BlockingIOError

    def recvmsg(self, *arguments):
        if not self.errors:
            raise BlockingIOError
        number, what = self.errors.pop(0)
        error = struct.pack("=IBBBBII", errno.EHOSTUNREACH, *what, 0, 0, 0)
        noise = (socket.SOL_SOCKET, 29, b"timestamp")
        return b"", [noise, (socket.IPPROTO_IP, 11, error), (socket.IPPROTO_IP, 11, b"short")], 0, ("192.0.2.9", number)


@pytest.mark.rfc("3261", "18.4-1", "18.4-2")
def test_which_errors_are_failures():
    queue = Queue(
        (2, 3, 0),  # network,
        (2, 3, 1),  # host,
        (2, 3, 2),  # protocol
        (2, 3, 3),  # and port unreachable,
        (2, 12, 0),  # parameter problem
        (3, 1, 4),  # and the same in IPv6
        (3, 4, 0),
        (2, 3, 4),  # fragmentation needed
        (2, 4, 0),  # source quench: SHOULD be ignored,
        (2, 11, 0),  # and time exceeded too
        (3, 2, 0),
        (3, 3, 0),
        (1, 0, 0),  # of this machine
    )
    count, found = icmp.take_errors(queue)
    assert count == 13
    assert [port for _, port in found] == list(range(7))
    assert set(found.values()) == {"No route to host"}


def test_errors_that_are_there_without_one_on_the_socket(transport, heard):
    """`send` has met it before: only the queue is left to wake us."""
    endpoint = udp.UdpEndpoint(Queue((2, 3, 1)), Watch(), transport._intake, transport.complaints, transport._failed)
    endpoint.ready(EPOLLERR, 0.0)
    flow = Flow("UDP", HostPort("127.0.0.1", 5060), HostPort("192.0.2.9", 0))
    assert heard.failures == [(flow, "udp 192.0.2.9:0: No route to host")]


def test_a_system_without_error_queues():
    class Socket:
        family = socket.AF_INET

        def setsockopt(self, *arguments):
            raise OSError(errno.ENOPROTOOPT, "not there")

    icmp.ask_for_errors(Socket())
