import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.address import Address, parse_address
from sipcgi.sip.grammar import MAX_ELEMENT
from sipcgi.sip.params import Params
from sipcgi.sip.remembered import LONGEST
from sipcgi.sip.uri import parse_uri


@pytest.mark.rfc("3261", "20.20")
@pytest.mark.parametrize(
    ("text", "display", "uri", "params", "printed"),
    [
        ("Alice <sip:a@b>;tag=1", "Alice", "sip:a@b", ";tag=1", "Alice <sip:a@b>;tag=1"),
        ("<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", ";tag=1", "<sip:a@b;lr>;tag=1"),
        ("sip:a@b;tag=1", "", "sip:a@b", ";tag=1", "<sip:a@b>;tag=1"),
        ("sip:a@b ; tag = 1", "", "sip:a@b", ";tag=1", "<sip:a@b>;tag=1"),
        ("caller<sip:a@b>", "caller", "sip:a@b", "", "caller <sip:a@b>"),
        ("Anna B. <sip:a@b>", "Anna B.", "sip:a@b", "", "Anna B. <sip:a@b>"),
        ("Zoë <sip:a@b>", "Zoë", "sip:a@b", "", '"Zoë" <sip:a@b>'),
        ('"A, <B>; \\"C\\" \\\\" <sip:a@b> ;x', 'A, <B>; "C" \\', "sip:a@b", ";x",
         '"A, <B>; \\"C\\" \\\\" <sip:a@b>;x'),
        ('""<sip:a@b>', "", "sip:a@b", "", "<sip:a@b>"),
        ("\t<tel:+1-2> ", "", "tel:+1-2", "", "<tel:+1-2>"),
        ("isbn:2983792873", "", "isbn:2983792873", "", "<isbn:2983792873>"),
    ],
)  # fmt: skip
def test_addresses(text: str, display: str, uri: str, params: str, printed: str) -> None:
    address = Address.parse(text)
    assert (address.display, str(address.uri), str(address.params)) == (display, uri, params)
    assert str(address) == printed
    assert Address.parse(printed) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "Alice", "<sip:a@b", "Alice <>", "< sip:a@b>", "<sip:a@b >", '"Alice <sip:a@b>', '"Alice" sip:a@b',
        "Bell, Alexander <sip:a@b>", "a;b <sip:a@b>", "> <sip:a@b>", 'a "b" <sip:a@b>', "<sip:a@b>x", "<sip:a@b>;",
        "<sip:a@b>;;", "<sip:a@b> <sip:c@d>", f"{'a' * MAX_ELEMENT} <sip:a@b>",
    ],
)  # fmt: skip
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ParseError):
        Address.parse(text)


@pytest.mark.rfc("3261", "20")
@pytest.mark.parametrize("text", ["sip:user@example.com?Route=%3Csip:a%3E", "sip:a,b@c"])
def test_a_uri_with_a_question_mark_or_comma_needs_its_brackets(text: str) -> None:
    with pytest.raises(ParseError, match="must be in"):
        Address.parse(text)
    assert str(Address.parse(f"<{text}>").uri) == text


@pytest.mark.rfc("3261", "20.10")
def test_without_brackets_the_parameters_are_those_of_the_field() -> None:
    assert Address.parse("sip:a@b;transport=tcp").uri == parse_uri("sip:a@b")
    assert Address.parse("<sip:a@b;transport=tcp>").uri == parse_uri("sip:a@b;transport=tcp")


def test_tag() -> None:
    assert Address.parse("<sip:a@b>;Tag=x").tag == "x"
    assert Address.parse("<sip:a@b>").tag is None


@pytest.mark.rfc("3261", "25.1")
@pytest.mark.parametrize(
    ("text", "q"), [("", 1.0), (";q=0.5", 0.5), (";q=.125", 0.125), (";q=1.000", 1.0), (";Q=0", 0.0)]
)
def test_q(text: str, q: float) -> None:
    assert Address.parse(f"<sip:a@b>{text}").q == q


@pytest.mark.parametrize("q", ["1.1", "2", "-1", "0.1234", "x", "1,0", "0.\u0665", "."])
def test_a_q_that_is_none(q: str) -> None:
    with pytest.raises(ParseError) as caught:
        _ = Address("", parse_uri("sip:a@b"), Params.parse("").with_("q", q)).q
    assert caught.value.header == "contact"


def test_lists() -> None:
    assert [str(a) for a in Address.parse_list('"A, B" <sip:a@b>;q=1, sip:c@d, <sip:e,f@g>')] == [
        '"A, B" <sip:a@b>;q=1',
        "<sip:c@d>",
        "<sip:e,f@g>",
    ]


def test_what_is_short_is_remembered() -> None:
    assert parse_address("Bob <sip:b@c>") is parse_address("Bob <sip:b@c>")
    long = f"{'x' * LONGEST} <sip:b@c>"
    assert parse_address(long) == Address.parse(long)
    assert parse_address(long) is not parse_address(long)


def test_changed_copy_and_equality() -> None:
    address = Address.parse("Bob <sip:b@c>")
    assert str(address.with_params(Params.parse(";tag=2"))) == "Bob <sip:b@c>;tag=2"
    assert address == Address("Bob", parse_uri("sip:b@c"))
    assert hash(address) == hash(Address("Bob", parse_uri("sip:b@c")))
    assert address != "Bob <sip:b@c>"
    assert repr(address) == "Address('Bob <sip:b@c>')"
