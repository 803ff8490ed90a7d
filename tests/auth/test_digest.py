"""Answers to challenges: the examples of the RFCs, and which challenge is answered at all."""

import pytest

from sipcgi.auth.digest import Account, answer, authorizations
from sipcgi.sip.authentication import Challenge, Credentials
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response

BOB = Account("biloxi.com", "bob", "zanzibar")
MUFASA = Account("http-auth@example.org", "Mufasa", "Circle of Life")
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"


def request(*fields: tuple[str, str], method: str = "INVITE", uri: str = "sip:bob@biloxi.com") -> Request:
    return Request(method, uri, Headers(fields), b"v=0\r\n")


def response(*challenges: str, name: str = "WWW-Authenticate", status: int = 401) -> Response:
    return Response(status, "", Headers([(name, challenge) for challenge in challenges]))


def made(text: str, account: Account, asked: Request, cnonce: str) -> dict[str, str]:
    return answer(Challenge.parse(text), account, asked, cnonce).params


@pytest.mark.rfc("2617", "3.5")
def test_the_example_of_rfc_2617() -> None:
    account = Account("testrealm@host.com", "Mufasa", "Circle Of Life")
    found = made(
        'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'opaque="5ccc069c403ebaf9f0171e9517f40e41"',
        account,
        Request("GET", "/dir/index.html", Headers()),
        "0a4f113b",
    )
    assert found == {
        "username": "Mufasa",
        "realm": "testrealm@host.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "uri": "/dir/index.html",
        "response": "6629fae49393a05397450978507c4ef1",
        "opaque": "5ccc069c403ebaf9f0171e9517f40e41",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": "0a4f113b",
    }


@pytest.mark.rfc("7616", "3.9.1")
@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, expected: str) -> None:
    challenge = f'Digest realm="{MUFASA.realm}", qop="auth, auth-int", algorithm={algorithm}, nonce="{NONCE}"'
    found = made(challenge, MUFASA, Request("GET", "/dir/index.html", Headers()), CNONCE)
    assert found["response"] == expected
    assert found["algorithm"] == algorithm


def test_without_qop_it_is_that_of_rfc_2069() -> None:
    found = made('Digest realm="biloxi.com", nonce="n"', BOB, request(), "c")
    assert set(found) == {"username", "realm", "nonce", "uri", "response"}
    # MD5 of "MD5(bob:biloxi.com:zanzibar):n:MD5(INVITE:sip:bob@biloxi.com)"
    assert found["response"] == "b824a62a3cb28b1a7a353a95842053b1"


def test_the_body_and_the_session_count_where_they_are_asked_for() -> None:
    plain = made('Digest realm="biloxi.com", nonce="n", qop="auth"', BOB, request(), "c")["response"]
    whole = made('Digest realm="biloxi.com", nonce="n", qop="auth-int"', BOB, request(), "c")
    session = made('Digest realm="biloxi.com", nonce="n", qop="auth", algorithm=MD5-sess', BOB, request(), "c")
    assert len({plain, whole["response"], session["response"]}) == 3
    assert whole["qop"] == "auth-int"
    other = Request("INVITE", "sip:bob@biloxi.com", Headers(), b"v=1\r\n")
    assert made('Digest realm="biloxi.com", nonce="n", qop="auth-int"', BOB, other, "c") != whole
    alone = made('Digest realm="biloxi.com", nonce="n", algorithm=md5-sess', BOB, request(), "c")
    assert (alone["cnonce"], "nc" in alone, alone["algorithm"]) == ("c", False, "md5-sess")


CHALLENGE = 'Digest realm="biloxi.com", nonce="n", qop="auth"'


@pytest.mark.rfc("3261", "22.2")
def test_the_field_that_answers() -> None:
    (field,) = authorizations(response(CHALLENGE), request(), [BOB], "c") or []
    assert field[0] == "Authorization"
    assert Credentials.parse(field[1]).params["username"] == "bob"
    ((name, _),) = authorizations(response(CHALLENGE, name="Proxy-Authenticate"), request(), [BOB], "c") or []
    assert name == "Proxy-Authorization"


@pytest.mark.parametrize(
    "challenge",
    [
        CHALLENGE.replace("biloxi", "elsewhere"),
        CHALLENGE + ", algorithm=SHA-512-256",
        CHALLENGE.replace('"auth"', '"auth-conf"'),
        'Digest realm="biloxi.com"',
        'Basic realm="biloxi.com"',
        'Bearer realm="biloxi.com", nonce="n"',
        "nothing at all",
    ],
)
def test_what_is_not_answered(challenge: str) -> None:
    assert authorizations(response(challenge), request(), [BOB], "c") is None


@pytest.mark.rfc("8760", "2.4")
def test_the_first_that_is_understood_counts() -> None:
    several = response(
        CHALLENGE + ", algorithm=SHA-512-256", CHALLENGE + ", algorithm=SHA-256", CHALLENGE + ", algorithm=MD5"
    )
    ((_, value),) = authorizations(several, request(), [BOB], "c") or []
    assert Credentials.parse(value).params["algorithm"] == "SHA-256"


@pytest.mark.rfc("3261", "22.3")
def test_several_realms() -> None:
    other = Account("atlanta.com", "bob", "x")
    both = response(CHALLENGE, CHALLENGE.replace("biloxi", "atlanta"), CHALLENGE.replace("biloxi", "elsewhere"))
    fields = authorizations(both, request(), [BOB, other], "c") or []
    assert [Credentials.parse(value).params["realm"] for _, value in fields] == ["biloxi.com", "atlanta.com"]
    # the one that was answered before stays
    again = request(*fields[:1])
    kept = authorizations(response(CHALLENGE.replace("biloxi", "atlanta")), again, [BOB, other], "c") or []
    assert [Credentials.parse(value).params["realm"] for _, value in kept] == ["atlanta.com", "biloxi.com"]


@pytest.mark.rfc("3261", "22.2")
def test_refused_credentials_are_not_tried_again_unless_the_nonce_was_stale() -> None:
    fields = authorizations(response(CHALLENGE), request(), [BOB], "c") or []
    assert authorizations(response(CHALLENGE), request(*fields), [BOB], "c") is None
    stale = response(CHALLENGE.replace('"n"', '"m"') + ", stale=TRUE")
    ((_, value),) = authorizations(stale, request(*fields), [BOB], "c") or []
    assert Credentials.parse(value).params["nonce"] == "m"
    odd = request(("Authorization", "what a script printed"))
    assert len(authorizations(response(CHALLENGE), odd, [BOB], "c") or []) == 2


def test_a_password_is_not_shown() -> None:
    assert "zanzibar" not in repr(BOB)
