"""Whole outputs of scripts, and whether they fit what happened."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcgi.cgi.output import Output, check_output, exit_error, parse_output, signal_error
from sipcgi.errors import ScriptError
from sipcgi.flow import Flow, HostPort
from sipcgi.profile import Limits
from sipcgi.service import (
    AckReceived,
    Cancelled,
    Edits,
    Event,
    ForwardResponse,
    Originate,
    Relay,
    Reply,
    RequestReceived,
    ResponseReceived,
    Situation,
    TimerFired,
    WakeAfter,
)
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request, Response

FLOW = Flow("UDP", HostPort("192.0.2.1", 5060), HostPort("192.0.2.9", 5060))
VIAS = ["SIP/2.0/UDP proxy.example.org;branch=z9hG4bK2", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"]
EARLIER = "0-a.0"
"""The token of a 404 that came before."""


def request(method: str = "INVITE", **fields: str) -> Request:
    headers = Headers([("Via", via) for via in VIAS])
    headers.add("Call-ID", "a84b4c76e66710")
    headers.add("CSeq", f"314159 {method}")
    for name, value in fields.items():
        headers.add(name, value)
    return Request(method, "sip:bob@example.com", headers)


def response_event(status: int, pending: int = 0) -> ResponseReceived:
    response = Response(status, "", Headers())
    return ResponseReceived(response, "0-a.1", None, "sip:c@d", False, FLOW, Situation(pending))


def answers(event: Event) -> dict[str, Response]:
    """What may be forwarded in the run for that event."""
    if isinstance(event, ResponseReceived) and not event.generated:
        return {event.token: event.response}
    return {}


def parse(text: str, method: str = "INVITE") -> Output:
    return parse_output(text.encode(), method=method)


def check(text: str, event: Event | None = None, initial: Request | None = None) -> Output:
    initial = initial or request()
    event = event or RequestReceived(initial, Situation())
    return check_output(
        parse(text, initial.method), event, initial, answers(event) | {EARLIER: Response(404, "", Headers())}
    )


def error(text: str, event: Event | None = None, initial: Request | None = None) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        check(text, event, initial)
    return caught.value


# What was printed


@pytest.mark.rfc("3050", "5.6.1.6")
def test_no_output_is_no_action() -> None:
    assert parse("") == Output([], None, False, [], [])
    assert check("") == Output()


def test_the_last_cookie_and_the_last_again_count() -> None:
    found = parse(
        "CGI-SET-COOKIE a SIP/2.0\n\nCGI-AGAIN no SIP/2.0\n\nCGI-SET-COOKIE b SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\n"
    )
    assert (found.actions, found.cookie, found.again) == ([], "b", True)
    assert parse("CGI-AGAIN yes SIP/2.0\nCGI-After: 3\n\nCGI-AGAIN no SIP/2.0\n\n") == Output()


@pytest.mark.rfc("3050", "4")
def test_a_script_that_forks_and_waits() -> None:
    found = parse(
        "SIP/2.0 181 Call Is Being Forwarded\n\n"
        "CGI-PROXY-REQUEST sip:bob@home.example.com SIP/2.0\nCGI-Request-Token: home\nPriority: urgent\n\n"
        "CGI-AGAIN yes SIP/2.0\nCGI-After: 20\n\n"
        "CGI-PROXY-REQUEST sip:bob@work.example.com SIP/2.0\nCGI-Request-Token: work\n\n"
    )
    assert found.actions == [
        Reply(181, "Call Is Being Forwarded", Edits(), 1),
        Relay("sip:bob@home.example.com", Edits([("Priority", "urgent")]), "home", None, 3),
        Relay("sip:bob@work.example.com", Edits(), "work", None, 10),
        WakeAfter(20.0, 8),
    ]
    assert found.again


@pytest.mark.rfc("3050", "5.6-6")
def test_nothing_counts_after_a_final_response_but_cookie_and_again() -> None:
    found = parse(
        "SIP/2.0 180 Ringing\n\nSIP/2.0 200 OK\nCall-ID: kept\n\nSIP/2.0 486 Busy\nCall-ID: dropped\n\n"
        "CGI-PROXY-REQUEST sip:a@b SIP/2.0\n\nCGI-FORWARD-RESPONSE this SIP/2.0\n\n"
        "CGI-SET-COOKIE a SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 3\n\n"
    )
    assert [action.line for action in found.actions] == [1, 3]
    assert (found.cookie, found.again) == ("a", True)
    assert [line for line, _ in found.warnings] == [6, 9, 11, 16]
    assert all("final response of line 3" in text for _, text in found.warnings)
    assert [claim.value for claim in found.claims] == ["kept"]


def test_what_is_dropped_must_parse_all_the_same() -> None:
    assert error("SIP/2.0 200 OK\n\nCGI-PROXY-REQUEST bob SIP/2.0\n").line == 3


@pytest.mark.rfc("3050", "5.6-2")
def test_max_messages() -> None:
    with pytest.raises(ScriptError, match="more than 64"):
        parse_output(b"SIP/2.0 180 Ringing\n\n" * 65, method="INVITE")
    with pytest.raises(ScriptError, match="more than 1 "):
        parse_output(b"CGI-AGAIN no SIP/2.0\n\n" * 2, method="INVITE", max_messages=1)


# Whether it fits


@pytest.mark.rfc("3050", "5.6.1.3")
def test_this_needs_a_response() -> None:
    found = error("\nCGI-FORWARD-RESPONSE  this SIP/2.0\n")
    assert (found.line, found.column) == (2, 23)
    assert "RESPONSE_TOKEN" in found.hint
    assert error("CGI-FORWARD-RESPONSE this SIP/2.0\n", TimerFired(Situation())).line == 1
    assert check("CGI-FORWARD-RESPONSE 0-a.1 SIP/2.0\n").actions == [ForwardResponse("0-a.1", Edits(), 1)]
    assert check("CGI-FORWARD-RESPONSE this SIP/2.0\n", response_event(486)).actions == [
        ForwardResponse("this", Edits(), 1)
    ]


@pytest.mark.parametrize("status", [200, 486])
def test_nothing_counts_after_this_response_if_it_is_final(status: int) -> None:
    text = "CGI-FORWARD-RESPONSE this SIP/2.0\n\nCGI-PROXY-REQUEST sip:a@b SIP/2.0\n\n"
    found = check(text, response_event(status))
    assert found.actions == [ForwardResponse("this", Edits(), 1)]
    assert found.warnings == [(3, "dropped: the final response of line 1 ends the transaction")]
    assert len(check(text, response_event(180)).actions) == 2


@pytest.mark.parametrize("event", [None, response_event(180), response_event(486), TimerFired(Situation())])
def test_nothing_counts_after_an_earlier_response_if_it_is_final(event: Event | None) -> None:
    found = check(f"CGI-FORWARD-RESPONSE {EARLIER} SIP/2.0\n\nCGI-PROXY-REQUEST sip:a@b SIP/2.0\n\n", event)
    assert found.actions == [ForwardResponse(EARLIER, Edits(), 1)]
    assert found.warnings == [(3, "dropped: the final response of line 1 ends the transaction")]


@pytest.mark.parametrize(
    "field",
    ["Call-ID: a84b4c76e66710", "CSeq: 314159   INVITE", f"Via: {VIAS[0]}\nv: {VIAS[1]}", f"Via: {', '.join(VIAS)}"],
)
def test_what_cannot_be_changed_may_be_printed_as_it_is(field: str) -> None:
    assert check(f"SIP/2.0 200 OK\n{field}\n").actions == [Reply(200, "OK", Edits(), 1)]


@pytest.mark.parametrize(
    ("field", "column"),
    [("i: A84b4c76e66710", 4), ("CSeq: 1 INVITE", 7), ("CSeq: x", 7), (f"Via: {VIAS[0]}", 6), ('Via: "', 6)],
)
def test_what_cannot_be_changed(field: str, column: int) -> None:
    found = error(f"CGI-PROXY-REQUEST sip:a@b SIP/2.0\n{field}\n")
    assert (found.line, found.column) == (2, column)
    assert "leave the field out" in found.hint


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("SIP/2.0 180 Ringing\n", None),
        ("SIP/2.0 180 Ringing\n\nSIP/2.0 183 Still\n\nCGI-AGAIN yes SIP/2.0\n", None),
        ("SIP/2.0 180 Ringing\n", response_event(486)),
        ("SIP/2.0 180 Ringing\n", TimerFired(Situation())),
    ],
)
def test_only_provisionals_while_nothing_is_pending(text: str, event: Event | None) -> None:
    found = error(text, event)
    assert (found.line, found.column) == (1, 1)
    assert "CGI-After" in found.hint


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("SIP/2.0 180 Ringing\n\nCGI-PROXY-REQUEST sip:a@b SIP/2.0\n", None),
        ("SIP/2.0 180 Ringing\n\nSIP/2.0 486 Busy\n", None),
        ("SIP/2.0 180 Ringing\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 1\n", None),
        ("SIP/2.0 180 Ringing\n\nCGI-FORWARD-RESPONSE 0-a.1 SIP/2.0\n", None),
        ("SIP/2.0 180 Ringing\n", response_event(486, pending=1)),
    ],
)
def test_provisionals_while_something_is_to_come(text: str, event: Event | None) -> None:
    assert check(text, event).actions[0].line == 1


@pytest.mark.rfc("3262", "3")
def test_no_unreliable_provisional_where_100rel_is_required() -> None:
    initial = request(Require="timer, 100REL")
    text = "SIP/2.0 100 Trying\n\nSIP/2.0 183 Progress\n\nCGI-PROXY-REQUEST sip:a@b SIP/2.0\n"
    found = check(text, initial=initial)
    assert [action.line for action in found.actions] == [1, 5]
    assert found.warnings == [(3, "183 not sent: the request requires 100rel")]
    assert len(check(text, initial=request(Require="timer")).actions) == 3
    assert len(check(text, initial=request("SUBSCRIBE", Require="100rel")).actions) == 3


@pytest.mark.rfc("3262", "3")
def test_a_provisional_not_sent_is_no_default_action() -> None:
    text = "SIP/2.0 183 Progress\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 1\n"
    found = check(text, initial=request(Require="100rel"))
    assert found.actions == [Reply(100, "Trying", Edits(), 1), WakeAfter(1.0, 4)]
    text = "CGI-AGAIN yes SIP/2.0\nCGI-After: 1\n"
    assert check(text, initial=request(Require="100rel")).actions == [WakeAfter(1.0, 2)]
    text = "SIP/2.0 183 Progress\n\nCGI-PROXY-REQUEST sip:a@b SIP/2.0\n\n" + text
    found = check(text, initial=request(Require="100rel"))
    assert [type(action) for action in found.actions] == [Relay, WakeAfter]
    assert check("SIP/2.0 200 OK\n", initial=request(Require="100rel")).actions == [Reply(200, "OK", Edits(), 1)]


@pytest.mark.rfc("3050", "5.10-4")
@pytest.mark.parametrize("name", ["CANCEL", "ACK"])
def test_no_actions_for_cancel_and_ack(name: str) -> None:
    event = Cancelled(request(name), Situation()) if name == "CANCEL" else AckReceived(request(name), FLOW, Situation())
    found = check("CGI-SET-COOKIE a SIP/2.0\n\nCGI-AGAIN yes SIP/2.0\n\nSIP/2.0 183 Progress\n", event)
    assert found == Output([], "a", True, [(5, f"no action has an effect in the run for {name}")])
    assert check("", event) == Output()


def test_exit_errors() -> None:
    assert exit_error(1, b"", False).hint == "end a shell script with exit 0"
    assert exit_error(1, b"", True).hint.startswith("why it failed may be in its stderr lines above; end a shell")
    assert "only with exit status 0" in exit_error(1, b"SIP/2.0 200 OK\n\n", False).hint
    assert exit_error(255, b"", True).hint.endswith("; why it failed may be in its stderr lines above")
    assert exit_error(255, b"", False).hint.endswith("; it said nothing on standard error")
    assert exit_error(127, b"", True).hint == "a command in it was not found"
    assert exit_error(126, b"", True).text == "exit status 126"


def test_signals() -> None:
    assert "memory" in signal_error(9).hint
    assert "crashed" in signal_error(11).hint
    assert "had ended" in signal_error(13).hint
    assert "by itself" in signal_error(15).hint
    assert "limits.memory" in signal_error(11, Limits(memory=1000)).hint


@pytest.mark.parametrize(
    ("number", "limits", "reached", "text"),
    [
        (24, Limits(cpu=2), "cpu", "used more than 2 s of processor time"),
        (9, Limits(memory=1048576), "memory", "used more than 1048576 octets of memory"),
        (25, Limits(file_size=5), "file_size", "wrote more than 5 octets into a file"),
    ],
)
def test_limits_reached(number: int, limits: Limits, reached: str, text: str) -> None:
    error = signal_error(number, limits, reached)
    assert (error.text, error.hint) == (text, f"raise `limits.{reached}`, or have it do with less")


@pytest.mark.parametrize(("number", "reached"), [(24, "cpu"), (25, "file_size")])
def test_limits_that_others_set(number: int, reached: str) -> None:
    assert "where the server was started" in signal_error(number, Limits(), reached).hint


# Anything at all


FRAGMENTS = [
    b"SIP/2.0 ",
    b"200 OK",
    b"CGI-PROXY-REQUEST ",
    b"CGI-FORWARD-RESPONSE this ",
    b"CGI-SET-COOKIE ",
    b"CGI-AGAIN yes ",
    b"SIP/2.0\n",
    b"sip:a@b ",
    b"MESSAGE ",
    b"CGI-Request-Token: t\n",
    b"Content-Type: a/b\n",
    b"Content-Length: 2\n",
    b"CGI-After: 1\n",
    b"CGI-Remove: a\n",
    b"Via: x\n",
    b"Route: <sip:x>\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b" ",
    b"\xff",
]


def outcome(output: bytes, event: Event, initial: Request, originate: bool = False) -> Output | ScriptError:
    try:
        parsed = parse_output(output, method=initial.method, originate=originate)
        return check_output(parsed, event, initial, answers(event))
    except ScriptError as found:
        return found


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=6), max_size=20).map(b"".join))
def test_any_octets_give_actions_or_one_error_with_its_place(output: bytes) -> None:
    initial = request()
    for event, originate in product((RequestReceived(initial, Situation()), response_event(486)), (False, True)):
        found = outcome(output, event, initial, originate)
        if isinstance(found, ScriptError):
            assert 1 <= found.line <= output.count(b"\n") + 1
            assert found.column >= 1
            continue
        for action in found.actions:
            edits = Edits() if isinstance(action, WakeAfter) else action.edits
            assert not any(name.lower().startswith("cgi-") for name, _ in edits.headers)
            assert not any(set(value) & set("\r\n\0") for _, value in edits.headers)


VALUES = st.text(st.characters(exclude_characters="\r\n\0"), max_size=40)


@given(VALUES, VALUES)
def test_a_value_never_becomes_an_action(reason: str, value: str) -> None:
    found = parse_output(
        f"SIP/2.0 486 {reason}\nSubject: {value}\n\n".encode("utf-8", "surrogatepass"), method="INVITE"
    )
    assert [type(action) for action in found.actions] == [Reply]


@pytest.mark.parametrize(
    "piece",
    [
        b"\n",
        b" \r\n",
        b"\r",
        b"\0",
        b"x",
        b"x ",
        b"\xff",
        b"\xc3\xa4 ",
        b"A: b\n",
        b"Via: a\n",
        b"CGI-Remove: a,b,c\n",
        b"CGI-X: 1\n",
        b"\nSIP/2.0 100\n",
        b"\nSIP/2.0 200 OK\nContent-Type: a/b\nContent-Length: 1\n\nx",
    ],
)
def test_a_flood_that_fits_the_limit_ends_soon(piece: bytes) -> None:
    initial = request()
    for head in (b"", b"SIP/2.0 200 OK\n", b"SIP/2.0 200 OK\nContent-Type: a/b\n\n", b"CGI-AGAIN "):
        output = head + piece * (1024 * 1024 // len(piece))
        found = outcome(output, RequestReceived(initial, Situation()), initial)
        assert isinstance(found, Output) or found.line >= 1


# Requests of a script's own


MESSAGE = "MESSAGE sip:bob@example.com SIP/2.0\n\n"


def own(text: str, event: Event | None = None) -> Output:
    parsed = parse_output(text.encode(), method="INVITE", originate=True)
    event = event or RequestReceived(request(), Situation())
    return check_output(parsed, event, request(), answers(event))


@pytest.mark.rfc("3050", "3.1")
def test_a_final_response_does_not_end_what_the_script_sends() -> None:
    found = own("SIP/2.0 486 Busy Here\n\n" + MESSAGE + "CGI-AGAIN yes SIP/2.0\nCGI-After: 5\n")
    assert [type(action) for action in found.actions] == [Reply, Originate, WakeAfter]
    assert found.warnings == []
    found = own("SIP/2.0 486 Busy Here\n\nCGI-AGAIN yes SIP/2.0\nCGI-After: 5\n")
    assert [type(action) for action in found.actions] == [Reply]
    assert len(found.warnings) == 1


def test_only_a_provisional_while_a_request_of_its_own_is_pending() -> None:
    assert len(own("SIP/2.0 183 Progress\n\n" + MESSAGE).actions) == 2


def test_a_call_that_nobody_will_acknowledge_is_said() -> None:
    invite = "INVITE sip:bob@example.com SIP/2.0\nCGI-Request-Token: t\n\n"
    assert "nobody acknowledges" in own(invite).warnings[0][1]
    assert own(invite + "CGI-AGAIN yes SIP/2.0\n").warnings == []


@pytest.mark.rfc("3050", "5.10")
@pytest.mark.rfc("3050", "5.11.1")
def test_in_the_runs_for_cancel_and_ack_too() -> None:
    for event in (Cancelled(request("CANCEL"), Situation()), AckReceived(request("ACK"), FLOW, Situation())):
        found = own("SIP/2.0 200 OK\n\n" + MESSAGE, event)
        assert [type(action) for action in found.actions] == [Originate]
        assert len(found.warnings) == 1


def test_the_answer_to_it_is_not_for_the_caller() -> None:
    event = ResponseReceived(
        Response(200, "OK", Headers()), "r.1", "t", "sip:b@h", False, FLOW, Situation(), generated=True
    )
    with pytest.raises(ScriptError, match="not for the caller"):
        own("CGI-FORWARD-RESPONSE this SIP/2.0\n", event)
    kept = own("CGI-FORWARD-RESPONSE r.1 SIP/2.0\n\nSIP/2.0 200 OK\n", event).actions
    assert [type(action) for action in kept] == [ForwardResponse, Reply]
