"""The access record of a request is the same from the compiled part and from pure Python."""

import importlib.util
import os
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sipcgi import compiled
from sipcgi.engine import upstream
from sipcgi.flow import HostPort
from sipcgi.logs import AccessRecord
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request

Record = Callable[..., AccessRecord]


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch, missing: Callable[[str], None]) -> list[Record]:
    if os.environ.get("SIPCGI_PURE"):
        pytest.skip("SIPCGI_PURE is set: there is nothing to compare")
    if compiled.native is None:
        missing(f"the compiled part: {compiled.reason}")
    fast = compiled.native.record_of
    assert upstream.record_of is fast
    monkeypatch.setattr(compiled, "native", None)
    spec = importlib.util.spec_from_file_location("upstream_in_python", upstream.__file__)
    assert spec is not None
    assert spec.loader is not None
    pure: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pure)
    return [fast, pure.record_of]


HEADERS = [
    [],
    ["From: a", "To: b", "Call-ID: c"],
    ['From: "A \u00e9" <sip:a>;tag=1', "To:   <sip:b>  ", "Call-ID: 1@x", "To: other"],
    ["To: ", "Call-ID:", "From: a\r\n b"],
]
PLACES = [
    ("192.0.2.1", 5060), ("2001:db8::1", 65535), ("fe80::1%eth0", 5061), ("", 1), ("a", 0), ("é", 7), ("x" * 39, 2**62),
    ("x" * 40, 1), ("a", -1), ("a", 10**40),
]  # fmt: skip
REMOTES = [None, *(HostPort(*place) for place in PLACES)]


@pytest.mark.parametrize("lines", HEADERS)
@pytest.mark.parametrize("remote", REMOTES)
def test_any_request(both: list[Record], lines: list[str], remote: HostPort | None) -> None:
    names = [line.partition(":")[0].lower() for line in lines]
    request = Request("INVITE", "sip:bob@example.com", Headers.of(names, lines))
    one, other = (record(AccessRecord, request, remote) for record in both)
    assert one == other
    assert one.source == ("" if remote is None else str(remote))


def test_misuse(both: list[Record]) -> None:
    request: Any = Request("A", "b", Headers.of([], []))
    bare = SimpleNamespace(headers=SimpleNamespace(get=lambda name: name), method="A")
    for record in both:
        for arguments in (
            (),
            (AccessRecord, request),
            (AccessRecord, None, None),
            (AccessRecord, bare, None),
            (1, request, None),
        ):
            with pytest.raises((TypeError, AttributeError)):
                record(*arguments)
