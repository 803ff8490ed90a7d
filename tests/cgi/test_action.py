"""Action lines, one message at a time."""

import pytest

from sipcgi.cgi.action import MAX_COOKIE, Findings, read_action, read_again, read_cookie
from sipcgi.cgi.message import ScriptMessage, messages
from sipcgi.errors import ScriptError
from sipcgi.service import Edits, ForwardResponse, Originate, Relay, Reply, WakeAfter


def message(text: str) -> ScriptMessage:
    [found] = messages(text.encode("utf-8", "surrogateescape"), 1)
    return found


def action(text: str, method: str = "INVITE") -> tuple[Reply | Relay | ForwardResponse | Originate, list[str]]:
    findings = Findings()
    return read_action(message(text), method, findings), [warning for _, warning in findings.warnings]


def relay(text: str, method: str = "INVITE") -> Relay:
    found, warnings = action("CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\n" + text, method)
    assert isinstance(found, Relay)
    assert warnings == []
    return found


def read(text: str) -> object:
    one = message(text)
    if one.action == "CGI-SET-COOKIE":
        return read_cookie(one, Findings())
    return read_again(one, Findings()) if one.action == "CGI-AGAIN" else read_action(one, "INVITE", Findings())


def error(text: str) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        read(text)
    return caught.value


# RFC 3050 5.6.1.1


@pytest.mark.rfc("3050", "5.6.1.1")
@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("SIP/2.0 600 I can't talk right now", 600, "I can't talk right now"),
        ("SIP/2.0 302 Moved Temporarily", 302, "Moved Temporarily"),
        ("sip/2.0  486\tBesetzt, tut mir leid: später ", 486, "Besetzt, tut mir leid: später"),
        ("SIP/2.0 486", 486, "Busy Here"),
        ("SIP/2.0 699 ", 699, "Busy Everywhere"),
        ("SIP/2.0 100 Trying", 100, "Trying"),
        ("SIP/2.0 200 200", 200, "200"),
        ("SIP/2.0 200 \udcff", 200, "\udcff"),
    ],
)
def test_a_status_line(line: str, status: int, reason: str) -> None:
    assert action(line) == (Reply(status, reason, Edits(), 1), [])


@pytest.mark.parametrize("code", ["", "99", "099", "700", "1000", "20", "OK", "2x0", "\u0662\u0660\u0660"])
def test_a_status_code_is_100_to_699(code: str) -> None:
    found = error(f"SIP/2.0 {code}")
    assert (found.line, found.column) == (1, 9 if code else 8)


def test_a_backslash_n_in_the_reason_is_worth_a_warning() -> None:
    found, [warning] = action(r"SIP/2.0 486 Busy\n\n")
    assert isinstance(found, Reply)
    assert "use printf" in warning


# RFC 3050 5.6.1.2


@pytest.mark.rfc("3050", "5.6.1.2")
def test_a_proxied_request() -> None:
    assert relay("") == Relay("sip:bob@example.com", Edits(), None, None, 1)
    found, _ = action("cgi-proxy-request\tsips:a@b;x=y   sip/2.0")
    assert found == Relay("sips:a@b;x=y", Edits(), None, None, 1)


@pytest.mark.parametrize("uri", ["tel:+49-30-123", "mailto:a@b", "urn:service:sos"])
def test_uris_of_any_scheme(uri: str) -> None:
    assert action(f"CGI-PROXY-REQUEST {uri} SIP/2.0")[0] == Relay(uri, line=1)


@pytest.mark.parametrize(
    ("line", "column", "hint"),
    [
        ("CGI-PROXY-REQUEST sip:a@b", 26, "SIP/2.0 in one line"),
        ("CGI-PROXY-REQUEST SIP/2.0", 19, "a URI"),
        ("CGI-PROXY-REQUEST", 18, "a URI"),
        ("CGI-PROXY-REQUEST sip:a@b SIP/3.0", 27, "SIP/2.0 in one line"),
        ("CGI-PROXY-REQUEST Bob <sip:a@b> SIP/2.0", 23, "a URI"),
        (r"CGI-PROXY-REQUEST sip:a@b SIP/2.0\n\n", 27, "use printf"),
        ("CGI-PROXY-REQUEST <sip:a@b> SIP/2.0", 19, "without < and >"),
        ("CGI-PROXY-REQUEST bob SIP/2.0", 19, "sip:bob@example.com"),
        ("CGI-PROXY-REQUEST sip:a@b:x SIP/2.0", 19, "sip:bob@example.com"),
    ],
)
def test_a_proxied_request_that_is_none(line: str, column: int, hint: str) -> None:
    found = error(line)
    assert (found.line, found.column) == (1, column)
    assert hint in found.hint


@pytest.mark.rfc("3050", "5.6.2-2", "5.6.2.1")
def test_a_request_token() -> None:
    assert relay("cgi-request-token: one").request_token == "one"
    found = error("CGI-PROXY-REQUEST sip:a@b SIP/2.0\nCGI-Request-Token: one two")
    assert (found.line, found.column) == (2, 20)


@pytest.mark.rfc("3050", "5.7")
@pytest.mark.parametrize(
    ("fields", "method", "timeout"),
    [
        ("Expires: 20", "INVITE", 20.0),
        ("Expires: 0", "INVITE", 0.0),
        ("CGI-Timeout: 2.5", "INVITE", 2.5),
        ("CGI-Timeout: 2.5\nExpires: 20", "INVITE", 2.5),
        ("CGI-Timeout: 30\nExpires: 20", "INVITE", 20.0),
        ("Expires: 20", "SUBSCRIBE", None),
        ("CGI-Timeout: 30\nExpires: 20", "SUBSCRIBE", 30.0),
    ],
)
def test_the_earlier_one_of_expires_and_cgi_timeout_counts(fields: str, method: str, timeout: float | None) -> None:
    found = relay(fields, method)
    assert found.timeout == timeout
    assert ("Expires" in fields) == bool(found.edits.headers)


def test_an_expires_that_is_no_number_sets_no_timeout() -> None:
    found, [warning] = action("CGI-PROXY-REQUEST sip:a@b SIP/2.0\nExpires: Thu, 01 Dec 1994 16:00:00 GMT\nSubject: x")
    assert isinstance(found, Relay)
    assert found.timeout is None
    assert "no timeout" in warning


@pytest.mark.parametrize("seconds", ["0", "0.0", "-1", "5s", "", ".5", "1e3", "inf", "1234567890", "\u0665"])
def test_seconds_that_are_none(seconds: str) -> None:
    found = error(f"CGI-PROXY-REQUEST sip:a@b SIP/2.0\nCGI-Timeout: {seconds}")
    assert found.line == 2
    assert "2.5" in found.hint


# RFC 3050 5.6.1.3


@pytest.mark.rfc("3050", "5.6.1.3")
def test_a_forwarded_response() -> None:
    assert action("CGI-FORWARD-RESPONSE 0-ab.1 SIP/2.0")[0] == ForwardResponse("0-ab.1", Edits(), 1)
    findings = Findings()
    found = read_action(message("CGI-FORWARD-RESPONSE THIS SIP/2.0\nSubject: x\n"), "INVITE", findings)
    assert found == ForwardResponse("this", Edits([("Subject", "x")]), 1)
    assert [(claim.name, claim.line, claim.column) for claim in findings.claims] == [("this", 1, 22)]


# RFC 3050 5.6.1.4, 5.6.1.5


@pytest.mark.rfc("3050", "5.6.1.4")
def test_a_cookie() -> None:
    findings = Findings()
    longest = "=" * MAX_COOKIE
    assert read_cookie(message('CGI-SET-COOKIE a;b="c",/ SIP/2.0\n'), findings) == 'a;b="c",/'
    assert read_cookie(message(f"CGI-SET-COOKIE {longest} SIP/2.0\n"), findings) == longest
    assert findings == Findings()
    assert "4096" in error(f"CGI-SET-COOKIE {longest}= SIP/2.0").text
    assert "base64" in error("CGI-SET-COOKIE sch\u00f6n SIP/2.0").hint
    assert error("CGI-SET-COOKIE a b SIP/2.0").column == 18


@pytest.mark.rfc("3050", "5.6.1.5")
def test_again() -> None:
    findings = Findings()
    assert read_again(message("CGI-AGAIN yes SIP/2.0"), findings) == (True, None)
    assert read_again(message("cgi-again NO sip/2.0"), findings) == (False, None)
    assert findings == Findings()
    assert error("CGI-AGAIN maybe SIP/2.0").column == 11


@pytest.mark.rfc("3050", "3.6")
def test_again_after_some_time() -> None:
    findings = Findings()
    assert read_again(message("CGI-AGAIN yes SIP/2.0\nCGI-After: 2.5"), findings) == (True, WakeAfter(2.5, 2))
    assert findings.warnings == []
    assert read_again(message("CGI-AGAIN no SIP/2.0\nCGI-After: 2.5"), findings) == (False, None)
    assert findings.warnings == [(2, "CGI-After ignored below CGI-AGAIN no")]
    assert error("CGI-AGAIN yes SIP/2.0\nCGI-After: soon").line == 2


def test_header_fields_mean_nothing_below_what_sends_nothing() -> None:
    findings = Findings()
    read_again(message("CGI-AGAIN yes SIP/2.0\nSubject: x\nX: y"), findings)
    read_cookie(message("CGI-SET-COOKIE a SIP/2.0\nContent-Type: a/b\n\nc"), findings)
    assert findings.warnings == [
        (1, "header fields below CGI-AGAIN ignored"),
        (1, "header fields below CGI-SET-COOKIE ignored"),
    ]


# Header fields


@pytest.mark.rfc("3050", "5.6.2-1")
def test_cgi_fields_are_stripped() -> None:
    found, warnings = action(
        "SIP/2.0 200 OK\nCGI-Unheard-Of: 1\ncgi-timeout: 5\nCGI-After: x\nSubject: y\nCGI-Request-Token: z"
    )
    assert found == Reply(200, "OK", Edits([("Subject", "y")]), 1)
    assert warnings == [
        "unknown CGI header field CGI-Unheard-Of ignored",
        "cgi-timeout ignored below SIP/2.0",
        "CGI-After ignored below SIP/2.0",
        "CGI-Request-Token ignored below SIP/2.0",
    ]


def test_a_misspelt_cgi_field_is_asked_back() -> None:
    _, warnings = action("CGI-PROXY-REQUEST sip:a@b SIP/2.0\nCGI-Timout: 5\nCGI-Removed: x")
    assert warnings == [
        "unknown CGI header field CGI-Timout ignored; did you mean CGI-Timeout?",
        "unknown CGI header field CGI-Removed ignored; did you mean CGI-Remove?",
    ]


def test_the_last_of_several_cgi_fields_counts() -> None:
    found, [warning] = action("CGI-PROXY-REQUEST sip:a@b SIP/2.0\nCGI-Request-Token: x\nCGI-Request-Token: y")
    assert found == Relay("sip:a@b", Edits(), "y", None, 1)
    assert "this one counts" in warning


@pytest.mark.rfc("3050", "5.6.1.2-5", "5.6.2.2")
def test_fields_to_remove() -> None:
    found = relay("CGI-Remove: Subject, s,,\tOrganization\ncgi-remove: X-A\nCGI-Remove:")
    assert found.edits == Edits([], frozenset({"subject", "organization", "x-a"}))
    assert error("SIP/2.0 200 OK\nCGI-Remove: a b").text == "not a header field name: 'a b'"


@pytest.mark.rfc("3050", "5.6.2.2")
def test_what_is_printed_too_is_not_removed() -> None:
    assert relay("CGI-Remove: Subject, X-A\ns: y").edits == Edits([("s", "y")], frozenset({"x-a"}))


def test_what_no_message_is_without_is_not_removed() -> None:
    names = "Via, Call-ID, CSeq, From, t, Max-Forwards, Content-Length"
    found, warnings = action(f"CGI-FORWARD-RESPONSE this SIP/2.0\nCGI-Remove: {names}, Date")
    assert isinstance(found, ForwardResponse)
    assert found.edits.remove == {"date"}
    assert warnings == [f"{name} cannot be removed" for name in names.split(", ")]


@pytest.mark.rfc("3050", "5.6.1.2-1")
def test_header_fields_and_bodies() -> None:
    found = relay(
        "Contact: <sip:a@b>\nPriority: urgent\nContact: <sip:c@d>\nContent-Type: a/b\nContent-Length: 3\n\nxyz"
    )
    assert found.edits == Edits(
        [("Contact", "<sip:a@b>"), ("Priority", "urgent"), ("Contact", "<sip:c@d>"), ("Content-Type", "a/b")],
        frozenset(),
        b"xyz",
    )
    assert relay("Content-Length: 0\nContent-Type: a/b").edits == Edits([], frozenset(), b"")
    assert relay("Content-Type: a/b").edits == Edits([], frozenset(), b"")


def test_what_cannot_be_changed_is_claimed() -> None:
    findings = Findings()
    text = "CGI-PROXY-REQUEST sip:a@b SIP/2.0\nv: one\nCall-ID: x\nVia: two\nCSeq: 1 INVITE\n"
    found = read_action(message(text), "INVITE", findings)
    assert found == Relay("sip:a@b", line=1)
    assert [(claim.name, claim.value, claim.line, claim.column) for claim in findings.claims] == [
        ("via", "one, two", 2, 4),
        ("call-id", "x", 3, 10),
        ("cseq", "1 INVITE", 5, 7),
    ]
    found_there = findings.claims[1].error("text", "hint")
    assert (found_there.line, found_there.column, found_there.hint) == (3, 10, "hint")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("From: <sip:a@b", 2),
        ("t: nobody", 2),
        ("To: <sip:a@b>\nX: y\nTo: <sip:a@b>", 4),
        ("Route: <sip:a@b>, c", 2),
        ("Route: <sip:a;lr>, <tel:+49>", 2),
        ("Route: ,", 2),
        ("Route:", 2),
        ("Record-Route: <sip:a@b>;lr, <", 2),
        ("Max-Forwards: 256", 2),
        ("Max-Forwards: 7\nMax-Forwards: 7", 3),
    ],
)
def test_what_the_server_reads_itself_must_parse(fields: str, line: int) -> None:
    found = error(f"CGI-PROXY-REQUEST sip:a@b SIP/2.0\n{fields}\n")
    assert found.line == line
    assert found.column > 1


def test_what_the_server_reads_itself() -> None:
    fields = [
        ("From", "Anna <sip:a@b>;tag=1"),
        ("To", "sip:a@b"),
        ("Route", "<sip:a;lr>, <sip:b;lr>"),
        ("Route", "<sip:c;lr>"),
        ("Record-Route", "<sip:d;lr>"),
        ("Max-Forwards", "7"),
    ]
    assert relay("\n".join(f"{name}: {value}" for name, value in fields)).edits.headers == fields


# Requests of a script's own (RFC 3050 3.1, 5.11.2)


def own(text: str) -> Originate:
    findings = Findings()
    found = read_action(message(text), "INVITE", findings, originate=True)
    assert isinstance(found, Originate)
    assert findings.warnings == []
    return found


def own_error(text: str) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        read_action(message(text), "INVITE", Findings(), originate=True)
    return caught.value


@pytest.mark.rfc("3050", "3.1")
@pytest.mark.rfc("3050", "5.6.2.1")
def test_a_request_line() -> None:
    fields = "CGI-Request-Token: t\nCGI-Timeout: 5\nSubject: x\nContent-Type: text/plain"
    text = f"message sip:bob@example.com SIP/2.0\n{fields}\n\nhi"
    edits = Edits([("Subject", "x"), ("Content-Type", "text/plain")], body=b"hi")
    assert own(text) == Originate("MESSAGE", "sip:bob@example.com", edits, "t", 5.0, 1)
    invite = own("INVITE sip:bob@example.com SIP/2.0\nCGI-Request-Token: t\nExpires: 9\nContent-Length: 0\n")
    assert (invite.timeout, invite.edits) == (9.0, Edits([("Expires", "9")]))
    printed = [
        ("Call-ID", "mine"),
        ("CSeq", "7 MESSAGE"),
        ("From", "<sip:a@b>;tag=x"),
        ("To", "<sip:b@c>"),
        ("Max-Forwards", "5"),
        ("Contact", "<sip:d@e>"),
        ("Route", "<sip:p;lr>"),
    ]
    fields = "\n".join(f"{name}: {value}" for name, value in printed)
    assert own(f"MESSAGE sip:bob@example.com SIP/2.0\n{fields}\n").edits.headers == printed


def test_a_request_line_where_the_route_does_not_allow_it() -> None:
    found = error("MESSAGE sip:bob@example.com SIP/2.0\n")
    assert (found.line, found.column) == (1, 1)
    assert "originate: true" in found.hint
    assert "CGI-PROXY-REQUEST" in found.hint


@pytest.mark.parametrize("method", ["INVITE", "ACK", "BYE", "CANCEL", "INFO", "PRACK", "UPDATE"])
def test_what_belongs_to_a_dialog_needs_its_token(method: str) -> None:
    assert own_error(f"{method} sip:bob@example.com SIP/2.0\n").text == f"{method} without CGI-Request-Token"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("Via: SIP/2.0/UDP h", "cannot set Via"),
        ("Record-Route: <sip:p;lr>", "cannot set Record-Route"),
        ("To: <sip:b@c>;tag=x", "cannot set the tag of To"),
        ("From: <sip:a@b", "From: "),
        ("CSeq: 1 INVITE", "a number and MESSAGE expected"),
        ("CSeq: x", "a number and MESSAGE expected"),
        ("Call-ID: a b", "one word expected"),
        ("Call-ID:", "one word expected"),
        ("Max-Forwards: 256", "Max-Forwards: "),
        ("Route: <sip:p", "Route: "),
        ("CGI-Request-Token: a b", "not a token"),
        ("Subject: x\nFrom: <sip:a@b>\nFrom: <sip:a@b>", "From a second time"),
    ],
)
def test_what_a_generated_request_cannot_have(field: str, text: str) -> None:
    assert text in own_error(f"MESSAGE sip:bob@example.com SIP/2.0\n{field}\n").text


def test_a_request_line_with_no_uri() -> None:
    assert own_error("MESSAGE :bob SIP/2.0\n").column == 9


def test_cgi_remove_means_nothing_there() -> None:
    findings = Findings()
    text = "MESSAGE sip:bob@example.com SIP/2.0\nCGI-Remove: Subject\nContent-Type: x/y\nContent-Length: 0\n"
    found = read_action(message(text), "INVITE", findings, originate=True)
    assert found == Originate("MESSAGE", "sip:bob@example.com", Edits(), None, None, 1)
    assert findings.warnings == [(2, "CGI-Remove ignored below a request of its own")]
