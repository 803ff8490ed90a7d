import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_HEADERS, MAX_LIST, MAX_LIST_TEXT
from sipcgi.sip.headers import Headers, _value, canonical


def parse(text: str) -> Headers:
    return Headers.parse(text.removesuffix("\n").replace("\n", "\r\n").split("\r\n"))


FIELDS = """\
Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b
v: SIP/2.0/UDP c
MaX-fOrWaRdS : 70
Subject:   lunch\t
X-Odd!%:;;,,;
s:
"""


@pytest.mark.rfc("3261", "7.3.3")
@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("Via", "via"), ("VIA", "via"), ("v", "via"), ("V", "via"), ("f", "from"), ("t", "to"), ("i", "call-id"),
        ("m", "contact"), ("e", "content-encoding"), ("l", "content-length"), ("c", "content-type"),
        ("s", "subject"), ("k", "supported"),
        ("o", "event"), ("u", "allow-events"), ("r", "refer-to"), ("b", "referred-by"), ("a", "accept-contact"),
        ("j", "reject-contact"), ("d", "request-disposition"), ("x", "session-expires"), ("y", "identity"),
        ("n", "identity-info"), ("CALL-id", "call-id"), ("X-Odd", "x-odd"), ("Z", "z"),
    ],
)  # fmt: skip
def test_canonical_names(spelling: str, name: str) -> None:
    assert canonical(spelling) == name


@pytest.mark.rfc("3261", "7.3.1")
def test_reading() -> None:
    headers = parse(FIELDS)
    assert headers.names == ["via", "via", "max-forwards", "subject", "x-odd!%", "subject"]
    assert headers.lines[2] == "MaX-fOrWaRdS : 70"
    assert headers.get("via") == "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b"
    assert headers.get("max-forwards") == "70"
    assert headers.get("x-odd!%") == ";;,,;"
    assert headers.get("call-id") is None
    assert headers.all("subject") == ["lunch", ""]
    assert headers.all("call-id") == []
    assert headers.elements("via") == ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert headers.elements("call-id") == []
    assert headers.count("via") == 2
    assert "via" in headers
    assert "call-id" not in headers
    assert len(headers) == 6
    assert list(headers)[2:4] == [("MaX-fOrWaRdS", "70"), ("Subject", "lunch")]
    assert repr(parse("To: x")) == "Headers([('To', 'x')])"


def test_no_fields_at_all() -> None:
    assert len(Headers.parse([])) == 0


@pytest.mark.rfc("3261", "7.3.1")
def test_commas_part_no_credentials() -> None:
    headers = parse('Authorization: Digest realm="a", nonce="b"\nAuthorization: Other x=y')
    assert headers.elements("authorization") == ['Digest realm="a", nonce="b"', "Other x=y"]


@pytest.mark.rfc("3261", "7.3.1")
def test_folds_are_kept_and_read_as_one_space() -> None:
    headers = parse(
        "Subject: I know you're there,  \n\t pick up the phone\n   and talk to me!\nTO :\n sip:a@b ;\n  tag=x\n"
        "Contact: <sip:a>"
    )
    assert headers.names == ["subject", "to", "contact"]
    assert headers.lines[1] == "TO :\r\n sip:a@b ;\r\n  tag=x"
    assert headers.get("subject") == "I know you're there, pick up the phone and talk to me!"
    assert headers.get("to") == "sip:a@b ; tag=x"
    assert list(headers)[1] == ("TO", "sip:a@b ; tag=x")


def test_blanks_of_other_scripts_are_content() -> None:
    assert parse("Subject: \xa0a\x0b\x1cb\u2028\x85 ").get("subject") == "\xa0a\x0b\x1cb\u2028\x85"


@pytest.mark.rfc("3261", "25.1")
@pytest.mark.parametrize(
    "line",
    [
        "",
        "To",
        "Via",
        ": x",
        " To: x",
        "\tTo: x",
        "To\x01: x",
        "To\x0b: x",
        "To\xa0: x",
        "To y: x",
        "<To>: x",
        "Tö: x",
        "(To): x",
    ],
)
def test_bad_names(line: str) -> None:
    with pytest.raises(ParseError):
        Headers.parse([line])
    with pytest.raises(ParseError):
        Headers.parse([line, "From: a", " folded"])


def test_salvage() -> None:
    headers = Headers.salvage(["no colon", "From: a", "To\x01: x", "To: 1", " folded", "t: 2", "Via: a", "Via: b"])
    assert headers.lines == ["From: a", "To: 1\r\n folded", "Via: a", "Via: b"]
    assert headers.names == ["from", "to", "via", "via"]


def test_there_is_a_limit() -> None:
    assert len(Headers.parse(["A: b"] * MAX_HEADERS)) == MAX_HEADERS
    with pytest.raises(ParseError, match="more than") as caught:
        Headers.parse(["A: b"] * (MAX_HEADERS + 1))
    assert caught.value.status == 513


def test_the_elements_of_all_fields_of_a_name_have_one_limit() -> None:
    headers = Headers.parse(["Route: a, b"] * (MAX_LIST // 2))
    assert len(headers.elements("route")) == MAX_LIST
    headers.add("Route", "c")
    with pytest.raises(ParseError, match="elements"):
        headers.elements("route")
    long = Headers.parse(["Route: " + "a" * (MAX_LIST_TEXT // 2)] * 3)
    with pytest.raises(ParseError, match="characters") as caught:
        long.elements("route")
    assert caught.value.header == "route"


def test_add_and_insert() -> None:
    headers = Headers([("Via", "a"), ("t", "b")])
    headers.add("X-New", "c")
    headers.insert(1, "From", "d")
    assert headers.lines == ["Via: a", "From: d", "t: b", "X-New: c"]
    assert headers.names == ["via", "from", "to", "x-new"]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a\r\nX: y"])
def test_a_value_cannot_end_its_line(value: str) -> None:
    with pytest.raises(ParseError):
        Headers().add("Subject", value)


def test_set() -> None:
    headers = parse("a: 1\nVia: x\nTo: y\nv: z\nSubject: s")
    headers.set("Via", "one")
    assert headers.lines == ["a: 1", "Via: one", "To: y", "Subject: s"]
    headers.set("T", "two")
    headers.set("Expires", "3")
    assert headers.lines == ["a: 1", "Via: one", "T: two", "Subject: s", "Expires: 3"]
    assert headers.names == ["accept-contact", "via", "to", "subject", "expires"]


def test_remove() -> None:
    headers = parse("Via: x\nTo: y\nv: z\nSubject: s")
    headers.remove("via", "subject", "expires")
    assert headers.lines == ["To: y"]
    assert headers.names == ["to"]
    headers.remove("via")
    assert headers.lines == ["To: y"]
    headers.remove("to")
    assert headers.lines == headers.names == []


def test_prepend() -> None:
    headers = parse("To: y\nv: x\nVia: z")
    headers.prepend("Via", "new")
    headers.prepend("Record-Route", "<sip:p;lr>")
    assert headers.lines == ["Record-Route: <sip:p;lr>", "To: y", "Via: new", "v: x", "Via: z"]
    assert headers.names == ["record-route", "to", "via", "via", "via"]


def test_a_copy_is_its_own() -> None:
    headers = parse("To: y\nVia: x")
    copy = headers.copy()
    assert copy == headers
    copy.set("To", "z")
    copy.remove("via")
    assert headers.lines == ["To: y", "Via: x"]
    assert copy != headers
    assert headers != ["To: y", "Via: x"]


@pytest.mark.parametrize(
    ("fields", "one"),
    [("Via: a\nTo: b\n", True), ("Via: a, b\n", False), ("Via: a\nv: b\n", False), ("To: a, b\n", False)],
)
def test_whether_there_is_one_via(fields: str, one: bool) -> None:
    assert parse(fields).one_via is one


def test_all_values_compiled_or_not() -> None:
    lines = ["Via: a,  b\t", "Subject:", "X-Odd : \t one\r\n  two \r\n\tthree ", "Contact: \u00a0<sip:a:5060> "]
    headers = Headers.parse(lines)
    assert headers.values() == ["a,  b", "", "one two three", "\u00a0<sip:a:5060>"]
    assert headers.values() == [_value(line) for line in lines]
    assert Headers().values() == []
