"""A script that asks its callers for a password and checks their answers, which the server itself does for nobody."""

import os
import sys
from collections.abc import Callable

import pytest
from running import Server
from wire_phone import Message, Phone, talk

from sipcgi.auth.digest import Account, answer
from sipcgi.sip.authentication import Challenge
from sipcgi.sip.headers import Headers
from sipcgi.sip.message import Request

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

# 401 as a registrar, 407 as a proxy (RFC 3261 22.2, 22.3; RFC 7616). Who is known registers and calls as himself alone
AUTHENTICATE = (
    f"#!{os.path.realpath(sys.executable)} -S\n"
    + r"""
import hmac, os, re, sys
from hashlib import sha256
from sipcgi_kit import Call

PASSWORDS = {"alice": "wonderland", "bob": "builder"}
REALM = "example.com"

def h(*parts):
    return sha256(":".join(parts).encode()).hexdigest()

def is_right(p, method, nonce):
    if p.get("realm") != REALM or p.get("nonce") != nonce or p.get("username") not in PASSWORDS:
        return False
    a1, a2 = h(p["username"], REALM, PASSWORDS[p["username"]]), h(method, p.get("uri", ""))
    made = h(a1, nonce, p.get("nc", ""), p.get("cnonce", ""), "auth", a2)
    return hmac.compare_digest(made.encode(), p.get("response", "").encode())

with Call() as call:
    if {"AUTH_TYPE", "REMOTE_USER"} & os.environ.keys():
        sys.exit("the server says that it has checked something")
    registers = call.method == "REGISTER"
    nonce = hmac.new(b"secret", call.header("Call-ID").encode(), "sha256").hexdigest()
    given = call.header("Authorization" if registers else "Proxy-Authorization") or ""
    user = None
    for one in re.split("(?:^|, )Digest ", given):
        found = re.findall(r'(\w+)=(?:"([^"]*)"|([^ ,"]+))', one)
        p = {name.lower(): quoted or bare for name, quoted, bare in found}
        if is_right(p, call.method, nonce):
            user = p["username"]
    claimed = call.to if registers else call.from_
    if user is None:
        challenge = f'Digest realm="{REALM}", qop="auth", algorithm=SHA-256, nonce="{nonce}"'
        if registers:
            call.reply(401, headers={"WWW-Authenticate": challenge})
        else:
            call.reply(407, headers={"Proxy-Authenticate": challenge})
    elif (claimed.user, claimed.host) != (user, REALM):
        call.reply(403)
    elif not registers:
        call.proxy(call.uri, remove="Proxy-Authorization")
"""
)
CHALLENGES = {
    "REGISTER": ("WWW-Authenticate", "Authorization"),
    "INVITE": ("Proxy-Authenticate", "Proxy-Authorization"),
}
ELSEWHERE = 'Digest username="alice", realm="example.net", nonce="x", uri="sip:x", response="x"'
"""Credentials for somebody else's realm."""


class Member:
    """A phone that knows, or does not, what the server asks for. Its requests belong to one Call-ID, as retries do."""

    def __init__(self, phone: Phone, password: str, user: str = "") -> None:
        self.phone = phone
        self.account = Account("example.com", user or phone.aor[4:].partition("@")[0], password)
        self.cseq = 0

    def send(self, method: str, uri: str, *lines: str) -> Message:
        self.cseq += 1
        to = f"<{self.phone.aor}>" if method == "REGISTER" else f"<{uri}>"
        return self.phone.request(
            method,
            uri,
            *([f"Contact: <{self.phone.contact}>"] if method == "REGISTER" else []),
            *lines,
            to=to,
            from_=f"<{self.phone.aor}>;tag=t",
            call_id=f"{self.phone.place}@member",
            cseq=str(self.cseq),
        )

    def challenged(self, method: str, request: Message) -> str:
        """Takes the challenge; what answers it."""
        asks, answers = CHALLENGES[method]
        refusal = self.phone.expect("SIP/2.0 401" if method == "REGISTER" else "SIP/2.0 407")
        if method == "INVITE":
            self.phone.ack(request, refusal)
        challenge = Challenge.parse(refusal[asks])
        given = answer(challenge, self.account, Request(method, request.uri, Headers([]), b""), "0a4f113b")
        return f"{answers}: {given}"


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(
        {"auth.py": AUTHENTICATE}, "routes: [{script: auth.py, method: [REGISTER, INVITE]}]", pass_authorization="yes"
    )


@pytest.mark.rfc("3050", "5.5.1.1")
@pytest.mark.rfc("3050", "5.5.1.1-6")
@pytest.mark.rfc("3050", "5.5.1.10")
def test_who_knows_the_password_registers_and_calls(server: Server, phones: Phones) -> None:
    alice, bob = Member(phones(server, "alice"), "wonderland"), Member(phones(server, "bob"), "builder")
    for member in (alice, bob):
        given = member.challenged("REGISTER", member.send("REGISTER", "sip:example.com"))
        member.send("REGISTER", "sip:example.com", given)
        assert member.phone.contact in member.phone.expect("SIP/2.0 200")["Contact"]
    given = alice.challenged("INVITE", alice.send("INVITE", bob.phone.aor))
    call = alice.send(
        "INVITE", bob.phone.aor, f"Proxy-Authorization: {ELSEWHERE}", given, f"Authorization: {ELSEWHERE}"
    )
    assert "Proxy-Authorization" not in (seen := talk(alice.phone, bob.phone, call))
    assert seen["Authorization"] == ELSEWHERE  # another's: nobody has touched it


def test_credentials_of_another_realm_go_on_as_they_came(serve: Serve, phones: Phones) -> None:
    server = serve({})
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    alice.invite(bob.aor, f"Authorization: {ELSEWHERE}", f"Proxy-Authorization: {ELSEWHERE}")
    seen = bob.take("486 Busy Here")
    assert (seen["Authorization"], seen["Proxy-Authorization"]) == (ELSEWHERE, ELSEWHERE)


@pytest.mark.rfc("3050", "5.5.1.1-4")
@pytest.mark.parametrize(
    ("method", "uri", "password", "user", "status"),
    [
        ("REGISTER", "sip:example.com", "wrong", "alice", "401"),
        ("INVITE", "sip:alice@example.com", "wrong", "alice", "407"),
        ("REGISTER", "sip:example.com", "wonderland", "mallory", "401"),
        ("REGISTER", "sip:example.com", "builder", "bob", "403"),
        ("INVITE", "sip:alice@example.com", "builder", "bob", "403"),
    ],
)
def test_who_does_not_is_refused(
    server: Server, phones: Phones, method: str, uri: str, password: str, user: str, status: str
) -> None:
    """A failed check leaves AUTH_TYPE undefined: the script says so by an exit status that would make it a 500."""
    member = Member(phones(server, "alice"), password, user)
    given = member.challenged(method, member.send(method, uri))
    member.send(method, uri, given)
    member.phone.expect(f"SIP/2.0 {status}")
    listed = Member(phones(server, "alice"), "wonderland")
    given = listed.challenged("REGISTER", listed.send("REGISTER", "sip:example.com"))
    listed.send("REGISTER", "sip:example.com", given)
    assert member.phone.contact not in listed.phone.expect("SIP/2.0 200")["Contact"]


@pytest.mark.parametrize(
    "given",
    [
        "Authorization: Digest",
        'Authorization: Digest username="alice',
        'Authorization: Digest username="alice", realm="example.com"',
        "Authorization: Basic YWxpY2U6d29uZGVybGFuZA==",
        f"Authorization: {ELSEWHERE}",
        "Authorization:",
    ],
)
def test_what_answers_no_challenge_of_the_script_is_asked_again(server: Server, phones: Phones, given: str) -> None:
    member = Member(phones(server, "alice"), "wonderland")
    member.challenged("REGISTER", member.send("REGISTER", "sip:example.com", given))


def test_without_pass_authorization_the_script_sees_no_password(serve: Serve, phones: Phones) -> None:
    server = serve({"auth.py": AUTHENTICATE}, "routes: [{script: auth.py, method: REGISTER}]")
    member = Member(phones(server, "alice"), "wonderland")
    given = member.challenged("REGISTER", member.send("REGISTER", "sip:example.com"))
    member.send("REGISTER", "sip:example.com", given)
    member.phone.expect("SIP/2.0 401")
