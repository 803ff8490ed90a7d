import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.grammar import MAX_ELEMENT
from sipcgi.sip.params import Params
from sipcgi.sip.uri import OtherUri, SipUri, TelUri, equivalent, escape, parse_hostport, parse_uri, unescape


def sip(text: str) -> SipUri:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    assert str(uri) == text
    return uri


@pytest.mark.rfc("3261", "19.1.3")
@pytest.mark.parametrize(
    ("text", "user", "password", "host", "port", "params", "headers"),
    [
        ("sip:alice@atlanta.com", "alice", None, "atlanta.com", None, "", ""),
        (
            "sip:alice:secretword@atlanta.com;transport=tcp",
            "alice", "secretword", "atlanta.com", None, ";transport=tcp", "",
        ),
        (
            "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
            "alice", None, "atlanta.com", None, "", "subject=project%20x&priority=urgent",
        ),
        (
            "sip:+1-212-555-1212:1234@gateway.com;user=phone",
            "+1-212-555-1212", "1234", "gateway.com", None, ";user=phone", "",
        ),
        ("sips:1212@gateway.com", "1212", None, "gateway.com", None, "", ""),
        ("sip:alice@192.0.2.4", "alice", None, "192.0.2.4", None, "", ""),
        (
            "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
            None, None, "atlanta.com", None, ";method=REGISTER", "to=alice%40atlanta.com",
        ),
        ("sip:alice;day=tuesday@atlanta.com", "alice;day=tuesday", None, "atlanta.com", None, "", ""),
        ("SIP:a:@Host_1.:5061", "a", "", "Host_1.", 5061, "", ""),
        ("sip:*21#@pbx", "*21#", None, "pbx", None, "", ""),
        ("sip:[2001:db8::10]:5070;lr", None, None, "[2001:db8::10]", 5070, ";lr", ""),
        ("sip:a@[::ffff:192.0.2.1]", "a", None, "[::ffff:192.0.2.1]", None, "", ""),
    ],
)  # fmt: skip
def test_parts(
    text: str, user: str | None, password: str | None, host: str, port: int | None, params: str, headers: str
) -> None:
    uri = sip(text)
    assert (uri.user, uri.password, uri.host, uri.port) == (user, password, host, port)
    assert (str(uri.params), uri.headers) == (params, headers)
    assert uri.scheme == text.partition(":")[0].lower()


@pytest.mark.parametrize(
    "text",
    [
        "", "sip", "sip:", "sip:@host", "sip:a@", "sip:a@b@c", "sip:a b@c", "sip:a@b c", "sip:a@b ;lr", "sip:a@b; lr",
        "sip:a@b;", "sip:a@b;x=", "sip:a@b?", "sip:a@b?x y", "sip:a@b?x=%4", "sip:a%4g@b", "sip:a%@b", "sip:a@b;x=%zz",
        "sip:a:b:c@d", "sip:ä@b", "sip:a@ä", "sip:a\x00@b", "sip:a@b%63", "sip::b@c", "<sip:a@b>", "sip:a@b;x;X",
        "sip:host:", "sip:host:0", "sip:host:65536", "sip:host:5060x", "sip:host:+5060", "sip:host:٥٠٦٠",
        "sip:.host", "sip:a..b", "sip:-a.b", "sip:a-.b", "sip:1.2.3", "sip:1.2.3.4.5", "sip:256.1.1.1", "sip:a.1",
        "sip:999",
        "sip:2001:db8::10", "sip:[2001:db8::10", "sip:[2001:db8::g]", "sip:[fe80::1%25eth0]", "sip:[::1]x", "sip:[]",
        "sip:[::1]:", "sip:" + "a" * 300, "sip:a@host:" + "0" * 300 + "5060",
    ],
)  # fmt: skip
def test_bad_sip_uris(text: str) -> None:
    with pytest.raises(ParseError):
        parse_uri(text)


def test_other_schemes_are_no_sip_uris() -> None:
    with pytest.raises(ParseError, match="not a SIP URI"):
        SipUri.parse("http://a")
    with pytest.raises(ParseError, match="bad tel URI"):
        TelUri.parse("sip:1")


def test_long_uris_parse_too() -> None:
    assert sip("sip:" + "a" * 1000 + "@host").host == "host"
    with pytest.raises(ParseError, match="too long"):
        parse_uri("sip:" + "a" * MAX_ELEMENT + "@host")


def test_short_uris_are_parsed_once() -> None:
    assert parse_uri("sip:once@example.com") is parse_uri("sip:once@example.com")


@pytest.mark.rfc("5118", "4.10")
def test_three_colons_are_understood_as_two() -> None:
    assert sip("sip:user@[2001:db8:::192.0.2.1]").address == "2001:db8::c000:201"


@pytest.mark.rfc("5954", "4")
def test_address() -> None:
    assert sip("sip:a@ExAmple.COM").address == "example.com"
    assert sip("sip:a@[2001:DB8:0:0::1]").address == "2001:db8::1"
    assert sip("sip:a@192.0.2.1").address == "192.0.2.1"


@pytest.mark.rfc("3261", "10.3")
@pytest.mark.parametrize(
    ("text", "aor"),
    [
        ("sip:%61lice:pw@AtLanTa.CoM:5070;transport=tcp?x=y", "alice@atlanta.com"),
        ("sips:Alice%20B@example.com", "Alice B@example.com"),
        ("sip:example.com;lr", "example.com"),
        ("sip:a@[2001:DB8::0:1]:5060", "a@[2001:db8::1]"),
        ("sip:null-%00-null@example.com", "null-\0-null@example.com"),
    ],
)
def test_aor(text: str, aor: str) -> None:
    assert sip(text).aor == aor


def test_escaping() -> None:
    assert escape("alice;x=y") == "alice;x=y"
    assert escape("j@s0n ü%") == "j%40s0n%20%C3%BC%25"
    assert unescape("j%40s0n%20%C3%BC%25") == "j@s0n ü%"
    assert unescape("plain") == "plain"
    assert escape(unescape("%FF%fe")) == "%FF%FE"


def test_changed_copies() -> None:
    uri = sip("sip:a:b@h:1;p?x=y")
    assert str(uri.with_(user="c", password=None)) == "sip:c@h:1;p?x=y"
    assert str(uri.with_(user=None, password=None, port=None, params=Params(), headers="")) == "sip:h"
    assert str(uri.with_(scheme="sips")) == "sips:a:b@h:1;p?x=y"
    assert str(uri) == "sip:a:b@h:1;p?x=y"


def test_equality_is_that_of_the_text() -> None:
    assert sip("sip:a@b") == SipUri("sip", "a", None, "b")
    assert hash(sip("sip:a@b")) == hash(SipUri("sip", "a", None, "b"))
    assert sip("sip:a@b") != sip("sip:a@B")
    assert sip("sip:a@b") != "sip:a@b"
    assert repr(sip("sip:a@b")) == "SipUri('sip:a@b')"


@pytest.mark.rfc("3966", "3")
def test_tel() -> None:
    uri = parse_uri("TEL:+1-201-555-0123;ext=9;PHONE-context=x.com")
    assert isinstance(uri, TelUri)
    assert (uri.scheme, uri.number, uri.digits) == ("tel", "+1-201-555-0123", "+12015550123")
    assert uri.params.get("ext") == "9"
    assert str(uri) == "TEL:+1-201-555-0123;ext=9;PHONE-context=x.com"
    assert repr(uri) == "TelUri('TEL:+1-201-555-0123;ext=9;PHONE-context=x.com')"
    assert str(TelUri("112", Params.parse(";a"))) == "tel:112;a"
    assert TelUri("112") == parse_uri("tel:112")
    assert TelUri("112") != sip("sip:112@b")
    assert hash(TelUri("112")) == hash(parse_uri("tel:112"))


@pytest.mark.parametrize(
    "text", ["tel:", "tel:+", "tel:-", "tel:+a", "tel:1 2", "tel:xyz", "tel:1;", "tel:1;a=", "tel:1;a=%x"]
)
def test_bad_tel(text: str) -> None:
    with pytest.raises(ParseError):
        parse_uri(text)


def test_any_other_scheme() -> None:
    uri = parse_uri("Soap.Beep://192.0.2.103:3002?a=b")
    assert isinstance(uri, OtherUri)
    assert (uri.scheme, uri.rest) == ("soap.beep", "//192.0.2.103:3002?a=b")
    assert str(uri) == "Soap.Beep://192.0.2.103:3002?a=b"
    assert repr(uri) == "OtherUri('Soap.Beep://192.0.2.103:3002?a=b')"
    assert uri == OtherUri("Soap.Beep", "//192.0.2.103:3002?a=b")
    assert uri != sip("sip:a")
    assert hash(uri) == hash(OtherUri("Soap.Beep", "//192.0.2.103:3002?a=b"))


@pytest.mark.parametrize(
    "text", ["x", ":x", "1a:b", "http:", "http:a b", "http:<a>", "urn:\x00", "urn:ä", 'urn:"', "*"]
)
def test_no_uri(text: str) -> None:
    with pytest.raises(ParseError, match="not a URI"):
        parse_uri(text)


@pytest.mark.rfc("3261", "19.1.4")
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&Subject=project%20x",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=off"),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("sip:a@b;l%72;x=%61", "sip:a@b;lr;X=A"),
        ("sip:a%3Bb@c", "sip:a%3bb@c"),
        ("tel:+358-555-1234567;postd=pp22", "tel:+358-555-1234567;POSTD=PP22"),
        ("tel:+358-555-1234567;postd=pp22;isub=1411", "tel:+358-555-1234567;isub=1411;postd=pp22"),
        ("tel:+1(201)555.0123", "tel:+1-201-5550123"),
        ("tel:7042;phone-context=+1-914", "tel:7042;phone-context=+1914"),
        ("tel:1;ext=3-4", "tel:1;ext=34"),
        ("urn:a:b", "URN:a:b"),
    ],
)
def test_equivalent(a: str, b: str) -> None:
    assert equivalent(parse_uri(a), parse_uri(b))
    assert equivalent(parse_uri(b), parse_uri(a))


@pytest.mark.rfc("3261", "19.1.4")
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a:p@b", "sip:a@b"),
        ("sip:a:p@b", "sip:a:q@b"),
        ("sip:a@b;user=phone", "sip:a@b"),
        ("sip:a@b;ttl=1", "sip:a@b"),
        ("sip:a@b;method=INVITE", "sip:a@b"),
        ("sip:a@b;maddr=1.2.3.4", "sip:a@b"),
        ("sip:a@b?x=y", "sip:a@b?x=z"),
        ("sip:a%3Bb@c", "sip:a;b@c"),
        ("sip:a%2540@c", "sip:a%40@c"),
        (
            "sip:+358-555-1234567;postd=pp22@foo.com;user=phone",
            "sip:+358-555-1234567;POSTD=PP22@foo.com;user=phone",
        ),
        ("tel:+1", "tel:1"),
        ("tel:1", "tel:2"),
        ("tel:1;ext=1", "tel:1"),
        ("tel:7042;phone-context=a.com", "tel:7042;phone-context=b.com"),
        ("tel:1", "sip:1@b"),
        ("sip:1@b", "tel:1"),
        ("urn:a", "urn:b"),
        ("urn:a", "sip:a"),
        ("urn:a", "uri:a"),
    ],
)
def test_not_equivalent(a: str, b: str) -> None:
    assert not equivalent(parse_uri(a), parse_uri(b))
    assert not equivalent(parse_uri(b), parse_uri(a))


def test_hostport() -> None:
    assert parse_hostport("example.com:005060") == ("example.com", 5060)
    assert parse_hostport("[::1]") == ("[::1]", None)
