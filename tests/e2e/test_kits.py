"""The example of docs/kits.md in each language, as a script of a running server."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from document import Terminal, blocks, commands
from running import Server, url
from wire_phone import Phone, hang_up, talk
from wire_stream import Stream

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
KITS = ROOT / "docs" / "kits.md"
DOCUMENT = KITS.read_text("utf-8")
ENDINGS = {"sh": "sh", "perl": "pl", "python": "py", "tcl": "tcl", "ruby": "rb", "lua": "lua"}
PROGRAMS = {"python": "python3", "tcl": "tclsh"}


@pytest.mark.parametrize("language", ENDINGS)
def test_forwarding_on_no_answer(
    language: str, serve: Callable[..., Server], phones: Callable[..., Phone], program: Callable[[str], str]
) -> None:
    program(PROGRAMS.get(language, language))
    (example,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert re.search(r"timeout\W{1,4}15\b", example)
    name = f"forward.{ENDINGS[language]}"
    server = serve(
        {name: re.sub(r"(timeout\W{1,4})15\b", r"\g<1>0.5", example)},
        f'routes: [{{script: {name}, method: INVITE, uri: "bob@example.com"}}]',
    )
    alice, bob, voicemail = phones(server, "alice"), phones(server, "bob"), phones(server, "voicemail")
    bob.register()
    voicemail.register()

    invite = alice.invite(bob.aor)
    at_bob = bob.expect("INVITE ")
    bob.answer(at_bob, "180 Ringing")
    alice.expect("SIP/2.0 180")
    cancel = bob.expect("CANCEL ")
    bob.answer(cancel, "200 OK")
    bob.answer(at_bob, "487 Request Terminated")
    bob.expect("ACK ")
    voicemail.answer(voicemail.expect("INVITE "), "200 OK")
    hang_up(alice, voicemail, invite)
    server.access("INVITE", 200, f"script={name}", "runs=3")

    invite = alice.invite(bob.aor)  # another answer ends it
    bob.take("603 Decline")
    alice.ack(invite, alice.expect("SIP/2.0 603"))
    server.access("INVITE", 603, f"script={name}", "runs=2")

    bob.socket.close()  # where his phone was nobody listens: a local 503
    talk(alice, voicemail, alice.invite(bob.aor))


# Who is rung: the phone of bob, only to be hung up on when he answers
RING = {
    "sh": """#!/bin/sh
. sipcgi.sh
case $sip_event,$sip_status in
request,*)
    sip_reply 202
    sip_request INVITE sip:bob@example.com "Subject: $(sip_header Subject)" --token leg --timeout 30
    sip_again ;;
*,1??) sip_again ;;
*,2??) [ "$sip_request_token" != leg ] || { sip_request ACK '' --token leg; sip_request BYE '' --token leg; } ;;
esac
exit 0
""",
    "perl": """#!/usr/bin/perl
use strict;
use warnings;
use SipCgi;
if (event eq 'request') {
    reply 202;
    request INVITE => 'sip:bob@example.com', headers => {Subject => header 'Subject'}, token => 'leg', timeout => 30;
    again;
}
elsif (status < 200) { again }
elsif (status < 300 && request_token eq 'leg') {
    request $_ => '', token => 'leg' for qw(ACK BYE);
}
""",
    "python": """#!/usr/bin/env python3
from sipcgi_kit import Call
with Call() as call:
    if call.event == "request":
        call.reply(202)
        call.request("INVITE", "sip:bob@example.com", {"Subject": call.header("Subject")}, token="leg", timeout=30)
        call.again()
    elif call.status < 200:
        call.again()
    elif call.status < 300 and call.request_token == "leg":
        call.request("ACK", token="leg")
        call.request("BYE", token="leg")
""",
    "tcl": """#!/usr/bin/tclsh
package require sipcgi
if {[sip event] eq "request"} {
    sip reply 202
    sip request INVITE sip:bob@example.com -headers [list Subject [sip header Subject]] -token leg -timeout 30
    sip again
} elseif {[sip status] < 200} {
    sip again
} elseif {[sip status] < 300 && [sip request_token] eq "leg"} {
    sip request ACK "" -token leg
    sip request BYE "" -token leg
}
""",
    "ruby": """#!/usr/bin/ruby
require "sipcgi"
SipCgi.run do |call|
  if call.event == "request"
    call.reply 202
    call.request "INVITE", "sip:bob@example.com", headers: { Subject: call.header("Subject") }, token: "leg", timeout: 9
    call.again
  elsif call.status < 200
    call.again
  elsif call.status < 300 && call.request_token == "leg"
    %w[ACK BYE].each { |method| call.request method, token: "leg" }
  end
end
""",
    "lua": """#!/usr/bin/lua
require("sipcgi").run(function(call)
  if call.event == "request" then
    call:reply(202)
    local subject = {Subject = call:header("Subject")}
    call:request("INVITE", "sip:bob@example.com", {headers = subject, token = "leg", timeout = 30})
    call:again()
  elseif call.status < 200 then
    call:again()
  elseif call.status < 300 and call.request_token == "leg" then
    call:request("ACK", nil, {token = "leg"})
    call:request("BYE", nil, {token = "leg"})
  end
end)
""",
}


@pytest.mark.parametrize("language", ENDINGS)
def test_requests_of_its_own(
    language: str, serve: Callable[..., Server], phones: Callable[..., Phone], program: Callable[[str], str]
) -> None:
    program(PROGRAMS.get(language, language))
    name = f"ring.{ENDINGS[language]}"
    server = serve({name: RING[language]}, f'routes: [{{script: {name}, uri: "ring@*", originate: true}}]')
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    subject = 'CGI-AGAIN no SIP/2.0 \\n\\nBYE "Jörg\\" $(id) [exit 5] #{1}'
    alice.request("MESSAGE", "sip:ring@example.com", f"Subject: {subject}")
    alice.expect("SIP/2.0 202")
    invite = bob.expect("INVITE ")
    assert (invite["Subject"], invite["Max-Forwards"], len(invite.all("Via"))) == (subject, "69", 1)
    bob.answer(invite, "180 Ringing")
    bob.answer(invite, "200 OK")
    ack, bye = bob.expect("ACK "), bob.expect("BYE ")
    assert ack.uri == bye.uri == bob.contact
    bob.answer(bye, "200 OK")
    server.access("INVITE", 200, "route=generated", f"script={name}")


def test_by_hand(tmp_path: Path, program: Callable[[str], str]) -> None:
    for language in ENDINGS:
        program(PROGRAMS.get(language, language))
    (tmp_path / "python3").write_text(f'#!/bin/sh\nPYTHONPATH=$PYTHONPATH:{ROOT} exec {sys.executable} "$@"\n')
    (tmp_path / "python3").chmod(0o755)
    shown = list(blocks(KITS))
    for block in shown:
        if block.language in ENDINGS:
            (tmp_path / f"forward.{ENDINGS[block.language]}").write_text(block.text)
    (by_hand,) = (block for block in shown if block.language == "console")
    with Terminal(tmp_path, os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}) as terminal:
        ran = [terminal.type(command) for command, _ in commands(by_hand)]
    printed = ["CGI-PROXY-REQUEST sip:bob@example.com SIP/2.0", "CGI-Timeout: 15", "", "CGI-AGAIN yes SIP/2.0"]
    assert [[line for line in lines if line.strip()] for lines in ran] == [[], []] + [
        [line for line in printed if line]
    ] * len(ENDINGS)


ECHO = {
    "sh": "#!/bin/sh\n. sipcgi.sh\nsip_reply 200 '' --content_type a/b --body \"$(sip_body)\"\nexit 0\n",
    "perl": "#!/usr/bin/perl\nuse SipCgi;\nreply 200, '', content_type => 'a/b', body => body;\n",
    "python": "#!/usr/bin/env python3\nfrom sipcgi_kit import Call\n"
    "with Call() as call:\n    call.reply(200, content_type='a/b', body=call.body)\n",
    "tcl": "#!/usr/bin/tclsh\npackage require sipcgi\nsip reply 200 {} -content_type a/b -octets [sip octets]\n",
    "ruby": "#!/usr/bin/ruby\nrequire 'sipcgi'\n"
    "SipCgi.run { |call| call.reply 200, content_type: 'a/b', body: call.body }\n",
    "lua": "#!/usr/bin/lua\nrequire('sipcgi').run(function(call)\n"
    "  call:reply(200, nil, {content_type = 'a/b', body = call:body()})\nend)\n",
}


@pytest.mark.parametrize("language", ENDINGS)
def test_a_body_of_all_octets(language: str, serve: Callable[..., Server], program: Callable[[str], str]) -> None:
    """A shell keeps no NUL, and no newlines at the end."""
    program(PROGRAMS.get(language, language))
    name = f"echo.{ENDINGS[language]}"
    server = serve({name: ECHO[language]}, f"routes: [{{script: {name}, method: MESSAGE}}]", listen=[url("tcp")])
    octets = bytes(range(language == "sh", 256)) * 2
    with Stream(server) as stream:
        answer = stream.ask(b"sip:echo@example.com", b"Content-Type: a/b", body=octets)
    assert (answer.status, answer.body) == (200, octets)
