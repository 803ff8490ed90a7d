"""All kits read alike, write alike and refuse alike: what one says about a value is what the server says about it."""

import re
import time
from random import Random

import pytest
from kit_scripts import Run

from sipcgi.cgi.output import parse_output
from sipcgi.errors import ParseError
from sipcgi.service import Originate, Relay, WakeAfter
from sipcgi.sip.address import Address
from sipcgi.sip.grammar import split_list, unquote
from sipcgi.sip.uri import SipUri, TelUri

RESPONSE = {
    "SIPCGI_EVENT": "response",
    "SIPCGI_METHOD": "INVITE",
    "SIPCGI_URI": "sip:bob@example.com",
    "SIPCGI_PENDING": "2",
    "SIPCGI_TARGET": "sip:bob@192.0.2.1",
    "RESPONSE_STATUS": "486",
    "RESPONSE_REASON": "Busy Here",
    "RESPONSE_TOKEN": "t1",
    "SIP_SUBJECT": "Lunch, at 12",
}
HEAD = ["response\tINVITE\tsip:bob@example.com\t486\tBusy Here\t2\tsip:bob@192.0.2.1\tt1", "Lunch, at 12\t-"]

DISPLAYS = ["", '"" ', '"A"', "Bob Smith ", "Jörg ", '"a, \\"b\\" <sip:x@y>;tag=no" ', '"back\\\\" ', "J. Doe\t"]
URIS = [
    "sip:alice@example.com",
    "sip:EXAMPLE.com.",
    "SIPS:al%69ce;x=1@Example.COM:5061;transport=tls?subject=a%20b",
    "sip:a%40b%3bc:secret@[2001:DB8::1]:5070",
    "sip:+1-201;postd=pp22@gateway.example.com;user=phone",
    "sip:~'!*()_@h",
    "sip:%300%37@h:05060",
    "sip:0x1F@h",
    "tel:+1-201-555-0123;phone-context=x",
    "mailto:bob@example.com",
]
PARAMETERS = ["", ";tag=7", ' ; TAG = 8 ;n="a;b,\\"c\\""', ";n;q=0.5;expires=30", ";N=*21#", ";n=007"]
UNBRACKETED = ["sip:a@b", "sip:a@b;tag=1;n=2", " sip:a@b ; tag=3"]
ODD = [
    "",
    "*",
    "bob",
    "<>",
    "<sip:a@b",
    '"a <sip:a@b>',
    "<sip:a@b> x",
    "<sip:a@b>;",
    '"a\\',
    "<sip: a@b>",
    "a;b <sip:a@b>",
]


def composed(number: int) -> list[str]:
    """Addresses with a part from each of the lists, and some others."""
    random = Random(number)
    made = [f"{random.choice(DISPLAYS)}<{random.choice(URIS)}>{random.choice(PARAMETERS)}" for _ in range(number)]
    return made + UNBRACKETED


def shown(text: str) -> str | None:
    """The line that a probe shows for an address, as the server understands it."""
    try:
        address = Address.parse(text)
    except ParseError:
        return None
    uri = address.uri
    user = host = port = None
    if isinstance(uri, TelUri):
        user = re.sub(r"[-.()]", "", uri.number)
    elif isinstance(uri, SipUri):
        if uri.user is not None:
            user = re.sub(r"%([0-9A-Fa-f]{2})", kept, uri.user)
        host, port = uri.host.lower().removesuffix("."), uri.port
    n = address.params.get("n")
    values = [
        address.display,
        uri,
        uri.scheme,
        user,
        host,
        port,
        address.tag,
        None if n is None else unquote(n),
    ]
    return "\t".join("-" if value is None else str(value) for value in values)


def kept(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if re.fullmatch(r"[A-Za-z0-9\-_.!~*'()]", character) else escape[0].upper()


def lines(run: Run, ending: str, **more: str) -> list[str]:
    """What the probe read, in a run for a response."""
    done = run(f"probe.{ending}", RESPONSE | more)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def test_addresses_are_what_the_server_takes_them_for(run: Run, ending: str) -> None:
    texts = composed(25 if ending == "sh" else 200)  # the shell starts a program for each part
    joined = ", ".join(texts)
    elements = split_list(joined)
    addresses = [line for element in elements if (line := shown(element)) is not None]
    assert lines(run, ending, SIP_X_LIST=joined) == [*HEAD, *elements, *addresses]


def test_what_is_no_address_is_none(run: Run, ending: str) -> None:
    for text in ODD:
        assert shown(text) is None
        found = lines(run, ending, SIP_X_LIST=text)
        assert [line for line in found[2:] if line.count("\t") > 3] == [], text


def test_phones_are_those_that_can_be_called_in_their_order(run: Run, ending: str) -> None:
    registrations = (
        '"Bob, at <sip:fake@h>" <sip:bob@192.0.2.1:5070;transport=tcp>;q=0.7;expires=1800,<mailto:bob@example.com>, '
        '<sips:bob,2@[2001:db8::1]>;+sip.instance="<urn:uuid:1,2>";expires=60, sip:bob@192.0.2.3;q=0.125;expires=9'
    )
    assert lines(run, ending, REGISTRATIONS=registrations)[2:] == [
        "sip:bob@192.0.2.1:5070;transport=tcp\t0.7\t1800",
        "sips:bob,2@[2001:db8::1]\t1\t60",
        "sip:bob@192.0.2.3\t0.125\t9",
    ]


@pytest.mark.parametrize("unit", ['"', '\\"', "<", "a", " ", ",", '"a', "%41", ";a", "<sip:a@b>,"])
def test_taking_apart_what_is_long_takes_as_long_as_it_is(run: Run, ending: str, unit: str) -> None:
    """What comes from the network must not keep a script busy: 120 KiB is the largest value that it gets."""
    start = time.monotonic()
    length = 400 if ending == "sh" and unit == "<sip:a@b>," else 110 * 1024
    lines(run, ending, SIP_X_LIST=f"<sip:{unit * (length // len(unit))}")
    lines(run, ending, SIP_X_LIST=unit * (length // len(unit)))
    assert time.monotonic() - start < 5


ASKED = {
    "SIPCGI_EVENT": "request",
    "REQUEST_METHOD": "INVITE",
    "REQUEST_URI": "sip:bob@example.com",
    "METHOD": "MESSAGE",
    "URI": "sip:admin@example.com",
    "NAME": "X-Note",
    "VALUE": 'a: b, "c" Jörg \\',
    "REASON": "Later, Jörg",
    "STATUS": "183",
    "SECONDS": "15",
    "TOKEN": "t-1",
    "REMOVE": "Alert-Info",
    "TYPE": "text/plain",
    "BODY": "Jörg\r\n\r\nCGI-AGAIN no SIP/2.0\n\n",
    "USER": "a b@x;y",
    "DISPLAY": 'A "b\\c" <sip:x@y>, Jörg',
    "PARAM": 'x;y="z',
    "COOKIE": ' 007 "Jörg"\\ %41&=;\n\t\x7fz',
}
PRINTED = """\
CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0
CGI-Timeout: 15
Expires: 30
CGI-Request-Token: t-1
X-Note: a: b, "c" Jörg \\
CGI-Remove: Subject, Alert-Info
Content-Type: text/plain
Content-Length: 31

Jörg\r\n\r\nCGI-AGAIN no SIP/2.0\n\n
SIP/2.0 183 Later, Jörg
Contact: "A \\"b\\\\c\\" <sip:x@y>, Jörg" <sip:a%20b%40x%3By@example.com>;p="x;y=\\"z"
Content-Length: 0

MESSAGE sip:admin@example.com SIP/2.0
CGI-Timeout: 15
Expires: 60
CGI-Request-Token: t-1
Subject: a: b, "c" Jörg \\
Content-Type: text/plain
Content-Length: 31

Jörg\r\n\r\nCGI-AGAIN no SIP/2.0\n\n
BYE sip:dialog.invalid SIP/2.0
CGI-Request-Token: t-1

CGI-FORWARD-RESPONSE t-1 SIP/2.0

CGI-FORWARD-RESPONSE this SIP/2.0

CGI-AGAIN yes SIP/2.0
CGI-After: 15

CGI-SET-COOKIE """


def asked(run: Run, ending: str, **more: str) -> bytes:
    done = run(f"probe.{ending}", ASKED | more)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_all_that_can_be_asked_for(run: Run, ending: str) -> None:
    printed = asked(run, ending)
    assert printed.decode().startswith(PRINTED)
    output = parse_output(printed, method="INVITE", originate=True)
    relay, wake = output.actions[0], output.actions[-1]
    assert isinstance(relay, Relay)
    assert (relay.uri, relay.timeout, relay.request_token) == (ASKED["REQUEST_URI"], 15, "t-1")
    assert relay.edits.body == ASKED["BODY"].encode()
    assert relay.edits.headers[1] == ("X-Note", ASKED["VALUE"])
    message, bye = [action for action in output.actions if isinstance(action, Originate)]
    assert (message.method, message.uri, message.timeout, message.request_token) == ("MESSAGE", ASKED["URI"], 15, "t-1")
    assert message.edits.body == ASKED["BODY"].encode()
    assert (bye.method, bye.request_token, bye.edits.headers) == ("BYE", "t-1", [])
    assert isinstance(wake, WakeAfter)
    assert (output.again, wake.seconds) == (True, 15)


OCTETS = bytes(range(256)) + b"\r\n\n\r\xff\xc3(\xed\xa0\x80\xc0\x80 CGI-AGAIN yes SIP/2.0\n\n\x80"
"""All there are, and what is no UTF-8."""


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_a_body_goes_out_as_it_came(run: Run, ending: str, locale: str) -> None:
    octets = OCTETS.replace(b"\0", b"") if ending == "sh" else OCTETS  # no shell keeps a NUL in a variable
    done = run(f"probe.{ending}", {"SIPCGI_EVENT": "ack", "LANG": locale}, stdin=octets)
    assert (done.returncode, done.stderr) == (0, b"")
    (info,) = parse_output(done.stdout, method="INVITE", originate=True).actions
    assert isinstance(info, Originate)
    assert info.edits.body == octets


def test_a_cookie_comes_back_as_it_was(run: Run, ending: str) -> None:
    cookie = parse_output(asked(run, ending), method="INVITE", originate=True).cookie
    assert cookie is not None
    done = run(f"probe.{ending}", RESPONSE | {"SCRIPT_COOKIE": cookie})
    assert done.stdout.decode().partition(HEAD[1])[2] == f"\n{ASKED['COOKIE']}\n"


def test_nothing_on_the_wire_reaches_the_cookie(run: Run, ending: str) -> None:
    """Header fields become SIP_ variables, the body standard input; none is SCRIPT_COOKIE."""
    forged = {"SIP_SCRIPT_COOKIE": '{"n":1}', "SIP_COOKIE": "n=1", "SIP_CGI_SET_COOKIE": "n=1 SIP/2.0"}
    done = run(f"probe.{ending}", RESPONSE | forged, stdin=b"CGI-SET-COOKIE n=1 SIP/2.0\n\nSCRIPT_COOKIE=n=1\n")
    assert done.stdout.decode().splitlines() == HEAD


REFUSED = {
    "REQUEST_URI": [
        "",
        "bob",
        "sip:",
        "sip:a b",
        "<sip:a@b>",
        'sip:"a@b',
        "sip:a@b SIP/2.0",
        "sip:a@b\nX: y",
        "1sip:a",
    ],
    "METHOD": [
        "",
        "A B",
        "CGI-PROXY-REQUEST",
        "cgi-again",
        "SIP/2.0",
        "BYE\n",
        "\nCGI-AGAIN no SIP/2.0\n\nBYE",
        "Ä",
        "<x>",
    ],
    "URI": ["bob", "sip:a b", "sip:a@b SIP/2.0", "sip:a@b\nX: y", "sip:a@b\r\n\r\nBYE sip:c@d SIP/2.0", "\n", " "],
    "NAME": ["", "X Note", "Content-Type", "content-length", "L", "CGI-Remove", "X\nY: z", "Ä", "X\r"],
    "VALUE": ["a\nb", "a\r\nb", "a\r", "\n"],
    "REASON": ["a\nb", "a\rb", "\n\nCGI-AGAIN no SIP/2.0"],
    "STATUS": ["99", "700", "4800", "", "x", "200 OK"],
    "SECONDS": ["0", "-1", "x", "", "12345678901"],
    "TOKEN": ["", "a b", "a\nb", "<a>"],
    "REMOVE": ["", "a b", "a\nb", "a, b"],
    "TYPE": ["", "text/plain\nX: y", "text/plain\r"],
    "BODY": [""],
    "DISPLAY": ["a\nb", "a\r"],
    "PARAM": ["a\nb", "\r"],
    "COOKIE": ["a" * 4100],
}
NAMED = {
    "REQUEST_URI": "uri",
    "METHOD": "method",
    "URI": "uri",
    "NAME": "header",
    "VALUE": "header x-note",
    "BODY": "content_type",
    "TYPE": "content_type",
}


def test_what_does_not_fit_ends_the_script_and_nothing_is_printed(run: Run, ending: str) -> None:
    for name, values in REFUSED.items():
        for value in values:
            done = run(f"probe.{ending}", ASKED | {name: value})
            assert done.returncode not in (0, -9, -15), (name, value, done)
            assert done.stdout == b"", (name, value)
            if name in NAMED:
                assert NAMED[name] in done.stderr.decode().lower(), (name, value, done.stderr)


def test_an_answer_alone(run: Run, ending: str) -> None:
    """Whatever is put into the user part of a URI stays in it."""
    for user, escaped in (
        ("bob", "bob"),
        ("\r\n", "%0D%0A"),
        ("+49*21#", "+49*21%23"),
        ("é/?&=", "%C3%A9%2F%3F%26%3D"),
    ):
        assert f"<sip:{escaped}@example.com>" in asked(run, ending, USER=user).decode()
