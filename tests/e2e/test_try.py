"""What `sipcgi try` shows is what the server does: environment and messages, compared with a real one."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server
from wire_phone import Phone

pytestmark = pytest.mark.e2e

SCRIPT = """\
#!/bin/sh
env > "$SEEN"
cat >&2
cat <<END
{output}

END
exit 0
"""
OUTPUTS = {
    "answers": "SIP/2.0 302 Over There\nContact: <sip:bob@there.example.net>\nX-Odd: 1",
    "proxies": "CGI-PROXY-REQUEST {place} SIP/2.0\nSubject: new\nCGI-Remove: X-Mine\nContent-Type: text/plain\n\nhello",
    "fails": "CGI-PROXY {place} SIP/2.0",
}
CHANGING = ("SIPCGI_TRANSACTION", "SIPCGI_ELAPSED_MS", "SEEN", "PWD", "_", "SHLVL", "OLDPWD")


def told(text: str) -> str:
    """Without what is made anew each time: branches and tags of the server, and the keyed token."""
    text = re.sub(r"branch=z9hG4bK0\.[0-9a-f.]+", "branch=x", text)
    text = re.sub(r"(To: [^\r]*;tag=)\w+", r"\1x", text)
    return re.sub(r"<sip:[^@>]+@(127\.0\.0\.1:\d+;lr)", r"<sip:x@\1", text)


def variables(path: Path) -> dict[str, str]:
    """As `env` wrote them; no value of these has a line end in it."""
    pairs = [line.partition("=") for line in path.read_text().splitlines()]
    return {name: value for name, _, value in pairs if name not in CHANGING}


@pytest.mark.parametrize("what", OUTPUTS)
def test_it_is_what_the_server_does(
    serve: Callable[..., Server], phones: Callable[..., Phone], tmp_path: Path, what: str
) -> None:
    seen = tmp_path / "seen"
    server = serve({}, environment=f"{{SEEN: {seen}}}")
    alice, bob = phones(server, "alice"), phones(server, "bob")
    script = server.write("invite.sh", SCRIPT.format(output=OUTPUTS[what].format(place=bob.contact)))
    invite = alice.invite("sip:bob@example.com", "X-Mine: 1", "Subject: lunch")
    arrived = bob.expect("INVITE ") if what == "proxies" else alice.expect("SIP/2.0 ")
    really = variables(seen)
    (tmp_path / "invite.sip").write_bytes(invite.text.encode())
    command = [sys.executable, "-m", "sipcgi", "try", script, "--message", tmp_path / "invite.sip"]
    done = subprocess.run([*command, "--config", server.configuration, "--json"], capture_output=True)
    document = json.loads(done.stdout)
    assert told(document["messages"][0]) == told(arrived.text)
    assert variables(seen) == really
    assert {name: value for name, value in document["environment"].items() if name not in CHANGING} == really
    assert done.returncode == (1 if what == "fails" else 0)
    if what == "fails":
        (error,) = document["errors"]
        logged = server.wait_for(" script script=invite.sh ")
        assert f'line={error["line"]} column={error["column"]} text="{error["text"]}" hint="{error["hint"]}"' in logged
    if what != "proxies":
        alice.ack(invite, arrived)
