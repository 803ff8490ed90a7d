"""Which transaction a message belongs to, over real messages."""

import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse
from sipcgi.transaction.key import client_key, invite_key_of_cancel, server_key

INVITE = """\
INVITE sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff
To: Bob <sip:bob@biloxi.com>
From: Alice <sip:alice@atlanta.com>;tag=88sja8x
Max-Forwards: 70
Call-ID: 987asjd97y7atg
CSeq: 986759 INVITE
Content-Length: 0
"""

ACK = """\
ACK sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff
To: Bob <sip:bob@biloxi.com>;tag=99sa0xk
From: Alice <sip:alice@atlanta.com>;tag=88sja8x
Max-Forwards: 70
Call-ID: 987asjd97y7atg
CSeq: 986759 ACK
Content-Length: 0
"""

CANCEL = INVITE.replace("INVITE", "CANCEL")

BYE = """\
BYE sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds10
To: Bob <sip:bob@biloxi.com>;tag=99sa0xk
From: Alice <sip:alice@atlanta.com>;tag=88sja8x
Max-Forwards: 70
Call-ID: 987asjd97y7atg
CSeq: 986760 BYE
Content-Length: 0
"""

RINGING = """\
SIP/2.0 180 Ringing
Via: SIP/2.0/UDP server10.biloxi.com;branch=z9hG4bK4b43c2ff8.1
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff;received=192.0.2.1
To: Bob <sip:bob@biloxi.com>;tag=99sa0xk
From: Alice <sip:alice@atlanta.com>;tag=88sja8x
Call-ID: 987asjd97y7atg
CSeq: 986759 INVITE
Content-Length: 0
"""


def request(text: str) -> Request:
    message = parse((text + "\n").replace("\n", "\r\n").encode())
    assert isinstance(message, Request)
    return message


def response(text: str) -> Response:
    message = parse((text + "\n").replace("\n", "\r\n").encode())
    assert isinstance(message, Response)
    return message


def old(text: str) -> str:
    """As a client of RFC 2543 would send it: without a branch."""
    return text.replace(";branch=z9hG4bKkjshdyff", "").replace(";branch=z9hG4bKnashds10", "")


@pytest.mark.rfc("6026", "8.9-1")
@pytest.mark.rfc("3261", "17.1.3", "18.1.2-2")
def test_a_response_matches_by_the_branch_of_its_top_via_and_the_method_of_its_cseq() -> None:
    assert client_key(response(RINGING)) == ("z9hG4bK4b43c2ff8.1", "INVITE")


@pytest.mark.rfc("3261", "17.1.3")
def test_a_response_to_a_cancel_matches_the_cancel_and_not_its_invite() -> None:
    ok = response(RINGING.replace("180 Ringing", "200 OK").replace("986759 INVITE", "986759 CANCEL"))
    assert client_key(ok) == ("z9hG4bK4b43c2ff8.1", "CANCEL")


def test_a_request_we_send_has_the_key_of_its_responses() -> None:
    sent = request(INVITE.replace("Via:", "Via: SIP/2.0/UDP server10.biloxi.com;branch=z9hG4bK4b43c2ff8.1\nVia:"))
    assert client_key(sent) == client_key(response(RINGING))


def test_a_response_without_a_branch_matches_nothing_of_ours() -> None:
    assert client_key(response(RINGING.replace(";branch=z9hG4bK4b43c2ff8.1", ""))) == ("", "INVITE")


def test_a_via_that_does_not_parse_is_a_parse_error() -> None:
    broken = Response(200, "OK", response(RINGING).headers.copy())
    broken.headers.remove("via")
    with pytest.raises(ParseError):
        client_key(broken)


@pytest.mark.rfc("3261", "17.2.3")
def test_a_request_matches_by_branch_sent_by_and_method() -> None:
    assert server_key(request(INVITE)) == ("z9hG4bKkjshdyff", "pc33.atlanta.com:5060", "INVITE")


@pytest.mark.rfc("3261", "17.2.3")
@pytest.mark.parametrize(
    "changed",
    [
        INVITE.replace("z9hG4bKkjshdyff", "z9hG4bKkjshdyfg"),
        INVITE.replace("pc33.atlanta.com", "pc34.atlanta.com"),
        INVITE.replace("pc33.atlanta.com", "pc33.atlanta.com:5061"),
        INVITE.replace("INVITE", "OPTIONS"),
        CANCEL,
    ],
    ids=["branch", "host", "port", "method", "cancel"],
)
def test_a_difference_in_one_of_them_is_another_transaction(changed: str) -> None:
    assert server_key(request(changed)) != server_key(request(INVITE))


@pytest.mark.rfc("3261", "17.2.3")
@pytest.mark.parametrize(
    "changed",
    [
        INVITE.replace("pc33.atlanta.com", "PC33.atlanta.com"),
        INVITE.replace("pc33.atlanta.com", "pc33.atlanta.com:5060"),
        INVITE.replace("kjshdyff", "kjshdyff;received=192.0.2.1;rport=40000"),
        INVITE.replace("sip:bob@biloxi.com SIP", "sip:bob@192.0.2.4 SIP"),
        INVITE.replace("986759", "986760"),
    ],
    ids=["case", "default port", "received", "request-uri", "cseq"],
)
def test_nothing_else_counts(changed: str) -> None:
    assert server_key(request(changed)) == server_key(request(INVITE))


@pytest.mark.rfc("3261", "17.2.3")
def test_the_ack_of_a_refusal_matches_its_invite() -> None:
    assert server_key(request(ACK)) == server_key(request(INVITE))


def test_the_ack_of_a_2xx_has_a_branch_of_its_own() -> None:
    assert server_key(request(ACK.replace("kjshdyff", "nashds9"))) != server_key(request(INVITE))


@pytest.mark.rfc("3261", "9.2")
@pytest.mark.parametrize("form", [str, old], ids=["RFC 3261", "RFC 2543"])
def test_a_cancel_names_its_invite_and_is_a_transaction_of_its_own(form) -> None:
    cancel, invite = request(form(CANCEL)), request(form(INVITE))
    assert invite_key_of_cancel(cancel) == server_key(invite)
    assert server_key(cancel) != server_key(invite)


@pytest.mark.rfc("3261", "17.2.3")
def test_without_the_cookie_an_invite_is_repeated_when_all_of_it_is_the_same() -> None:
    invite = request(old(INVITE))
    assert server_key(invite) == server_key(request(old(INVITE)))
    assert server_key(invite) == server_key(request(old(INVITE).replace(".com\nTo", ".com;received=192.0.2.1\nTo")))
    assert server_key(invite) != server_key(request(INVITE))


@pytest.mark.rfc("3261", "17.2.3")
@pytest.mark.parametrize("text", [INVITE, BYE], ids=["INVITE", "BYE"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("sip:bob@biloxi.com SIP", "sip:carol@biloxi.com SIP"),
        ("tag=88sja8x", "tag=88sja8y"),
        ("987asjd97y7atg", "987asjd97y7ath"),
        ("CSeq: 9867", "CSeq: 9868"),
        ("pc33", "pc34"),
        ("UDP pc33.atlanta.com", "UDP pc33.atlanta.com;branch=1"),
    ],
)
def test_without_the_cookie_a_difference_in_any_of_them_is_another(text: str, was: str, becomes: str) -> None:
    assert was in old(text)
    assert server_key(request(old(text).replace(was, becomes))) != server_key(request(old(text)))


@pytest.mark.rfc("3261", "17.2.3")
def test_without_the_cookie_the_to_tag_counts_but_for_invites() -> None:
    assert server_key(request(old(BYE).replace("99sa0xk", "99sa0xl"))) != server_key(request(old(BYE)))


@pytest.mark.rfc("3261", "17.2.3")
def test_without_the_cookie_an_ack_matches_its_invite_although_the_invite_had_no_to_tag() -> None:
    assert server_key(request(old(ACK))) == server_key(request(old(INVITE)))


def test_without_any_tag_a_request_still_has_a_key() -> None:
    bare = old(BYE).replace(";tag=88sja8x", "").replace(";tag=99sa0xk", "")
    assert server_key(request(bare))[-2:] == ("", "")


@pytest.mark.rfc("4475", "3.2.1")
def test_the_cookie_alone_identifies_nothing() -> None:
    bad = BYE.replace("z9hG4bKnashds10", "z9hG4bK")
    other = bad.replace("987asjd97y7atg", "another")
    assert server_key(request(bad)) == server_key(request(bad))
    assert server_key(request(bad)) != server_key(request(other))


def test_a_branch_may_be_any_text() -> None:
    for branch in ("z9hG4bK\u00e9", "z9hG4bK\u20ac"):
        invite = request(INVITE.replace("z9hG4bKkjshdyff", branch))
        assert server_key(invite) == (branch, "pc33.atlanta.com:5060", "INVITE")
    assert len(server_key(request(INVITE.replace("z9hG4bKkjshdyff", "z9hG4b\u00e9")))) > 3
