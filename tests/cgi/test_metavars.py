"""The environment of a script, beside RFC 3050 5.5.1."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.cgi.metavars import (
    MAX_ENVIRONMENT,
    MAX_VARIABLE,
    Environment,
    Occasion,
    TooLarge,
    environment,
    plain_variables,
)
from sipcgi.compiled import native
from sipcgi.flow import Flow, HostPort
from sipcgi.service import AckReceived, Cancelled, Event, RequestReceived, ResponseReceived, Situation, TimerFired
from sipcgi.sip.headers import Headers, canonical
from sipcgi.sip.message import Request, Response
from sipcgi.sip.parser import parse

INVITE = """\
INVITE sip:bob@biloxi.example.com SIP/2.0
v: SIP/2.0/UDP proxy.example.org;branch=z9hG4bK2
Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnashds8
Max-Forwards: 70
t: Bob <sip:bob@biloxi.example.com>
f: "Alice, who \u00fcbt" <sip:alice@atlanta.example.com>;tag=1928301774
i: a84b4c76e66710
CSeq: 314159 INVITE
Subject: a long
 \tone
Authorization: Digest username="alice"
Proxy-Authorization: Digest username="alice"
CGI-Trick: 1
Supported:
Contact: <sip:alice@pc33.atlanta.example.com>
c: application/sdp
l: 5

v=0
a"""

SIP_VARIABLES = {
    "SIP_VIA": "SIP/2.0/UDP proxy.example.org;branch=z9hG4bK2, "
    "SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnashds8",
    "SIP_MAX_FORWARDS": "70",
    "SIP_TO": "Bob <sip:bob@biloxi.example.com>",
    "SIP_FROM": '"Alice, who \u00fcbt" <sip:alice@atlanta.example.com>;tag=1928301774',
    "SIP_CALL_ID": "a84b4c76e66710",
    "SIP_CSEQ": "314159 INVITE",
    "SIP_SUBJECT": "a long one",
    "SIP_SUPPORTED": "",
    "SIP_CONTACT": "<sip:alice@pc33.atlanta.example.com>",
    "SIP_CONTENT_TYPE": "application/sdp",
    "SIP_CONTENT_LENGTH": "5",
}

SERVER_VARIABLES = {
    "GATEWAY_INTERFACE": "SIP-CGI/1.1",
    "SERVER_NAME": "biloxi.example.com",
    "SERVER_PORT": "5060",
    "SERVER_PROTOCOL": "SIP/2.0",
    "SERVER_SOFTWARE": "sipcgi/0.1",
    "SERVER_TRANSPORT": "udp",
    "SIPCGI_TRANSACTION": "0-abc",
    "SIPCGI_METHOD": "INVITE",
    "SIPCGI_URI": "sip:bob@biloxi.example.com",
    "SIPCGI_RUN": "1",
    "SIPCGI_ELAPSED_MS": "3",
    "SIPCGI_PENDING": "0",
}

REMOTE = {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "5062"}
FLOW = Flow("UDP", HostPort("192.0.2.99", 5060), HostPort("192.0.2.1", 5062))
OTHER = Flow("TLS", HostPort("192.0.2.99", 5061), HostPort("192.0.2.9", 5070), 3)


def invite() -> Request:
    head, _, content = INVITE.partition("\n\n")
    message = parse(f"{head}\n\n".replace("\n", "\r\n").encode() + content.encode())
    assert isinstance(message, Request)
    return message


def request(method: str, fields: list[tuple[str, str]], content: bytes = b"") -> Request:
    return Request(method, "sip:bob@example.com", Headers(fields), content)


def response(status: int, reason: str = "", *, local: bool = False, content: bytes = b"") -> ResponseReceived:
    headers = Headers([("Contact", "<sip:bob@192.0.2.4>")])
    return ResponseReceived(
        Response(status, reason, headers, content),
        "0-abc.1",
        "home",
        "sip:bob@home.example.com",
        local,
        None if local else OTHER,
        Situation(2, 486),
    )


def occasion(event: Event | None = None) -> Occasion:
    initial = invite()
    return Occasion(
        event or RequestReceived(initial, Situation()),
        initial,
        "0-abc",
        1,
        3,
        FLOW,
        "biloxi.example.com",
        "sipcgi/0.1",
    )


def variables(one: Occasion) -> dict[str, str]:
    return environment(one).variables


def of_fields(*fields: tuple[str, str]) -> Environment:
    """What the header fields alone make."""
    found = environment(occasion(RequestReceived(request("INVITE", list(fields)), Situation())))
    return Environment({k: v for k, v in found.variables.items() if k.startswith("SIP_")}, found.dropped, b"")


@pytest.mark.rfc(
    "3050",
    "5.5-1",
    "5.5.1-1",
    "5.5.1-2",
    "5.5.1-5",
    "5.5.1.3-2",
    "5.5.1.4-1",
    "5.5.1.5-1",
    "5.5.1.5-3",
    "5.5.1.5-5",
    "5.5.1.5-6",
    "5.5.1.20-1",
    "5.5.1.21-1",
    "7.3-2",
)
def test_a_request() -> None:
    assert environment(occasion()) == Environment(
        SIP_VARIABLES
        | SERVER_VARIABLES
        | REMOTE
        | {
            "SIPCGI_EVENT": "request",
            "REQUEST_METHOD": "INVITE",
            "REQUEST_URI": "sip:bob@biloxi.example.com",
            "CONTENT_LENGTH": "5",
            "CONTENT_TYPE": "application/sdp",
        },
        [],
        b"v=0\na",
    )


@pytest.mark.rfc("3050", "5.5.1.2-1", "5.5.1.7-2", "5.5.1.14-1", "5.5.1.16-1", "5.5.1.19")
def test_a_response() -> None:
    """It came by another port and transport than the request."""
    event = response(183, "Wait \u00fc", content=b"v=0\r\n")
    assert variables(replace(occasion(event), run=2, cookie="c")) == {
        **SERVER_VARIABLES,
        "SIP_CONTACT": "<sip:bob@192.0.2.4>",
        "SERVER_PORT": "5061",
        "SERVER_TRANSPORT": "tls",
        "SIPCGI_RUN": "2",
        "SIPCGI_PENDING": "2",
        "SIPCGI_BEST": "486",
        "SIPCGI_EVENT": "response",
        "SIPCGI_TARGET": "sip:bob@home.example.com",
        "RESPONSE_STATUS": "183",
        "RESPONSE_REASON": "Wait \u00fc",
        "RESPONSE_TOKEN": "0-abc.1",
        "REQUEST_TOKEN": "home",
        "SCRIPT_COOKIE": "c",
        "REMOTE_ADDR": "192.0.2.9",
        "REMOTE_PORT": "5070",
        "CONTENT_LENGTH": "5",
    }


def test_a_response_to_a_request_without_token() -> None:
    assert "REQUEST_TOKEN" not in variables(occasion(replace(response(200), request_token=None)))


@pytest.mark.rfc("3050", "5.5.1.7-1")
@pytest.mark.parametrize(("remote", "loopback"), [("192.0.2.1", "127.0.0.1"), ("2001:db8::1", "::1")])
@pytest.mark.parametrize(
    ("status", "name"), [(408, "timeout"), (480, "response"), (503, "response"), (487, "response")]
)
def test_a_local_response(remote: str, loopback: str, status: int, name: str) -> None:
    found = variables(
        replace(occasion(response(status, local=True)), flow=FLOW._replace(remote=HostPort(remote, 5062)))
    )
    assert (found["SERVER_PORT"], found["SERVER_TRANSPORT"]) == ("5060", "udp")
    assert (found["REMOTE_ADDR"], found["SIPCGI_EVENT"]) == (loopback, name)
    assert "REMOTE_PORT" not in found


def test_a_408_that_was_received_is_a_response() -> None:
    assert variables(occasion(response(408)))["SIPCGI_EVENT"] == "response"


@pytest.mark.rfc("3050", "3.6")
def test_a_timer() -> None:
    event = TimerFired(Situation(1))
    assert variables(occasion(event)) == {
        **SIP_VARIABLES,
        **SERVER_VARIABLES,
        **REMOTE,
        "SIPCGI_EVENT": "timer",
        "SIPCGI_PENDING": "1",
    }
    assert environment(occasion(event)).stdin == b""


@pytest.mark.rfc("3050", "5.10")
@pytest.mark.rfc("3050", "5.11.1")
@pytest.mark.parametrize("name", ["CANCEL", "ACK"])
def test_cancel_and_ack_show_their_own_fields(name: str) -> None:
    shown = request(name, [("CSeq", f"314159 {name}"), ("Reason", "SIP;cause=200")], b"x")
    event: Event = Cancelled(shown, Situation()) if name == "CANCEL" else AckReceived(shown, FLOW, Situation())
    found = variables(occasion(event))
    assert (found["SIPCGI_EVENT"], found["REQUEST_METHOD"]) == (name.lower(), name)
    assert (found["REQUEST_URI"], found["SIPCGI_URI"]) == ("sip:bob@example.com", "sip:bob@biloxi.example.com")
    assert (found["SIP_REASON"], found["SIP_CSEQ"]) == ("SIP;cause=200", f"314159 {name}")
    assert "SIP_FROM" not in found
    assert found["CONTENT_LENGTH"] == "1"
    assert environment(occasion(event)).stdin == b"x"


@pytest.mark.rfc("3050", "5.5.1.7")
def test_an_ack_has_its_own_way() -> None:
    found = variables(occasion(AckReceived(request("ACK", []), OTHER, Situation())))
    assert (found["REMOTE_ADDR"], found["REMOTE_PORT"]) == ("192.0.2.9", "5070")
    assert (found["SERVER_PORT"], found["SERVER_TRANSPORT"]) == ("5061", "tls")


def test_bodies() -> None:
    assert environment(occasion()).stdin == b"v=0\na"
    assert environment(occasion(response(200, content=b"x"))).stdin == b"x"


@pytest.mark.rfc("3050", "5.5.1-2", "5.5.1.2")
def test_without_a_body_its_variables_are_undefined() -> None:
    event = RequestReceived(request("INVITE", [("Content-Type", "a/b"), ("Content-Length", "0")]), Situation())
    found = variables(occasion(event))
    assert not {"CONTENT_LENGTH", "CONTENT_TYPE"} & found.keys()
    assert found["SIP_CONTENT_LENGTH"] == "0"


@pytest.mark.rfc("3050", "5.5.1.6")
def test_what_the_server_knows_besides() -> None:
    found = variables(replace(occasion(), registrations="<sip:b@c>;q=1;expires=60", cookie=""))
    assert (found["REGISTRATIONS"], found["SCRIPT_COOKIE"]) == ("<sip:b@c>;q=1;expires=60", "")


@pytest.mark.parametrize("name", ["Script-Cookie", "SCRIPT_COOKIE", "CGI-Set-Cookie", "Set-Cookie", "PERL5LIB", "Path"])
def test_no_header_field_becomes_a_variable_of_the_server(name: str) -> None:
    """Neither a cookie nor the place of a library comes from the network: all that does begins with SIP_."""
    found = variables(occasion(RequestReceived(request("INVITE", [(name, "forged")]), Situation())))
    forged = [variable for variable, value in found.items() if value == "forged"]
    assert forged == ([] if name.startswith("CGI-") else ["SIP_" + name.upper().replace("-", "_")])


@pytest.mark.rfc("3050", "7.3-1")
def test_credentials_are_passed_only_when_asked_for() -> None:
    found = variables(replace(occasion(), pass_authorization=True))
    assert found["SIP_AUTHORIZATION"] == found["SIP_PROXY_AUTHORIZATION"] == 'Digest username="alice"'
    assert of_fields(("Proxy_Authorization", "forged")).variables == {}


@pytest.mark.rfc("3050", "5.5.1.5-2")
def test_several_fields_become_one() -> None:
    found = of_fields(("Allow", "ACK"), ("Q", "1"), ("allow", "BYE"), ("Allow", ""), ("ALLOW", "INFO, OPTIONS"))
    assert found == Environment({"SIP_ALLOW": "ACK, BYE, INFO, OPTIONS", "SIP_Q": "1"}, [], b"")


@pytest.mark.parametrize(
    ("fields", "value", "dropped"),
    [
        (["X-A", "X_A", "X-A"], "0, 2", ["x_a"]),
        (["X_A", "X-A", "X_A", "X-A"], "1, 3", ["x_a"]),
        (["X_A", "X_A", "X-A"], "2", ["x_a"]),
        (["X.A", "X_A", "X.A"], "0, 2", ["x_a"]),
        (["X%A", "X.A", "X-A", "X_A"], "2", ["x%a", "x.a", "x_a"]),
        (["X-A", "x-a"], "0, 1", []),
    ],
)
def test_names_that_fall_together(fields: list[str], value: str, dropped: list[str]) -> None:
    found = of_fields(*[(name, str(index)) for index, name in enumerate(fields)])
    assert found.variables == {"SIP_X_A": value}
    assert sorted(found.dropped) == sorted(dropped)


def test_every_character_but_letters_and_digits_becomes_an_underscore() -> None:
    name = "a-.!%*_+`'~9"
    assert of_fields((name, "x")).variables == {"SIP_A__________9": "x"}


def fits(*fields: tuple[str, str]) -> bool:
    try:
        of_fields(*fields)
    except TooLarge:
        return False
    return True


def test_one_variable_has_120_kib_at_most() -> None:
    room = MAX_VARIABLE - len("SIP_Q=")
    assert fits(("Q", "x" * room))
    assert not fits(("Q", "x" * (room + 1)))
    assert fits(("Q", "\u00fc" * (room // 2)))
    assert not fits(("Q", "\u00fc" * (room // 2 + 1)))
    assert fits(("Q", "\udcff" * room))  # one octet that is no UTF-8
    assert not fits(("Q", "x" * (room // 2)), ("Q", "x" * (room // 2)))
    with pytest.raises(TooLarge, match="SIP_Q has") as caught:
        of_fields(("Q", "x" * MAX_VARIABLE))
    assert caught.value.variable == "SIP_Q"


def test_all_together_have_1_mib_at_most() -> None:
    assert MAX_ENVIRONMENT == 1048576
    eighth = MAX_ENVIRONMENT // 9
    assert fits(*[(f"X{number}", "x" * eighth) for number in range(8)])
    with pytest.raises(TooLarge, match="the environment has") as caught:
        of_fields(*[(f"X{number}", "x" * eighth) for number in range(9)])
    assert caught.value.variable == ""


TOKENS = st.text("abXY09-.!%*_+`'~", min_size=1, max_size=6) | st.sampled_from(
    ["CGI-A", "Authorization", "Path", "BASH_FUNC_x%%", "Remote-Addr", "SIPCGI_EVENT", "v", "To"]
)
VALUES = st.text(st.characters(exclude_characters="\r\n\0"), max_size=20) | st.just("() { :;}; echo x")


@pytest.mark.rfc("3050", "5.5.1.5-4")
@given(st.lists(st.tuples(TOKENS, VALUES), max_size=8))
def test_no_field_makes_or_changes_a_variable_but_its_own(fields: list[tuple[str, str]]) -> None:
    with_fields = environment(occasion(RequestReceived(request("INVITE", fields), Situation()))).variables
    without = environment(occasion(RequestReceived(request("INVITE", []), Situation()))).variables
    assert {name: value for name, value in with_fields.items() if not name.startswith("SIP_")} == without
    for name, value in with_fields.items():
        assert not name.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
        assert not set(value) & set("\r\n\0")


@given(TOKENS, VALUES, VALUES)
def test_one_field_does_not_change_the_variable_of_another(name: str, value: str, other: str) -> None:
    found = of_fields(("X-Unrelated", value), (name, other)).variables
    assert found["SIP_X_UNRELATED"] == value.strip(" \t")


def test_the_dialog_that_a_request_came_in() -> None:
    one = occasion()
    assert "REQUEST_TOKEN" not in variables(one)
    one.request_token = "leg"
    assert variables(one)["REQUEST_TOKEN"] == "leg"
    one.event = TimerFired(Situation())
    assert variables(one)["REQUEST_TOKEN"] == "leg"


FIELD_NAMES = st.sampled_from(
    ["Via", "X-A", "X.A", "x_a", "X-a", "CGI-A", "Content-Type", "Author!zation", "SIPCGI-EVENT", "X-\u00e4", "Z9~"]
) | st.sampled_from(["Authorization", "Proxy-Authorization", "Proxy.Authorization"])
FIELD_VALUES = st.sampled_from(
    ["", "a", " a \t", "a\r\n b", "\u00fc", "\u20ac" * 9, "\udcff", "a" * 30_000, "a" * 130_000]
)


@given(
    st.lists(st.tuples(FIELD_NAMES, FIELD_VALUES), max_size=6),
    st.one_of(st.none(), st.text("ab\u00e4", max_size=3), st.just("c" * 29_000), st.just("c" * 60_000)),
    st.booleans(),
    st.sampled_from([b"", b"v=0"]),
    st.sampled_from(["request", "response", "timer", "ack"]),
)
def test_the_compiled_part_makes_the_same(
    fields: list[tuple[str, str]], cookie: str | None, trusted: bool, content: bytes, kind: str
) -> None:
    shown = request("INVITE", [], content)
    shown.headers = Headers.of([canonical(name) for name, _ in fields], [f"{name}:{value}" for name, value in fields])
    event: Event = RequestReceived(shown, Situation(3, 486))
    if kind == "response":
        event = ResponseReceived(Response(200, "OK", shown.headers, content), "1", None, "sip:a@b", True, None)
    elif kind != "request":
        event = TimerFired() if kind == "timer" else AckReceived(shown, OTHER)
    one = replace(occasion(event), initial=shown, cookie=cookie, pass_authorization=trusted, run=-(2**70))
    assert made(one) == made(one, pure=True)


def made(one: Occasion, *, pure: bool = False) -> object:
    """The environment, its variables in their order, or why there is none."""
    with pytest.MonkeyPatch.context() as patch:
        if pure:
            patch.setattr("sipcgi.cgi.metavars.plain_variables", lambda *_: None)
        try:
            found = environment(one)
        except TooLarge as error:
            return str(error)
    return [*found.variables.items()], found.dropped, found.stdin


@pytest.mark.skipif(native is None, reason="there is no compiled part")
def test_what_the_compiled_part_leaves_to_python() -> None:
    headers = Headers([("X-A", "1"), ("Authorization", "2")])
    assert plain_variables(headers, {"A": 1, "B": None, "C": "c"}, False, 100) == {"SIP_X_A": "1", "A": "1", "C": "c"}
    assert plain_variables(headers, {}, True, 100) == {"SIP_X_A": "1", "SIP_AUTHORIZATION": "2"}
    sizes = [most for most in range(100) if plain_variables(headers, {"A": 1}, False, most) is not None]
    assert sizes == [*range(len("SIP_X_A=1 A=1 "), 100)]
    for known in ({"A": 1.5}, {"A": b""}, {1: ""}, None):
        assert plain_variables(headers, known, False, 100) is None  # type: ignore[arg-type]
    for names, lines in ((["x-a"], []), (["x-a"], [1]), ([1], ["X-A: 1"]), (["x-a", "x.a"], ["X-A: 1", "X.A: 2"])):
        assert plain_variables(Headers.of(names, lines), {}, False, 100) is None  # type: ignore[arg-type]
    odd = Headers()
    odd.names = odd.lines = ()  # type: ignore[assignment]
    assert plain_variables(odd, {}, False, 100) is None
    with pytest.raises(TypeError):
        plain_variables(headers, {}, False, "1")  # type: ignore[arg-type]
