"""Credentials in a request: the server checks none, so that no metavariable may say that it had (RFC 3050 5.5.1.1)."""

import pytest
from world import World

from sipcgi.cgi.routes import Route

PROXY = "CGI-PROXY-REQUEST sip:bob@192.0.2.20 SIP/2.0\n\n"
RESPONSE = 'response="8f0b1d4c2a5e4f6f9d1c3b7a6e5d4c3b"'
OURS = f'Digest username="alice", realm="example.com", nonce="n", uri="sip:bob@example.com", {RESPONSE}'
THEIRS = f'Digest username="alice", realm="example.net", nonce="n", uri="sip:bob@example.com", {RESPONSE}'
GIVEN = {
    "ours": [f"Authorization: {OURS}"],
    "ours, of a proxy": [f"Proxy-Authorization: {OURS}"],
    "another realm's": [f"Authorization: {THEIRS}", f"Proxy-Authorization: {THEIRS}"],
    "both headers": [f"Authorization: {OURS}", f"Proxy-Authorization: {THEIRS}"],
    "several schemes": ["Authorization: Basic YWxpY2U6d29uZGVybGFuZA==", f"Authorization: {OURS}"],
    "several realms": [f"Proxy-Authorization: {THEIRS}", f"Proxy-Authorization: {OURS}"],
    "no parameters": ["Authorization: Digest"],
    "an unfinished quote": ['Authorization: Digest username="alice'],
    "nothing": ["Authorization:", "Proxy-Authorization:"],
    "no scheme": ['Proxy-Authorization: username="alice", AUTH_TYPE=Digest'],
    "in the names": ["Auth-Type: Digest", "Remote-User: alice", "AUTH_TYPE: Digest", "REMOTE_USER: alice"],
}


@pytest.mark.rfc("3050", "5.5.1.1")
@pytest.mark.rfc("3050", "5.5.1.1-6")
@pytest.mark.rfc("3050", "5.5.1.10")
@pytest.mark.parametrize("passed", [False, True], ids=["kept", "passed"])
@pytest.mark.parametrize("fields", GIVEN.values(), ids=GIVEN)
def test_credentials_are_looked_at_by_nobody_but_the_script(world: World, fields: list[str], passed: bool) -> None:
    """They define neither AUTH_TYPE nor REMOTE_USER, reach a script whose route says so, and go on as they came."""
    alice, bob = world.phone("alice"), world.phone("bob")
    world.script("call.sh", PROXY)
    world.routes(Route(script="call.sh", pass_authorization=passed))
    call = alice.calls_up("sip:bob@example.com", *fields)
    world.run(1.0)
    assert call.final.status == 200
    environment = world.runs[0].environment
    assert {"AUTH_TYPE", "REMOTE_USER"}.isdisjoint(environment)  # undefined, which null is not (RFC 3050 5.5.1)
    for name in ("Authorization", "Proxy-Authorization"):
        values = [field.partition(":")[2].strip() for field in fields if field.startswith(f"{name}:")]
        assert list(bob.got.headers.all(name.lower())) == values
        variable = environment.get("SIP_" + name.upper().replace("-", "_"))
        assert variable == (", ".join(filter(None, values)) if passed and values else None)
