"""What a script makes of messages: header fields and bodies, byte for byte (RFC 3050 5.5.2, 5.6, 5.6.1.2, 5.6.2.2)."""

import pytest
from world import World

from sipcgi.hosts.base import Outcome

OCTETS = bytes(range(256))
PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n"
AGAIN = "CGI-AGAIN yes SIP/2.0\n\n"


def printed(*pieces: bytes) -> Outcome:
    return Outcome(status=0, stdout=b"".join(pieces))


def about_body(message: object) -> tuple[bytes, list[str], list[str]]:
    """A body, and all Content-Types and Content-Lengths beside it."""
    return message.body, message.headers.all("content-type"), message.headers.all("content-length")  # type: ignore[attr-defined]


@pytest.mark.rfc("3050", "5.5.2-2", "5.6", "5.6.1.2", "5.6.1.3")
def test_bodies_in_both_directions_and_several_in_one_output(world: World) -> None:
    """Items 2 to 4 of the delimiting rules, with octets that look like line ends and action lines."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 183, "Content-Type: a/answer", OCTETS), (1.0, 486))
    world.script(
        "invite.sh",
        printed(
            b"CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\r\nContent-Type: a/b\r\nContent-Length: 256\r\n\r\n",
            OCTETS,
            b"SIP/2.0 183 Progress\nc: c/d\nl: 7\n\n\r\n\0\n\n\r\n\n \nSIP/2.0 182 Queued\n\n\n",
            b"SIP/2.0 181 Forwarded\nContent-Type: e/f\nContent-Length: 21\n\nCGI-AGAIN no SIP/2.0\n",
            b"CGI-AGAIN yes SIP/2.0",
        ),
        printed(b"CGI-FORWARD-RESPONSE this SIP/2.0\nContent-Type: g/h\n\n\r\n\r\n", OCTETS, b"\n"),
    )
    call = alice.calls_up("sip:bob@example.com", "Content-Type: o/o", body=OCTETS[::-1])
    world.run(2.0)
    assert [run.invocation.stdin for run in world.runs] == [OCTETS[::-1], OCTETS]
    assert [run.environment["CONTENT_LENGTH"] for run in world.runs] == ["256", "256"]
    assert [run.environment["CONTENT_TYPE"] for run in world.runs] == ["o/o", "a/answer"]
    assert about_body(bob.got) == (OCTETS, ["a/b"], ["256"])
    assert call.statuses == [183, 182, 181, 183, 486]
    assert [about_body(response) for response in call.responses[:4]] == [
        (b"\r\n\0\n\n\r\n", ["c/d"], ["7"]),
        (b"", [], ["0"]),
        (b"CGI-AGAIN no SIP/2.0\n", ["e/f"], ["21"]),
        (b"\r\n\r\n" + OCTETS + b"\n", ["g/h"], ["261"]),
    ]


@pytest.mark.rfc("3050", "5.6.1.2")
@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ("", (b"offer", ["a/b"], ["5"])),
        ("X-New: 1\n", (b"offer", ["a/b"], ["5"])),
        ("Content-Length: 0\n", (b"", [], ["0"])),
        ("l:0\nc: x/y\n", (b"", [], ["0"])),
        ("CGI-Remove: Content-Length, Content-Type\nContent-Length: 00\n", (b"", [], ["0"])),
        ("CGI-Remove: Content-Length\n", (b"offer", ["a/b"], ["5"])),
    ],
)
def test_a_body_that_is_kept_or_deleted(world: World, fields: str, body: tuple[bytes, list[str], list[str]]) -> None:
    """In the request that goes on, and in the response that comes back."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486, "Content-Type: a/b", b"offer"))
    again = "\nCGI-AGAIN yes SIP/2.0\n"
    world.script("invite.sh", PROXY + fields + again, "CGI-FORWARD-RESPONSE this SIP/2.0\n" + fields)
    call = alice.calls_up("sip:bob@example.com", "Content-Type: a/b", body=b"offer")
    world.run(1.0)
    assert about_body(bob.got) == about_body(call.final) == body


@pytest.mark.rfc("3050", "5.6.1.2", "5.6.2-1", "5.6.2.2")
def test_where_fields_are_put(world: World) -> None:
    """Printed ones replace all of their name where the first stood; new ones follow the Vias; null is not removed."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 486, "Allow: A", "X-Old: 1", "User-Agent: u", "Allow: D", "X-Last: l"))
    fields = """\
X-New: 1
m: <sip:z@192.0.2.9>
allow: B
Allow: C
Supported:
x-new: 2
CGI-Remove: Organization, No-Such, user-agent,
cgi-remove: s, x-old
CGI-Unknown: 3

"""
    world.script(
        "invite.sh", PROXY + fields + "CGI-AGAIN yes SIP/2.0\n", "CGI-FORWARD-RESPONSE this SIP/2.0\n" + fields
    )
    own = ("Allow: A", "Organization: o", "Allow: D", "Subject: s", "User-Agent: u", "Supported: x", "X-Last: l")
    call = alice.calls_up("sip:bob@example.com", *own)
    world.run(1.0)
    names = ["via", "via", "record-route", "max-breadth", "x-new", "x-new", "max-forwards", "from", "to", "call-id"]
    names += ["cseq", "contact", "allow", "allow", "supported", "x-last", "content-length"]
    assert bob.got.headers.names == names
    new = ["X-New: 1", "x-new: 2"]
    assert bob.got.headers.lines[4:6] == new
    assert bob.got.headers.lines[11:15] == ["m: <sip:z@192.0.2.9>", "allow: B", "Allow: C", "Supported: "]
    answer = call.final.headers
    assert answer.lines[1:5] == [*new, "m: <sip:z@192.0.2.9>", "Supported: "]
    assert answer.names[5:] == ["from", "to", "call-id", "cseq", "allow", "allow", "x-last", "content-length"]


@pytest.mark.rfc("3050", "5.6.1.2", "5.6.2.2")
def test_a_route_that_is_removed_leads_nowhere(world: World) -> None:
    """Then the Request-URI decides, also when it is that of the request."""
    alice, bob, gate = world.phone("alice"), world.phone("bob"), world.phone("gate")
    world.registers(bob)
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Remove: Route\n\n")
    call = alice.calls_up("sip:bob@example.com", "Route: <sip:192.0.2.30;lr>")
    world.run(1.0)
    assert call.final.status == 200
    assert "route" not in bob.got.headers
    assert not gate.requests


def test_a_path_takes_the_place_of_a_route_that_is_removed(world: World) -> None:
    alice, edge = world.phone("alice"), world.phone("edge")
    fields = ("To: <sip:bob@example.com>", "Contact: <sip:bob@10.0.0.7>", "Path: <sip:192.0.2.20;lr>")
    edge.calls_up("sip:example.com", *fields, "Supported: path", method="REGISTER")
    world.run(1.0)
    world.script("invite.sh", "CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0\nCGI-Remove: Route\n\n")
    call = alice.calls_up("sip:bob@example.com", "Route: <sip:192.0.2.77;lr>")
    world.run(2.0)
    assert call.statuses == [200]
    assert edge.got.headers.elements("route") == ["<sip:192.0.2.20;lr>"]


@pytest.mark.rfc("3050", "5.5.1.16-1", "5.6.1.3")
def test_a_token_stays_valid_for_the_whole_transaction(world: World) -> None:
    """Also in a run for a timer, after the response was forwarded once; the changes of then are not those of now."""
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.answers("INVITE", (0.1, 183, "Content-Type: a/b", b"early"), (0.5, 180), (9.0, 486))
    tokens: list[str] = []

    def keep(environment: dict[str, str]) -> str:
        tokens.append(environment["RESPONSE_TOKEN"])
        return "CGI-FORWARD-RESPONSE this SIP/2.0\nX-A: 1\n\n" + AGAIN

    def later(environment: dict[str, str]) -> str:
        return f"CGI-FORWARD-RESPONSE {tokens[0]} SIP/2.0\nX-B: 2\nContent-Length: 0\n\n"

    world.script("invite.sh", PROXY + "\n" + AGAIN, keep, "CGI-AGAIN yes SIP/2.0\nCGI-After: 1\n\n", later)
    call = alice.calls_up("sip:bob@example.com")
    world.run(10.0)
    assert [(r.status, r.body, r.headers.get("x-a"), r.headers.get("x-b")) for r in call.responses] == [
        (183, b"early", "1", None),
        (180, b"", None, None),
        (183, b"", None, "2"),
        (486, b"", None, None),
    ]


@pytest.mark.rfc("3050", "5.5.1.5-4", "5.6.1.1")
def test_octets_that_are_no_utf_8_pass_as_they_are(world: World) -> None:
    """From the network to the script and from there into fields and reason phrases."""
    alice = world.phone("alice")

    def echo(environment: dict[str, str]) -> Outcome:
        text = f"SIP/2.0 486 {environment['SIP_SUBJECT']}\nX-Echo: {environment['SIP_SUBJECT']}\n\n"
        return printed(text.encode("utf-8", "surrogateescape"))

    world.script("invite.sh", echo)
    subject = "Gr\u00fc\u00dfe \u20ac ".encode() + "Stra\u00dfe".encode("latin-1")
    call = alice.calls_up("sip:bob@example.com", "Subject: " + subject.decode("utf-8", "surrogateescape"))
    world.run(1.0)
    octets = bytes(call.final)
    assert octets.startswith(b"SIP/2.0 486 " + subject + b"\r\n")
    assert b"\r\nX-Echo: " + subject + b"\r\n" in octets
