"""What the access line says of a request from the beginning, by the compiled part and by Python."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.compiled import native
from sipcgi.engine.upstream import access_record, plain_record, record_of
from sipcgi.errors import ParseError
from sipcgi.flow import HostPort
from sipcgi.logs import AccessRecord
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request

NAMES = st.sampled_from(["from", "to", "call-id", "x-a"])
VALUES = st.sampled_from(["", " ", ": <sip:a@b>;tag=c ", ": \u20ac", ":\r\n a\r\n\tb", ":\udcff", "none"])
HOSTS = st.sampled_from(["192.0.2.1", "2001:db8::1", "", "caf\u00e9"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), HOSTS, st.integers(0, 2**70))
def test_it_is_the_same(fields: list[tuple[str, str]], host: str, port: int) -> None:
    headers = Headers.of([name for name, _ in fields], [name + value for name, value in fields])
    request, remote = Request("INVITE", "sip:bob@example.com", headers), HostPort(host, port)
    try:
        expected = access_record(request, str(remote), request.call_id)
    except ParseError as error:
        with pytest.raises(ParseError, match=str(error)):
            record_of(request, remote)
        return
    assert record_of(request, remote) == expected
    if native is not None:
        found = plain_record(AccessRecord, request, remote)
        assert found == expected
        assert found is not None
        assert found.actions is not expected.actions


@pytest.mark.skipif(native is None, reason="there is no compiled part")
def test_what_is_left_to_python() -> None:
    request = Request("INVITE", "sip:bob@example.com", Headers([("Call-ID", "a")]))
    odd: list[Any] = [None, (), ("a", 1.0), (b"a", 1), ("a", 1, 2)]
    assert all(plain_record(AccessRecord, request, remote) is None for remote in odd)
    for names, lines in ((["from"], []), (["from"], [1]), ((), [])):
        headers = Headers()
        headers.names, headers.lines = names, lines  # type: ignore[assignment]
        assert plain_record(AccessRecord, Request("A", "sip:b", headers), HostPort("a", 1)) is None
    assert plain_record(AccessRecord, SimpleNamespace(headers={}), HostPort("a", 1)) is None  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        plain_record(AccessRecord, SimpleNamespace(), HostPort("a", 1))  # type: ignore[arg-type]
