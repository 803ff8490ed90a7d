"""A page in Chromium, over WSS (RFC 7118), and baresip over UDP call each other."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from authority import Authority
from baresip import Agent
from browser import FOLDER, Browser
from running import HOST, START, Server, url

pytestmark = pytest.mark.e2e

Serve = Callable[..., Server]
WEBRTC = ";mediaenc=dtls_srtp;medianat=ice"


@pytest.fixture
def browser(
    program: Callable[[str], str], missing: Callable[[str], None], tmp_path: Path
) -> Iterator[Callable[..., Browser]]:
    """Starts browsers that have registered."""
    node, chromium = program("node"), program("chromium")
    if not (FOLDER / "node_modules").is_dir():
        missing(f"SIP.js is not there: npm ci --prefix {FOLDER}")
    with ExitStack() as stack:

        def start(user: str, server: Server) -> Browser:
            made = Browser(node, chromium, tmp_path, user, server)
            stack.callback(made.quit)
            made.event("Registered", START)
            return made

        yield start


@pytest.fixture
def server(serve: Serve, authority: Authority) -> Server:
    return serve({}, authority.configuration(HOST), listen=[url("wss")])


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_browser_calls(
    server: Server, browser: Callable[..., Browser], agent: Callable[..., Agent], who: str
) -> None:
    carol, bob = browser("carol", server), agent("bob", server, WEBRTC + ";answermode=auto")
    carol.does("call", bob.aor)
    assert bob.event("CALL_ESTABLISHED")["peeruri"] == carol.aor
    carol.event("CallAnswered")
    hang_up(server, carol, bob, browser_does=who == "caller")
    server.access("INVITE", 200, f" from=<{carol.aor}>;", "route=default")


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_a_browser_is_called(
    server: Server, browser: Callable[..., Browser], agent: Callable[..., Agent], who: str
) -> None:
    carol, bob = browser("carol", server), agent("bob", server, WEBRTC)
    bob.command("dial", carol.aor)
    carol.event("CallReceived")
    invite = carol.message("INVITE ")
    assert ".invalid;transport=ws" in invite.uri  # the Contact that it registered
    carol.does("answer")
    assert bob.event("CALL_ESTABLISHED")["peeruri"] == carol.aor
    carol.event("CallAnswered")
    bob.command("hold")  # a re-INVITE, to a Contact that no name server knows
    held = carol.message("INVITE ")
    assert (held.uri, held["Call-ID"]) == (invite.uri, invite["Call-ID"])
    assert "a=sendonly" in held.body
    for _ in (invite, held):
        carol.message("ACK ")
    hang_up(server, carol, bob, browser_does=who == "callee")


def hang_up(server: Server, carol: Browser, bob: Agent, browser_does: bool) -> None:
    if browser_does:
        carol.does("hangup")
    else:
        bob.command("hangup")
    bob.event("CALL_CLOSED")
    carol.event("CallHangup")
    server.access("BYE", 200, "route=dialog", f" from=<{(carol if browser_does else bob).aor}>;")
    if not browser_does:
        bye = carol.message("BYE ")
        assert bye.all("Via")[0].startswith("SIP/2.0/WSS ")
        assert "Route" not in bye
