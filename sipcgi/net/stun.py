"""The small STUN server that lives on a SIP port: it answers Binding requests (RFC 5626 section 8, RFC 8489)."""

import socket
import struct

MAGIC_COOKIE = 0x2112A442  # RFC 8489 section 5
BINDING_REQUEST, BINDING_RESPONSE, BINDING_ERROR = 0x0001, 0x0101, 0x0111
XOR_MAPPED_ADDRESS, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0020, 0x0009, 0x000A
KNOWN = {0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001E}
"""Credentials (RFC 8489 14): ignored, for nobody is authenticated here."""
_HEAD = struct.Struct("!HHI12s")
_ATTRIBUTE = struct.Struct("!HH")


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _xor_mapped_address(host: str, port: int, transaction: bytes) -> bytes:
    """RFC 8489 14.2."""
    version = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(version, host.partition("%")[0])
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction
    hidden = bytes(a ^ b for a, b in zip(packed, mask, strict=False))
    return struct.pack("!xBH", 1 if version == socket.AF_INET else 2, port ^ (MAGIC_COOKIE >> 16)) + hidden


def answer(request: bytes, host: str, port: int) -> bytes | None:
    """The response to a Binding request that came from host and port; None when it is none."""
    if len(request) < _HEAD.size:
        return None
    kind, length, cookie, transaction = _HEAD.unpack_from(request)
    if kind != BINDING_REQUEST or cookie != MAGIC_COOKIE or length % 4 or length != len(request) - _HEAD.size:
        return None
    unknown, at = [], _HEAD.size
    while at < len(request):
        attribute, size = _ATTRIBUTE.unpack_from(request, at)
        at += 4 + size + -size % 4
        if attribute < 0x8000 and attribute not in KNOWN:  # RFC 8489 14: comprehension-required
            unknown.append(attribute)
    if at != len(request):
        return None
    if unknown:  # RFC 8489 6.3.1: 420
        body = _attribute(ERROR_CODE, b"\0\0\x04\x14Unknown Attribute")
        body += _attribute(UNKNOWN_ATTRIBUTES, struct.pack(f"!{len(unknown)}H", *unknown))
        return _HEAD.pack(BINDING_ERROR, len(body), MAGIC_COOKIE, transaction) + body
    body = _attribute(XOR_MAPPED_ADDRESS, _xor_mapped_address(host, port, transaction))
    return _HEAD.pack(BINDING_RESPONSE, len(body), MAGIC_COOKIE, transaction) + body
