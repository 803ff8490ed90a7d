import pytest

from sipcgi.errors import ParseError
from sipcgi.sip.authentication import Challenge, Credentials


@pytest.mark.rfc("3261", "20.44")
def test_a_challenge() -> None:
    text = (
        'Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", '
        'opaque="", stale=FALSE, algorithm=MD5'
    )
    challenge = Challenge.parse(text)
    assert challenge.scheme == "Digest"
    assert challenge.params["realm"] == "atlanta.com"
    assert challenge.params["stale"] == "FALSE"
    assert str(challenge) == text
    assert repr(challenge) == f"Challenge({text!r})"


@pytest.mark.rfc("3261", "20.7")
def test_credentials() -> None:
    text = (
        'Digest username="Alice", realm="a, \\"b\\"", nonce="84a4cc6f3082121f32b42a2187831a9e", '
        'uri="sip:bob@biloxi.com", response="7587245234b3434cc3412213e5f113a5", '
        'qop=auth, nc=00000001, cnonce="0a4f113b"'
    )
    credentials = Credentials.parse(text)
    assert credentials.params["realm"] == 'a, "b"'
    assert str(credentials) == text


def test_blanks_and_case() -> None:
    loose = Credentials.parse(' digest\tREALM = "a" ,\tQop=auth ')
    assert loose == Credentials("Digest", {"realm": "a", "qop": "auth"})
    assert loose != Credentials("Digest", {"realm": "b", "qop": "auth"})
    assert loose != Credentials("Basic", {"realm": "a", "qop": "auth"})
    assert loose != Challenge("Digest", {"realm": "a", "qop": "auth"})


@pytest.mark.parametrize(
    "text",
    [
        "", "Digest", 'Digest realm', 'Digest realm=', 'Digest ="a"', 'Digest realm="a', 'Digest realm="a"b',
        'Digest a b=c', 'Digest realm="a" nonce="b"', "Di(gest a=b", "Digest a=1, A=2", "Digest a=b@c",
        'Digest a="b""c"', 'Digest a="b\\"',
    ],
)  # fmt: skip
def test_bad_ones(text: str) -> None:
    with pytest.raises(ParseError):
        Challenge.parse(text)
