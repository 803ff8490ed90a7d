"""ICMP errors on a UDP socket, out of its error queue (RFC 3261 18.4; Linux ip(7) and ipv6(7), IP_RECVERR)."""

import contextlib
import os
import socket
import struct
from typing import Any

MOST = 64  # errors taken at once; those of one peer count as one
_ASK = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_KINDS = frozenset(_ASK.values())
_ERROR = struct.Struct("=IBBB")  # sock_extended_err: errno, origin, type, code
_CONTROL = 256  # octets: the structure, and the address of who sent the error
_ICMP, _ICMP6 = 2, 3  # origins; 1 is an error of this machine, which sendto has told already
_FRAGMENTATION = 4  # a code of ICMP type 3: the path's MTU, nothing that fails


def ask_for_errors(sock: socket.socket) -> None:
    """Where the system does not have it, silence stays silence."""
    with contextlib.suppress(OSError):
        sock.setsockopt(*_ASK[sock.family], 1)


def take_errors(sock: socket.socket) -> tuple[int, dict[Any, str]]:
    """How many errors were taken out, and the socket addresses that cannot be reached, with the reason."""
    found: dict[Any, str] = {}
    for count in range(MOST):
        try:
            _, ancillary, _, address = sock.recvmsg(0, _CONTROL, socket.MSG_ERRQUEUE)
        except OSError:
            return count, found
        for level, kind, data in ancillary:
            if (level, kind) in _KINDS and len(data) >= _ERROR.size:
                code, *what = _ERROR.unpack_from(data)
                if is_failure(*what):
                    found[address] = os.strerror(code)
    return MOST, found


def is_failure(origin: int, kind: int, code: int) -> bool:
    """18.4: host, network, port or protocol unreachable, or a parameter problem; time exceeded is ignored."""
    if origin == _ICMP:
        return kind == 12 or (kind == 3 and code != _FRAGMENTATION)
    return origin == _ICMP6 and kind in (1, 4)
