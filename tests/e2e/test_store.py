"""Registrations in a file survive the server, whatever ended it."""

import signal
from collections.abc import Callable

from running import Server
from wire_phone import Phone

STORE = "location:\n  store: sqlite:///location.db\n"


def test_what_was_answered_with_200_survives_a_kill(serve: Callable[..., Server], phones: Callable[..., Phone]) -> None:
    server = serve({}, STORE)
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    server.signal(signal.SIGKILL)
    server.process.wait()
    server.process = server.start()
    server.ready()
    invite = alice.invite("sip:bob@example.com")
    request = bob.expect("INVITE")
    assert request.uri == bob.contact
    bob.answer(request, "486 Busy Here")
    alice.ack(invite, alice.expect("SIP/2.0 486"))
    assert (server.folder / "location.db.key").stat().st_mode & 0o777 == 0o600


def test_a_call_in_a_dialog_goes_on_after_a_restart(serve: Callable[..., Server], phones: Callable[..., Phone]) -> None:
    """The key of the dialog tokens stands beside the store."""
    server = serve({}, STORE)
    alice, bob = phones(server, "alice"), phones(server, "bob")
    bob.register()
    invite = alice.invite("sip:bob@example.com")
    bob.take("200 OK")
    response = alice.expect("SIP/2.0 200")
    alice.ack(invite, response)
    bob.expect("ACK")
    assert server.stop() == 0
    server.process = server.start()
    server.ready()
    alice.within(invite, response, "BYE", 2)
    bob.answer(bob.expect("BYE"), "200 OK")
    alice.expect("SIP/2.0 200")
