import pytest

from sipcgi.errors import ParseError
from sipcgi.sip import build
from sipcgi.sip.grammar import MAX_DATAGRAM, MAX_HEAD, MAX_LINES
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import MessageError, answerable, parse, parse_head

INVITE = """\
INVITE sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnashds8
Max-Forwards: 70
To: Bob <sip:bob@biloxi.example.com>
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
Content-Length: 4

body"""

RINGING = """\
SIP/2.0 180 Ringing
Via: SIP/2.0/UDP server10.biloxi.example.com;branch=z9hG4bK4b43c2ff8.1
To: Bob <sip:bob@biloxi.example.com>;tag=a6c85cf
From: Alice <sip:alice@atlanta.example.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE

"""


def octets(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def request(text: str = INVITE) -> Request:
    message = parse(octets(text))
    assert isinstance(message, Request)
    return message


def refused(text: str | bytes) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse(text if isinstance(text, bytes) else octets(text))
    return caught.value


def test_a_request() -> None:
    message = request()
    assert (message.method, message.uri, message.body) == ("INVITE", "sip:bob@biloxi.example.com", b"body")
    assert len(message.headers) == 7
    assert bytes(message) == octets(INVITE)


def test_a_response() -> None:
    message = parse(octets(RINGING))
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.body) == (180, "Ringing", b"")
    assert bytes(message) == octets(RINGING)


@pytest.mark.rfc("3261", "7.5")
def test_crlfs_before_the_start_line_are_nothing() -> None:
    assert parse(b"\r\n\r\n\r\n" + octets(INVITE)) == request()


@pytest.mark.rfc("3261", "18.3-1")
def test_octets_after_the_body_are_nothing() -> None:
    assert parse(octets(INVITE + "noise\n\nINVITE sip:x SIP/2.0")) == request()


@pytest.mark.rfc("3261", "18.3")
def test_without_content_length_the_body_is_the_rest() -> None:
    assert request(INVITE.replace("Content-Length: 4\n", "")).body == b"body"


@pytest.mark.rfc("3261", "18.3-2", "18.3-3")
def test_a_body_shorter_than_its_content_length() -> None:
    error = refused(INVITE.replace("Length: 4", "Length: 5"))
    assert (error.status, error.header) == (400, "content-length")
    assert error.message is not None
    assert refused(RINGING.replace("\n\n", "\nl: 1\n\n")).message is None


@pytest.mark.parametrize("line", ["SIP/2.0 200 ", "sip/2.0 200 OK", "SIP/2.0 699 а б", "SIP/2.0 200  two"])
def test_status_lines(line: str) -> None:
    message = parse(octets(RINGING.replace("SIP/2.0 180 Ringing", line)))
    assert isinstance(message, Response)
    assert message.reason == line[12:]


@pytest.mark.parametrize(
    "line",
    [
        "", "SIP/2.0", "SIP/2.0 ", "SIP/2.0 200", "SIP/2.0  200 OK", "SIP/2.0 20 OK", "SIP/2.0 2000 OK",
        "SIP/2.0 +20 OK", "SIP/2.0 099 x", "SIP/2.0 700 x", "SIP/2.0 ٢٠٠ OK", "SIP/2.0\t200 OK", "SIP/2.0 4294967301 x",
        "SIP/3.0 200 OK",
        "INVITE", "INVITE sip:a@b", "INVITE  sip:a@b SIP/2.0", "INVITE sip:a@b  SIP/2.0", "INVITE sip:a@b SIP/2.0 ",
        "INVITE sip:a@b; lr SIP/2.0", " INVITE sip:a@b SIP/2.0", "INV(ITE sip:a@b SIP/2.0", "ÍNVITE sip:a@b SIP/2.0",
        "INVITE\tsip:a@b\tSIP/2.0", "INVITE sip:a@b\tx SIP/2.0", "INVITE sip:a@b HTTP/1.1", "INVITE  SIP/2.0",
        " sip:a@b SIP/2.0",
    ],
)  # fmt: skip
def test_bad_start_lines(line: str) -> None:
    error = refused(INVITE.replace("INVITE sip:bob@biloxi.example.com SIP/2.0", line))
    assert error.status == 400
    understood = line.startswith(("SIP/", "INVITE ")) and "SIP/" in line
    assert error.content_length == (4 if understood else None)


@pytest.mark.rfc("3261", "21.5.6")
def test_another_version() -> None:
    error = refused(INVITE.replace("SIP/2.0\n", "SIP/7.0\n"))
    assert error.status == 505
    assert error.message is not None
    assert error.message.cseq.method == "INVITE"


@pytest.mark.rfc("3261", "7.1")
def test_the_version_has_no_case() -> None:
    assert request(INVITE.replace("com SIP/2.0\n", "com sip/2.0\n")) == request()


@pytest.mark.rfc("3261", "8.1.1")
@pytest.mark.parametrize("name", ["Via", "To", "From", "Call-ID", "CSeq"])
def test_mandatory_fields(name: str) -> None:
    for text in (INVITE, RINGING):
        lines = [line for line in text.split("\n") if not line.startswith(f"{name}:")]
        error = refused("\n".join(lines))
        assert (error.status, error.header, error.message) == (400, name.lower(), None)


def test_max_forwards_is_not_mandatory() -> None:
    assert request(INVITE.replace("Max-Forwards: 70\n", "")).max_forwards is None


@pytest.mark.parametrize(
    "line", ["f: sip:x@y", "T: sip:x@y", "i: x", "cseq: 314159 INVITE", "Max-Forwards: 70", "l: 4", "Content-Length: 3"]
)
def test_fields_that_may_come_once(line: str) -> None:
    error = refused(INVITE.replace("\n\n", f"\n{line}\n\n"))
    assert error.status == 400
    assert "more than once" in str(error)
    assert error.message is not None
    assert error.message.headers.count(str(error.header)) == 1
    assert error.fatal == (error.header == "content-length")


def test_fields_that_may_come_often() -> None:
    assert len(request(INVITE.replace("\n\n", "\nv: SIP/2.0/UDP x\nX: 1\nX: 2\n\n")).vias) == 2


@pytest.mark.rfc("3261", "8.1.1.5")
def test_the_cseq_has_the_method_of_the_request() -> None:
    error = refused(INVITE.replace("314159 INVITE", "314159 OPTIONS"))
    assert (error.status, error.header, error.content_length, error.fatal) == (400, "cseq", 4, False)
    assert error.message is not None
    assert refused(INVITE.replace("314159 INVITE", "x INVITE")).header == "cseq"


@pytest.mark.rfc("4475", "3.1.2.3-3", "3.1.2.3-4")
@pytest.mark.parametrize("value", ["-999", "five", "+4", "4 4", "4,4", "", "0x4", "4_0", "٤", "99999999999", "4\x0b"])
def test_bad_content_lengths(value: str) -> None:
    error = refused(INVITE.replace("Length: 4", f"Length: {value}"))
    assert (error.status, error.header, error.fatal) == (400, "content-length", True)


@pytest.mark.parametrize("octet", [b"\r", b"\n", b"\0"])
def test_octets_that_no_line_may_have(octet: bytes) -> None:
    error = refused(octets(INVITE).replace(b"Bob", b"B" + octet + b"b"))
    assert (error.status, error.message, error.fatal) == (400, None, True)


@pytest.mark.parametrize("line", ["no colon", "X-Bypass\x01: x", "To\x01: <sip:evil@x>", ": x", "Röute: x", "X\xa0: y"])
def test_a_bad_field_does_not_hide_the_others(line: str) -> None:
    error = refused(INVITE.replace("\nMax-Forwards", f"\n{line}\nMax-Forwards"))
    assert (error.status, error.fatal) == (400, True)
    assert error.message is not None
    assert error.message.to.display == "Bob"
    assert bytes(build.response(error.message, 400)).count(b"\r\n") == 8


def test_a_blank_before_the_colon_does_not_hide_a_field() -> None:
    assert request(INVITE.replace("\n\n", "\nX-Bypass \t: me\n\n")).headers.get("x-bypass") == "me"


@pytest.mark.rfc("3261", "7.3.1")
def test_folds() -> None:
    message = request(INVITE.replace("To: Bob <", "To:\n Bob\n\t<"))
    assert message.to.display == "Bob"
    assert b"To:\r\n Bob\r\n\t<sip:bob" in bytes(message)
    assert refused(INVITE.replace("\nVia", "\n Via")).status == 400


def test_any_octets_survive() -> None:
    text = INVITE.replace("Alice", "\udcff\udc80é\x0b\x85\u2028")
    assert bytes(request(text)) == octets(text)


def test_no_end_of_the_header_fields() -> None:
    error = refused(INVITE.partition("\n\n")[0] + "\n")
    assert error.status == 400
    assert error.message is not None
    assert refused(b"").message is None
    assert refused(b"\r\n\r\n").message is None
    assert refused(b"\0" * 20 + b"\r\n\r\n").message is None


def test_an_ack_and_a_bad_via_are_never_answered() -> None:
    ack = INVITE.replace("INVITE", "ACK").replace("314159", "x")
    assert refused(ack).message is None
    assert refused(INVITE.replace("SIP/2.0/UDP", "SIP/2.0/UDP;").replace("314159", "x")).message is None
    assert answerable(parse(octets(RINGING))) is None


def test_limits() -> None:
    too_many = INVITE.replace("\n\n", "\n" + "X: y\n" * 3000 + "\n")
    error = refused(too_many)
    assert error.status == 513
    assert error.message is not None
    for lines in ("a\n", "X: y\n", " y\n"):
        with pytest.raises(MessageError) as caught:
            parse_head(octets(INVITE.replace("\n\n", "\n" + lines * MAX_LINES)))
        assert (caught.value.status, caught.value.fatal) == (513, True)
        assert caught.value.message is not None
    error = refused(octets(INVITE) + b" " * MAX_DATAGRAM)
    assert error.status == 513
    head = octets(INVITE).partition(b"\r\n\r\n")[0] + b"\r\nX: " + b"y" * MAX_HEAD
    with pytest.raises(MessageError) as caught:
        parse_head(head)
    assert caught.value.status == 513
    assert caught.value.fatal
    assert caught.value.message is not None
    assert caught.value.message.call_id == "a84b4c76e66710"
    assert isinstance(caught.value, ParseError)
    with pytest.raises(MessageError) as caught:
        parse_head(b"y" * (MAX_HEAD + 1))
    assert (caught.value.status, caught.value.message) == (513, None)
