"""Flows as texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.dialog.flow_text import flow_text, read_flow
from sipcgi.flow import Flow, HostPort
from sipcgi.sip.uri import SipUri

PORTS = st.integers(0, 65535)
PLACES = st.one_of(
    st.tuples(*[st.builds(HostPort, st.ip_addresses(v=4).map(str), PORTS)] * 2),
    st.tuples(*[st.builds(HostPort, st.ip_addresses(v=6).map(str), PORTS)] * 2),
)


@given(st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS"]), PLACES, st.integers(0, 2**64 - 1))
def test_a_flow_is_the_user_of_a_uri(transport: str, places: tuple[HostPort, HostPort], connection: int) -> None:
    flow = Flow(transport, *places, connection)
    text = flow_text(flow)
    assert read_flow(text) == flow
    assert SipUri.parse(f"sip:{text}@192.0.2.1;lr").user == text
    assert len(text) in (28, 60)


@pytest.mark.parametrize(
    ("local", "remote"), [("fe80::1%eth0", "fe80::2%eth0"), ("2001:db8::1", "fe80::2%wlan0"), ("fe80::1%a", "::1")]
)
def test_a_link_local_address_keeps_its_zone(local: str, remote: str) -> None:
    flow = Flow("TCP", HostPort(local, 5060), HostPort(remote, 40000), 7)
    assert read_flow(flow_text(flow)) == flow


@pytest.mark.parametrize("text", ["", "A", "AAAA", "AAAAA", "ä" * 28, "_" * 28, "BQ" + "A" * 26])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_flow(text)


@given(st.text())
def test_any_text_is_a_flow_or_none(text: str) -> None:
    try:
        flow = read_flow(text)
    except ValueError:
        return
    assert read_flow(flow_text(flow)) == flow
