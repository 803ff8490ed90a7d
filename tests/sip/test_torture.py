"""Every message of RFC 4475 and RFC 5118, in the exact octets of their archives, and what becomes of it here."""

from pathlib import Path

import pytest

from sipcgi.errors import ParseError
from sipcgi.sip import build
from sipcgi.sip.message import Message, Request
from sipcgi.sip.parser import MessageError, parse
from sipcgi.sip.uri import SipUri

TORTURE = Path(__file__).parent / "torture"
TYPED = (
    "target",
    "via",
    "vias",
    "from_",
    "to",
    "call_id",
    "cseq",
    "max_forwards",
    "contacts",
    "routes",
    "record_routes",
)

# "" for a message that is good in all its typed values; else those that raise ParseError when they are used
GOOD = {
    "rfc4475": {
        "wsinv": "", "esc01": "", "escnull": "", "esc02": "", "lwsdisp": "", "longreq": "", "dblreq": "", "semiuri": "",
        "transports": "", "mpart01": "", "unreason": "", "noreason": "",
        "badinv01": "via vias contacts",  # 3.1.2.1: without a Via there is no way to answer it
        "quotbal": "to",
        "ltgtruri": "target",
        "escruri": "",  # 3.1.2.11: whoever forwards it drops the headers of the Request-URI
        "baddate": "",  # 3.1.2.12: Date is nothing to a proxy
        "regbadct": "contacts",
        "badaspec": "to",
        "badbranch": "",  # 3.2.1: transaction/key falls back to RFC 2543
        "unkscm": "", "novelsc": "", "unksm2": "", "bext01": "", "invut": "", "regaut01": "", "bcast": "", "zeromf": "",
        "cparam01": "", "cparam02": "", "regescrt": "", "sdp01": "", "inv2543": "",
    },
    "rfc5118": {
        "ipv6-good": "", "ipv6-bad": "target", "port-ambiguous": "", "port-unambiguous": "",
        "via-received-param-with-delim": "", "via-received-param-no-delim": "", "ipv6-in-sdp": "",
        "mult-ip-in-header": "", "mult-ip-in-sdp": "", "ipv4-mapped-ipv6": "", "ipv6-bug-abnf-3-colons": "",
        "ipv6-correct-abnf-2-colons": "",
    },
}  # fmt: skip

# Status of the answer, the field at fault, and whether enough was understood to give it
BAD = {
    "intmeth": (400, None, False),  # 3.1.1.2 is valid, but its NUL could not stand in an environment variable
    "clerr": (400, "content-length", True),
    "ncl": (400, "content-length", True),
    "scalar02": (400, "cseq", True),
    "scalarlg": (400, "cseq", False),
    "lwsruri": (400, None, True),
    "lwsstart": (400, None, True),
    "trws": (400, None, True),
    "baddn": (400, None, True),  # in the archive it has no empty line
    "badvers": (505, None, True),
    "mismatch01": (400, "cseq", True),
    "mismatch02": (400, "cseq", True),
    "bigcode": (400, None, False),
    "insuf": (400, "call-id", False),
    "multi01": (400, None, True),
    "mcl01": (400, "content-length", True),
}


def octets(rfc: str, name: str) -> bytes:
    found = (TORTURE / rfc / f"{name}.dat").read_bytes()
    if rfc == "rfc5118":  # its archive has no CRs, two messages without the empty line, a wrong Content-Length
        head, _, body = found.replace(b"\n", b"\r\n").partition(b"\r\n\r\n")
        head = head.removesuffix(b"\r\n").replace(b"Length: 268", b"Length: %d" % len(body))
        return head + b"\r\n\r\n" + body
    return found


def message(name: str, rfc: str = "rfc4475") -> Message:
    return parse(octets(rfc, name))


def test_none_is_left_out() -> None:
    for rfc in ("rfc4475", "rfc5118"):
        judged = {*GOOD[rfc], *(BAD if rfc == "rfc4475" else ())}
        assert {path.stem for path in (TORTURE / rfc).glob("*.dat")} == judged


@pytest.mark.rfc(
    "4475",
    "3.1.1.4-1",
    "3.1.1.5-1",
    "3.1.1.6-1",
    "3.1.1.10-1",
    "3.1.1.12-1",
    "3.1.1.13-1",
    "3.1.2.13-1",
    "3.1.2.14-1",
    "3.2.1-1",
    "3.3.2-1",
    "3.3.3-1",
    "3.3.4-1",
    "3.3.6-1",
    "3.3.7-1",
    "3.3.10-1",
    "3.4.1-1",
)
@pytest.mark.rfc("5118", "4.2-1", "4.5-4", "4.9-1")
@pytest.mark.parametrize(("rfc", "name"), [(rfc, name) for rfc, names in GOOD.items() for name in names])
def test_a_message_that_parses(rfc: str, name: str) -> None:
    found = message(name, rfc)
    wrong = []
    for value in TYPED:
        try:
            getattr(found, value, None)
        except ParseError:
            wrong.append(value)
    assert wrong == GOOD[rfc][name].split()
    assert parse(bytes(found)) == found


@pytest.mark.rfc(
    "4475",
    "3.1.2.2-1",
    "3.1.2.3-1",
    "3.1.2.4-1",
    "3.1.2.8-1",
    "3.1.2.9-1",
    "3.1.2.10-1",
    "3.1.2.15-1",
    "3.1.2.16-1",
    "3.1.2.19-1",
    "3.3.1-1",
    "3.3.8-1",
    "3.3.9-1",
)
@pytest.mark.parametrize("name", BAD)
def test_a_message_that_does_not_parse(name: str) -> None:
    status, header, answered = BAD[name]
    with pytest.raises(MessageError) as caught:
        message(name)
    error = caught.value
    assert error.status == status
    assert header in (None, error.header)
    assert (error.message is not None) == answered
    if error.message is not None:
        response = build.response(error.message, error.status, to_tag="x")
        assert bytes(response).startswith(f"SIP/2.0 {status} ".encode())
        assert response.via == error.message.via


@pytest.mark.rfc("4475", "3.1.1.1-1", "3.1.1.1-2")
def test_wsinv() -> None:
    found = message("wsinv")
    assert found.to.tag == "1918181833n"
    assert found.from_.display == 'J Rosenberg \\"'
    assert found.max_forwards == 68
    assert found.cseq == (9, "INVITE")
    assert [str(via) for via in found.vias] == [
        "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
        "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
    ]
    assert found.headers.get("subject") == ""
    assert found.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert found.headers.get("newfangledheader") == "newfangled value continued newfangled value"
    (contact,) = found.contacts
    assert contact.display == 'Quoted string ""'
    assert contact.params.get("q") == "0.33"
    assert len(found.body) == 150


@pytest.mark.rfc("4475", "3.1.1.3-1", "3.1.1.3-2", "3.1.1.3-3")
def test_escapes() -> None:
    found = message("esc01")
    assert isinstance(found, Request)
    assert isinstance(found.target, SipUri)
    assert found.target.aor == "sips:user@example.com@example.net"
    assert isinstance(found.to.uri, SipUri)
    assert found.to.uri.aor == "user@example.com"
    unescaped = message("esc02")
    assert isinstance(unescaped, Request)
    assert unescaped.method == "RE%47IST%45R"
    assert unescaped.to.display == "%Z%45"
    assert [str(contact.uri) for contact in unescaped.contacts] == [f"sip:alias{n}@host{n}.example.com" for n in (1, 3)]


@pytest.mark.rfc("4475", "3.1.1.8-1")
def test_what_follows_the_body_is_dropped() -> None:
    found = message("dblreq")
    assert found.body == b""
    assert b"INVITE" not in bytes(found)


@pytest.mark.rfc("4475", "3.1.1.11-1", "3.1.1.11-2")
def test_a_body_may_have_any_octets() -> None:
    assert len(message("mpart01").body) == 553
    assert b"\0" in message("mpart01").body


@pytest.mark.rfc("4475", "3.3.12-1")
def test_whose_parameter_it_is() -> None:
    (of_the_field,), (of_the_uri,) = message("cparam01").contacts, message("cparam02").contacts
    assert str(of_the_field) == "<sip:+19725552222@gw1.example.net>;unknownparam"
    assert str(of_the_uri) == "<sip:+19725552222@gw1.example.net;unknownparam>"


@pytest.mark.rfc("5118", "4.5-1", "4.5-3")
def test_received_with_and_without_brackets() -> None:
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert message(name, "rfc5118").via.received == "2001:db8::9:255"


@pytest.mark.rfc("5118", "4.10-1")
def test_three_colons() -> None:
    three, two = message("ipv6-bug-abnf-3-colons", "rfc5118"), message("ipv6-correct-abnf-2-colons", "rfc5118")
    assert isinstance(three.to.uri, SipUri)
    assert isinstance(two.to.uri, SipUri)
    assert three.to.uri.address == two.to.uri.address == "2001:db8::c000:201"


@pytest.mark.rfc("4475", "3.1.1.4-2")
def test_an_escaped_nul_is_part_of_the_user() -> None:
    found = message("escnull")
    assert isinstance(found.to.uri, SipUri)
    assert found.to.uri.aor == "null-\0-null@example.com"
    users = [contact.uri.aor for contact in found.contacts if isinstance(contact.uri, SipUri)]
    assert users == ["\0@host5.example.com", "\0\0@host5.example.com"]
