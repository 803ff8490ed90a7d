"""The example of docs/kits.md in each language, as a script of a running server."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server
from wire_phone import Phone, hang_up

pytestmark = pytest.mark.e2e

DOCUMENT = (Path(__file__).parents[2] / "docs" / "kits.md").read_text("utf-8")
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
