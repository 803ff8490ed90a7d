import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_PARAMETERS
from sipcgi.sip.params import Params


def test_names_have_no_case_and_keep_their_spelling() -> None:
    params = Params.parse(";Branch=z9hG4bK1;rport;X=Y")
    assert params.get("branch") == "z9hG4bK1"
    assert params.get("rport") == ""
    assert params.get("received") is None
    assert "x" in params
    assert "y" not in params
    assert len(params) == 3
    assert str(params) == ";Branch=z9hG4bK1;rport;X=Y"
    assert list(params.items()) == [("branch", "z9hG4bK1"), ("rport", ""), ("x", "Y")]
    assert repr(params) == "Params(';Branch=z9hG4bK1;rport;X=Y')"


def test_none_at_all() -> None:
    assert str(Params.parse("")) == str(Params.parse_uri("")) == str(Params()) == ""
    assert not Params.parse("")


@pytest.mark.rfc("3261", "25.1")
@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (" ; newparam =\tnewvalue ;  secondparam ; q = 0.33", ";newparam=newvalue;secondparam;q=0.33"),
        (';a="x;y,\\"<z>" ;b', ';a="x;y,\\"<z>";b'),
        (";a=[2001:db8::1];b=2001:db8::1", ";a=[2001:db8::1];b=2001:db8::1"),
        (";k=YWJj==", ";k=YWJj=="),
        (";p=д", ";p=д"),
    ],
)
def test_header_parameters(text: str, printed: str) -> None:
    assert str(Params.parse(text)) == printed


@pytest.mark.parametrize(
    "text",
    [";", ";a;", ";;a", "a", " a;b", ";a=", ";=b", ";a b", ";a=b c", ';a="b', ';a="b"c', ";a=b<c", ";ä=b",
     ";a=\x7f", ";a =\r"],
)  # fmt: skip
def test_bad_header_parameters(text: str) -> None:
    with pytest.raises(ParseError):
        Params.parse(text)


@pytest.mark.rfc("3261", "19.1.1")
def test_uri_parameters() -> None:
    assert str(Params.parse_uri(";lr;maddr=[::1];n%61me=v%41;a/b=$+&")) == ";lr;maddr=[::1];n%61me=v%41;a/b=$+&"
    for text in (";", ";a=", ';a="b"', "; a", ";a = b", ";a=b?", ";a=b@c", ";a=ä", "a"):
        with pytest.raises(ParseError):
            Params.parse_uri(text)


@pytest.mark.rfc("3261", "7.3.1")
@pytest.mark.parametrize("text", [";a=1;A=2", ";a;b;a", '; a="1";a'])
def test_none_is_given_twice(text: str) -> None:
    with pytest.raises(ParseError, match="twice"):
        Params.parse(text)


def test_there_is_a_limit() -> None:
    text = "".join(f";p{number}" for number in range(MAX_PARAMETERS))
    assert len(Params.parse(text)) == MAX_PARAMETERS
    for parse in (Params.parse, Params.parse_uri):
        with pytest.raises(ParseError, match="more than"):
            parse(text + ";one-more")
        with pytest.raises(ParseError, match="more than"):
            parse(";a" * (MAX_PARAMETERS + 1))


def test_changed_copies() -> None:
    params = Params.parse(";a=1;b;c=3")
    assert str(params.with_("B", "2")) == ";a=1;B=2;c=3"
    assert str(params.with_("d")) == ";a=1;b;c=3;d"
    assert str(params.with_values({"b": "2", "d": "4"})) == ";a=1;b=2;c=3;d=4"
    assert str(params.without("a", "c", "x")) == ";b"
    assert str(params) == ";a=1;b;c=3"


def test_equal_is_spelled_equal() -> None:
    assert Params.parse(";a=1;b") == Params.parse(" ; a = 1;b")
    assert hash(Params.parse(";a=1")) == hash(Params.parse("; a=1"))
    assert Params.parse(";a;b") != Params.parse(";b;a")
    assert Params.parse(";a") != ";a"
