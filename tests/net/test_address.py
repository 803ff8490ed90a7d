import pytest

from sipcgi.net.address import bracketed, canonical, numeric


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("example.com", None),
        ("1", None),
        ("192.0.2.01", None),
        ("", None),
        ("1" * 100_000, None),
    ],
)
def test_numeric(host, address):
    assert numeric(host) == address


def test_canonical_names_are_lower_case_without_a_last_dot():
    assert canonical("SIP.Example.COM.") == "sip.example.com"
    assert canonical("[::0001]") == "::1"


def test_bracketed():
    assert bracketed("fe80::1%eth0") == "[fe80::1]"
    assert bracketed("[::1]") == "[::1]"
    assert bracketed("192.0.2.1") == "192.0.2.1"
