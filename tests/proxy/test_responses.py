"""RFC 3261 16.7, items 3 to 7 and 9."""

import pytest

from sipcgi.errors import ParseError
from sipcgi.proxy.responses import Ends, ResponseContext, between, side, upstream
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

OURS = "Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK0.cafe"
THEIRS = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;received=192.0.2.99"
FROM = "f: Alice <sip:alice@example.com>;tag=1"
TO = "To: Bob <sip:bob@example.com>"


def ends(to: str = TO) -> Ends:
    lines = ["INVITE sip:bob@example.com SIP/2.0", THEIRS, FROM, to, "Call-ID: a@b", "CSeq: 1 INVITE", "", ""]
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Request)
    return Ends.of(message)


def response(*fields: str, status: str = "200 OK", body: str = "") -> Response:
    lines = [f"SIP/2.0 {status}", *fields, "Call-ID: a@b", "CSeq: 1 INVITE", "X-Odd:  kept ", "", body]
    message = parse("\r\n".join(lines).encode())
    assert isinstance(message, Response)
    return message


@pytest.mark.rfc("3327", "5.2-4")
@pytest.mark.rfc("3608", "6.2-1")
@pytest.mark.rfc("3261", "16.7-39", "16.7-40", "16.7-41")
def test_3_the_top_via_is_removed_and_nothing_else() -> None:
    received = response(OURS, THEIRS, FROM, TO + ";tag=2", body="hello")
    before = bytes(received)
    assert upstream(received, ends()) == response(THEIRS, FROM, TO + ";tag=2", body="hello")
    assert bytes(received) == before


@pytest.mark.rfc("3261", "16.7")
def test_3_several_vias_in_one_field() -> None:
    joined = f"v: {OURS[5:]},\r\n {THEIRS[5:]}, SIP/2.0/TCP 192.0.2.7"
    shaped = upstream(response(joined, FROM, TO), ends())
    assert shaped == response(f"Via: {THEIRS[5:]}, SIP/2.0/TCP 192.0.2.7", FROM, TO)
    quoted = upstream(response(OURS + ';x="a,b"', THEIRS, FROM, TO), ends())
    assert quoted == response(THEIRS, FROM, TO)


@pytest.mark.rfc("3261", "16.7-6")
def test_3_a_response_for_ourselves() -> None:
    with pytest.raises(ParseError) as caught:
        upstream(response(OURS, FROM, TO), ends())
    assert caught.value.header == "via"


@pytest.mark.rfc("3261", "8.2.6.2", "16.7-30", "16.7-32")
@pytest.mark.parametrize(
    ("asked", "received", "shaped"),
    [
        (TO, "To: <sip:carol@example.org>;tag=2", TO + ";tag=2"),
        (TO, "t: Bob <sip:bob@example.com>;tag=2", TO + ";tag=2"),
        (TO, "To: <sip:carol@example.org>", TO),
        (TO, TO, TO),
        (TO, TO + ";tag=2;x=y", TO + ";tag=2;x=y"),
        (TO, TO + ";x=y;tag=2", TO + ";tag=2"),
        (TO + ";tag=2", TO + ";tag=2", TO + ";tag=2"),
        (TO + ";tag=2", "To: <sip:carol@example.org>;tag=2", TO + ";tag=2"),
        (TO + ";tag=2", TO + ";tag=22", TO + ";tag=2"),
        ("To: Bob\r\n <sip:bob@example.com>;tag=2", TO + ";tag=22", "To: Bob\r\n <sip:bob@example.com>;tag=2"),
        ("To: sip:bob@example.com", "To: <sip:carol@example.org>;tag=2", "To: sip:bob@example.com;tag=2"),
    ],
)
def test_from_and_to_of_the_script_are_undone(asked: str, received: str, shaped: str) -> None:
    changed = response(OURS, THEIRS, "From: <sip:anonymous@invalid.invalid>;tag=1", received)
    assert upstream(changed, ends(asked)) == response(THEIRS, FROM, shaped)


def test_a_to_that_cannot_be_read() -> None:
    with pytest.raises(ParseError):
        upstream(response(OURS, THEIRS, FROM, "To: <sip:"), ends())


# The best response


def candidate(status: int, *fields: tuple[str, str]) -> Response:
    return Response(status, "Whatever", Headers(fields))


def context(*statuses: int, invite: bool = True) -> ResponseContext:
    made = ResponseContext(invite)
    for status in statuses:
        made.add(candidate(status))
    return made


def test_nothing_came() -> None:
    assert context().best() is None
    assert context().status is None


@pytest.mark.rfc("3261", "16.7-20", "16.7-22", "16.7-23", "16.7-24", "16.7-25")
@pytest.mark.parametrize(
    ("received", "best"),
    [
        ([503, 407, 501, 404], 407),  # the RFC's own example
        ([404, 603, 302], 603),
        ([603, 600], 603),
        ([500, 404, 302], 302),
        ([486, 480], 486),
        ([404, 401, 484], 401),
        ([407, 401], 407),
        ([420, 415], 415),
        ([404, 484, 420], 420),
        ([404, 484], 484),
        ([408, 487, 486], 486),
        ([487, 408], 408),
        ([503, 504], 504),
        ([302, 603, 200, 202], 200),  # only a script can have kept back a 2xx
    ],
)
def test_6_the_best_response(received: list[int], best: int) -> None:
    made = context(*received)
    assert made.status == best
    chosen = made.best()
    assert chosen is not None
    assert chosen.status == best


@pytest.mark.rfc("3261", "16.7")
def test_6_the_first_of_equals() -> None:
    made = context(486, 404, 480)
    assert made.best() is made.candidates[0]


@pytest.mark.rfc("3261", "16.7-26", "16.7-27")
def test_6_a_503_leaves_as_a_500() -> None:
    made = ResponseContext()
    made.add(candidate(503, ("To", "<sip:bob@example.com>;tag=2"), ("Retry-After", "30")))
    assert made.status == 503
    best = made.best()
    assert best is not None
    assert (best.status, best.reason) == (500, "Server Internal Error")
    assert best.to.tag == "2"


@pytest.mark.rfc("4320", "4.2")
def test_a_408_is_never_chosen_but_for_an_invite() -> None:
    assert context(408, invite=False).best() is None
    assert context(408, invite=False).status is None
    assert context(408, 500, invite=False).status == 500
    assert context(408, 500).status == 408


@pytest.mark.rfc("3261", "16.7-33")
def test_7_challenges_are_collected() -> None:
    made = ResponseContext()
    made.add(candidate(404, ("WWW-Authenticate", 'Digest realm="not of a challenge"')))
    made.add(
        candidate(
            401,
            ("WWW-Authenticate", 'Digest realm="b", nonce="1"'),
            ("WWW-Authenticate", "Basic realm=b"),
            ("Proxy-Authenticate", 'Digest realm="c"'),
        )
    )
    made.add(candidate(407, ("Proxy-Authenticate", 'Digest realm="a"'), ("Server", "a")))
    made.add(candidate(401, ("www-authenticate", 'Digest realm="d"'), ("WWW-Authenticate", "Basic realm=b")))
    best = made.best()
    assert best is not None
    assert best.status == 401
    assert best.headers.lines == [
        'WWW-Authenticate: Digest realm="b", nonce="1"',
        "WWW-Authenticate: Basic realm=b",
        'Proxy-Authenticate: Digest realm="c"',
        'Proxy-Authenticate: Digest realm="a"',
        'www-authenticate: Digest realm="d"',
    ]
    assert len(made.candidates[1].headers) == 3


def test_7_one_challenge_is_sent_as_it_is() -> None:
    made = ResponseContext()
    challenge = candidate(407, ("Proxy-Authenticate", 'Digest realm="a"'))
    made.add(challenge)
    assert made.best() is challenge
    other = candidate(486)
    assert made.aggregated(other) is other


def test_from_and_to_between_two_contexts_are_restored() -> None:
    """The Vias are those that are expected already."""
    changed = response(THEIRS, "From: <sip:anonymous@invalid.invalid>;tag=1", "To: <sip:carol@example.org>;tag=2")
    before = bytes(changed)
    assert between(changed, ends()) == response(THEIRS, FROM, TO + ";tag=2")
    assert bytes(changed) == before


@pytest.mark.rfc("3261", "16.7")
def test_4_a_3xx_is_replaced_by_what_is_left_of_it() -> None:
    made = context(302, 404)
    first, second = made.candidates
    made.replace(Response(302, "", first.headers), None)
    assert made.candidates == [first, second]
    left = candidate(302)
    made.replace(first, left)
    assert made.candidates == [second, left]
    made.replace(left, None)
    assert made.status == 404


@pytest.mark.rfc("3261", "8.1.3.3")
def test_what_answers_a_request_of_our_own_is_for_us() -> None:
    own = Ends(ends().fields, ours=True)
    received = response(OURS, FROM, TO + ";tag=2")
    assert upstream(received, own) is received
    with pytest.raises(ParseError):
        upstream(response(OURS, THEIRS, FROM, TO), own)
    context = ResponseContext(ours=True)
    context.add(response(OURS, FROM, TO, status="503 Service Unavailable"))
    best = context.best()
    assert best is not None
    assert best.status == 503


@pytest.mark.parametrize(("to", "whose"), [(TO, ""), (TO + ";tag=2;x", "2"), (TO + ";tag=2;;", TO[4:] + ";tag=2;;")])
def test_5_the_2xx_of_several_sides_are_told_apart_whatever_their_to_looks_like(to: str, whose: str) -> None:
    assert side(response(OURS, FROM, to)) == whose
