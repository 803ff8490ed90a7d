"""Clients that are gone when their answer comes, and others that stand in for them (RFC 3261 18.2.2, RFC 3263 5)."""

import socket
from collections.abc import Callable

from running import HOST, Server, url

OTHER = "127.0.0.2"
SLOW = "#!/bin/sh\nsleep 0.3\necho 'SIP/2.0 486 Busy Here'\necho\n"
INVITE = (
    "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/{0} {1}:{2};rport;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    "From: <sip:a@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:a@127.0.0.1>\r\nContent-Length: 0\r\n\r\n"
)


def calls_and_goes(server: Server, transport: str, spare: socket.socket) -> None:
    """Its Via names the address of the spare one."""
    host, _, port = server.place(transport.lower()).partition(":")
    kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as client:
        client.bind((HOST, 0))
        client.connect((host, int(port)))
        client.sendall(INVITE.format(transport, *spare.getsockname()).encode())


def test_over_udp_icmp_sends_the_answer_to_the_sent_by(serve: Callable[..., Server]) -> None:
    server = serve({"invite.sh": SLOW})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spare:
        spare.bind((OTHER, 0))
        spare.settimeout(5)
        calls_and_goes(server, "UDP", spare)
        hears_of_the_busy_callee(spare)


def test_over_tcp_a_new_connection_takes_the_answer_to_the_source(serve: Callable[..., Server]) -> None:
    server = serve({"invite.sh": SLOW}, listen=[url("tcp")])
    with socket.create_server((HOST, 0)) as spare:
        answered(server, spare)


def test_over_tcp_a_source_that_takes_no_connection_is_left_for_the_sent_by(serve: Callable[..., Server]) -> None:
    server = serve({"invite.sh": SLOW}, listen=[url("tcp")])
    with socket.create_server((OTHER, 0)) as spare:
        answered(server, spare)


def answered(server: Server, spare: socket.socket) -> None:
    spare.settimeout(5)
    calls_and_goes(server, "TCP", spare)
    connection, _ = spare.accept()
    with connection:
        connection.settimeout(5)
        hears_of_the_busy_callee(connection)


def hears_of_the_busy_callee(spare: socket.socket) -> None:
    """After the 100, perhaps."""
    heard = b""
    while b"SIP/2.0 486 Busy Here" not in heard:
        more = spare.recv(65536)
        assert more
        heard += more
