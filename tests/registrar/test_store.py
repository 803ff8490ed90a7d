"""The key under which equal contacts are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.registrar.store import contact_key
from sipcgi.sip.uri import equivalent, parse_uri


@pytest.mark.rfc("3261", "19.1.4")
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:bob@[2001:db8::1]:5070", "sip:bob@[2001:DB8:0::1]:5070"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("MAILTO:bob@biloxi.com", "mailto:bob@biloxi.com"),
        ("sip:biloxi.com;lr", "SIP:BILOXI.COM"),
    ],
)
def test_equal_uris_have_one_key(a: str, b: str) -> None:
    assert equivalent(parse_uri(a), parse_uri(b))
    assert contact_key(parse_uri(a)) == contact_key(parse_uri(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:Bob@biloxi.com"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:biloxi.com"),
        ("sip:bob@192.0.2.1", "sip:bob@192.0.2.2"),
        ("tel:+12015550123", "tel:12015550123"),
        ("tel:+12015550123", "sip:+12015550123@gateway"),
    ],
)
def test_what_makes_the_difference_in_practice_is_in_the_key(a: str, b: str) -> None:
    assert contact_key(parse_uri(a)) != contact_key(parse_uri(b))


URIS = st.builds(
    "{}:{}{}{}{}".format,
    st.sampled_from(["sip", "SIP", "sips"]),
    st.sampled_from(["", "bob@", "%62ob@", "Bob@", "b%6Fb:pw@", "b%6fb:p%77@", "%3bbob@", ";bob@", "%3Bbob@"]),
    st.sampled_from(["h", "H", "[::1]", "[0:0::1]", "192.0.2.1"]),
    st.sampled_from(["", ":5060", ":05060"]),
    st.sampled_from(["", ";x=1", ";X=1", ";x=2", ";transport=udp", "?a=b"]),
)


@given(URIS, URIS)
def test_equality_never_crosses_keys(a: str, b: str) -> None:
    if equivalent(parse_uri(a), parse_uri(b)):
        assert contact_key(parse_uri(a)) == contact_key(parse_uri(b))
