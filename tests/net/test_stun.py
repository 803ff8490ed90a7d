import pytest

from sipcgi.net.stun import answer

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
REQUEST = bytes.fromhex("00010000 2112a442".replace(" ", "")) + TRANSACTION


@pytest.mark.rfc("5626", "8-1")
@pytest.mark.rfc("5769", "2.2")
def test_the_address_is_that_of_the_test_vector():
    response = answer(REQUEST, "192.0.2.1", 32853)
    assert response == bytes.fromhex("0101000c2112a442") + TRANSACTION + bytes.fromhex("002000080001a147e112a643")


@pytest.mark.rfc("5626", "8-1")
@pytest.mark.rfc("5769", "2.3")
def test_the_ipv6_address_is_that_of_the_test_vector():
    response = answer(REQUEST, "2001:db8:1234:5678:11:2233:4455:6677", 32853)
    assert response[20:] == bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


def test_attributes_that_may_be_ignored_are():
    software = bytes.fromhex("8022000461626364") + bytes.fromhex("0006000375736500")
    request = bytes.fromhex("000100102112a442") + TRANSACTION + software
    assert answer(request, "192.0.2.1", 1)[:2] == b"\x01\x01"


@pytest.mark.rfc("8489", "6.3.1")
def test_an_unknown_attribute_that_must_be_understood_is_answered_by_420():
    request = bytes.fromhex("000100082112a442") + TRANSACTION + bytes.fromhex("0003000400000006")
    response = answer(request, "192.0.2.1", 1)
    assert response[:2] == b"\x01\x11"
    assert b"\x04\x14Unknown Attribute" in response
    assert response.endswith(bytes.fromhex("000a000200030000"))
    assert len(response) == 20 + int.from_bytes(response[2:4])


@pytest.mark.parametrize(
    "other",
    [
        b"",
        REQUEST[:-1],
        b"\x01\x01" + REQUEST[2:],
        REQUEST[:4] + b"\0\0\0\0" + TRANSACTION,
        REQUEST + b"1234",
        bytes.fromhex("000100042112a442") + TRANSACTION + bytes.fromhex("80220008"),
        b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n",
    ],
)
def test_anything_else_is_no_binding_request(other):
    assert answer(other, "192.0.2.1", 1) is None
