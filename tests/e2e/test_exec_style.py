"""One and the same script file, run by Kamailio's exec module and here (`style: exec`): it finds and does the same."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from kamailio import Kamailio
from running import Server
from wire_phone import Message, Phone

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
Phones = Callable[..., Phone]

# Each writes what it found into the folder OUT, one file a variable, and forks to the URIs in BOB and CAROL
SCRIPTS = {
    "sh": """#!/bin/sh
mkdir -p OUT
for name in $(env | sed -n 's/^\\(SIP_[A-Z0-9_]*\\)=.*/\\1/p'); do eval "printf %s \\"\\$$name\\"" > "OUT/$name"; done
printf '%s\\n' "$#" "$1" > OUT/arguments
cat > OUT/stdin
printf '\\nBOB \\t\\r\\n\\n'
echo "CAROL;for=$SIP_USER"
""",
    "perl": """#!/usr/bin/perl
mkdir "OUT";
sub put { my $name = shift; open my $file, ">", "OUT/$name"; binmode $file; print $file @_; }
put($_, $ENV{$_}) for grep /^SIP_/, keys %ENV;
put("arguments", scalar(@ARGV), "\\n$ARGV[0]\\n");
put("stdin", join "", <STDIN>);
print "\\n", 'BOB', " \\t\\r\\n\\n", 'CAROL', ";for=$ENV{SIP_USER}\\n";
""",
    "python": """#!/usr/bin/python3
import os, pathlib, sys
out = pathlib.Path("OUT")
out.mkdir(exist_ok=True)
for name, value in os.environb.items():
    if name.startswith(b"SIP_"):
        (out / name.decode()).write_bytes(value)
(out / "arguments").write_text(f"{len(sys.argv) - 1}\\n{sys.argv[1] if sys.argv[1:] else ''}\\n")
(out / "stdin").write_bytes(sys.stdin.buffer.read())
print("\\nBOB \\t\\r\\n\\nCAROL;for=" + os.environ["SIP_USER"])
""",
}
LINES = (
    "Subject: lunch; `touch OUT/x` $(id)",
    "X-Foo: one",
    "X-Foo: two",
    "Allow: INVITE, ACK",
    "P-Empty: ",
    "k: timer",
)
ONLY_HERE = {"SIP_ORURI", "SIP_OURI", "SIP_HF_CALL_ID"}
"""Kamailio's documentation has them, Kamailio has not: it spells SIP_ORUI and SIP_HF_CALLID."""
DIFFERENT = {"SIP_TID", "SIP_HF_VIA", "SIP_HF_CALLID", "SIP_HF_CALL_ID", "SIP_HF_FROM", "SIP_HF_CONTACT", "stdin"}
"""What no two calls have in common."""


def found(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def called(alice: Phone, bob: Phone, carol: Phone, uri: str) -> tuple[Message, Message, Message]:
    """The INVITE as sent and as both saw it; Carol answers."""
    invite = alice.invite(uri, *LINES)
    seen = bob.expect("INVITE "), carol.expect("INVITE ")
    bob.answer(seen[0], "180 Ringing")
    alice.expect("SIP/2.0 180")
    carol.answer(seen[1], "200 OK")
    alice.ack(invite, alice.expect("SIP/2.0 200"))
    carol.expect("ACK ")
    bob.answer(bob.expect("CANCEL "), "200 OK")
    bob.answer(seen[0], "487 Request Terminated")
    bob.expect("ACK ")
    return invite, *seen


@pytest.mark.parametrize("language", SCRIPTS)
def test_the_same_file_does_the_same(
    serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio], tmp_path: Path, language: str
) -> None:
    server = serve({}, domains="example.org", style="exec")
    out = tmp_path / "out"
    path = server.scripts / "invite"
    proxy = kamailio(f'exec_dset("{path}"); t_relay();')
    results = []
    for place in (proxy, server):
        alice, bob, carol = (phones(place, name) for name in ("alice", "bob", "carol"))
        text = SCRIPTS[language].replace("OUT", str(out))
        server.write("invite", text.replace("BOB", bob.contact).replace("CAROL", carol.contact))
        sent, *seen = called(alice, bob, carol, "sip:sales;x=y@example.com;a=b")
        assert [message.uri for message in seen] == [bob.contact, f"{carol.contact};for=sales;x=y"]
        assert all(message.all("X-Foo") == ["one", "two"] for message in seen)
        results.append((sent, found(out)))
        out.rename(tmp_path / f"out{len(results)}")
    (_, theirs), (sent, ours) = results
    assert ours.keys() - theirs.keys() == ONLY_HERE
    assert theirs.keys() <= ours.keys()
    assert {name for name in theirs if theirs[name] != ours[name]} == DIFFERENT - ONLY_HERE
    assert ours["arguments"] == "1\nsip:sales;x=y@example.com;a=b\n"
    assert ours["SIP_HF_SUBJECT"] == "lunch; `touch OUT/x` $(id)"
    assert ours["SIP_HF_X_FOO"] == "one,two"
    assert re.fullmatch("[0-9a-f-]+", ours["SIP_TID"], re.ASCII | re.IGNORECASE)
    assert ours["SIP_HF_VIA"].startswith(sent["Via"].removesuffix(";rport"))
    assert ours["SIP_HF_CALLID"] == ours["SIP_HF_CALL_ID"] == sent["Call-ID"]


@pytest.mark.parametrize("language", SCRIPTS)
def test_the_message_is_that_of_exec_msg(
    serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio], tmp_path: Path, language: str
) -> None:
    """It is as it came, but for what every proxy adds to the Via first."""
    server = serve({}, domains="example.org", style="exec")
    out = tmp_path / "out"
    text = SCRIPTS[language].replace("OUT", str(out)).replace("CAROL", "sip:127.0.0.1:9")
    path = server.write("invite", text.replace("BOB", "sip:127.0.0.1:9"))
    proxy = kamailio(f'exec_msg("{path}"); sl_send_reply("486", "Seen");')
    alice, bob = phones(proxy, "alice"), phones(server, "bob")
    sent = alice.invite("sip:sales@example.com", *LINES)
    alice.expect("SIP/2.0 486")
    assert found(out)["stdin"] == sent.text
    sent = bob.invite("sip:sales@example.com", *LINES)
    server.access("INVITE", 500)
    got = Message(found(out)["stdin"])
    assert got["Via"].startswith(sent["Via"].removesuffix(";rport"))
    assert got.text.replace(got["Via"], sent["Via"]) == sent.text


@pytest.mark.parametrize(
    ("script", "kamailio_sends", "status"),
    [
        ("exit 0", "false", 0),
        ("echo BOB; exit 3", "true, though it failed", 500),
        ("echo '<BOB>'", "false", 500),
        ("echo hello world", "false", 500),
    ],
)
def test_outputs_that_are_no_fork(
    serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio], script: str, kamailio_sends: str, status: int
) -> None:
    server = serve({}, domains="example.org", style="exec")
    relay = 'exec_dset("{path}"); if (is_method("INVITE")) {{ if (!t_relay()) sl_send_reply("500", "Not relayed"); }}'
    proxy = kamailio(relay.format(path=server.scripts / "invite"))
    alice, bob, carol = phones(proxy, "alice"), phones(proxy, "bob"), phones(server, "carol")
    server.write("invite", f"#!/bin/sh\n{script.replace('BOB', bob.contact)}\n")
    alice.invite("sip:sales@127.0.0.1:9")
    assert (bob.receive(0.5) is not None) == kamailio_sends.startswith("true")
    carol.invite(carol.contact.replace("carol", "dave"))
    if status:
        assert carol.expect("SIP/2.0 ").status == status
        bob.hears_nothing()
    else:  # the default action: to whom the caller wanted
        assert carol.expect("INVITE ").uri == carol.contact.replace("carol", "dave")


def test_a_uri_cannot_become_a_command(
    serve: Serve, phones: Phones, kamailio: Callable[..., Kamailio], tmp_path: Path
) -> None:
    """Kamailio hands the Request-URI to a shell in single quotes, which a URI may hold; here is no shell."""
    out = tmp_path / "out"
    server = serve({}, domains="example.org", style="exec")
    path = server.write(
        "invite", SCRIPTS["sh"].replace("OUT", str(out)).replace("BOB", "").replace("CAROL", "sip:x@[::2]")
    )
    proxy = kamailio(f'exec_dset("{path}"); sl_send_reply("486", "Seen");')
    uri = "sip:a'b'c@example.com"
    alice, bob = phones(proxy, "alice"), phones(server, "bob")
    alice.invite(uri)
    alice.expect("SIP/2.0 486")
    assert found(out)["arguments"] == "1\nsip:abc@example.com\n"
    bob.invite(uri)
    server.access("INVITE", 500)
    assert found(out)["arguments"] == f"1\n{uri}\n"
