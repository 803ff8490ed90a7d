"""A SIP proxy, redirect server and registrar that is programmed by dropping a script into a folder (RFC 3050)."""

__version__ = "0.1.0"
