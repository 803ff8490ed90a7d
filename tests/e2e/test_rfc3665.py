"""The call flows of RFC 3665 section 3, with SIPp as Alice and as Bob, and a server for each proxy.

Each ladder is that of the RFC's figure as one of the two ends sees it, and SIPp fails on any other message. What the
figures have and we do not: a proxy always puts a Record-Route, unless a script takes it out; a 100 leaves only after
200 ms (RFC 3261 17.2.1), so that none may come; those who challenge are scripts.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import pytest
from flow import BOB, Ladder, Step
from running import Server, free_port, url
from sipp import TRACE, Load, Side
from wire_phone import Message, Phone

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]
Proxies = tuple[Server, Server]

# Proxy 1, the outbound proxy of Alice: on to Proxy 2
OUTBOUND = """#!/bin/sh
printf 'CGI-PROXY-REQUEST %s SIP/2.0\\nRoute: <sip:%s;lr>\\n\\n' "$REQUEST_URI" "$NEXT"
"""
# A proxy that wants credentials (RFC 2617 3.2.2): those of its realm it checks and takes out, others it passes on
AUTHENTICATING = (
    f"#!{os.path.realpath(sys.executable)} -IS\n"
    + """
import os, re
from hashlib import md5

def h(*parts):
    return md5(":".join(parts).encode()).hexdigest()

realm, nonce = os.environ["REALM"], os.environ["REALM"][::-1]
passed = []
known = False
for given in os.environ.get("SIP_PROXY_AUTHORIZATION", "").split("Digest ")[1:]:
    p = dict(re.findall(r'(\\w+)="?([^",]*)"?', given))
    if p["realm"] != realm:
        passed.append(given.strip(", "))
        continue
    a1, a2 = h(p["username"], realm, "wonderland"), h(os.environ["REQUEST_METHOD"], p["uri"])
    known = p["nonce"] == nonce and p["response"] == h(a1, nonce, p["nc"], p["cnonce"], p["qop"], a2)
if known:
    print("CGI-PROXY-REQUEST", os.environ["REQUEST_URI"], "SIP/2.0")
    if "NEXT" in os.environ:
        print(f"Route: <sip:{os.environ['NEXT']};lr>")
    print("\\n".join(f"Proxy-Authorization: Digest {one}" for one in passed) or "CGI-Remove: Proxy-Authorization")
else:
    print("SIP/2.0 407 Proxy Authorization Required")
    print(f'Proxy-Authenticate: Digest realm="{realm}", qop="auth", nonce="{nonce}", algorithm=MD5')
print()
"""
)
CREDENTIALS = "[authentication username=alice password=wonderland]"
TALK = ("< 100?", "< 180", "< 200", "> ACK", "< BYE", "> 200 OK")
TALKS = ("< INVITE", "> 180 Ringing", "> 200 OK", "< ACK", "> BYE", "< 200")
ATLANTA, BILOXI = "atlanta.example.com", "biloxi.example.com"
# An application layer gateway, that puts its own address into the SDP of INVITE and 200
ALG = """#!/bin/sh
media() {
    printf 'Content-Type: application/sdp\\n\\n'
    sed -e 's/^c=.*/c=IN IP4 192.0.2.128/' -e "s/^m=audio [0-9]*/m=audio $1/"
}
again='CGI-AGAIN yes SIP/2.0\\n\\n'
case "${RESPONSE_STATUS:-request}" in
request)
    printf "${again}CGI-PROXY-REQUEST %s SIP/2.0\\nRoute: <sip:%s;lr>\\n" "$REQUEST_URI" "$NEXT"
    media 2000;;
1??)
    printf "$again";;
200)
    printf 'CGI-FORWARD-RESPONSE this SIP/2.0\\n'
    media 1734;;
esac
exit 0
"""


class Flow:
    """The proxies, Alice and Bob of one test."""

    def __init__(self, serve: Serve, load: Load, folder: Path, phones: Phones) -> None:
        self.serve = serve
        self.load = load
        self.folder = folder
        self.phones = phones

    def proxy(
        self, domain: str, scripts: dict[str, str] | None = None, listen: tuple[str, ...] = (), **environment: str
    ) -> Server:
        settings = {"environment": json.dumps(environment)} if environment else {}
        return self.serve(scripts, domains=domain, listen=listen, pass_authorization="true", **settings)

    def bob(self, *steps: Step, transport: str = "u1") -> tuple[Side, str]:
        return self.load.callee(self.written("bob", Ladder(steps)), 1, *TRACE, "-t", transport)

    def register(self, server: Server, contact: str, domain: str = BILOXI) -> None:
        bob = self.phones(server, "bob", domain)
        bob.request("REGISTER", f"sip:{domain}", f"Contact: <sip:bob@{contact}>", to=f"<{bob.aor}>")
        bob.expect("SIP/2.0 200")

    def alice(self, first: str, *steps: Step, route: str | None = None, uri: str = BOB, transport: str = "u1") -> Side:
        """`first` is where she sends, through `route`, which is the same unless it is given; "" for none."""
        route = f"<sip:{first};lr>" if route is None else route
        path = self.written("alice", Ladder(steps, route, uri))
        where = ("-p", free_port(), "-m", 1, "-t", transport, "-auth_uri", BOB.removeprefix("sip:"), first)
        return self.load.start(path, *TRACE, *where)

    def written(self, name: str, ladder: Ladder) -> Path:
        path = self.folder / f"{name}.xml"
        path.write_text(str(ladder))
        return path


@pytest.fixture
def flow(serve: Serve, load: Load, tmp_path: Path, phones: Phones) -> Flow:
    return Flow(serve, load, tmp_path, phones)


def ends(*sides: Side) -> None:
    for side in sides:
        side.has_made(1)


def hosts(message: Message, name: str) -> list[str]:
    """The host:port of each value of Via, Record-Route or Route, the first line first."""
    values = [one for line in message.all(name) for one in line.split(",")]
    return [match[1] for value in values if (match := re.search(r"(127\.0\.0\.1:\d+)", value))]


def crossed(seen: Message, *proxies: Server) -> None:
    """Bob's INVITE came through these, the last first: Via, Record-Route and Max-Forwards say so."""
    through = [one.place() for one in proxies]
    assert hosts(seen, "Via")[:-1] == through
    assert hosts(seen, "Record-Route") == through
    assert seen["Max-Forwards"] == str(70 - len(proxies))
    assert seen["From"].startswith("Alice <sip:alice@atlanta.example.com>;tag=")
    assert seen["To"] == f"Bob <{BOB}>"
    assert "Route" not in seen
    assert all("received=127.0.0.1" in via for via in seen.all("Via")[1:])


def hears_as_sent(alice: Side, status: str, method: str = "INVITE") -> Message:
    """The response that Alice heard has her own Via alone."""
    [heard] = [one for one in alice.received(f"SIP/2.0 {status}") if one["CSeq"].endswith(method)]
    assert len(heard.all("Via")) == 1
    return heard


@pytest.mark.rfc("3665", "3.1")
def test_3_1_successful_session_establishment(flow: Flow) -> None:
    """The RFC's Alice calls Bob directly; here one proxy, which knows nothing of either, is between them. Over TCP."""
    proxy = flow.proxy("proxy.example.com", listen=(url("tcp"),))
    bob, at = flow.bob(*TALKS, transport="t1")
    first, uri = proxy.place("tcp"), f"sip:bob@{at};transport=tcp"
    alice = flow.alice(first, "> INVITE", *TALK, route=f"<sip:{first};lr;transport=tcp>", uri=uri, transport="t1")
    ends(alice, bob)
    [seen] = bob.received("INVITE ")
    assert seen.uri == uri
    assert hosts(seen, "Via")[0] == hosts(seen, "Record-Route")[0] == first
    assert [via.partition(" ")[0] for via in seen.all("Via")] == ["SIP/2.0/TCP"] * 2
    proxy.access("BYE", 200, "route=dialog")


@pytest.mark.rfc("3665", "3.2")
def test_3_2_through_two_proxies(flow: Flow) -> None:
    second = flow.proxy(BILOXI)
    first = flow.proxy(ATLANTA, {"invite.py": AUTHENTICATING}, REALM=ATLANTA, NEXT=second.place())
    bob, at = flow.bob(*TALKS)
    flow.register(second, at)
    alice = flow.alice(first.place(), "> INVITE", "< 407", "> ACK", ("> INVITE", CREDENTIALS), *TALK)
    ends(alice, bob)
    assert f'realm="{ATLANTA}"' in hears_as_sent(alice, "407")["Proxy-Authenticate"]
    [seen] = bob.received("INVITE ")
    crossed(seen, second, first)
    assert seen.uri == f"sip:bob@{at}"
    assert seen["CSeq"] == "2 INVITE"
    assert "Proxy-Authorization" not in seen
    answer = hears_as_sent(alice, "200")
    assert hosts(answer, "Record-Route") == [second.place(), first.place()]
    [ack], [bye] = bob.received("ACK "), alice.received("BYE ")
    for request, proxies in ((ack, [second, first]), (bye, [first, second])):
        assert hosts(request, "Via")[:2] == [one.place() for one in proxies]
        assert request["Max-Forwards"] == "68"
        assert "Route" not in request  # each proxy took its own out
    for proxy in (first, second):
        proxy.access("BYE", 200, "route=dialog")


@pytest.mark.rfc("3665", "3.3")
def test_3_3_multiple_proxy_authentication(flow: Flow) -> None:
    """Bob rings, too, and hangs up; the figure leaves both out."""
    second = flow.proxy(BILOXI, {"invite.py": AUTHENTICATING}, REALM=BILOXI)
    first = flow.proxy(ATLANTA, {"invite.py": AUTHENTICATING}, REALM=ATLANTA, NEXT=second.place())
    bob, at = flow.bob(*TALKS)
    flow.register(second, at)
    alone, both = ("> INVITE", CREDENTIALS), ("> INVITE", f"{atlanta_again()}\n{CREDENTIALS}")
    challenged = ("< 100?", "< 407", "> ACK")
    alice = flow.alice(first.place(), "> INVITE", *challenged, alone, *challenged, both, *TALK)
    ends(alice, bob)
    challenges = [one["Proxy-Authenticate"] for one in alice.received("SIP/2.0 407")]
    assert [f'realm="{realm}"' in one for realm, one in zip((ATLANTA, BILOXI), challenges, strict=True)] == [True] * 2
    [seen] = bob.received("INVITE ")
    crossed(seen, second, first)
    assert seen["CSeq"] == "3 INVITE"
    assert "Proxy-Authorization" not in seen
    first.access("INVITE", 407, number=2)
    second.access("INVITE", 407)
    second.access("INVITE", 200)


def atlanta_again() -> str:
    """Credentials for Proxy 1: SIPp computes them for the last challenge only, which is that of Proxy 2."""

    def h(*parts: str) -> str:
        return md5(":".join(parts).encode()).hexdigest()

    fresh = (ATLANTA[::-1], "00000001", "alice", "auth")
    response = h(h("alice", ATLANTA, "wonderland"), *fresh, h("INVITE", BOB))
    return (
        f'Proxy-Authorization: Digest username="alice", realm="{ATLANTA}", nonce="{fresh[0]}", uri="{BOB}", '
        f'nc={fresh[1]}, cnonce="{fresh[2]}", qop={fresh[3]}, response="{response}"'
    )


@pytest.mark.rfc("3665", "3.4")
def test_3_4_proxy_failure(flow: Flow, phones: Phones) -> None:
    """Alice waits 1.2 s for Proxy 1, not the 32 s of the RFC's; Proxy 2 is not in her Route, as in the figure."""
    second = flow.proxy(BILOXI, {"invite.py": AUTHENTICATING}, REALM=BILOXI)
    unresponsive = phones(second, "proxy1")
    bob, at = flow.bob(*TALKS)
    flow.register(second, at)
    given_up = ("> INVITE once", "silence 400", "> INVITE again", "silence 800", f"to {second.place()}")
    again = ("> INVITE", "< 100?", "< 407", "> ACK", ("> INVITE", CREDENTIALS))
    alice = flow.alice(unresponsive.place, *given_up, *again, *TALK)
    ends(alice, bob)
    [seen] = bob.received("INVITE ")
    crossed(seen, second)
    repeated = unresponsive.expect("INVITE ")
    assert hosts(repeated, "Route") == [unresponsive.place]
    assert repeated["CSeq"] == "1 INVITE"


@pytest.mark.rfc("3665", "3.5")
def test_3_5_through_an_alg(flow: Flow) -> None:
    """The ALG is a script that changes the SDP of INVITE and 200. Proxy 2 has a Record-Route, unlike in the figure."""
    second = flow.proxy(BILOXI)
    alg = flow.proxy(ATLANTA, {"invite.sh": ALG}, NEXT=second.place())
    bob, at = flow.bob("< INVITE", "> 180 Ringing", "> 200 OK", "< ACK", "< BYE", "> 200 OK")
    flow.register(second, at)
    alice = flow.alice(alg.place(), "> INVITE", "< 100?", "< 180", "< 200", "> ACK", "> BYE", "< 200")
    ends(alice, bob)
    [seen] = bob.received("INVITE ")
    crossed(seen, second, alg)
    answer = hears_as_sent(alice, "200")
    for message, port in ((seen, 2000), (answer, 1734)):
        assert "c=IN IP4 192.0.2.128" in message.body
        assert f"m=audio {port} RTP/AVP 0" in message.body
        assert len(message.body) == int(message["Content-Length"])
    assert hears_as_sent(alice, "180").body == ""
    [bye] = bob.received("BYE ")
    assert hosts(bye, "Via")[:2] == [second.place(), alg.place()]
    alg.access("INVITE", 200, "runs=3")


@pytest.mark.rfc("3665", "3.6")
def test_3_6_redirect_and_sdp_in_the_ack(flow: Flow) -> None:
    third = flow.proxy("chicago.example.com")
    moved = "sip:bob@chicago.example.com"
    redirect = flow.proxy(BILOXI, {"invite.sh": f"#!/bin/sh\nprintf 'SIP/2.0 302 Moved\\nContact: <{moved}>\\n\\n'\n"})
    bob, at = flow.bob("< INVITE", "> 180 Ringing", "> 200 OK", "< ACK", "> BYE", "< 200")
    flow.register(third, at, "chicago.example.com")
    to_the_third = (f"to {third.place()}", f"uri {moved}", "> INVITE without SDP")
    talk = ("< 100?", "< 180", "< 200", "> ACK with SDP", "< BYE", "> 200 OK")
    first = ("> INVITE without SDP", "< 302", "> ACK")
    alice = flow.alice(redirect.place(), *first, *to_the_third, *talk, route="")
    ends(alice, bob)
    assert hears_as_sent(alice, "302")["Contact"] == f"<{moved}>"
    [seen], [ack] = bob.received("INVITE "), bob.received("ACK ")
    crossed(seen, third)
    assert (seen.uri, seen.body) == (f"sip:bob@{at}", "")
    assert "m=audio 49172" in hears_as_sent(alice, "200").body
    assert "m=audio 49172" in ack.body
    redirect.access("INVITE", 302, number=1)


@pytest.mark.rfc("3665", "3.7")
def test_3_7_reinvite_after_a_change_of_address(flow: Flow) -> None:
    """Bob's new address is another port, where another SIPp waits. The requests of the dialog cross the proxy."""
    proxy = flow.proxy(BILOXI)
    moved, new = flow.bob("< BYE", "> 200 OK")
    # The route set stays, the target does not (RFC 3261 12.2)
    again = ("> INVITE", f"Contact: <sip:bob@{new}>")
    bob, at = flow.bob("< INVITE", "> 180 Ringing", "> 200 OK", "< ACK", "pause 50", again, "< 100?", "< 200", "> ACK")
    flow.register(proxy, at)
    steps = ("> INVITE", "< 100?", "< 180", "< 200", "> ACK", "< INVITE", "> 200 OK", "< ACK")
    alice = flow.alice(proxy.place(), *steps, f"uri sip:bob@{new}", "> BYE", "< 200")
    ends(alice, bob, moved)
    [first], [second] = bob.received("INVITE "), alice.received("INVITE ")
    crossed(first, proxy)
    assert second["Contact"] == f"<sip:bob@{new}>"
    assert second["CSeq"] == "1 INVITE"
    assert hosts(second, "Via")[0] == proxy.place()
    assert "m=audio 49172" in second.body
    [bye] = moved.received("BYE ")
    assert bye.uri == f"sip:bob@{new}"
    assert hosts(bye, "Via")[0] == proxy.place()
    proxy.access("INVITE", 200, "route=dialog")


@pytest.fixture
def two_proxies(flow: Flow) -> Proxies:
    """Proxy 1, which sends everything on, and Proxy 2, where Bob may register."""
    second = flow.proxy(BILOXI)
    return flow.proxy(ATLANTA, {"invite.sh": OUTBOUND}, NEXT=second.place()), second


@pytest.mark.rfc("3665", "3.8")
def test_3_8_no_answer(flow: Flow, load: Load, two_proxies: Proxies) -> None:
    first, second = two_proxies
    bob, at = load.callee("cancel-callee", 1, *TRACE)
    flow.register(second, at)
    alice = load.caller("cancel-caller", first, BOB, 1, 1, *TRACE)
    ends(alice, bob)
    [invite], [cancel], [ack] = bob.received("INVITE "), bob.received("CANCEL "), bob.received("ACK ")
    assert hosts(invite, "Via")[:2] == [second.place(), first.place()]
    for request in (cancel, ack):  # hop by hop: the Via of Proxy 2 alone, and that of the INVITE (9.1, 17.1.1.3)
        assert request.all("Via") == invite.all("Via")[:1]
        assert request.uri == invite.uri
    hears_as_sent(alice, "200", "CANCEL")
    hears_as_sent(alice, "487")
    for proxy in (first, second):
        proxy.access("INVITE", 487)


@pytest.mark.rfc("3665", "3.9")
def test_3_9_busy(flow: Flow, load: Load, two_proxies: Proxies) -> None:
    first, second = two_proxies
    bob, at = load.callee("busy-callee", 1, *TRACE)
    flow.register(second, at)
    alice = load.caller("busy-caller", first, BOB, 1, 1, *TRACE)
    ends(alice, bob)
    [invite], [ack] = bob.received("INVITE "), bob.received("ACK ")
    assert ack.all("Via") == invite.all("Via")[:1]
    assert ack["To"] == hears_as_sent(alice, "486")["To"]
    for proxy in (first, second):
        proxy.access("INVITE", 486)


PATIENT = """#!/bin/sh
if [ "$SIPCGI_EVENT" = timeout ]; then
    printf 'SIP/2.0 480 No Response\\n\\n'
else
    printf 'CGI-PROXY-REQUEST %s SIP/2.0\\nCGI-Timeout: 2\\n\\nCGI-AGAIN yes SIP/2.0\\n\\n' "$REQUEST_URI"
fi
"""
REFUSED = ("< 480", "> ACK")


@pytest.mark.rfc("3665", "3.10")
def test_3_10_no_response(flow: Flow, phones: Phones) -> None:
    """Proxy 2 gives Bob 2 s, not 32, and two repetitions, not six; the 408 of that is a 480 by its script."""
    second = flow.proxy(BILOXI, {"invite.sh": PATIENT})
    first = flow.proxy(ATLANTA, {"invite.sh": OUTBOUND}, NEXT=second.place())
    bob = phones(second, "bob", BILOXI)
    bob.register()
    ends(flow.alice(first.place(), "> INVITE", "< 100?", *REFUSED))
    bob.socket.setblocking(False)
    invites = [bob.socket.recv(65536) for _ in range(3)]
    assert len(set(invites)) == 1
    with pytest.raises(BlockingIOError):
        bob.socket.recv(65536)
    crossed(Message(invites[0].decode()), second, first)
    for proxy in (first, second):
        proxy.access("INVITE", 480)


@pytest.mark.rfc("3665", "3.11")
def test_3_11_temporarily_unavailable(flow: Flow, two_proxies: Proxies) -> None:
    first, second = two_proxies
    bob, at = flow.bob("< INVITE", "> 180 Ringing", "> 480 Temporarily Unavailable", "< ACK")
    flow.register(second, at)
    alice = flow.alice(first.place(), "> INVITE", "< 100?", "< 180", *REFUSED)
    ends(alice, bob)
    [invite], [ack] = bob.received("INVITE "), bob.received("ACK ")
    crossed(invite, second, first)
    assert ack.all("Via") == invite.all("Via")[:1]
    refusal = hears_as_sent(alice, "480")
    assert refusal.start == "SIP/2.0 480 Temporarily Unavailable"
    assert refusal["To"] == ack["To"] == hears_as_sent(alice, "180")["To"]
